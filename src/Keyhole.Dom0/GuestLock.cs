// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.Threading;

namespace Keyhole.Dom0;

/// <summary>Keeps two commands from working on one guest at the same time: the one would undo, or destroy, what the other made.</summary>
internal static class GuestLock
{
    private const int EWOULDBLOCK = 11;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(10);

    /// <summary>The lock of the guest with that UUID, until it is disposed or the process ends, however it ends.</summary>
    public static XenResult<FileStream> Take(string folder, Guid uuid, string shown) => Open(folder, $"guest-{uuid}.lock", shown);

    /// <summary>
    /// The same for a hotplug script, which is one of several that run at once and waits for the others. A lock of its own: whoever has the guest
    /// made holds the other one, and waits for the script.
    /// </summary>
    public static XenResult<FileStream> AwaitInHotplug(string folder, Guid uuid, string shown) => Await(folder, $"guest-{uuid}.hotplug.lock", shown);

    /// <summary>The lock of what install and its undo write. One for all guests: two files may be of one name, and none takes long.</summary>
    public static XenResult<FileStream> AwaitInstall(string folder, string shown) => Await(folder, "install.lock", shown);

    private static XenResult<FileStream> Await(string folder, string name, string shown)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            XenResult<FileStream> taken = Open(folder, name, shown);
            if (taken.TryGet(out _, out XenProblem? problem) || problem.Kind != XenProblemKind.Guest || clock.Elapsed > s_patience)
                return taken;
            Thread.Sleep(s_poll);
        }
    }

    private static XenResult<FileStream> Open(string folder, string name, string shown)
    {
        string path = Path.Combine(folder, name);
        try
        {
            Directory.CreateDirectory(folder);
            // Without sharing it is locked (flock). The file stays: one that is removed may be locked twice.
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when ((exception.HResult & 0xffff) == EWOULDBLOCK)
        {
            return new XenProblem(XenProblemKind.Guest, shown, "another keyhole is at work on it", "let it end, or end it");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return FileProblem.Of(path, exception);
        }
    }
}
