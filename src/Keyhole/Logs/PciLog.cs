// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using Keyhole.Reading;

namespace Keyhole.Logs;

/// <summary>What a Linux says of a resource of a PCI function.</summary>
public enum PciWord
{
    /// <summary>What it found in the registers: the firmware's doing.</summary>
    Found,

    /// <summary>It gave the resource this place itself.</summary>
    Assigned,

    /// <summary>It has no room for it.</summary>
    NoRoom,

    /// <summary>It found an address there and does not let the resource have it.</summary>
    CannotClaim,

    /// <summary>It took the resource's place away.</summary>
    Released,
}

/// <summary>Emulated devices that QEMU took away from a running guest of Xen.</summary>
/// <param name="Domain">The guest's number in Xen's log; null in a log of its own.</param>
/// <param name="IsDisks">The disks, whose controller is reset; else the network cards.</param>
public readonly record struct UnpluggedSighting(int Line, int? Domain, bool IsDisks);

/// <summary>RAM that hvmloader moved from below 4 GiB to above it: <c>Relocating 0xffff pages from 0e0001000 to 10f800000 for lowmem MMIO
/// hole</c>.</summary>
/// <param name="Domain">The guest's number in Xen's log.</param>
internal readonly record struct MovedRamSighting(int Line, int? Domain, ulong Pages, ulong From, ulong To);

/// <summary>One thing that a Linux says of a resource.</summary>
/// <param name="Line">1-based.</param>
/// <param name="Domain">The guest on whose console in Xen's log the line stands; null where the line does not say.</param>
/// <param name="Index">0–5 the base address registers, <see cref="Bar.RomIndex"/> the ROM, <see cref="Bar.FirstBridgeIndex"/> and on a bridge's
/// windows.</param>
/// <param name="Start">Bytes, or the first port; null where there is no address.</param>
/// <param name="SizeBytes">Bytes, or ports.</param>
public readonly record struct PciSighting(
    int Line, int? Domain, PciAddress Function, int Index, PciWord Word, ulong? Start, ulong SizeBytes, bool IsPorts, bool Is64Bit,
    bool IsPrefetchable);

/// <summary>A function that a Linux found.</summary>
/// <param name="IsBridge">Whether the line is the one behind which a bridge's windows follow (<c>PCI bridge to</c>); else the one that names the
/// function.</param>
public readonly record struct PciFunctionSighting(int Line, int? Domain, PciAddress Address, int VendorId, int DeviceId, bool IsBridge)
{
    /// <summary>Whole seconds since the boot by the line's stamp; null where it has none of that kind.</summary>
    public uint? Seconds { get; init; }
}

/// <summary>A window of a host bridge as ACPI told it: <c>root bus resource</c>.</summary>
public readonly record struct RootWindowSighting(int Line, int? Domain, int PciDomain, int Bus, bool IsPorts, ByteRange Range);

/// <summary>What a guest's log says of its PCI functions and their BARs, in the log's order: the first words on one are the firmware's doing, later
/// ones Linux's own.</summary>
public sealed record PciLog
{
    /// <summary>Nothing was said.</summary>
    public static PciLog Empty { get; } = new();

    /// <summary>The functions that were found.</summary>
    public ImmutableArray<PciFunctionSighting> Functions { get; init => field = Given.Array(value); } = [];

    /// <summary>What was said of BARs and bridges' windows.</summary>
    public ImmutableArray<PciSighting> Resources { get; init => field = Given.Array(value); } = [];

    /// <summary>The windows of host bridges.</summary>
    public ImmutableArray<RootWindowSighting> RootWindows { get; init => field = Given.Array(value); } = [];

    /// <summary>Whether there was more than is kept.</summary>
    public bool IsCut { get; init; }

    /// <summary>SeaBIOS's panic message.</summary>
    public LogFact<string>? FirmwarePanic { get; init; }

    /// <summary>QEMU's words where it refuses to start the machine.</summary>
    public LogFact<string>? Refusal { get; init; }

    /// <summary>What the machine calls itself and its firmware, of each boot: <c>QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1
    /// 04/01/2014</c>. The first 64.</summary>
    public ImmutableArray<LogFact<string>> Machines { get; init => field = Given.Array(value); } = [];

    /// <summary>What Linux calls the hypervisor that it runs under ("Hypervisor detected: Xen HVM"), of each boot. The first 64.</summary>
    internal ImmutableArray<LogFact<string>> Hypervisors { get; init => field = Given.Array(value); } = [];

    /// <summary>What a Linux in an HVM guest of Xen had QEMU take away, because it has drivers of its own for it. The first 64.</summary>
    public ImmutableArray<UnpluggedSighting> Unplugged { get; init => field = Given.Array(value); } = [];

    /// <summary>Lines that tell of a kernel's first process: it has got through its start. The first 64.</summary>
    public ImmutableArray<LogFact<int?>> FirstProcesses { get; init => field = Given.Array(value); } = [];

    /// <summary>The maps that the guest's firmware prints itself.</summary>
    internal ImmutableArray<LogMap> FirmwareMaps { get; init => field = Given.Array(value); } = [];

    /// <summary>The BARs that hvmloader tells it has programmed, of every guest.</summary>
    internal ImmutableArray<PciSighting> FirmwareBars { get; init => field = Given.Array(value); } = [];

    /// <summary>RAM that hvmloader moved, a line each; the first 1,024.</summary>
    internal ImmutableArray<MovedRamSighting> MovedRam { get; init => field = Given.Array(value); } = [];

    /// <summary>What the toolstack says of the memory of guests that it makes.</summary>
    internal ImmutableArray<BuilderMemory> BuiltGuests { get; init => field = Given.Array(value); } = [];

    /// <summary>The lines where others are left out, ascending.</summary>
    internal ImmutableArray<int> Omissions { get; init => field = Given.Array(value); } = [];

    /// <summary>Whether lines may be left out behind a line, up to another one or just before what that says.</summary>
    internal bool LeavesOut(int behind, int upTo)
    {
        int at = Omissions.BinarySearch(behind + 1);
        at = at < 0 ? ~at : at;
        return IsCut || (at < Omissions.Length && Omissions[at] <= upTo);
    }

    /// <summary>Whether nothing was said.</summary>
    public bool IsEmpty => Functions.IsEmpty && Resources.IsEmpty && RootWindows.IsEmpty && FirmwarePanic is null && Refusal is null
        && FirmwareMaps.IsEmpty && FirmwareBars.IsEmpty;
}

/// <summary>Collects a <see cref="PciLog"/> line by line, in bounded memory.</summary>
internal sealed class PciLogBuilder
{
    /// <summary>A machine has 256 buses of 256 functions; a log of more lines than this is not one boot's.</summary>
    private const int MostKept = 1 << 16;

    private const int MaxWords = 200;
    private const string OutOf = "PCI: out of ";
    private const string TooNarrow = "phys-bits too low";
    private const int MostMachines = 64;
    private const string Unplug = "platform_pci_unplug: ";
    private const string FirstProcess = " as init process";
    private const string Nvidia = "NVRM: BAR";
    private const string RamMoved = "Relocating 0x";
    private const int MostMoves = 1024;

    /// <summary>One of these stands in every line that is looked at.</summary>
    public static readonly string[] Words =
    [
        "pci ", "pci_bus ", "pcieport ", OutOf, TooNarrow, MachineLine.Mark, VirtualHostLines.Detected, Unplug, FirstProcess, Nvidia, RamMoved,
        .. FirmwareMapReader.Words,
        .. BuilderMemoryReader.Words,
    ];

    private readonly ImmutableArray<PciFunctionSighting>.Builder _functions = ImmutableArray.CreateBuilder<PciFunctionSighting>();
    private readonly ImmutableArray<PciSighting>.Builder _resources = ImmutableArray.CreateBuilder<PciSighting>();
    private readonly ImmutableArray<RootWindowSighting>.Builder _windows = ImmutableArray.CreateBuilder<RootWindowSighting>();
    private readonly ImmutableArray<LogFact<string>>.Builder _machines = ImmutableArray.CreateBuilder<LogFact<string>>();
    private readonly ImmutableArray<LogFact<string>>.Builder _hypervisors = ImmutableArray.CreateBuilder<LogFact<string>>();
    private readonly ImmutableArray<UnpluggedSighting>.Builder _unplugged = ImmutableArray.CreateBuilder<UnpluggedSighting>();
    private readonly ImmutableArray<LogFact<int?>>.Builder _firstProcesses = ImmutableArray.CreateBuilder<LogFact<int?>>();
    private readonly ImmutableArray<MovedRamSighting>.Builder _moves = ImmutableArray.CreateBuilder<MovedRamSighting>();
    private readonly ImmutableArray<int>.Builder _omissions = ImmutableArray.CreateBuilder<int>();
    private readonly WrappedPciLine _wrapped = new();
    private readonly ImmutableArray<PciSighting>.Builder _firmwareBars = ImmutableArray.CreateBuilder<PciSighting>();
    private readonly FirmwareMapReader _maps = new();
    private readonly BuilderMemoryReader _built = new();
    private LogFact<string>? _panic;
    private LogFact<string>? _refusal;
    private bool _isCut;
    private int? _drawn;
    private bool _hasRead;

    /// <summary>Whether the last line ended amid what it says: the next one is wanted whatever it holds.</summary>
    public bool IsOpen => _wrapped.IsHeld;

    public PciLog ToLog()
    {
        if (_wrapped.IsHeld)
            ReadWhole(_wrapped.Take(), _wrapped.Number);
        return Collected();
    }

    private PciLog Collected() => new()
    {
        Functions = _functions.ToImmutable(),
        Resources = _resources.ToImmutable(),
        RootWindows = _windows.ToImmutable(),
        IsCut = _isCut,
        FirmwarePanic = _panic,
        Refusal = _refusal,
        Machines = _machines.ToImmutable(),
        Hypervisors = _hypervisors.ToImmutable(),
        Unplugged = _unplugged.ToImmutable(),
        FirstProcesses = _firstProcesses.ToImmutable(),
        FirmwareMaps = _maps.ToMaps(),
        FirmwareBars = _firmwareBars.ToImmutable(),
        MovedRam = _moves.ToImmutable(),
        BuiltGuests = _built.ToGuests(),
        Omissions = _omissions.ToImmutable(),
    };

    /// <summary>Notes a line that stands for others. To be called with every line, before it is read.</summary>
    /// <param name="isLogs">Whether it has words of a log.</param>
    public void NoteOmission(ReadOnlySpan<char> line, int number, bool isLogs)
    {
        if (isLogs)
        {
            // What is drawn in front of a log or behind it encloses it.
            if (_drawn is { } drawn && _hasRead && (_omissions.Count == 0 || _omissions[^1] < drawn))
                Keep(drawn);
            _drawn = null;
            _hasRead = true;
        }

        switch (OmissionMarks.KindOf(line))
        {
            case OmissionKind.None:
                break;
            case OmissionKind.Drawn:
                _drawn ??= number;
                break;
            case OmissionKind.Written or OmissionKind.Counted:
                Keep(number);
                break;
        }
    }

    private void Keep(int number)
    {
        if (_omissions.Count < MostKept)
            _omissions.Add(number);
        else
            _isCut = true;
    }

    public void Read(ReadOnlySpan<char> line, int number)
    {
        if (_wrapped.IsHeld)
        {
            bool goesOn = _wrapped.TryGoOn(line, out bool isWhole);
            if (goesOn && !isWhole)
                return;
            ReadWhole(_wrapped.Take(), _wrapped.Number);
            if (goesOn)
                return;
        }

        if (!_wrapped.TryBegin(line, number))
            ReadWhole(line, number);
    }

    private void ReadWhole(ReadOnlySpan<char> line, int number)
    {
        if (_functions.Count + _resources.Count + _windows.Count + _firmwareBars.Count >= MostKept)
        {
            _isCut = true;
            return;
        }

        if (KernelPciLine.TryFunction(line, out PciAddress address, out ReadOnlySpan<char> text))
            ReadFunction(address, text.TrimStart(), number, LogPrefix.DomainOf(line), SecondsOf(line[..^text.Length]));
        else if (line.IndexOf(Nvidia) is >= 0 and int driver)
            ReadNvidia(line[(driver + Nvidia.Length)..], number, LogPrefix.DomainOf(line));
        else if (line.IndexOf("pci_bus ") is >= 0 and int at)
            ReadRootWindow(line[at..], number, LogPrefix.DomainOf(line));
        else if (line.IndexOf(OutOf) is >= 0 and int panic)
            _panic ??= new(InputError.OneLine(line[panic..].Trim(), MaxWords), number);
        else if (line.IndexOf("Address space limit ") is >= 0 and int limit && line.Contains(TooNarrow, StringComparison.Ordinal))
            _refusal ??= new(InputError.OneLine(line[limit..].Trim(), MaxWords), number);
        else if (line.IndexOf(MachineLine.Mark) is >= 0 and int dmi && line.Contains(", BIOS ", StringComparison.Ordinal)
            && _machines.Count < MostMachines)
            _machines.Add(new(InputError.OneLine(line[(dmi + MachineLine.Mark.Length)..].Trim(), MaxWords), number));
        else if (line.IndexOf(VirtualHostLines.Detected) is >= 0 and int detected && _hypervisors.Count < MostMachines)
            _hypervisors.Add(new(InputError.OneLine(line[(detected + VirtualHostLines.Detected.Length)..].Trim(), MaxWords), number));
        else if (line.IndexOf(Unplug) is >= 0 and int unplug && _unplugged.Count < MostMachines)
            ReadUnplug(line[(unplug + Unplug.Length)..], number, LogPrefix.DomainOf(line));
        else if (line.IndexOf(RamMoved) is >= 0 and int moved && _moves.Count < MostMoves)
            ReadMovedRam(line[(moved + RamMoved.Length)..], number, LogPrefix.DomainOf(line));
        else if (line.Contains(FirstProcess, StringComparison.Ordinal) && _firstProcesses.Count < MostMachines)
            _firstProcesses.Add(new(LogPrefix.DomainOf(line), number));
        else if (HvmloaderBar.TryRead(line, number, out PciSighting bar))
            _firmwareBars.Add(bar);
        else if (!_built.TryRead(line, number))
            _maps.Read(line, number, LogPrefix.DomainOf(line));
    }

    /// <summary><c>NVRM: BAR1 is 0M @ 0x0 (PCI:0000:14:00.0)</c>: NVIDIA's driver, where Linux has no address for the BAR.</summary>
    private void ReadNvidia(ReadOnlySpan<char> text, int number, int? domain)
    {
        const string none = " is 0M @ 0x0 (PCI:";
        if (text.IsEmpty || text[0] is < '0' or > '5' || !text[1..].StartsWith(none) || text.IndexOf(')') is not (> 0 and var end)
            || end < none.Length + 1 || !PciAddress.TryParse(text[(none.Length + 1)..end], out PciAddress address))
            return;
        _resources.Add(new(number, domain, address, text[0] - '0', PciWord.NoRoom, null, 0, IsPorts: false, Is64Bit: true, IsPrefetchable: true));
    }

    /// <summary><c>Blkfront and the Xen platform PCI driver have been compiled for this kernel: unplug emulated disks.</c></summary>
    private void ReadUnplug(ReadOnlySpan<char> text, int number, int? domain)
    {
        bool isDisks = text.Contains(": unplug emulated disks", StringComparison.Ordinal);
        if (isDisks || text.Contains(": unplug emulated NICs", StringComparison.Ordinal))
            _unplugged.Add(new(number, domain, isDisks));
    }

    /// <summary><c>ffff pages from 0e0001000 to 10f800000 for lowmem MMIO hole</c></summary>
    /// <remarks>Source: Xen's tools/firmware/hvmloader/pci.c.</remarks>
    private void ReadMovedRam(ReadOnlySpan<char> text, int number, int? domain)
    {
        var cursor = new TextCursor(text);
        if (cursor.TryHex(out ulong pages) && cursor.TryText(" pages from ") && cursor.TryHex(out ulong from) && cursor.TryText(" to ")
            && cursor.TryHex(out ulong to) && cursor.TryText(" for lowmem MMIO hole") && pages is > 0 and <= Frames.FourGiB >> Frames.Shift
            && from < Frames.FourGiB && to is >= Frames.FourGiB and < Frames.AddressLimit)
            _moves.Add(new(number, domain, pages, from, to));
    }

    /// <summary>Seconds in the last bracket of what stands before the message: <c>[   67.480726]</c>.</summary>
    private static uint? SecondsOf(ReadOnlySpan<char> prefix)
    {
        int open = prefix.LastIndexOf('[');
        if (open < 0)
            return null;
        var cursor = new TextCursor(prefix[(open + 1)..]);
        cursor.SkipBlanks();
        return cursor.TryDecimal(out uint seconds) && cursor.TryText(".") ? seconds : null;
    }

    private void ReadFunction(PciAddress address, ReadOnlySpan<char> text, int number, int? domain, uint? seconds)
    {
        if (KernelPciLine.TryIdentity(text, out int vendor, out int device, out _))
        {
            _functions.Add(new(number, domain, address, vendor, device, IsBridge: false) { Seconds = seconds });
            return;
        }

        if (text.StartsWith("PCI bridge to [bus "))
        {
            _functions.Add(new(number, domain, address, 0, 0, IsBridge: true));
            return;
        }

        if (text.StartsWith("reg "))
        {
            if (KernelPciLine.TryRegister(text["reg ".Length..], out int register, out KernelResource read))
                Add(register, read, PciWord.Found);
            return;
        }

        const string claim = "can't claim ";
        bool isClaim = text.StartsWith(claim);
        if (!KernelPciLine.TryNamed(isClaim ? text[claim.Length..] : text, out int index, out KernelResource found, out ReadOnlySpan<char> word,
            out _))
            return;
        if (isClaim)
            Add(index, found, PciWord.CannotClaim);
        else if (WordOf(word) is { } said)
            Add(index, found, said);

        void Add(int at, KernelResource resource, PciWord said) => _resources.Add(new(
            number, domain, address, at, said, resource.Start, resource.SizeBytes, resource.IsPorts, resource.Is64Bit, resource.IsPrefetchable));
    }

    /// <summary>Null for what says nothing of the place: a quirk, a window of the parent's that is listed again.</summary>
    private static PciWord? WordOf(ReadOnlySpan<char> word)
    {
        if (word.Trim().IsEmpty)
            return PciWord.Found;
        if (word.Contains("can't claim", StringComparison.Ordinal))
            return PciWord.CannotClaim;
        if (word.Contains("no space", StringComparison.Ordinal) || word.Contains("can't assign", StringComparison.Ordinal)
            || word.Contains("failed to assign", StringComparison.Ordinal))
            return PciWord.NoRoom;
        if (word.Contains("releasing", StringComparison.Ordinal))
            return PciWord.Released;
        return word.StartsWith("assigned") || word.Contains("reassigned", StringComparison.Ordinal) ? PciWord.Assigned : null;
    }

    /// <summary><c>pci_bus 0000:00: root bus resource [mem 0x80000000-0xafffffff window]</c></summary>
    private void ReadRootWindow(ReadOnlySpan<char> text, int number, int? domain)
    {
        var cursor = new TextCursor(text["pci_bus ".Length..]);
        if (!Hosts.RootWindow.TryBus(ref cursor, out int pciDomain, out int bus) || !cursor.TryText(": root bus resource ")
            || !KernelPciLine.TryResource(cursor.Rest, out KernelResource resource, out _))
        {
            return;
        }

        ulong start = resource.Start ?? 0;
        _windows.Add(new(number, domain, pciDomain, bus, resource.IsPorts, ByteRange.FromSize(start, resource.SizeBytes)));
    }
}
