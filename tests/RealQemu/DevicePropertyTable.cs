// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Keyhole.Guests;
using Keyhole.RealMachine;

namespace Keyhole.RealQemu;

/// <summary>Asks the real QEMU which properties its device models have, and writes the table of them.</summary>
public static class DevicePropertyTable
{
    /// <summary>Columns of a line of the table.</summary>
    private const int Width = 136;

    /// <summary>What a release says of each model; of one that it has not, or cannot load, there is nothing.</summary>
    /// <exception cref="HarnessException">It is not to be had.</exception>
    public static IReadOnlyDictionary<string, IReadOnlyList<string>> Ask(string release, IEnumerable<string> drivers)
    {
        string[] command = EmulatorRelease.Named(release).Command();
        var found = new SortedDictionary<string, IReadOnlyList<string>>(StringComparer.Ordinal);
        var waiting = new Queue<string>(drivers.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
        // A model in a package that is not unpacked may end QEMU: the others are asked by the next one.
        while (waiting.Count > 0)
        {
            using Process process = Tool.Start("/", "timeout",
                ["--signal=KILL", "300", .. command, "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio"]);
            _ = process.StandardError.ReadToEndAsync();
            var monitor = new QemuMonitor(process.StandardOutput, process.StandardInput);
            if (!monitor.TryBegin())
                throw new HarnessException($"QEMU {release} does not start");
            while (waiting.TryDequeue(out string? driver))
            {
                try
                {
                    JsonElement answer = monitor.Execute("device-list-properties", new JsonObject { ["typename"] = driver });
                    string[] names = [.. answer.EnumerateArray().Select(static property => property.GetProperty("name").GetString()!)];
                    if (names.Length > 0)
                        found.Add(driver, names);
                }
                catch (HarnessException)
                {
                    // It has none of that name.
                }
                catch (Exception e) when (e is EndOfStreamException or IOException)
                {
                    break;
                }
            }

            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }

        return found;
    }

    /// <summary>The table as it stands in the sources.</summary>
    /// <param name="releases">By release, by model.</param>
    public static string Write(IReadOnlyList<(string Release, IReadOnlyDictionary<string, IReadOnlyList<string>> Models)> releases)
    {
        var having = new SortedDictionary<string, List<(string, string)>>(StringComparer.Ordinal);
        foreach ((string release, IReadOnlyDictionary<string, IReadOnlyList<string>> models) in releases)
        {
            foreach ((string driver, string property) in models.SelectMany(static model => model.Value.Distinct().Select(name => (model.Key, name))))
            {
                if (!having.TryGetValue(property, out List<(string, string)>? models1))
                    having.Add(property, models1 = []);
                models1.Add((driver, release));
            }
        }

        var text = new StringBuilder();
        var numbers = new Dictionary<string, int>(StringComparer.Ordinal);
        var groupsOf = new Dictionary<(string, string), List<string>>();
        foreach (IGrouping<string, KeyValuePair<string, List<(string, string)>>> group in having.GroupBy(static property =>
            string.Join(';', property.Value.Order())))
        {
            string number = numbers.Count.ToString(CultureInfo.InvariantCulture);
            numbers.Add(group.Key, numbers.Count);
            AppendWrapped(text, "+", group.Select(static property => property.Key));
            foreach ((string, string) model in group.First().Value)
            {
                if (!groupsOf.TryGetValue(model, out List<string>? groups))
                    groupsOf.Add(model, groups = []);
                groups.Add(number);
            }
        }

        foreach (string driver in releases.SelectMany(static release => release.Models.Keys).Distinct().Order(StringComparer.Ordinal))
        {
            foreach (IGrouping<string, string> same in releases.Select(static release => release.Release)
                .Where(release => groupsOf.ContainsKey((driver, release))).GroupBy(release => string.Join(' ', groupsOf[(driver, release)])))
            {
                AppendWrapped(text, $"@ {string.Join(' ', same)} {driver}", same.Key.Split(' '));
            }
        }

        return text.ToString();
    }

    /// <summary>The models that are asked for: those whose BARs Keyhole knows, and those that are in the table.</summary>
    public static IEnumerable<string> Drivers => QemuDevices.Names.Concat(QemuDeviceProperties.Drivers);

    /// <summary>The whole file.</summary>
    /// <exception cref="HarnessException">A release is not to be had.</exception>
    public static string MakeFile()
    {
        string table = Write([.. QemuDeviceProperties.Releases.Select(static release => release.ToString())
            .Select(static release => (release, Ask(release, Drivers)))]);
        const string quotes = "\"\"\"";
        return "// SPDX-License-Identifier: GPL-2.0-only\n\nnamespace Keyhole.Guests;\n\n"
            + "/// <content>Made by eng/record-golden --properties; not edited by hand.</content>\n"
            + $"internal static partial class QemuDeviceProperties\n{{\n    private const string Table = {quotes}\n"
            + string.Concat(table.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => $"        {line}\n"))
            + $"        {quotes};\n}}\n";
    }

    private static void AppendWrapped(StringBuilder text, string start, IEnumerable<string> words)
    {
        int length = start.Length;
        text.Append(start);
        foreach (string word in words)
        {
            if (length + 1 + word.Length > Width)
            {
                text.Append("\n.");
                length = 1;
            }

            text.Append(' ').Append(word);
            length += 1 + word.Length;
        }

        text.Append('\n');
    }
}
