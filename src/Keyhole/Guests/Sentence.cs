// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>Sentences that people write, where a guest's configuration was to be read: none of them breaks a rule of xl.cfg's syntax.</summary>
internal static class Sentence
{
    private const int FewestWords = 3;

    /// <summary>What to say in place of an error of syntax in a line that is a sentence; null where it is none.</summary>
    public static InputError? At(string text, InputError error)
    {
        if (error is not { Code: InputErrorCode.Malformed, Line: { } at })
            return null;
        string[] lines = text.Split('\n');
        if (lines.Any(static line => IsSetting(line.AsSpan().Trim())))
        {
            return IsOne(LineOf(text, at))
                ? InputError.Malformed(error.Source, at, "a sentence, and no setting of xl.cfg's",
                    "give the configuration alone, without the text around it") : null;
        }

        return lines.Any(static line => IsOne(line))
            ? InputError.NothingInIt(error.Source, null, "no guest's configuration in it: there are sentences, and no line has a setting (KEY=VALUE)",
                "give an xl.cfg, a libvirt domain XML, a command line of QEMU or a Proxmox conf") : null;
    }

    private static string LineOf(string text, int number)
    {
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (--number == 0)
                return line.ToString();
        }

        return "";
    }

    /// <summary>Words, and nothing that a configuration is made of.</summary>
    private static bool IsOne(ReadOnlySpan<char> line)
    {
        line = line.Trim();
        if (line.IsEmpty || line[0] is '#' or '[' or '{' or '"' or '\'' || IsSetting(line))
            return false;
        int words = 0;
        foreach (Range part in line.Split(' '))
            words += !line[part].Trim().IsEmpty && char.IsLetter(line[part].Trim()[0]) ? 1 : 0;
        return words >= FewestWords || (words > 1 && char.IsUpper(line[0]));
    }

    /// <summary>Whether a line begins as a setting does, in whichever letters.</summary>
    private static bool IsSetting(ReadOnlySpan<char> line)
    {
        int length = 0;
        while (length < line.Length && (char.IsAsciiLetterOrDigit(line[length]) || line[length] is '_' or '-'))
            length++;
        ReadOnlySpan<char> behind = line[length..].TrimStart();
        return length > 0 && (behind.StartsWith("=") || behind.StartsWith("+="));
    }
}
