// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Buffers;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using Keyhole.PvGuest;

namespace Keyhole.Logs;

/// <summary>Which Linux a text is about.</summary>
/// <param name="Text">The release as it calls itself: "6.1.0-50-amd64".</param>
/// <param name="Release">The release that it is taken for; null where its memory setup is not known.</param>
/// <param name="Guess">Why that is a guess; null where it is none.</param>
public sealed record KernelIdentity(string Text, KernelRelease? Release, string? Guess);

/// <summary>The names of releases on the command line, in logs and in JSON.</summary>
public static class KernelReleases
{
    private static readonly System.Buffers.SearchValues<char> s_suffixLetters =
        System.Buffers.SearchValues.Create("-+._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private const string Prefix = "linux-";
    private const string VersionLine = "Linux version ";
    private const string SystemName = "Linux ";
    private const int LongestText = 80;

    /// <summary>The kernel of most distributions now, and of the golden records.</summary>
    public static KernelRelease Default { get; } = new(6, 1);

    /// <summary>The last with 32-bit PV guests, and with a 32-bit PV dom0: 5.9 dropped them.</summary>
    public static KernelRelease LastOf32Bits { get; } = new(5, 8);

    /// <summary>What a guest's kernel is taken for where nothing says which it is.</summary>
    public static KernelRelease UsualOf(bool is32Bit) => is32Bit ? LastOf32Bits : Default;

    /// <summary>Short names for releases that differ much from each other; linux-3.4 and linux-4.3 are states between releases.</summary>
    public static IReadOnlyList<KernelRelease> Named { get; } =
        [new(3, 3), KernelRelease.April2012, KernelRelease.July2015, new(4, 4), Default, new(6, 6), new(7, 2)];

    /// <summary>The mainline releases, oldest first, of which each sets memory up otherwise than the one before.</summary>
    public static IReadOnlyList<KernelRelease> Changing => Changes.Releases;

    /// <summary>The release's name: see <see cref="KernelNames"/>.</summary>
    public static string NameOf(KernelRelease release)
    {
        Span<byte> name = stackalloc byte[KernelNames.MaxLength];
        return Encoding.ASCII.GetString(name[..KernelNames.Write(release, name)]);
    }

    /// <summary>A release by its name: see <see cref="KernelNames"/>.</summary>
    public static bool TryParseName(ReadOnlySpan<char> name, out KernelRelease release)
    {
        release = default;
        Span<byte> bytes = stackalloc byte[KernelNames.MaxLength];
        return Ascii.FromUtf16(name, bytes, out int count) == OperationStatus.Done && KernelNames.TryParse(bytes[..count], out release);
    }

    /// <summary>
    /// A name, a release with whatever a distribution adds, a tag (v6.1), what uname prints, or a kernel's version line with or without "Linux
    /// version ". Null where it is none of these. Of a distribution's kernel the patch of the stable series counts that the rest of the line names;
    /// where it names none, it is a guess.
    /// </summary>
    public static KernelIdentity? Identify(ReadOnlySpan<char> text)
    {
        text = text.Trim();
        if (TryParseName(text, out KernelRelease named))
            return new(text.ToString(), named, null);
        bool isVersionLine = text.StartsWith(VersionLine, StringComparison.Ordinal);
        if (isVersionLine)
            text = text[VersionLine.Length..];
        else if (text.StartsWith(SystemName, StringComparison.Ordinal))
            text = BehindSystemName(text, out isVersionLine);
        else if (text.StartsWith(Prefix, StringComparison.Ordinal))
            text = text[Prefix.Length..];
        else if (text.Length > 1 && text[0] is 'v' or 'V' && char.IsAsciiDigit(text[1]))
            text = text[1..];
        int end = text.IndexOf(' ');
        string release = (end < 0 ? text : text[..end]).ToString();
        ReadOnlySpan<char> line = end < 0 ? default : text[end..];
        // Behind the release a version line tells who built it: (user@host), (compiler).
        if (!isVersionLine && !line.IsEmpty && !line.StartsWith(" ("))
            return null;
        if (release.Length > LongestText || !TryVersion(release, out (int Major, int Minor, int? Patch) version, out ReadOnlySpan<char> suffix)
            || !IsSuffix(suffix))
            return null;
        if (!TryRelease(version, out KernelRelease known))
            return new(release, null, null);
        // "6.1.0-50-amd64", "4.4.0-210-generic", "5.14.0-427.el9": the 0 is the distribution's, the stable series it follows or not is another.
        bool isDistributions = version.Patch is 0 && suffix.Length > 1 && suffix[0] == '-'
            && (char.IsAsciiDigit(suffix[1]) || suffix.Contains("el", StringComparison.Ordinal));
        if (!isDistributions)
        {
            return new(release, known, suffix.StartsWith("-rc", StringComparison.Ordinal)
                ? $"{release} comes before {NameOf(known)}, and which of its changes it has is not known: it is taken for {NameOf(known)}"
                : null);
        }

        if (TryStated(line, "Debian ", isLastWord: false, known, out KernelRelease stated)
            || TryStated(line, "(Ubuntu ", isLastWord: true, known, out stated))
            return new(release, stated, null);
        KernelRelease newest = new((byte)known.Major, (byte)known.Minor, NewestPatchThatMatters(known));
        string series = string.Create(CultureInfo.InvariantCulture, $"{known.Major}.{known.Minor}");
        return new(
            release,
            newest,
            suffix.Contains("el", StringComparison.Ordinal)
                ? $"{release} is made from {series} and carries changes of its own: it is taken for {NameOf(newest)}"
                : $"{release} does not say which patch of {series} it carries: it is taken for {NameOf(newest)}; "
                    + $"the end of its version line tells it");
    }

    /// <summary>What uname prints: "Linux 6.1.0-50-amd64" (-sr), "Linux HOST 6.1.0-50-amd64 #1 SMP … Debian 6.1.192-2 …" (-a).</summary>
    private static ReadOnlySpan<char> BehindSystemName(ReadOnlySpan<char> text, out bool isVersionLine)
    {
        ReadOnlySpan<char> rest = text[SystemName.Length..].TrimStart(' ');
        isVersionLine = rest.Contains(" #", StringComparison.Ordinal);
        if (TryVersion(rest, out _, out _))
            return rest;
        int blank = rest.IndexOf(' ');
        return blank >= 0 && isVersionLine ? rest[(blank + 1)..] : text;
    }

    /// <summary>"3.16 to 4.3", "6.12 and later": the mainline releases from one of <see cref="Changing"/> to the end of another; of 32-bit PV kernels
    /// those that there are.</summary>
    public static string RangeOf(KernelRelease first, KernelRelease last, bool is32Bit = false)
    {
        KernelRelease? next = Changing.Where(release => release > last).Select(static release => (KernelRelease?)release).FirstOrDefault();
        string from = NumberOf(first);
        if (next is null && !is32Bit)
            return first == KernelRelease.First ? "every release" : $"{from} and later";
        string to = NumberOf(MainlineReleases().Last(release => (next is not { } after || release < after) && (!is32Bit || release <= LastOf32Bits)));
        return first == KernelRelease.First ? $"{to} and older" : from == to ? from : $"{from} to {to}";
    }

    /// <summary>"-50-amd64", "+", "-rc3": what may stand behind the numbers of a release.</summary>
    private static bool IsSuffix(ReadOnlySpan<char> suffix) =>
        suffix.IsEmpty || (!suffix.ContainsAnyExcept(s_suffixLetters) && (char.IsAsciiLetterOrDigit(suffix[^1]) || suffix[^1] == '+'));

    /// <summary>The behaviours of the memory setup, in the order of <see cref="KernelBehaviour"/>, words left out.</summary>
    private static bool IsChange(KernelRelease release)
    {
        if (release == KernelRelease.First)
            return true;
        KernelRelease before = MainlineReleases().TakeWhile(other => other < release).Last();
        return Changes.Behaviours.Any(behaviour =>
            behaviour is not (KernelBehaviour.SaysMem or KernelBehaviour.SaysAvailableGap or KernelBehaviour.SaysNoPrefix
                or KernelBehaviour.ChecksToEnd)
            && BehaviourSpan.Of(behaviour).Includes(release) != BehaviourSpan.Of(behaviour).Includes(before));
    }

    private static IEnumerable<KernelRelease> MainlineReleases()
    {
        for (int major = KernelRelease.First.Major; major <= KernelRelease.Last.Major; major++)
        {
            for (int minor = major == KernelRelease.First.Major ? KernelRelease.First.Minor : 0; KernelNames.IsKnown(major, minor); minor++)
                yield return new((byte)major, (byte)minor);
        }
    }

    private static string NumberOf(KernelRelease release) => string.Create(CultureInfo.InvariantCulture, $"{release.Major}.{release.Minor}");

    /// <summary>The patch behind which nothing is known to change any more in a series.</summary>
    private static ushort NewestPatchThatMatters(KernelRelease series)
    {
        ushort newest = 0;
        foreach (KernelBehaviour behaviour in Enum.GetValues<KernelBehaviour>())
        {
            BehaviourSpan span = BehaviourSpan.Of(behaviour);
            for (int i = 0; i < BehaviourSpan.MaxStable; i++)
            {
                StableSpan stable = span.Stable(i);
                if (!series.IsOfSeries(stable.Major, stable.Minor))
                    continue;
                newest = Math.Max(newest, stable.From == ushort.MaxValue ? (ushort)0 : stable.From);
                newest = Math.Max(newest, stable.Until == ushort.MaxValue ? (ushort)0 : stable.Until);
            }
        }

        return newest;
    }

    private static bool TryRelease((int Major, int Minor, int? Patch) version, out KernelRelease release)
    {
        release = default;
        if (!KernelNames.IsKnown(version.Major, version.Minor))
            return false;
        release = new((byte)version.Major, (byte)version.Minor, (ushort)Math.Min(version.Patch ?? 0, ushort.MaxValue));
        return true;
    }

    /// <summary>"6.1", "6.1.192" and what follows; numbers of at most four digits.</summary>
    private static bool TryVersion(ReadOnlySpan<char> text, out (int Major, int Minor, int? Patch) version, out ReadOnlySpan<char> rest)
    {
        version = default;
        rest = text;
        if (!TryNumber(ref rest, out int major) || rest.IsEmpty || rest[0] != '.')
            return false;
        rest = rest[1..];
        if (!TryNumber(ref rest, out int minor))
            return false;
        int? patch = null;
        if (rest.Length > 1 && rest[0] == '.' && char.IsAsciiDigit(rest[1]))
        {
            rest = rest[1..];
            if (!TryNumber(ref rest, out int number))
                return false;
            patch = number;
        }

        version = (major, minor, patch);
        // "6.1x" and "6.1.x" are no releases; "6.1-rc3", "6.12+deb13" and "4.19.107.fc30" are.
        return rest.IsEmpty || (!char.IsAsciiLetterOrDigit(rest[0]) && (patch is not null || rest[0] != '.'));
    }

    private static bool TryNumber(ref ReadOnlySpan<char> rest, out int number)
    {
        const int mostDigits = 4;
        int digits = 0;
        while (digits < rest.Length && char.IsAsciiDigit(rest[digits]))
            digits++;
        number = 0;
        if (digits is 0 or > mostDigits)
            return false;
        number = int.Parse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture);
        rest = rest[digits..];
        return true;
    }

    /// <summary>
    /// The release of the same series that stands behind a distribution's name: "Debian 6.1.192-2", "(Ubuntu 4.4.0-210.242-generic 4.4.262)". The
    /// compiler's version stands there, too, but is of no such series.
    /// </summary>
    private static bool TryStated(ReadOnlySpan<char> line, string distribution, bool isLastWord, KernelRelease series, out KernelRelease stated)
    {
        stated = default;
        int at = line.LastIndexOf(distribution, StringComparison.Ordinal);
        if (at < 0)
            return false;
        ReadOnlySpan<char> words = line[(at + distribution.Length)..];
        if (isLastWord)
        {
            int blank = words.IndexOf(' ');
            words = blank < 0 ? default : words[(blank + 1)..];
        }

        return TryVersion(words, out (int Major, int Minor, int? Patch) version, out _)
            && series.IsOfSeries(version.Major, version.Minor)
            && TryRelease(version, out stated);
    }

    /// <summary>Made when somebody asks: most commands do not, and a short one takes little longer than this.</summary>
    private static class Changes
    {
        public static readonly KernelBehaviour[] Behaviours = Enum.GetValues<KernelBehaviour>();

        public static readonly KernelRelease[] Releases = [.. MainlineReleases().Where(IsChange)];
    }
}
