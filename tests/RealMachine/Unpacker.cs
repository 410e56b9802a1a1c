// SPDX-License-Identifier: GPL-2.0-only

using System.Diagnostics;
using System.IO;
using System.IO.Compression;
using System.Threading.Tasks;

namespace Keyhole.RealMachine;

/// <summary>Unpacks what Linux and Xen come packed with, by what the first bytes say.</summary>
public static class Unpacker
{
    /// <summary>The content: unpacked where it is packed with gzip, xz or zstd, as it is otherwise. Bytes behind the packed stream are passed
    /// over.</summary>
    /// <exception cref="HarnessException">The packed stream is damaged.</exception>
    public static byte[] Unpack(byte[] content) => content switch
    {
        [0x1f, 0x8b, ..] => Gunzip(content),
        [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0, ..] => Through(content, "xz", "--decompress", "--stdout", "--single-stream"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Through(content, "zstd", "--decompress", "--stdout", "--quiet"),
        _ => content,
    };

    public static byte[] Gzip(byte[] content)
    {
        using var to = new MemoryStream();
        using (var packed = new GZipStream(to, CompressionLevel.Optimal))
            packed.Write(content);
        return to.ToArray();
    }

    private static byte[] Gunzip(byte[] content)
    {
        using var packed = new GZipStream(new MemoryStream(content), CompressionMode.Decompress);
        using var to = new MemoryStream();
        packed.CopyTo(to);
        return to.ToArray();
    }

    private static byte[] Through(byte[] content, string program, params string[] arguments)
    {
        using Process process = Tool.Start("/", program, arguments);
        var feeding = Task.Run(() =>
        {
            try
            {
                process.StandardInput.BaseStream.Write(content);
                process.StandardInput.Close();
            }
            catch (IOException)
            {
                // The program has read as much as it wants.
            }
        });
        Task<string> complaints = process.StandardError.ReadToEndAsync();
        using var to = new MemoryStream();
        process.StandardOutput.BaseStream.CopyTo(to);
        process.WaitForExit();
        feeding.Wait();
        return process.ExitCode == 0 ? to.ToArray() : throw new HarnessException($"{program}: {complaints.Result.Trim()}");
    }
}
