// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>Reads a guest from a command line of QEMU, in any of the forms that people have it in. The command is parsed, never run.</summary>
/// <remarks>Source: QEMU's system/vl.c and qemu-options.hx.</remarks>
public static class QemuCommandLine
{
    /// <summary>The largest text that is read: libvirt's log of a guest that was started some thousand times.</summary>
    public const int MaxSizeBytes = 8 * 1024 * 1024;

    internal const string Kind = "a command line of QEMU";

    /// <summary>The guest, or what is wrong with its command line.</summary>
    public static Parsed<GuestDocument> Read(Stream stream, string sourceName)
    {
        if (!SmallInput.Read(stream, sourceName, MaxSizeBytes, Kind).TryGet(out SmallInput? input, out InputError? error))
            return error;
        return Read(input, sourceName);
    }

    internal static Parsed<GuestDocument> Read(string text, string sourceName) =>
        Read(QemuCommandText.FindInText(text, sourceName), sourceName);

    internal static Parsed<GuestDocument> Read(SmallInput input, string sourceName) => Read(QemuCommandText.Find(input, sourceName), sourceName);

    private static Parsed<GuestDocument> Read(Parsed<QemuCommandText> found, string sourceName)
    {
        if (!found.TryGet(out QemuCommandText? text, out InputError? error))
            return error;
        // A guest of QEMU's defaults is one that nobody has: what describes it was cut off, or could not be read.
        if (!text.DescribesGuest)
        {
            return InputError.NothingInIt(sourceName, text.Line, "the command of QEMU says nothing of the guest: it has no options that describe one",
                "give the whole command, with its -machine, -m and -device");
        }

        // One with QEMU's 128 MiB as well.
        if (text is { CutLine: { } cut, TellsMemory: false })
        {
            return InputError.Missing(sourceName, cut,
                "the command goes on behind this line, which ends in a backslash, and tells no memory until there",
                "give the whole command, or take the backslash out");
        }

        var arguments = new QemuArguments(sourceName, QemuDialect.CommandLine);
        foreach (string remark in text.Remarks)
            arguments.Remark(remark);
        arguments.SetProgram(text.Program, text.EmulatorText);
        arguments.SetHostKernel(text.KernelText);
        arguments.SetLastWords(text.LastWords);
        arguments.SetConfig(text.Config);
        arguments.Add(text.Words.AsSpan());
        arguments.AddConfig();
        return arguments.Build();
    }
}
