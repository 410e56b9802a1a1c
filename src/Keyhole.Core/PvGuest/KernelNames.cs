// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.PvGuest;

/// <summary>
/// The names of releases, in ASCII: "linux-6.1.192", and "linux-6.1" for what Linus released. Two names are older than the project's knowledge of
/// releases and stand for states between them: "linux-3.4" and "linux-4.3"; the releases are "linux-3.4.0" and "linux-4.3.0".
/// </summary>
public static class KernelNames
{
    /// <summary>Bytes that any name has at most.</summary>
    public const int MaxLength = 24;

    private static ReadOnlySpan<byte> Prefix => "linux-"u8;

    private static ReadOnlySpan<byte> OldNameOfApril2012 => "linux-3.4"u8;

    private static ReadOnlySpan<byte> OldNameOfJuly2015 => "linux-4.3"u8;

    /// <summary>Whether the memory setup of a release is known: 3.2 to 3.19, 4.0 to 4.20, 5.0 to 5.19, 6.0 to 6.19, and 7.0 to the newest.</summary>
    public static bool IsKnown(int major, int minor)
    {
        int last = major is 3 or 5 or 6 ? 19 : major == 4 ? 20 : major == KernelRelease.Last.Major ? KernelRelease.Last.Minor : -1;
        return minor >= (major == KernelRelease.First.Major ? KernelRelease.First.Minor : 0) && minor <= last;
    }

    /// <summary>Reads a name. The states have names of their own, too: "linux-2012-04", "linux-2015-07".</summary>
    public static bool TryParse(ReadOnlySpan<byte> name, out KernelRelease release)
    {
        release = default;
        if (AreEqual(name, OldNameOfApril2012) || AreEqual(name, "linux-2012-04"u8))
            release = KernelRelease.April2012;
        else if (AreEqual(name, OldNameOfJuly2015) || AreEqual(name, "linux-2015-07"u8))
            release = KernelRelease.July2015;
        if (release.IsState)
            return true;
        if (name.Length <= Prefix.Length || !AreEqual(name.Slice(0, Prefix.Length), Prefix))
            return false;
        ReadOnlySpan<byte> rest = name.Slice(Prefix.Length);
        if (!TryNumber(ref rest, out int major) || !TryPoint(ref rest) || !TryNumber(ref rest, out int minor))
            return false;
        int patch = 0;
        if (TryPoint(ref rest) && !TryNumber(ref rest, out patch))
            return false;
        if (!rest.IsEmpty || !IsKnown(major, minor))
            return false;
        release = new((byte)major, (byte)minor, (ushort)patch);
        return true;
    }

    /// <summary>Writes the name that <see cref="TryParse"/> reads back into <paramref name="name"/>, which has room for <see cref="MaxLength"/>;
    /// returns its length.</summary>
    public static int Write(KernelRelease release, Span<byte> name)
    {
        if (release.IsState)
            return Append(name, 0, release == KernelRelease.April2012 ? OldNameOfApril2012 : OldNameOfJuly2015);
        int length = AppendNumber(name, Append(name, 0, Prefix), release.Major);
        length = AppendNumber(name, Append(name, length, "."u8), release.Minor);
        bool needsPatch = release.Patch != 0 || release.IsOfSeries(3, 4) || release.IsOfSeries(4, 3);
        return needsPatch ? AppendNumber(name, Append(name, length, "."u8), release.Patch) : length;
    }

    private static bool TryPoint(ref ReadOnlySpan<byte> rest)
    {
        if (rest.IsEmpty || rest[0] != (byte)'.')
            return false;
        rest = rest.Slice(1);
        return true;
    }

    private static bool TryNumber(ref ReadOnlySpan<byte> rest, out int number)
    {
        const int mostDigits = 4;
        number = 0;
        int digits = 0;
        for (; digits < rest.Length && rest[digits] is >= (byte)'0' and <= (byte)'9'; digits++)
        {
            if (digits == mostDigits)
                return false;
            number = (number * 10) + rest[digits] - '0';
        }

        rest = rest.Slice(digits);
        return digits > 0;
    }

    private static int Append(Span<byte> name, int length, ReadOnlySpan<byte> text)
    {
        text.CopyTo(name.Slice(length));
        return length + text.Length;
    }

    private static int AppendNumber(Span<byte> name, int length, int number)
    {
        int unit = 1;
        while (number / unit > 9)
            unit *= 10;
        for (; unit > 0; unit /= 10)
        {
            name[length] = (byte)('0' + (number / unit % 10));
            length++;
        }

        return length;
    }

    private static bool AreEqual(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        if (left.Length != right.Length)
            return false;
        for (int i = 0; i < left.Length; i++)
        {
            if (left[i] != right[i])
                return false;
        }

        return true;
    }
}
