// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.Addresses;
using Keyhole.Hosts;
using Keyhole.Tests.Hosts;

namespace Keyhole.Tests.ReservedRam;

/// <summary>What a real kernel made of memmap= parameters: fixtures/reserve/*.log.</summary>
internal sealed record KernelRecord(string Name, string Parameters, Host Firmware, ImmutableArray<ByteRange> Memmaps, ByteRange Kernel, Host Iomem)
{
    public static IEnumerable<string> Names =>
        Directory.GetFiles(MapFixtures.Folder("reserve"), "*.log").Select(path => Path.GetFileNameWithoutExtension(path))
            .Order(StringComparer.Ordinal);

    public static KernelRecord Load(string name)
    {
        string[] sections = File.ReadAllText(Path.Combine(MapFixtures.Folder("reserve"), name + ".log")).Split("\n=== ");
        string Section(string title) => sections.Single(section => section.StartsWith(title + "\n", StringComparison.Ordinal))[(title.Length + 1)..];
        string firmware = Section("FIRMWARE");
        Match moved = Regex.Match(firmware, @"e820: remove \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]");
        return new(
            name,
            Section("PARAMETERS").Trim(),
            MapFixtures.Expect(MapFixtures.ReadText(firmware)).Host,
            [.. Regex.Matches(Section("PARAMETERS"), @"memmap=(\w+)\$(\w+)")
                .Select(match => ByteRange.FromSize(Number(match.Groups[2].Value), Number(match.Groups[1].Value)))],
            moved.Success ? ByteRange.FromBounds(Hex(moved.Groups[1].Value), Hex(moved.Groups[2].Value) + 1) : default,
            MapFixtures.Expect(MapFixtures.ReadText(Section("IOMEM"), new() { From = HostMapDialect.Iomem })).Host);
    }

    /// <summary>As the kernel's memparse reads it.</summary>
    public static ulong Number(string text) => text[^1] switch
    {
        'K' => ulong.Parse(text[..^1], CultureInfo.InvariantCulture) << 10,
        'M' => ulong.Parse(text[..^1], CultureInfo.InvariantCulture) << 20,
        'G' => ulong.Parse(text[..^1], CultureInfo.InvariantCulture) << 30,
        'T' => ulong.Parse(text[..^1], CultureInfo.InvariantCulture) << 40,
        _ => text.StartsWith("0x", StringComparison.Ordinal) ? Hex(text[2..]) : ulong.Parse(text, CultureInfo.InvariantCulture),
    };

    private static ulong Hex(string text) => ulong.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
