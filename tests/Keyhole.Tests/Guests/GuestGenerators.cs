// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Guests;
using Keyhole.Pci;

namespace Keyhole.Tests.Guests;

/// <summary>Random guests that both formats can say.</summary>
internal static class GuestGenerators
{
    /// <summary>Every kind of character that quoting has to deal with, and that both formats can hold.</summary>
    private static readonly string[] s_pieces = ["a", "B", "0", " ", "\t", "\"", "'", "\\", "#", ";", "[", "]", ",", "=", "<", ">", "&", "]]>", "--",
        "é", "漢", "😀", "\r", "\n", "\\n", "%"];

    public static Gen<string> Text { get; } = Gen.Elements(s_pieces).NonEmptyListOf().Select(pieces => string.Concat(pieces));

    public static Gen<bool?> Flag { get; } = Gen.Elements<bool?>(null, false, true);

    public static Gen<PciAddress> Address { get; } =
        from domain in Gen.Elements(0, 1, 0xffff)
        from bus in Gen.Choose(0, 255)
        from device in Gen.Choose(0, 31)
        from function in Gen.Choose(0, 7)
        select Parse($"{domain:x4}:{bus:x2}:{device:x2}.{function}");

    /// <summary>An entry as libvirt can say it.</summary>
    public static Gen<PciAssignment> PlainEntry { get; } =
        from address in Address
        from permissive in Flag
        from seize in Flag
        select new PciAssignment(address) { Permissive = permissive, Seize = seize };

    /// <summary>An entry with all that xl knows.</summary>
    public static Gen<PciAssignment> Entry { get; } =
        from plain in PlainEntry
        from name in Gen.Frequency((3, Gen.Constant<string?>(null)),
            (1, Text.Select(text => (string?)text.Replace(",", "", System.StringComparison.Ordinal))))
        from all in Gen.Elements(false, true)
        from slot in Gen.Elements<int?>(null, 0, 5, 0x1f)
        from msiTranslate in Flag
        from powerManagement in Flag
        from policy in Gen.Elements<string?>(null, "strict", "relaxed")
        select plain with
        {
            Address = name is null ? all ? Parse(plain.Address!.Value.ToString()[..^1] + "0") : plain.Address : null,
            AllFunctions = all && name is null,
            Name = name,
            VirtualSlot = slot,
            MsiTranslate = msiTranslate,
            PowerManagement = powerManagement,
            RdmPolicy = policy,
        };

    public static Gen<GuestSpec> Guest(Gen<PciAssignment> entry) =>
        from name in Text
        from type in Gen.Elements(GuestType.Pv, GuestType.Pvh, GuestType.Hvm)
        from memory in Gen.Choose(1, 1 << 22)
        from balloon in Gen.Elements(0, 1, 1024)
        from e820Host in Flag
        from pci in entry.ListOf()
        from vcpus in Gen.Choose(1, 8192)
        from kernel in Optional(Text)
        from ramdisk in Optional(Text)
        from commandLine in Optional(Text)
        select new GuestSpec
        {
            Name = name,
            Type = type,
            MemoryKiB = (ulong)memory * 1024,
            MaxmemKiB = (ulong)(memory + balloon) * 1024,
            E820Host = e820Host,
            Pci = [.. pci.DistinctBy(assignment => assignment.Address)],
            Vcpus = vcpus,
            Kernel = kernel,
            Ramdisk = ramdisk,
            CommandLine = commandLine,
        };

    /// <summary>What the guest is, without what belongs to the file it stood in.</summary>
    public static GuestSpec Essence(GuestSpec guest) => guest with { Toolstack = Toolstack.Xl, Hvm = HvmSettings.Usual };

    private static Gen<string?> Optional(Gen<string> text) =>
        Gen.Frequency((1, Gen.Constant<string?>(null)), (2, text.Select(value => (string?)value)));

    private static PciAddress Parse(string text) => PciAddress.TryParse(text, out PciAddress address) ? address
        : throw new System.ArgumentException(text, nameof(text));
}
