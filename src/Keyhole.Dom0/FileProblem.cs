// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;

namespace Keyhole.Dom0;

/// <summary>Why a file of the machine's cannot be read or written, with what helps against that.</summary>
internal static class FileProblem
{
    private const int EEXIST = 17;
    private const int ENOTDIR = 20;
    private const int ENOSPC = 28;
    private const int EROFS = 30;
    private const int EDQUOT = 122;

    public static XenProblem Of(string path, Exception exception) => new(XenProblemKind.Here, InputError.PathText(path),
        exception.Message.ReplaceLineEndings(" ").TrimEnd('.'), Remedy(exception, Environment.IsPrivilegedProcess));

    internal static string Remedy(Exception exception, bool isRoot) => exception switch
    {
        UnauthorizedAccessException => isRoot ? "it is refused to root, too: is it immutable (lsattr), or a folder?" : "run this as root",
        { HResult: ENOSPC or EDQUOT } => "make room there",
        { HResult: EROFS } => "mount that file system to be written (mount -o remount,rw)",
        { HResult: EEXIST or ENOTDIR } => "something else is where a folder should be: move it away",
        _ => "see whether the disk is sound (dmesg)",
    };
}
