// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;

namespace Keyhole.Drawing;

/// <summary>Files by their names alone: who reads a report does not know the folders, and they may name somebody.</summary>
internal static class FileNames
{
    /// <summary>A sentence whose whole paths have lost their folders; what the kernel has at a known place keeps its own.</summary>
    public static string WithoutFolders(string sentence) => string.Join(' ', sentence.Split(' ').Select(static word =>
        word.StartsWith('/') && !word.StartsWith("/proc/", StringComparison.Ordinal) && !word.StartsWith("/sys/", StringComparison.Ordinal)
            ? word[(word.LastIndexOf('/') + 1)..] : word));
}
