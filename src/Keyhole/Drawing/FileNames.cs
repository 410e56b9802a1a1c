// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Text;

namespace Keyhole.Drawing;

/// <summary>Files by their names alone: who reads a report does not know the folders, and they may name somebody.</summary>
internal static class FileNames
{
    /// <summary>A sentence whose whole paths have lost their folders; what the kernel has at a known place keeps its own.</summary>
    public static string WithoutFolders(string sentence)
    {
        string[] words = sentence.Split(' ');
        List<string> kept = [];
        for (int i = 0; i < words.Length; i++)
        {
            if (!IsWholePath(words[i]))
            {
                kept.Add(words[i]);
                continue;
            }

            // A folder's name may have blanks in it: the path goes on to its last slash.
            int last = i;
            for (int next = i + 1; next < words.Length && !words[next].StartsWith('/'); next++)
            {
                if (words[next].Contains('/', StringComparison.Ordinal))
                    last = next;
            }

            i = last;
            kept.Add(words[last][(words[last].LastIndexOf('/') + 1)..]);
        }

        return string.Join(' ', kept);
    }

    private static bool IsWholePath(string word) => word.StartsWith('/') && !word.StartsWith("/proc/", StringComparison.Ordinal)
        && !word.StartsWith("/sys/", StringComparison.Ordinal);

    /// <summary>A text in which files of these folders have their names alone. A folder counts where a word begins with it, also where the text
    /// breaks a line at one of its blanks.</summary>
    /// <param name="folders">Each with its last slash.</param>
    public static string Without(ImmutableArray<string> folders, string text)
    {
        foreach (string folder in folders)
        {
            var kept = new StringBuilder(text.Length);
            for (int i = 0; i < text.Length;)
            {
                int behind = i == 0 || !IsOfPath(text[i - 1]) ? EndOf(folder, text, i) : -1;
                if (behind > 0)
                    i = behind;
                else
                    kept.Append(text[i++]);
            }

            text = kept.ToString();
        }

        return text;
    }

    private static bool IsOfPath(char letter) => char.IsLetterOrDigit(letter) || letter is '/' or '.' or '-' or '_';

    /// <summary>Where the folder ends that begins there; -1 where none does.</summary>
    private static int EndOf(string folder, string text, int at)
    {
        foreach (char letter in folder)
        {
            if (letter == ' ')
            {
                int before = at;
                while (at < text.Length && char.IsWhiteSpace(text[at]))
                    at++;
                if (at == before)
                    return -1;
            }
            else if (at < text.Length && text[at] == letter)
            {
                at++;
            }
            else
            {
                return -1;
            }
        }

        return at;
    }
}
