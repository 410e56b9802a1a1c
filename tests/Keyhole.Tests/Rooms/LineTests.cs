// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Rooms;

[TestClass]
public sealed class LineTests
{
    private const int MostColumns = 150;

    [TestMethod]
    public void No_line_of_the_sources_is_longer_than_150_columns()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "sources");
        string[] files = Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories);
        Assert.IsGreaterThan(300, files.Length);

        string[] longer = [.. files.SelectMany(file => Longer(File.ReadAllText(file)).Select(line => $"{Path.GetRelativePath(folder, file)}:{line}"))];

        Assert.AreEqual("", string.Join('\n', longer));
    }

    [TestMethod]
    public void A_longer_line_is_seen_and_one_of_a_raw_text_is_not()
    {
        string longer = new('x', MostColumns + 1);

        CollectionAssert.AreEqual(new[] { 2, 6 }, Longer($"a\n{longer}\n\"\"\"\n{longer}\n\"\"\"\n{longer}\n{longer[1..]}").ToArray());
    }

    /// <summary>The numbers of the lines that are too long. Raw texts are another language's: style sheets and drawings.</summary>
    private static IEnumerable<int> Longer(string text)
    {
        bool isRaw = false;
        int number = 0;
        foreach (string line in text.Split('\n'))
        {
            number++;
            int quotes = line.Split("\"\"\"").Length - 1;
            if (line.Length > MostColumns && !isRaw && quotes == 0)
                yield return number;
            isRaw ^= quotes % 2 != 0;
        }
    }
}
