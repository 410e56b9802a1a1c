// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>What a line of a log is to a memory map.</summary>
internal enum LineKind
{
    /// <summary>Nothing to do with a map.</summary>
    Other,

    /// <summary>A whole entry.</summary>
    Entry,

    /// <summary>A line that belongs to a map but is no entry: a gap, a device window of /proc/iomem.</summary>
    Filler,

    /// <summary>An entry that is cut short or garbled: a map with such a line must not pass for a whole one.</summary>
    Damaged,
}

/// <summary>One entry's line as read, before its range is believed.</summary>
internal readonly record struct LogEntry(LogMapKind Kind, HostMapDialect Dialect, EntryRange Range, E820Type Type);

/// <summary>
/// The forms in which Linux and Xen print entries (facts.md §8, and Xen's and Linux's own print functions), found behind any prefix.
/// </summary>
internal static class LogEntrySyntax
{
    /// <summary>The names in front of Linux's entries. What follows "Xen" was given by the hypervisor; the last four are the kernel's own
    /// edits.</summary>
    private static readonly (string Name, LogMapKind Kind)[] s_printers =
    [
        ("BIOS-e820", LogMapKind.LinuxFirmware),
        ("BIOS-e801", LogMapKind.LinuxFirmware),
        ("BIOS-88", LogMapKind.LinuxFirmware),
        ("Xen", LogMapKind.GuestKernel),
        ("modified", LogMapKind.KernelEdited),
        ("user", LogMapKind.KernelEdited),
        ("reserve setup_data", LogMapKind.KernelEdited),
        ("extended", LogMapKind.KernelEdited),
    ];

    /// <summary>Linux's words for types, old and new. A longer word comes before one that it starts with.</summary>
    private static readonly (string Word, E820Type Type)[] s_linuxTypes =
    [
        ("usable", E820Type.Ram),
        ("System RAM", E820Type.Ram),
        ("reserved", E820Type.Reserved),
        ("device reserved", E820Type.Reserved),
        ("soft reserved", E820TypeNames.SoftReserved),
        ("ACPI data", E820Type.Acpi),
        ("ACPI NVS", E820Type.Nvs),
        ("unusable", E820Type.Unusable),
        // A word of patches that never got into Linux.
        ("MMIO", E820Type.Reserved),
    ];

    private static readonly (string Word, E820Type Type)[] s_bracketedTypes =
    [
        ("(usable)", E820Type.Ram),
        ("(reserved)", E820Type.Reserved),
        ("(ACPI data)", E820Type.Acpi),
        ("(ACPI NVS)", E820Type.Nvs),
        ("(unusable)", E820Type.Unusable),
    ];

    /// <summary>The names of EFI's memory types as Linux pads them, and what Xen makes of each in its E820.</summary>
    private static readonly (string Name, E820Type Type)[] s_efiTypes =
    [
        ("Reserved", E820Type.Reserved),
        ("Loader Code", E820Type.Ram),
        ("Loader Data", E820Type.Ram),
        ("Boot Code", E820Type.Ram),
        ("Boot Data", E820Type.Ram),
        ("Runtime Code", E820Type.Reserved),
        ("Runtime Data", E820Type.Reserved),
        ("Conventional", E820Type.Ram),
        ("Unusable", E820Type.Unusable),
        ("ACPI Reclaim", E820Type.Acpi),
        ("ACPI Mem", E820Type.Nvs),
        ("Memory Mapped I/O", E820Type.Reserved),
        ("MMIO", E820Type.Reserved),
        ("MMIO Port", E820Type.Reserved),
        ("PAL Code", E820Type.Reserved),
        ("Persistent", E820Type.PersistentMemory),
        ("Unaccepted", E820Type.Reserved),
    ];

    /// <summary>Linux's entries: <c>BIOS-e820: [mem 0x…-0x…] usable</c> and the older <c>BIOS-e820: … - … (usable)</c>.</summary>
    /// <param name="line">From anywhere in a line.</param>
    /// <param name="live">The kind of map that the line would continue, which decides how little of an entry counts as a damaged one.</param>
    /// <param name="entry">The entry; of a damaged one only the kind and the dialect.</param>
    /// <param name="rest">What follows.</param>
    public static LineKind ReadLinux(ReadOnlySpan<char> line, LogMapKind? live, out LogEntry entry, out ReadOnlySpan<char> rest)
    {
        entry = default;
        rest = default;
        foreach ((string name, LogMapKind printed) in s_printers)
        {
            int at = FindPrinter(line, name);
            if (at < 0)
                continue;
            LogMapKind kind = LogPrefix.IsGuestConsole(line[..at]) ? LogMapKind.GuestKernel : printed;
            TextCursor cursor = new(line[(at + name.Length + 1)..]);
            cursor.SkipBlanks();
            LineKind found = ReadLinuxBody(ref cursor, kind, live == kind, out entry);
            rest = cursor.Rest;
            if (found != LineKind.Other)
                return found;
        }

        return LineKind.Other;
    }

    /// <summary>
    /// Xen's entries: <c>(XEN)  [start, last] (usable)</c>, the older <c>(XEN)  start - end (usable)</c>, and its EFI descriptors
    /// <c>(XEN)  start-last type=7 attr=…</c>.
    /// </summary>
    public static LineKind ReadXen(ReadOnlySpan<char> body, LogMapKind? live, out LogEntry entry, out ReadOnlySpan<char> rest)
    {
        bool isLive = live is LogMapKind.XenFirmware or LogMapKind.Dom0BuiltByXen or LogMapKind.Efi;
        LogMapKind kind = isLive ? live!.Value : LogMapKind.XenFirmware;
        TextCursor cursor = new(body);
        cursor.SkipBlanks();
        ReadOnlySpan<char> start = cursor.Rest;
        LineKind found = ReadXenBody(ref cursor, kind, out entry);
        rest = cursor.Rest;
        if (found != LineKind.Damaged || isLive)
            return found;
        rest = start;
        return LineKind.Other;
    }

    /// <summary>Linux's EFI descriptors: <c>efi: mem00: [Boot Code|…] range=[0x…-0x…) (0MB)</c> or <c>type=7, attr=0xf, range=[…]</c>; ")" is
    /// exclusive.</summary>
    public static LineKind ReadLinuxEfi(ReadOnlySpan<char> line, out LogEntry entry, out ReadOnlySpan<char> rest)
    {
        entry = new(LogMapKind.Efi, HostMapDialect.Efi, default, default);
        rest = default;
        int at = line.IndexOf("efi: mem", StringComparison.OrdinalIgnoreCase);
        if (at < 0)
            return LineKind.Other;
        TextCursor cursor = new(line[(at + "efi: mem".Length)..]);
        if (!cursor.TryDecimal(out _) || !cursor.TryText(":"))
            return LineKind.Other;
        cursor.SkipBlanks();
        E820Type type;
        if (cursor.TryText("["))
        {
            if (!TryEfiName(cursor.Rest, out type))
                return LineKind.Damaged;
        }
        else
        {
            if (!cursor.TryText("type=") || !cursor.TryDecimal(out uint number))
                return LineKind.Damaged;
            type = EfiType(number);
        }

        int range = cursor.Rest.IndexOf("range=[", StringComparison.Ordinal);
        if (range < 0)
            return LineKind.Damaged;
        cursor = new(cursor.Rest[(range + "range=[".Length)..]);
        if (!cursor.TryText("0x") || !cursor.TryHex(out ulong start) || !cursor.TryText("-0x") || !cursor.TryHex(out ulong end))
            return LineKind.Damaged;
        bool isExclusive = cursor.TryText(")");
        if (!isExclusive && !cursor.TryText("]"))
            return LineKind.Damaged;
        rest = cursor.Rest;
        entry = entry with { Type = type, Range = isExclusive ? EntryRange.Exclusive(start, end) : EntryRange.Inclusive(start, end) };
        return LineKind.Entry;
    }

    /// <summary>The start of an entry of Xen's in a line without "(XEN)".</summary>
    public static bool TryUnmarkedXenBody(ReadOnlySpan<char> line, out ReadOnlySpan<char> body)
    {
        // Addresses have 16 digits; a stamp or a process number has fewer.
        const int fewestDigits = 13;
        for (int i = 0; i < line.Length; i++)
        {
            bool isBracket = line[i] == '[';
            bool isWordStart = char.IsAsciiHexDigit(line[i]) && (i == 0 || line[i - 1] == ' ');
            if ((isBracket || isWordStart) && new TextCursor(line[(isBracket ? i + 1 : i)..]).HexRun() >= fewestDigits)
            {
                body = line[i..];
                return true;
            }
        }

        body = default;
        return false;
    }

    /// <summary>Whether a line has a name in it that stands before an entry.</summary>
    public static bool HasPrinter(ReadOnlySpan<char> line)
    {
        foreach ((string name, _) in s_printers)
        {
            if (FindPrinter(line, name) >= 0)
                return true;
        }

        return false;
    }

    private static int FindPrinter(ReadOnlySpan<char> line, string name)
    {
        int from = 0;
        while (true)
        {
            int at = line[from..].IndexOf(name, StringComparison.Ordinal);
            if (at < 0)
                return -1;
            at += from;
            from = at + name.Length;
            bool isWord = at == 0 || !(char.IsAsciiLetterOrDigit(line[at - 1]) || line[at - 1] is '-' or '_');
            if (isWord && from < line.Length && line[from] == ':')
                return at;
        }
    }

    private static LineKind ReadLinuxBody(ref TextCursor cursor, LogMapKind kind, bool isLive, out LogEntry entry)
    {
        entry = new(kind, HostMapDialect.Linux, default, default);
        ReadOnlySpan<char> body = cursor.Rest;
        if (body.StartsWith("[gap", StringComparison.Ordinal))
        {
            entry = entry with { Dialect = HostMapDialect.Linux72 };
            return LineKind.Filler;
        }

        if (cursor.TryText("[mem"))
        {
            if (!cursor.TryText(" 0x") || !cursor.TryHex(out ulong start) || !cursor.TryText("-0x") || !cursor.TryHex(out ulong last)
                || !cursor.TryText("]"))
                return LineKind.Damaged;
            cursor.SkipBlanks();
            if (!TryLinuxType(ref cursor, out E820Type type, out bool isNewWord))
                return LineKind.Damaged;
            entry = new(kind, isNewWord ? HostMapDialect.Linux72 : HostMapDialect.Linux, EntryRange.Inclusive(start, last), type);
            return LineKind.Entry;
        }

        entry = entry with { Dialect = HostMapDialect.LinuxOld };
        const int printedDigits = 16;
        int digits = cursor.HexRun();
        if (digits >= printedDigits)
        {
            if (!cursor.TryHex(out ulong start) || !cursor.TryText(" - ") || !cursor.TryHex(out ulong end) || !cursor.TryText(" ")
                || !TryBracketedType(ref cursor, out E820Type type))
            {
                return LineKind.Damaged;
            }

            entry = new(kind, HostMapDialect.LinuxOld, EntryRange.Exclusive(start, end), type);
            return LineKind.Entry;
        }

        bool isCutShort = body.IsEmpty || (digits > 0 && digits == body.Length) || "[mem 0x".StartsWith(body, StringComparison.Ordinal);
        return isLive && isCutShort ? LineKind.Damaged : LineKind.Other;
    }

    private static LineKind ReadXenBody(ref TextCursor cursor, LogMapKind kind, out LogEntry entry)
    {
        entry = new(kind, HostMapDialect.Xen, default, default);
        const int fewestTellingDigits = 4;
        // Xen pads addresses with zeros: 16 digits, 13 in EFI descriptors.
        const int fewestAddressDigits = 13;
        if (cursor.TryText("["))
        {
            // Xen has other words in brackets, such as [VT-D].
            int bracketed = cursor.HexRun();
            if (bracketed < fewestTellingDigits && bracketed < cursor.Rest.Length)
                return LineKind.Other;
            if (!cursor.TryHex(out ulong start) || !cursor.TryText(", ") || !cursor.TryHex(out ulong last) || !cursor.TryText("] "))
                return LineKind.Damaged;
            // What Xen maps for an IOMMU is in frames, and no entry: "[00000000a0, 00000000ff] RW".
            if (!TryBracketedType(ref cursor, out E820Type type))
                return bracketed < fewestAddressDigits ? LineKind.Other : LineKind.Damaged;

            entry = new(kind, HostMapDialect.Xen, EntryRange.Inclusive(start, last), type);
            return LineKind.Entry;
        }

        // Few digits may be a word such as "bad" or "cafe".
        int digits = cursor.HexRun();
        if (digits == 0 || (digits < fewestTellingDigits && digits < cursor.Rest.Length) || !char.IsAsciiDigit(cursor.Rest[0]))
            return LineKind.Other;
        if (!cursor.TryHex(out ulong from))
            return LineKind.Damaged;
        // A device's address, of which Xen tells: "0000:03:00.0: not mapping BAR [fe900, fe90f] invalid".
        if (digits < fewestAddressDigits && !cursor.Rest.IsEmpty && cursor.Rest[0] is not (' ' or '-'))
            return LineKind.Other;
        // Xen builds dom0 in such words: "Dom0 alloc.:   0000000168000000->0000000170000000".
        if (cursor.Rest.StartsWith("->", StringComparison.Ordinal))
            return LineKind.Other;
        if (cursor.TryText("-"))
        {
            if (!cursor.TryHex(out ulong last) || !cursor.TryText(" type=") || !cursor.TryDecimal(out uint number) || !cursor.TryText(" attr="))
                return LineKind.Damaged;
            entry = new(LogMapKind.Efi, HostMapDialect.Efi, EntryRange.Inclusive(from, last), EfiType(number));
            return LineKind.Entry;
        }

        entry = entry with { Dialect = HostMapDialect.XenOld };
        if (!cursor.TryText(" - ") || !cursor.TryHex(out ulong end) || !cursor.TryText(" ") || !TryBracketedType(ref cursor, out E820Type oldType))
            return LineKind.Damaged;
        entry = new(kind, HostMapDialect.XenOld, EntryRange.Exclusive(from, end), oldType);
        return LineKind.Entry;
    }

    public static bool TryLinuxType(ref TextCursor cursor, out E820Type type, out bool isNewWord)
    {
        isNewWord = false;
        foreach ((string word, E820Type named) in s_linuxTypes)
        {
            if (!cursor.TryText(word))
                continue;
            type = named;
            isNewWord = word is "System RAM" or "device reserved";
            return cursor.Rest.IsEmpty || !char.IsAsciiLetter(cursor.Rest[0]);
        }

        type = default;
        bool isPersistentRam = cursor.TryText("persistent RAM (");
        bool isBracketed = isPersistentRam || cursor.TryText("persistent (");
        isNewWord = isPersistentRam;
        if (!TryNumberedType(ref cursor, out type))
            return false;
        return !isBracketed || cursor.TryText(")");
    }

    private static bool TryBracketedType(ref TextCursor cursor, out E820Type type)
    {
        foreach ((string word, E820Type named) in s_bracketedTypes)
        {
            if (cursor.TryText(word))
            {
                type = named;
                return true;
            }
        }

        return TryNumberedType(ref cursor, out type);
    }

    private static bool TryNumberedType(ref TextCursor cursor, out E820Type type)
    {
        type = default;
        if (!cursor.TryText("type ") || !cursor.TryDecimal(out uint number))
            return false;
        type = (E820Type)number;
        return true;
    }

    /// <summary>EFI's type numbers; what its later versions add (15: unaccepted) is no RAM to Xen.</summary>
    private static E820Type EfiType(uint number) => number switch
    {
        1 or 2 or 3 or 4 or 7 => E820Type.Ram,
        8 => E820Type.Unusable,
        9 => E820Type.Acpi,
        10 => E820Type.Nvs,
        14 => E820Type.PersistentMemory,
        _ => E820Type.Reserved,
    };

    private static bool TryEfiName(ReadOnlySpan<char> text, out E820Type type)
    {
        foreach ((string name, E820Type named) in s_efiTypes)
        {
            if (text.StartsWith(name, StringComparison.Ordinal))
            {
                type = named;
                return true;
            }
        }

        type = default;
        return false;
    }
}
