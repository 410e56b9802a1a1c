// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.Firmware;

/// <summary>
/// hvmloader, the first program of an HVM guest of Xen: it gives the BARs on bus 0 their addresses and makes the E820 that SeaBIOS or OVMF starts
/// from.
/// </summary>
/// <remarks>
/// Source: Xen's tools/firmware/hvmloader (pci.c, e820.c, util.c, ovmf.c), 4.11 to 4.22; the records of tests/fixtures/hvm, which begin with
/// 4.14. Slips of it that are kept: a bridge's own registers are taken for BARs; RAM above 4 GiB of which the last page was taken for the firmware's
/// ROM stays in the map.
/// </remarks>
internal static class Hvmloader
{
    /// <summary>The hole starts here where nothing else is said (HVM_BELOW_4G_MMIO_START).</summary>
    public const ulong UsualStart = 0xf000_0000;

    /// <summary>Doubled as often as it can be, the hole starts here.</summary>
    public const ulong LowestStart = 0x8000_0000;

    /// <summary>BARs end here: the last 64 MiB are hvmloader's and the platform's (RESERVED_MEMBASE).</summary>
    public const ulong End = 0xfc00_0000;

    /// <summary>64-bit BARs larger than this go above 4 GiB and do not make the hole larger, where <see cref="SetsHugeBarsApart"/>.</summary>
    public const ulong HighThreshold = 1UL << 30;

    private const ulong FirstPort = 0xc000;
    private const ulong PortsEnd = 0x10000;

    /// <summary>What hvmloader and its successors allocate ends here: reserved device memory must not lie there.</summary>
    private const ulong DynamicEnd = 0xfe00_0000;

    /// <summary>Where it starts where ACPI's tables have room of their own.</summary>
    private const ulong DynamicStart = 0xfc10_0000;

    /// <summary>Where it starts where they do not: behind a page with what they refer to.</summary>
    private const ulong DynamicStartOfOld = End + Frames.SizeBytes;

    /// <summary>SeaBIOS as Xen's packages ship it: 256 KiB, to the end of the first MiB.</summary>
    private const ulong SeaBiosStart = 0xc0000;

    /// <summary>OVMF's reset vector is copied here; the rest of it lies below 4 GiB.</summary>
    private const ulong OvmfLowStart = X86Layout.SystemBiosStart;

    /// <summary>A page for the SMBIOS tables and the task state of virtual 8086 mode.</summary>
    private const ulong OtherPages = 1;

    public static HvmloaderRun Run(HvmloaderInput input)
    {
        ByteRange dynamic = ByteRange.FromBounds(TellsOfAcpi(input.Xen) ? DynamicStart : DynamicStartOfOld, DynamicEnd);
        foreach (ByteRange reserved in input.Reserved)
        {
            if (dynamic.Overlaps(reserved))
            {
                return new(
                    "Fail to setup memory map due to conflict on dynamic reserved memory range.", [], NotReached(input.Tree), [], input.LowEnd,
                    input.HighEnd, 0, []);
            }
        }

        return new Setup(input).Run();
    }

    /// <summary>
    /// Whether ACPI's tables are an entry of the map: since 4.15, and in the stable releases 4.12.4, 4.13.2 and 4.14.1; before, all behind the BARs
    /// is one reserved entry (commits 8efa46516c5f and de6d188a519f and their backports). Where only "4.13" is known, its last one is taken.
    /// </summary>
    private static bool TellsOfAcpi(XenVersion xen) => (xen.Major, xen.Minor) switch
    {
        (4, 12) => xen.Patch is null or >= 4,
        (4, 13) => xen.Patch is null or >= 2,
        (4, 14) => xen.Patch is null or >= 1,
        _ => !xen.IsUpTo(4, 11),
    };

    /// <summary>Since 4.19, and in the stable releases 4.17.4 and 4.18.1 (commit 57acad12a0 and its backports). Where only "4.17" is known, its last
    /// stable release is taken.</summary>
    public static bool SetsHugeBarsApart(XenVersion xen) => (xen.Major, xen.Minor) switch
    {
        (4, 17) => xen.Patch is null or >= 4,
        (4, 18) => xen.Patch is null or >= 1,
        _ => !xen.IsUpTo(4, 16),
    };

    private static PciPlacement? NotReached(NumberedTree? tree) =>
        tree is null ? null : FirmwareRun.NothingPlaced(tree, [], static (_, _) => new(UnplacedReason.NotReached, 0, default));

    /// <summary>A register that hvmloader takes for a BAR.</summary>
    private readonly record struct Register(int Function, int Offset, ulong Size, bool Is64Bit, bool IsMemory, uint TypeBits, BarRequest? Bar);

    private sealed class Setup(HvmloaderInput input)
    {
        private readonly List<Register> _registers = [];
        private readonly List<int> _overwritten = [];
        private readonly List<(Register Register, ulong Address)> _last = [];
        private ulong _low = input.LowEnd;
        private ulong _high = input.HighEnd;
        private ulong _start = UsualStart;
        private ulong _wanted;
        private bool _movesHigh;

        public HvmloaderRun Run()
        {
            if (input.Tree is { } tree)
                Scan(tree);
            SizeHole();
            ulong moved = MoveRam();
            var lines = new List<HvmloaderLine>();
            PciPlacement? placement = input.Tree is null ? null : Place(input.Tree, lines, out _);
            ByteRange high = _highWindow;
            TakeFirmwarePages(out ulong ghostEnd);
            return new(null, Map(ghostEnd), placement, [.. lines], _low, _high, moved, [.. _overwritten])
            {
                PciStart = _start,
                High = high,
                MovesBarsHigh = _movesHigh,
            };
        }

        private ByteRange _highWindow;

        private bool HasThreshold => SetsHugeBarsApart(input.Xen);

        /// <summary>Where BARs below 4 GiB end: before the platform device's, where that has the end of the hole.</summary>
        private ulong _end = End;

        /// <summary>Bus 0 alone, function by function, each register that answers; sorted by falling size, equal ones as they come.</summary>
        private void Scan(NumberedTree tree)
        {
            for (int i = 0; i < tree.Functions.Length; i++)
            {
                NumberedFunction function = tree.Functions[i];
                if (function.Parent >= 0 || function.Address.Bus != 0)
                    continue;
                foreach (BarRequest bar in function.Node.Bars)
                {
                    if (!input.HasPlatformBarLast || !TryPutLast(function.Node, OfBar(i, bar)))
                        Add(OfBar(i, bar));
                }

                if (function.Node.Bridge is null)
                    continue;
                // Numbers of buses, ports, and two windows: 16 bytes each to somebody who takes them for BARs.
                _overwritten.Add(i);
                Add(new(i, 0x18, 16, false, true, 0, null));
                Add(new(i, 0x1c, 16, false, true, 0, null));
                Add(new(i, 0x20, 16, false, true, 0, null));
                Add(new(i, 0x24, 16, false, false, 1, null));
            }
        }

        /// <summary>The memory of Xen's platform device, as long as there is room, before all others.</summary>
        private bool TryPutLast(PciFunction node, Register register)
        {
            const int xen = 0x5853;
            if (node is not { VendorId: xen, DeviceId: 1 or 2 } || register is not { IsMemory: true, Is64Bit: false }
                || register.Bar?.Type == BarType.Rom || register.Size > _end || Align.Down(_end - register.Size, register.Size) < _start)
                return false;
            _end = Align.Down(_end - register.Size, register.Size);
            _last.Add((register, _end));
            return true;
        }

        private static Register OfBar(int function, BarRequest bar)
        {
            uint bits = bar.Type switch
            {
                BarType.Memory32 => 0u,
                BarType.Memory64 => 4u,
                BarType.Memory32Prefetchable => 8u,
                BarType.Memory64Prefetchable => 12u,
                BarType.Io => 1u,
                BarType.Rom => 0u,
            };
            int offset = bar.Type == BarType.Rom ? 0x30 : 0x10 + (4 * bar.Index);
            return new(function, offset, bar.SizeBytes, bar.Type.Is64Bit(), bar.Type.IsMemory(), bits, bar);
        }

        private void Add(Register register)
        {
            int at = 0;
            while (at < _registers.Count && _registers[at].Size >= register.Size)
                at++;
            _registers.Insert(at, register);
            if (HasThreshold && register is { Is64Bit: true, Size: > HighThreshold })
                _movesHigh = true;
            else if (register.IsMemory)
                _wanted += register.Size;
        }

        private void SizeHole()
        {
            if (input.HoleBytes != 0)
            {
                ulong start = Frames.FourGiB - input.HoleBytes;
                if (start <= UsualStart)
                    _start = start;
            }
            else
            {
                // f0000000, e0000000, c0000000, 80000000; 32 bits, so that the next would be 0.
                while (_wanted > _end - _start && ((_start << 1) & 0xffff_ffff) != 0 && (input.MayMoveRam || ((_start << 1) & 0xffff_ffff) >= _low))
                    _start = (_start << 1) & 0xffff_ffff;
                if (_start > _low)
                {
                    foreach (ByteRange reserved in input.Reserved)
                    {
                        if (ByteRange.FromBounds(_start, _end).Overlaps(reserved))
                        {
                            _start = _low;
                            break;
                        }
                    }
                }
            }

            _movesHigh |= _wanted > _end - _start;
        }

        private ulong MoveRam()
        {
            if (_start >= _low)
                return 0;
            ulong moved = _low - _start;
            _high = (_high == 0 ? Frames.FourGiB : _high) + moved;
            _low = _start;
            return moved;
        }

        private PciPlacement Place(NumberedTree tree, List<HvmloaderLine> lines, out ulong highEnd)
        {
            ulong low = _start, port = FirstPort;
            highEnd = _high < Frames.FourGiB ? Frames.FourGiB : _high;
            ulong highLimit = 1UL << input.PhysBits;
            ulong highStart = 0;
            var addresses = new Dictionary<(int Function, int Offset), (ulong? Address, Unplaced? Why)>();
            foreach ((Register register, ulong address) in _last)
            {
                lines.Add(new(register.Function, register.Offset, register.Size, address | register.TypeBits));
                addresses[(register.Function, register.Offset)] = (address, null);
            }

            foreach (Register register in _registers)
            {
                bool isHigh = register.Is64Bit && _movesHigh && (_wanted > _end - low || (HasThreshold && register.Size > HighThreshold));
                ulong from;
                ulong limit;
                if (!register.IsMemory)
                {
                    from = port;
                    limit = PortsEnd;
                }
                else if (isHigh)
                {
                    highEnd = Align.Up(highEnd, register.Size);
                    if (highStart == 0)
                        highStart = highEnd;
                    from = highEnd;
                    limit = highLimit;
                }
                else
                {
                    from = low;
                    limit = _end;
                }

                if (register.IsMemory && !(HasThreshold && register.Size > HighThreshold))
                    _wanted -= register.Size;
                ulong at = Align.Up(from, register.Size);
                if (register.IsMemory && !isHigh)
                    at = PastReserved(at, register.Size);
                ulong end = at + register.Size;
                if (end < from || end > limit)
                {
                    lines.Add(new(register.Function, register.Offset, register.Size, null));
                    addresses[(register.Function, register.Offset)] = (null, WhyUnplaced(register, isHigh, from, limit));
                    continue;
                }

                if (!register.IsMemory)
                    port = end;
                else if (isHigh)
                    highEnd = end;
                else
                    low = end;
                lines.Add(new(register.Function, register.Offset, register.Size, at | register.TypeBits));
                addresses[(register.Function, register.Offset)] = (at, null);
            }

            if (highStart != 0)
            {
                // As aligned at its end as at its start, which takes fewer of the registers that make it uncached.
                ulong alignment = highStart & (~highStart + 1);
                _highWindow = ByteRange.FromBounds(highStart, ((highEnd - 1) | (alignment - 1)) + 1);
            }

            return Placement(tree, addresses);
        }

        private Unplaced WhyUnplaced(Register register, bool isHigh, ulong from, ulong limit)
        {
            if (!register.IsMemory)
                return new(UnplacedReason.IoFull, register.Size, ByteRange.FromBounds(from, limit));
            return isHigh
                ? new(UnplacedReason.BeyondAddressWidth, register.Size, ByteRange.FromBounds(from, limit), input.PhysBits)
                : new(UnplacedReason.Window32Full, register.Size, ByteRange.FromBounds(from, limit));
        }

        /// <summary>Behind the reserved device memory that is in the way, entry by entry, the one that ends first being looked at.</summary>
        private ulong PastReserved(ulong at, ulong size)
        {
            while (true)
            {
                ByteRange? next = null;
                foreach (ByteRange reserved in input.Reserved)
                {
                    if (reserved.End > at && reserved.End <= (next?.End ?? Frames.FourGiB))
                        next = reserved;
                }

                if (next is not { } range || !range.Overlaps(ByteRange.FromSize(at, size)))
                    return at;
                at = Align.Up(range.End, size);
            }
        }

        private PciPlacement Placement(NumberedTree tree, Dictionary<(int Function, int Offset), (ulong? Address, Unplaced? Why)> addresses)
        {
            var bars = ImmutableArray.CreateBuilder<BarPlacement>();
            var bridges = ImmutableArray.CreateBuilder<BridgeWindows>();
            for (int i = 0; i < tree.Functions.Length; i++)
            {
                foreach (BarRequest bar in tree.Functions[i].Node.Bars)
                {
                    if (!addresses.TryGetValue((i, OfBar(i, bar).Offset), out (ulong? Address, Unplaced? Why) found))
                        bars.Add(BarPlacement.None(i, bar, new(UnplacedReason.BehindBridge, 0, default)));
                    else if (found.Address is { } address)
                        bars.Add(BarPlacement.At(i, bar, address));
                    else
                        bars.Add(BarPlacement.None(i, bar, found.Why!));
                }

                if (tree.Functions[i].Node.Bridge is not null)
                    bridges.Add(new(i, null, null, null));
            }

            ImmutableArray<PlacementWindow> windows =
                [new(WindowKind.Memory32, ByteRange.FromBounds(_start, _end)), new(WindowKind.Io, ByteRange.FromBounds(FirstPort, PortsEnd))];
            if (!_highWindow.IsEmpty)
                windows = windows.Insert(1, new(WindowKind.Memory64, _highWindow));
            return new(tree, windows, bars.ToImmutable(), bridges.ToImmutable());
        }

        /// <summary>
        /// Pages for the firmware and its tables: new ones as long as the domain may have more, then those at the end of its RAM.
        /// </summary>
        /// <param name="ghostEnd">The end of RAM above 4 GiB that stays in the map although its last page is gone; 0 where none does.</param>
        private void TakeFirmwarePages(out ulong ghostEnd)
        {
            ghostEnd = 0;
            ulong needed = OtherPages + (input.HasAcpi ? input.AcpiPages : 0) + (input.Next == FirmwareName.Ovmf ? input.OvmfPages : 0);
            for (ulong taken = input.FreePages; taken < needed; taken++)
            {
                if (_high != 0)
                {
                    _high -= Frames.SizeBytes;
                    if (_high != Frames.FourGiB)
                        continue;
                    ghostEnd = Frames.FourGiB + Frames.SizeBytes;
                    _high = 0;
                }
                else
                {
                    _low -= Frames.SizeBytes;
                }
            }
        }

        private ImmutableArray<E820Entry> Map(ulong ghostEnd)
        {
            ulong bios = input.Next == FirmwareName.Ovmf ? OvmfLowStart : SeaBiosStart;
            ulong acpiEnd = End + (input.AcpiPages << Frames.Shift);
            var map = new List<E820Entry>
            {
                E820Entry.FromBounds(0, X86Layout.IsaStart, E820Type.Ram),
                E820Entry.FromBounds(bios, X86Layout.IsaEnd, E820Type.Reserved),
            };
            bool tellsOfAcpi = input.HasAcpi && TellsOfAcpi(input.Xen);
            if (tellsOfAcpi)
                map.Add(E820Entry.FromBounds(End, acpiEnd, E820Type.Nvs));
            map.Add(E820Entry.FromBounds(tellsOfAcpi ? acpiEnd : End, Frames.FourGiB, E820Type.Reserved));
            map.Add(E820Entry.FromBounds(X86Layout.IsaEnd, _low, E820Type.Ram));
            foreach (ByteRange reserved in input.Reserved)
                map.Add(E820Entry.FromBounds(reserved.Start, reserved.End, E820Type.Reserved));
            ulong highEnd = _high != 0 ? _high : ghostEnd;
            if (highEnd != 0)
                map.Add(E820Entry.FromBounds(Frames.FourGiB, highEnd, E820Type.Ram));
            map.Sort(static (a, b) => a.Address.CompareTo(b.Address));
            return [.. map];
        }
    }
}
