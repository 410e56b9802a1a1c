// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Dom0.Native;
using Keyhole.Guests;

namespace Keyhole.Dom0;

/// <summary>A guest's configuration on disk, to the byte.</summary>
/// <param name="Path">Its whole path, links followed.</param>
public sealed record ConfigurationFile(string Path, byte[] Bytes)
{
    /// <summary>As many as Linux follows.</summary>
    private const int MaxLinks = 40;

    /// <summary>A byte a character: whatever encoding its remarks are in, they come out as they went in.</summary>
    public string Text => Encoding.Latin1.GetString(Bytes);

    /// <summary>Reads it. A link is followed: what it leads to is what is changed.</summary>
    public static XenResult<ConfigurationFile> Read(string path)
    {
        string shown = InputError.PathText(path);
        try
        {
            string full = WithoutLinks(path);
            var info = new FileInfo(full);
            if (!info.Exists)
                return new XenProblem(XenProblemKind.Here, shown, "no such file", "give the guest's xl.cfg");
            // A pipe would be waited for without end.
            if (info.Length == 0)
                return new XenProblem(XenProblemKind.Here, shown, "it is empty, a pipe or a device", "give the guest's xl.cfg");
            if (info.Length > XlConfig.MaxSizeBytes)
                return new XenProblem(XenProblemKind.Here, shown, "longer than an xl.cfg ever is", "check that this is the right file");
            if (UnixFile.ModeOf(full).HasFlag(UnixFileMode.OtherWrite))
                return new XenProblem(XenProblemKind.Guest, shown, "anybody may write to it, and root makes a guest of it",
                    "chmod o-w the file first");
            if (!HotplugScript.CanName(full))
                return new XenProblem(XenProblemKind.Here, shown, "its path has characters that cannot be seen", "rename it");
            return new ConfigurationFile(full, File.ReadAllBytes(full));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return FileProblem.Of(path, exception);
        }
    }

    /// <summary>Puts other content in its place, whole or not at all, with the owner and the permissions that it has. Refuses where it was changed
    /// since it was read.</summary>
    public XenProblem? Replace(byte[] content)
    {
        ArgumentNullException.ThrowIfNull(content);
        // With a dot: xendomains makes a guest of every other file of its folder.
        string temporary = System.IO.Path.Combine(
            System.IO.Path.GetDirectoryName(Path)!,
            string.Create(CultureInfo.InvariantCulture, $".{System.IO.Path.GetFileName(Path)}.{Environment.ProcessId}.keyhole"));
        bool isMade = false;
        try
        {
            if (LibC.statx(LibC.AT_FDCWD, Path, 0, LibC.STATX_UID | LibC.STATX_GID | LibC.STATX_NLINK,
                out LibC.FileStatus owner) != 0)
                return new XenProblem(XenProblemKind.Here, InputError.PathText(Path), "its owner cannot be read", "is it still there?");
            // Whoever makes a guest by the other name would go on with the old text.
            if (owner.stx_nlink > 1)
                return new XenProblem(XenProblemKind.Guest, InputError.PathText(Path),
                    "it has another name (a hard link), under which the file would stay as it is",
                    "make that a symbolic link to this one (find -samefile shows it)");
            using (FileStream file = UnixFile.Create(temporary))
            {
                isMade = true;
                file.Write(content);
                if (LibC.chown(temporary, owner.stx_uid, owner.stx_gid) != 0)
                    return new XenProblem(XenProblemKind.Here, InputError.PathText(Path),
                        $"its owner cannot be kept (error {Marshal.GetLastPInvokeError()})", "run this as root");
                UnixFile.SetMode(file, UnixFile.ModeOf(Path));
                file.Flush(flushToDisk: true);
            }

            if (!File.ReadAllBytes(Path).AsSpan().SequenceEqual(Bytes))
                return new XenProblem(XenProblemKind.Guest, InputError.PathText(Path), "it was changed while this ran", "try again");
            File.Move(temporary, Path, overwrite: true);
            isMade = false;
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return FileProblem.Of(Path, exception);
        }
        finally
        {
            if (isMade)
                File.Delete(temporary);
        }
    }

    /// <summary>The path of which no part is a link, where it is there: a file has one.</summary>
    internal static string WithoutLinks(string path)
    {
        string full = System.IO.Path.GetFullPath(path);
        for (int follows = 0; follows < MaxLinks; follows++)
        {
            string? target = null;
            for (int end = full.IndexOf('/', 1); target is null; end = full.IndexOf('/', end + 1))
            {
                string part = end < 0 ? full : full[..end];
                if (new FileInfo(part).LinkTarget is { } link)
                    target = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(part)!, link) + (end < 0 ? "" : full[end..]);
                if (end < 0)
                    break;
            }

            if (target is null)
                return full;
            full = System.IO.Path.GetFullPath(target);
        }

        throw new IOException("Too many levels of symbolic links");
    }
}
