// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;

namespace Keyhole.Dom0;

/// <summary>Permissions of files, where the analyser does not know that a dom0 is never Windows.</summary>
internal static class UnixFile
{
    public static UnixFileMode ModeOf(string path) => OperatingSystem.IsWindows() ? UnixFileMode.None : File.GetUnixFileMode(path);

    /// <summary>A new file, its owner's alone until it is given its permissions; one of that name must not be there.</summary>
    public static FileStream Create(string path)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new(path, options);
    }

    /// <summary>Whatever the user's umask says.</summary>
    public static void SetMode(FileStream file, UnixFileMode mode)
    {
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(file.SafeFileHandle, mode);
    }
}
