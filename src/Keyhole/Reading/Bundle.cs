// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text;
using Keyhole.Diagnostics;

namespace Keyhole.Reading;

/// <summary>
/// What people send instead of a log: a packed log, or a support bundle (tar, cpio or ZIP, packed or not) such as XenServer's status report, the
/// support files of Qubes's HCL report or a sosreport. Of a bundle the hypervisor's log and the kernel's are taken, one behind the other, as one
/// text.
/// </summary>
/// <remarks>Everything is bounded: layers, members, the bytes passed over and those kept.</remarks>
internal static class Bundle
{
    /// <summary>A packed archive, and packed files in it.</summary>
    private const int MaxLayers = 3;

    private const int MaxMembers = 100_000;
    private const long MaxPassedBytes = 4L << 30;
    private const int MaxMemberBytes = 32 << 20;

    /// <summary>What tells that a file is of use: a memory map's words.</summary>
    private static readonly string[] s_words = ["e820", "RAM map", "Xen: [", "System RAM"];

    /// <summary>How near a member is to the firmware's map: the first of each of the two first ranks is taken, else the first of the next.</summary>
    private enum Rank
    {
        Hypervisor,
        Kernel,
        System,
        Resources,
        Other,
    }

    /// <summary>Takes the wrapping off. What is not wrapped is left as it is.</summary>
    /// <param name="head">The first bytes of the source; those of the text afterwards.</param>
    /// <param name="stream">What goes on behind them.</param>
    /// <param name="unread">Is told of files of an archive that may be logs and cannot be read.</param>
    /// <exception cref="InvalidDataException">The data is damaged, or packed beyond all bounds.</exception>
    public static void Unwrap(ref ReadOnlyMemory<byte> head, ref Stream stream, UnreadParts unread)
    {
        for (int layer = 0; layer < MaxLayers; layer++)
        {
            if (PackedForm.Of(head.Span) is { } form)
            {
                stream = form.Unpack(new PrefixedStream(head, new Limited(stream, MaxPassedBytes)), MaxPassedBytes);
                head = StreamHead.Read(stream);
            }
            else if (BundleMembers.Of(head.Span, new PrefixedStream(head, new Limited(stream, MaxPassedBytes))) is { } members)
            {
                stream = Gather(members, unread);
                head = StreamHead.Read(stream);
            }
            else
            {
                break;
            }
        }

        if (PackedForm.Of(head.Span) is not null || BundleMembers.Of(head.Span, Stream.Null) is not null)
            throw new InvalidDataException($"it is packed more than {MaxLayers} times");
        if (ForeignFile.Of(head.Span) is { } foreign)
            throw ForeignFile.Refusal(foreign.What, foreign.Remedy);
    }

    private static BundleText Gather(IEnumerable<BundleMember> members, UnreadParts unread)
    {
        UnreadParts logs = new();
        Dictionary<Rank, (string Name, byte[] Text)> found = [];
        UnreadParts others = new();
        string? unnamed = null;
        string? another = null;
        string? last = null;
        long passed = 0;
        int count = 0;
        using IEnumerator<BundleMember> next = members.GetEnumerator();
        try
        {
            while (next.MoveNext())
            {
                BundleMember member = next.Current;
                passed += member.SizeBytes;
                Rank rank = RankOf(member.Name);
                bool isWanted = member.IsFile && member.SizeBytes > 0 && (rank == Rank.Other || !found.ContainsKey(rank));
                if (isWanted && TextOf(member, rank == Rank.Other ? others : logs) is { } text && IsOfUse(text))
                {
                    _ = found.TryAdd(rank, (member.Name, text));
                    if (rank == Rank.Other && unnamed is null)
                        unnamed = member.Name;
                    else if (rank == Rank.Other)
                        another ??= member.Name;
                }

                last = member.Name;
                if (found.ContainsKey(Rank.Hypervisor) && found.ContainsKey(Rank.Kernel))
                    break;
                if (++count == MaxMembers || passed > MaxPassedBytes)
                    throw new InvalidDataException("the archive is longer than is ever read");
            }
        }
        catch (InvalidDataException damaged) when (found.Count > 0)
        {
            // What was found before is a file as good as in a whole archive; whether a better one would follow nobody knows.
            logs.Add($"what follows {last?.TrimStart('/')} in the archive", $"was not read: {damaged.Message}");
        }

        if (found.Count == 0 && (logs.Told.IsEmpty ? others : logs).Told is [var first, ..])
            throw new InvalidDataException($"{first}, and no other of its files is a log");
        foreach ((string part, string what) in logs.All)
            unread.Add(part, what);
        if (count == 0)
            throw ForeignFile.Refusal("an archive with no file in it", "give the log");
        if (found.ContainsKey(Rank.Hypervisor) || found.ContainsKey(Rank.Kernel))
            return BundleText.Join(Found([Rank.Hypervisor, Rank.Kernel]));
        foreach (Rank rank in (ReadOnlySpan<Rank>)[Rank.System, Rank.Resources])
        {
            if (found.ContainsKey(rank))
                return BundleText.Join(Found([rank]));
        }

        // What a file of any other name says of its machine is not known to be the host's: where it is the only one it is what was sent.
        if (another is not null)
            throw new InvalidDataException($"several of its files may be logs, and no name tells which is the host's: {unnamed}, {another}");
        return unnamed is not null ? BundleText.Join(Found([Rank.Other]))
            : throw ForeignFile.NoLog(
                "none of its files is a log or a list of resources with a memory map: an xl dmesg, a dmesg, a journal or an iomem is looked for");

        IEnumerable<(string Name, byte[] Text)> Found(Rank[] ranks)
        {
            foreach (Rank rank in ranks)
            {
                if (found.TryGetValue(rank, out (string Name, byte[] Text) member))
                    yield return member;
            }
        }
    }

    private static Rank RankOf(string path)
    {
        string name = path[(path.LastIndexOf('/') + 1)..].ToLowerInvariant();
        bool isDmesg = name.Contains("dmesg", StringComparison.Ordinal);
        if ((isDmesg && (name.Contains("xl", StringComparison.Ordinal) || name.Contains("xm", StringComparison.Ordinal)
            || name.Contains("xen", StringComparison.Ordinal) || name.Contains("hypervisor", StringComparison.Ordinal)))
            || name.StartsWith("hypervisor.log", StringComparison.Ordinal))
            return Rank.Hypervisor;
        if (isDmesg)
            return Rank.Kernel;
        if (name.StartsWith("journalctl", StringComparison.Ordinal) || name.StartsWith("kern.log", StringComparison.Ordinal)
            || name.StartsWith("messages", StringComparison.Ordinal)
            || name.StartsWith("boot.log", StringComparison.Ordinal) || name.StartsWith("syslog", StringComparison.Ordinal)
            || name.Contains("console", StringComparison.Ordinal))
            return Rank.System;
        return name.StartsWith("iomem", StringComparison.Ordinal) || name.EndsWith("proc_iomem", StringComparison.Ordinal) ? Rank.Resources
            : Rank.Other;
    }

    /// <summary>What a member holds, unpacked where it is packed itself; null, and told, where it is damaged or too long.</summary>
    private static byte[]? TextOf(BundleMember member, UnreadParts unread)
    {
        try
        {
            if (member.SizeBytes > MaxMemberBytes)
                throw new InvalidDataException($"it is longer than {MaxMemberBytes >> 20} MiB");
            byte[] bytes = member.Read();
            if (PackedForm.Of(bytes) is not { } form)
                return InEightBits(bytes);
            using var text = new MemoryStream();
            form.Unpack(new MemoryStream(bytes), MaxMemberBytes).CopyTo(text);
            return InEightBits(text.ToArray());
        }
        catch (InvalidDataException damaged)
        {
            unread.Add(member.Name.TrimStart('/'), $"was not read: {damaged.Message}");
            return null;
        }
    }

    /// <summary>Text as programs on Windows write it, made one that others can follow.</summary>
    private static byte[] InEightBits(byte[] text) =>
        TextLines.FormOf(text.AsSpan(0, Math.Min(text.Length, StreamHead.MaxLength)), out int mark) switch
    {
        TextForm.Utf16LittleEndian => Encoding.Convert(Encoding.Unicode, Encoding.UTF8, text, mark, text.Length - mark),
        TextForm.Utf16BigEndian => Encoding.Convert(Encoding.BigEndianUnicode, Encoding.UTF8, text, mark, text.Length - mark),
        TextForm.EightBit => text,
    };

    private static bool IsOfUse(byte[] text)
    {
        // No log: a program, a journal's own file.
        if (text.AsSpan(0, Math.Min(text.Length, StreamHead.MaxLength)).Contains((byte)0))
            return false;
        foreach (string word in s_words)
        {
            if (text.AsSpan().IndexOf(Encoding.ASCII.GetBytes(word)) >= 0)
                return true;
        }

        return false;
    }

    /// <summary>The rest of a stream, up to a limit.</summary>
    private sealed class Limited(Stream rest, long limit) : ForwardStream
    {
        private long _left = limit;

        public override int Read(Span<byte> buffer)
        {
            int read = rest.Read(buffer);
            _left -= read;
            return _left >= 0 ? read : throw new InvalidDataException("it holds more than is ever read");
        }
    }
}

/// <summary>The text of the files that were taken from a bundle, one behind the other.</summary>
internal sealed class BundleText : MemoryStream
{
    private BundleText(byte[] text, string parts)
        : base(text) => Parts = parts;

    /// <summary>Which files they are, and the lines that each has: "a/xl-dmesg (lines 1 to 30), a/dmesg (line 31 on)".</summary>
    public string Parts { get; }

    public static BundleText Join(IEnumerable<(string Name, byte[] Text)> files)
    {
        const int longestName = 200;
        using var all = new MemoryStream();
        List<string> parts = [];
        int line = 1;
        (string Name, int First)? last = null;
        foreach ((string name, byte[] text) in files)
        {
            if (last is { } before)
                parts.Add(string.Create(CultureInfo.InvariantCulture, $"{before.Name} (lines {before.First} to {line - 1})"));
            last = (InputError.OneLine(name.TrimStart('/'), longestName), line);
            all.Write(text);
            all.WriteByte((byte)'\n');
            line += text.AsSpan().Count((byte)'\n') + 1;
        }

        if (last is { } end)
            parts.Add(parts.Count == 0 ? end.Name : string.Create(CultureInfo.InvariantCulture, $"{end.Name} (line {end.First} on)"));
        return new(all.ToArray(), string.Join(", ", parts));
    }
}

/// <summary>What is told of a packed file that cannot be read.</summary>
public static class PackedErrors
{
    /// <param name="sourceName">What the error calls the file.</param>
    /// <param name="damaged">What the unpacking found.</param>
    public static InputError Unreadable(string sourceName, InvalidDataException damaged)
    {
        const int longest = 160;
        ArgumentNullException.ThrowIfNull(damaged);
        if (ForeignFile.RemedyIn(damaged) is { } remedy)
            return InputError.NotSupported(sourceName, null, $"the file is {damaged.Message}", remedy);
        return InputError.Unreadable(sourceName, null, $"the packed file cannot be read: {InputError.OneLine(damaged.Message.TrimEnd('.'), longest)}",
            "unpack it (zcat, xzcat, unzip, tar xf, cpio -i) and name the log in it");
    }
}
