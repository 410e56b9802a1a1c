// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;

namespace Keyhole.Dom0;

/// <summary>A small file that is written whole or not at all.</summary>
internal static class WholeFile
{
    /// <exception cref="IOException">It could not be written; what is there is as it was.</exception>
    /// <exception cref="UnauthorizedAccessException">The same.</exception>
    public static void Write(string path, byte[] content, UnixFileMode mode)
    {
        string temporary = path + ".new";
        File.Delete(temporary);
        try
        {
            using (FileStream file = UnixFile.Create(temporary))
            {
                UnixFile.SetMode(file, mode);
                file.Write(content);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            DeleteLeftover(temporary);
            throw;
        }
    }

    /// <summary>Takes away what a write that failed has left, where that is possible: the failure is what is told.</summary>
    public static void DeleteLeftover(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // It does no harm.
        }
    }
}
