// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;

namespace Keyhole.PackageParts;

/// <summary>
/// <c>man DOCS OUT DATE</c>: the manual pages, from the command line's own help and the documents, dated DATE (yyyy-MM-dd).
/// <c>sbom ASSETS OUT FILE… [-- NAME=VERSION…]</c>: the bill of materials of FILEs, from what the restore of packages wrote, and of system libraries
/// linked in.
/// </summary>
internal static class Program
{
    private static readonly UTF8Encoding s_utf8 = new(false);

    public static int Main(string[] args)
    {
        switch (args)
        {
            case ["man", var docs, var output, var date]:
                Directory.CreateDirectory(output);
                foreach ((string name, string text) in Manual.Pages(docs, DateOnly.ParseExact(date, "yyyy-MM-dd", CultureInfo.InvariantCulture)))
                    File.WriteAllText(Path.Combine(output, name), text, s_utf8);
                return 0;
            case ["sbom", var assets, var output, .. var rest] when rest.Length > 0:
                int end = Array.IndexOf(rest, "--") is >= 0 and var at ? at : rest.Length;
                using (FileStream file = File.Create(output))
                    BillOfMaterials.Write(file, assets, rest[..end], [.. rest.Skip(end + 1)]);
                return 0;
            default:
                Console.Error.WriteLine("usage: man DOCS OUT DATE | sbom ASSETS OUT FILE… [-- NAME=VERSION…]");
                return 2;
        }
    }
}
