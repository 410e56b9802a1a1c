// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms;

namespace Keyhole.Answers;

/// <summary>What <c>plan</c> answers: the map that a guest would get, why, and what is wrong with it. Verbs that say more add their members
/// behind.</summary>
public record PlanAnswer : Answer
{
    /// <summary>The policy's name; "none" where the guest does not use the host's map.</summary>
    [JsonPropertyOrder(MemberOrder.Plan)]
    public string Policy { get; init; }

    /// <summary>The guest.</summary>
    [JsonPropertyOrder(MemberOrder.Plan)]
    public GuestAnswer Guest { get; init; }

    /// <summary>In the order that the policy emits; null where the platform's map is not known.</summary>
    [JsonPropertyOrder(MemberOrder.Plan)]
    public ImmutableArray<PlannedEntryAnswer>? E820 { get; init; }

    /// <summary>Where the map depends on lines that the host's source has lost: no entry of "e820" is there. Null where none are lost.</summary>
    [JsonPropertyOrder(MemberOrder.Plan)]
    public ImmutableArray<RangeAnswer>? NotKnown { get; init; }

    /// <summary>Null where the platform's map is not known, and where lost lines decide it.</summary>
    [JsonPropertyOrder(MemberOrder.Plan)]
    public ulong? RamBelow4GiBKiB { get; init; }

    /// <summary>What is wrong, or worth knowing.</summary>
    [JsonPropertyOrder(MemberOrder.Plan)]
    public ImmutableArray<ProblemAnswer> Problems { get; init => field = Given.Array(value); }

    /// <summary>"qemu", "xen-hvm" or "xen-pvh"; null for a PV guest.</summary>
    [JsonPropertyOrder(MemberOrder.Platform)]
    public string? Platform { get; init; }

    /// <summary>Null for a guest without firmware of its own.</summary>
    [JsonPropertyOrder(MemberOrder.Platform)]
    public FirmwareAnswer? Firmware { get; init; }

    /// <summary>"boots", "halts" and the other names of <see cref="GuestOutcome"/>; null where only a PV guest's map was asked for.</summary>
    [JsonPropertyOrder(MemberOrder.Outcome)]
    public string? Outcome { get; init; }

    /// <summary>The panic message or the like, in its own words; null where there is none.</summary>
    [JsonPropertyOrder(MemberOrder.Outcome)]
    public string? Message { get; init; }

    /// <summary>Windows for PCI devices; null for a PV guest.</summary>
    [JsonPropertyOrder(MemberOrder.Devices)]
    public ImmutableArray<WindowAnswer>? Windows { get; init; }

    /// <summary>Where each BAR is, or whether it can be claimed; null where this was not asked for.</summary>
    [JsonPropertyOrder(MemberOrder.Devices)]
    public ImmutableArray<BarAnswer>? Bars { get; init; }

    /// <summary>Where the BARs of virtual functions (SR-IOV) are; null where no device has any.</summary>
    [JsonPropertyOrder(MemberOrder.Devices)]
    public ImmutableArray<VirtualBarAnswer>? VirtualFunctions { get; init; }

    /// <summary>Null for a PV guest.</summary>
    [JsonPropertyOrder(MemberOrder.Devices)]
    public ImmutableArray<BridgeAnswer>? Bridges { get; init; }

    /// <summary>What ACPI tells the operating system of the room for devices; null for a PV guest.</summary>
    [JsonPropertyOrder(MemberOrder.Devices)]
    public AcpiWindowsAnswer? AcpiWindows { get; init; }

    /// <summary>The devices' windows that were read, with or without an address on this host; null where none were.</summary>
    [JsonPropertyOrder(MemberOrder.Devices)]
    public ImmutableArray<HostWindowAnswer>? HostWindows { get; init; }

    /// <summary>The plan: painters draw the host's map from it.</summary>
    [JsonIgnore]
    public Plan Plan { get; init; }

    /// <inheritdoc/>
    [JsonIgnore]
    public override bool IsYes => Problems.All(static problem => problem.Severity != Severity.Error);

    private protected PlanAnswer(Plan plan, IEnumerable<Problem> problems, Func<Setting, string>? words)
    {
        Policy = plan.Policy;
        Guest = GuestAnswer.Of(plan.Guest);
        E820 = plan.IsMapKnown ? PlannedEntryAnswer.AllOf(plan.KnownEntries) : null;
        NotKnown = plan.NotKnownRanges.IsEmpty ? null : [.. plan.NotKnownRanges.Select(RangeAnswer.Of)];
        RamBelow4GiBKiB = plan.RamBelow4GiBKiB;
        Problems = ProblemAnswer.AllOf(problems, words);
        Plan = plan;
        Platform = plan.Platform.Traits.KernelLaysMemory ? null : plan.Platform.Name;
        if (plan.Verdict is { } verdict)
        {
            Outcome = GuestOutcomes.NameOf(verdict.Outcome);
            Message = verdict.Message;
        }

        ImmutableArray<HostWindowAnswer> read = HostWindowAnswer.AllOf(plan.Scenario);
        HostWindows = read.IsEmpty ? null : read;
        if (plan.Firmware is not { } firmware)
            return;
        Firmware = new(firmware.Name, firmware.Version);
        Outcome = GuestOutcomes.NameOf(firmware.Outcome);
        Message = firmware.Message;
        AcpiWindows = firmware.AcpiWindows is { } told ? new(RangeAnswer.OrNull(told.Hole32), RangeAnswer.OrNull(told.Hole64)) : null;
        if (firmware.Placement is not { } placement)
            return;
        Windows = [.. placement.Windows.Where(static window => window is { Kind: not WindowKind.Io, Range.IsEmpty: false }).Select(WindowAnswer.Of)];
        Bars = [.. placement.Bars.Select(bar => PlacedBarAnswer.Of(placement.Tree, bar))];
        VirtualFunctions = placement.VirtualBars.IsEmpty ? null
            : [.. placement.VirtualBars.Select(bar => VirtualBarAnswer.Of(placement.Tree, bar))];
        Bridges = [.. placement.Bridges.Select(bridge => BridgeAnswer.Of(placement.Tree, bridge))];
    }

    /// <summary>The plan with the problems of a boot on it: the kernel is known.</summary>
    public static PlanAnswer Of(Boot boot, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(boot);
        return new(boot.Plan, boot.Problems, words);
    }

    /// <param name="words">What settings are called in remedies; null for their names in this library.</param>
    public static PlanAnswer Of(Plan plan, Func<Setting, string>? words = null)
    {
        ArgumentNullException.ThrowIfNull(plan);
        return new(plan, plan.Problems, words);
    }
}

/// <summary>A window of a device as the host has it.</summary>
/// <param name="Bdf">The function; null for a window that was given by hand.</param>
/// <param name="Bar">The register's index, as in sysfs' resource file: 0–5, 6 the ROM, 7–12 of virtual functions.</param>
/// <param name="Size">Null where it is not told.</param>
/// <param name="Kind">As in <see cref="PlacedBarAnswer"/>.</param>
/// <param name="Start">Null where it has no address on this host.</param>
/// <param name="End">Exclusive.</param>
/// <param name="Why">What the source says in place of an address; null where there is one.</param>
public sealed record HostWindowAnswer(string? Bdf, int Bar, Hex? Size, string Kind, Hex? Start, Hex? End, string? Why)
{
    /// <summary>Those of the guest's devices; windows of bridges are none of a guest's.</summary>
    internal static ImmutableArray<HostWindowAnswer> AllOf(Scenario scenario)
    {
        ArgumentNullException.ThrowIfNull(scenario);
        var found = ImmutableArray.CreateBuilder<HostWindowAnswer>();
        ImmutableArray<PciDevice> devices = HostSide.DevicesOf(scenario);
        foreach (PciDevice device in devices)
        {
            string bdf = FunctionName.Of(device.Address);
            foreach (Bar bar in device.Bars)
            {
                if (bar.Kind != BarKind.BridgeWindow)
                    found.Add(new(bdf, bar.Index, bar.SizeBytes, bar.RequestType.Name(), bar.Start, bar.End, null));
            }

            foreach (UnplacedWindow window in device.Unplaced)
                found.Add(new(bdf, window.Index, window.SizeBytes == 0 ? null : window.SizeBytes, window.RequestType.Name(), null, null,
                    window.Sign));
        }

        foreach (Bar bar in scenario.Bars)
        {
            if (bar.Kind != BarKind.BridgeWindow && !devices.Any(device => device.Bars.Contains(bar)))
                found.Add(new(null, bar.Index, bar.SizeBytes, bar.RequestType.Name(), bar.Start, bar.End, null));
        }

        return found.ToImmutable();
    }
}

/// <summary>The guest as it was understood.</summary>
/// <param name="Name">Null where it has none.</param>
/// <param name="Pci">The devices passed through, as xl writes them.</param>
public sealed record GuestAnswer(string? Name, ulong MemoryKiB, ulong MaxmemKiB, ImmutableArray<string> Pci)
{
    /// <summary>Whether what is beyond the memory is plugged in, by QEMU's maxmem, and not ballooned.</summary>
    [JsonIgnore]
    public bool IsPlugged { get; init; }

    internal static GuestAnswer Of(GuestSpec guest)
    {
        ArgumentNullException.ThrowIfNull(guest);
        return new(guest.VisibleName, guest.MemoryKiB, guest.MaxmemKiB, [.. guest.Pci.Select(static assignment => assignment.ToString())])
        {
            IsPlugged = guest.IsPlugged,
        };
    }
}

/// <summary>The firmware of a guest.</summary>
/// <param name="Name">"seabios", "ovmf", "hvmloader".</param>
/// <param name="Version">Its release.</param>
public sealed record FirmwareAnswer(string Name, string Version);

/// <summary>A window for PCI devices.</summary>
/// <param name="Kind">"mem32" or "mem64".</param>
public readonly record struct WindowAnswer(string Kind, Hex Start, Hex End)
{
    internal static WindowAnswer Of(PlacementWindow window) =>
        new(window.Kind == WindowKind.Memory64 ? "mem64" : "mem32", window.Range.Start, window.Range.End);
}

/// <summary>A function's place as a guest's own tools print it.</summary>
internal static class FunctionName
{
    /// <summary><c>01:00.0</c>; with its domain where that is not 0.</summary>
    public static string Of(PciAddress address) => address.Domain == 0 ? address.ToString()["0000:".Length..] : address.ToString();
}

/// <summary>A BAR: where firmware placed it, or what a kernel makes of its window.</summary>
[JsonDerivedType(typeof(PlacedBarAnswer))]
[JsonDerivedType(typeof(ClaimedBarAnswer))]
[JsonDerivedType(typeof(ComparedBarAnswer))]
public abstract record BarAnswer;

/// <summary>Where firmware placed a BAR.</summary>
/// <param name="Bdf">The function, as bus:device.function.</param>
/// <param name="Bar">The BAR's index.</param>
/// <param name="Kind">"mem32", "mem64", "mem32-prefetchable", "mem64-prefetchable", "io" or "rom".</param>
/// <param name="Address">Null for a BAR without a place.</param>
/// <param name="Why">Which limit decided; null where there is nothing to say.</param>
/// <param name="Device">The model's name, or of a device that is passed through "host" and its address there; null for a board's own
/// function.</param>
public sealed record PlacedBarAnswer(
    string Bdf, int Bar, Hex Size, string Kind, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] Hex? Address, string? Why,
    string? Device) : BarAnswer
{
    internal static PlacedBarAnswer Of(NumberedTree tree, BarPlacement placed)
    {
        ArgumentNullException.ThrowIfNull(tree);
        NumberedFunction function = tree.Functions[placed.Function];
        return new(
            FunctionName.Of(function.Address), placed.Bar.Index, placed.Bar.SizeBytes, placed.Bar.Type.Name(), placed.Address, placed.WhyText,
            DeviceOf(function.Node));
    }

    internal static string? DeviceOf(PciFunction function)
    {
        if (!function.IsPassedThrough)
            return function.Model.Length > 0 ? function.Model : null;
        return PciAddress.TryParse(function.Name, out PciAddress host) ? $"host {FunctionName.Of(host)}"
            : function.Name.Length > 0 ? function.Name : "passed through";
    }
}

/// <summary>Where a BAR of a device's virtual functions is: those of all of them are side by side.</summary>
/// <param name="Bdf">The function that has them, as bus:device.function.</param>
/// <param name="Count">How many there may be.</param>
/// <param name="Bar">The BAR's index; null where the guest does not see that there are any.</param>
/// <param name="Size">Of one, in bytes.</param>
/// <param name="Kind">As of a BAR.</param>
/// <param name="Start">Where those of all begin; null where no room is kept.</param>
/// <param name="End">Exclusive.</param>
/// <param name="Why">Why there is no room; null where there is.</param>
/// <param name="Device">As of a BAR.</param>
public sealed record VirtualBarAnswer(
    string Bdf, int Count, int? Bar, Hex? Size, string? Kind, [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] Hex? Start,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] Hex? End, string? Why, string? Device)
{
    internal static VirtualBarAnswer Of(NumberedTree tree, VirtualBarPlacement placed)
    {
        ArgumentNullException.ThrowIfNull(tree);
        NumberedFunction function = tree.Functions[placed.Function];
        return new(
            FunctionName.Of(function.Address), placed.Count, placed.Bar?.Index, placed.Bar?.SizeBytes, placed.Bar?.Type.Name(), placed.Address,
            placed is { Address: { } start, Bar: { } bar } ? start + (bar.SizeBytes * (ulong)placed.Count) : null, placed.Why,
            PlacedBarAnswer.DeviceOf(function.Node));
    }
}

/// <summary>Whether a PV guest's kernel can claim a window.</summary>
/// <param name="Identity">Whether the P2M leads to the device.</param>
public sealed record ClaimedBarAnswer(Hex Start, Hex End, bool Claimed, bool Identity) : BarAnswer;

/// <summary>The windows that firmware gave a bridge; null for one that it gave none.</summary>
public sealed record BridgeAnswer(
    string Bdf,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] RangeAnswer? Mem,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] RangeAnswer? Prefetchable,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] RangeAnswer? Io)
{
    internal static BridgeAnswer Of(NumberedTree tree, BridgeWindows bridge)
    {
        ArgumentNullException.ThrowIfNull(tree);
        return new(
        FunctionName.Of(tree.Functions[bridge.Function].Address), RangeAnswer.OrNull(bridge.Memory), RangeAnswer.OrNull(bridge.Prefetchable),
        RangeAnswer.OrNull(bridge.Io));
    }
}

/// <summary>The room for devices below and above 4 GiB that ACPI names; null where it names none.</summary>
public sealed record AcpiWindowsAnswer(RangeAnswer? Hole32, RangeAnswer? Hole64);
