// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Rooms;

/// <summary>The order of the rooms in CONTRIBUTING.md is the order of dependency: no file uses a room that comes after its own.</summary>
[TestClass]
public sealed partial class RoomOrderTests
{
    private static readonly string s_sources = Path.Combine(AppContext.BaseDirectory, "sources");

    /// <summary>First to last: "Addresses", "Platforms.XenPv" and so on; a project without rooms is one.</summary>
    private static readonly string[] s_order =
        [.. OrderLine().Matches(File.ReadAllText(Path.Combine(s_sources, "CONTRIBUTING.md"))).SelectMany(RoomsOf)];

    [TestMethod]
    public void No_room_uses_one_that_comes_after_it()
    {
        SourceFile[] files = [.. Sources()];
        Assert.IsGreaterThan(300, files.Length);

        Assert.AreEqual("", string.Join('\n', files.SelectMany(ArrowsAgainstTheOrder)));
    }

    [TestMethod]
    public void Every_room_has_its_place_in_the_order()
    {
        Assert.HasCount(s_order.Length, s_order.Distinct());
        string[] unknown = [.. Sources().Where(static file => RoomOf(file.Namespace) is null)
            .Select(static file => $"{file.Name}: {file.Namespace}")];

        Assert.AreEqual("", string.Join('\n', unknown), "name the room in CONTRIBUTING.md");
    }

    [TestMethod]
    public void Every_file_lies_in_the_room_of_its_namespace()
    {
        foreach (SourceFile file in Sources())
            Assert.AreEqual(RoomOf(file.Folder), RoomOf(file.Namespace), file.Name);
    }

    [TestMethod]
    [DataRow("using Keyhole.Forecasts;\nnamespace Keyhole.Pci;\nclass A;", "Pci uses Forecasts: x.cs")]
    [DataRow("namespace Keyhole.Hosts;\nclass A { Logs.LogScan B; }", "Hosts uses Logs: x.cs")]
    [DataRow("using Keyhole.Platforms.Qemu;\nnamespace Keyhole.Platforms;\nclass A;", "Platforms uses Platforms.Qemu: x.cs")]
    [DataRow("using Keyhole.Dom0;\nnamespace Keyhole.Drawing;\nclass A;", "Drawing uses Dom0: x.cs")]
    [DataRow("using Keyhole.Addresses;\nusing Keyhole.Hosts;\nnamespace Keyhole.Logs;\n// Forecasts.Boot comes later\nclass "
        + "A { string B = \"Forecasts.Boot\"; }", "")]
    [DataRow("namespace Keyhole.Platforms;\nclass A { Qemu.QemuForecast B; }", "Platforms uses Platforms.Qemu: x.cs")]
    [DataRow("namespace Keyhole.Platforms.XenPv;\nclass A { Keyhole.Platforms.Qemu.QemuForecast B; }", "Platforms.XenPv uses Platforms.Qemu: x.cs")]
    [DataRow("using static Keyhole.Platforms.Qemu.Board.QemuLayout;\nnamespace Keyhole.Platforms.Firmware;\nclass A;", "")]
    [DataRow("using Later = Keyhole.Forecasts.Boot;\nnamespace Keyhole.Pci;\nclass A;", "Pci uses Forecasts: x.cs")]
    [DataRow("global using Keyhole.Forecasts;\nnamespace Keyhole.Pci;\nclass A;", "Pci uses Forecasts: x.cs")]
    [DataRow("namespace Keyhole.Pci;\nclass A { int B = boot.Forecasts.Count; }", "")]
    public void An_arrow_against_the_order_is_seen(string text, string expected) =>
        Assert.AreEqual(expected, string.Join('\n', ArrowsAgainstTheOrder(SourceFile.Of("x.cs", text))));

    private static IEnumerable<string> ArrowsAgainstTheOrder(SourceFile file)
    {
        if (RoomOf(file.Namespace) is not { } own)
            yield break;
        int place = Array.IndexOf(s_order, own);
        foreach (string used in file.Used.Select(RoomOf).OfType<string>().Distinct())
        {
            if (Array.IndexOf(s_order, used) > place)
                yield return $"{own} uses {used}: {file.Name}";
        }
    }

    /// <summary>The room that a namespace belongs to: its own name, or that of one around it. Null for a namespace without a room.</summary>
    private static string? RoomOf(string name)
    {
        while (!s_order.Contains(name))
        {
            int dot = name.LastIndexOf('.');
            if (dot < 0)
                return null;
            name = name[..dot];
        }

        return name;
    }

    private static IEnumerable<string> RoomsOf(Match line) =>
        line.Groups["rooms"].Success ? line.Groups["rooms"].Value.Split(", ") : [line.Groups["project"].Value["Keyhole.".Length..]];

    private static IEnumerable<SourceFile> Sources()
    {
        foreach (string project in Directory.GetDirectories(s_sources))
        {
            foreach (string path in Directory.EnumerateFiles(project, "*.cs", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
                yield return SourceFile.Of(Path.GetRelativePath(s_sources, path), File.ReadAllText(path));
        }
    }

    /// <param name="Used">Namespaces below Keyhole that the code names: by a using line, or before a type's name.</param>
    private sealed record SourceFile(string Name, string Folder, string Namespace, string[] Used)
    {
        public static SourceFile Of(string name, string text)
        {
            string code = CommentOrText().Replace(text, "");
            string[] folders = (Path.GetDirectoryName(name) ?? "").Split(Path.DirectorySeparatorChar);
            // Projects whose own name is a room have it in their namespaces; Core and the library have not.
            string project = folders[0] is "Keyhole.Dom0" or "Keyhole.Cli" ? folders[0]["Keyhole.".Length..] : "";
            string folder = string.Join('.', folders.Skip(1).Prepend(project).Where(static part => part.Length > 0));
            string own = NamespaceLine().Match(code).Groups["name"].Value;
            IEnumerable<string> qualified = Qualified().Matches(Header().Replace(code, "")).SelectMany(match => Around(own)
                // Only where the name itself goes into a room.
                .Where(outer => RoomOf(outer + match.Groups["name"].Value)?.Length > outer.Length)
                .Select(outer => outer + match.Groups["name"].Value));
            return new(name, folder, own, [.. UsingLine().Matches(code).Select(static match => match.Groups["name"].Value).Concat(qualified)]);
        }

        /// <summary>What a name may be relative to: Keyhole itself, and the namespaces around the file's own.</summary>
        private static IEnumerable<string> Around(string own)
        {
            yield return "";
            for (int dot = own.IndexOf('.'); dot >= 0; dot = own.IndexOf('.', dot + 1))
                yield return own[..(dot + 1)];
            yield return own + ".";
        }
    }

    [GeneratedRegex(@"^    src/(?<project>Keyhole[\w.]*)(: (?<rooms>[\w., ]+))?$", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex OrderLine();

    [GeneratedRegex(""""
        """.*?"""|"(\\.|[^"\\\n])*"|//[^\n]*
        """", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex CommentOrText();

    [GeneratedRegex(@"^namespace Keyhole\.(?<name>[\w.]+);", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex NamespaceLine();

    [GeneratedRegex(@"^(using|namespace) [^\n(]*;", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Header();

    [GeneratedRegex(@"(?<![\w.])(Keyhole\.)?(?<name>([A-Z]\w*\.)*[A-Z]\w*)\.[A-Z]", RegexOptions.ExplicitCapture)]
    private static partial Regex Qualified();

    [GeneratedRegex(@"^(global )?using (static |\w+ = )?Keyhole\.(?<name>[\w.]+);", RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex UsingLine();
}
