// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>
/// The text of a file for QEMU's <c>-readconfig</c>, as LXD and Incus write one for each of their machines: sections of settings, each an option of
/// the command line.
/// </summary>
/// <remarks>Source: QEMU's docs/config and util/qemu-config.c.</remarks>
internal static class QemuConfigFile
{
    private static readonly SearchValues<char> s_letters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz-_");

    /// <summary>Whether a text begins with a section of such a file.</summary>
    public static bool IsOne(ReadOnlySpan<char> text)
    {
        foreach (ReadOnlySpan<char> raw in text.EnumerateLines())
        {
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw).Trim("\uFEFF \t");
            if (!line.IsEmpty && line[0] != '#')
                return TrySection(line, out string group, out _) && group is "machine" or "device" or "global" or "memory" or "object" or "smp-opts";
        }

        return false;
    }

    /// <summary>The sections of a text as options with their values, in their order; empty where it has none. What stands in front of the first is
    /// something else.</summary>
    public static ImmutableArray<QemuWord> Read(ReadOnlySpan<char> text)
    {
        var words = ImmutableArray.CreateBuilder<QemuWord>();
        var value = new StringBuilder();
        string? option = null;
        int lineOfSection = 0;
        int number = 0;
        foreach (ReadOnlySpan<char> raw in text.EnumerateLines())
        {
            number++;
            ReadOnlySpan<char> line = CitedLine.Unmarked(raw).Trim("\uFEFF \t");
            if (TrySection(line, out string group, out string id))
            {
                Flush();
                (option, lineOfSection) = (OptionOf(group), number);
                if (id.Length > 0)
                    Append("id", id);
            }
            else if (option is not null && TrySetting(line, out ReadOnlySpan<char> key, out ReadOnlySpan<char> setting))
                Append(key, setting);
        }

        Flush();
        return words.DrainToImmutable();

        void Append(ReadOnlySpan<char> key, ReadOnlySpan<char> setting)
        {
            value.Append(value.Length == 0 ? "" : ",").Append(key).Append('=');
            foreach (char c in setting)
                value.Append(c == ',' ? ",," : c.ToString());
        }

        void Flush()
        {
            if (option is not null && words.Count < QemuCommandText.MaxWords)
            {
                words.Add(new(option, lineOfSection, NeedsShell: false));
                words.Add(new(value.ToString(), lineOfSection, NeedsShell: false));
            }

            value.Clear();
            option = null;
        }
    }

    private static string OptionOf(string group) => group switch
    {
        "memory" => "-m",
        "smp-opts" => "-smp",
        "boot-opts" => "-boot",
        _ => $"-{group}",
    };

    /// <summary><c>[device "dev-lxd_root"]</c> or <c>[machine]</c>.</summary>
    private static bool TrySection(ReadOnlySpan<char> line, out string group, out string id)
    {
        group = id = "";
        if (line.Length < 3 || line[0] != '[' || line[^1] != ']')
            return false;
        ReadOnlySpan<char> inside = line[1..^1].Trim();
        int blank = inside.IndexOfAny(' ', '\t');
        ReadOnlySpan<char> name = blank < 0 ? inside : inside[..blank];
        ReadOnlySpan<char> rest = blank < 0 ? default : inside[blank..].Trim();
        if (name.IsEmpty || name.ContainsAnyExcept(s_letters) || (!rest.IsEmpty && (rest.Length < 2 || rest[0] != '"'
            || rest[^1] != '"')))
            return false;
        group = name.ToString();
        id = rest.Trim('"').ToString();
        return true;
    }

    /// <summary><c>driver = "pcie-root-port"</c>.</summary>
    private static bool TrySetting(ReadOnlySpan<char> line, out ReadOnlySpan<char> key, out ReadOnlySpan<char> setting)
    {
        int equals = line.IndexOf('=');
        key = equals < 0 ? default : line[..equals].TrimEnd();
        setting = equals < 0 ? default : line[(equals + 1)..].TrimStart();
        if (key.IsEmpty || key[0] == '#' || setting.Length < 2 || setting[0] != '"' || setting[^1] != '"')
            return false;
        setting = setting[1..^1];
        return true;
    }
}
