// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.ReservedRam;
using Keyhole.Tests.Hosts;

namespace Keyhole.Tests.ReservedRam;

/// <summary>Hosts to keep RAM aside on: every fixture's, and random ones.</summary>
internal static class ReserveHosts
{
    /// <summary>The machine of seed 003.</summary>
    public static readonly Host Seed = ToHost(
        E820Entry.FromBounds(0, 0x9f000, E820Type.Ram),
        E820Entry.FromBounds(0x9f000, 0xa0000, E820Type.Reserved),
        E820Entry.FromBounds(0x100000, 0x3dee0000, E820Type.Ram));

    private static readonly E820Type[] s_types =
        [E820Type.Ram, E820Type.Ram, E820Type.Ram, E820Type.Reserved, E820Type.Acpi, E820Type.Nvs, E820Type.Unusable, E820Type.PersistentMemory,
            E820Type.Pram, (E820Type)10, E820Type.None];

    private static readonly Gen<ulong> s_address = Gen.OneOf(
        Gen.Choose(0, 1 << 22).Select(frame => (ulong)frame << 12),
        Gen.Choose(0, int.MaxValue).Select(address => (ulong)address << 3),
        Gen.Elements((ulong[])[0, 0x9fc00, 0xa0000, 0x100000, 0x20000000, 0xc0000000, 0x100000000, 1UL << 40]));

    private static readonly Gen<E820Entry> s_entry =
        from start in s_address
        from size in Gen.OneOf(Gen.Choose(0, 1 << 20).Select(pages => (ulong)pages << 12), Gen.Choose(0, 1 << 14).Select(bytes => (ulong)bytes))
        from type in Gen.Elements(s_types)
        select E820Entry.FromSize(start, size, type);

    /// <summary>Entries in any order, overlapping, empty, in parts of pages.</summary>
    public static readonly Gen<Host> Random =
        from entries in s_entry.ListOf()
        select ToHost([E820Entry.FromBounds(0, 0x9fc00, E820Type.Ram), E820Entry.FromBounds(0x100000, 0x8000_0000, E820Type.Ram), .. entries]);

    public static readonly Gen<ulong> Start = Gen.Choose(1, 1 << 12).Select(step => (ulong)step * ReservePlanner.StartAlignment);

    /// <summary>Every map of a real machine that the tests have.</summary>
    public static IEnumerable<Host> Fixtures() =>
        Directory.GetDirectories(MapFixtures.Folder("hosts")).Order(StringComparer.Ordinal).Select(folder => Path.Combine(folder, "expected.txt"))
            .Concat(MapFixtures.GoldenLogs())
            .Select(path => MapFixtures.Expect(MapFixtures.ReadBytes(File.ReadAllBytes(path))).Host);

    public static Host ToHost(params ReadOnlySpan<E820Entry> entries) =>
        new() { Entries = [.. entries] };

    public static ReservePlan Plan(Host host, ulong start) => ReservePlanner.Plan(new() { Host = host, Start = start });

    /// <summary>Who owns each page-sized or smaller piece of the firmware's RAM: a model with none of the library's set operations.</summary>
    public static bool IsIn(ImmutableArray<ByteRange> ranges, ulong address) => ranges.Any(range => range.Start <= address && address < range.End);
}
