// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Numerics;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <summary>
/// Looks for the lightest change of settings under which a guest boots with every BAR in its place. Each one is tried by the forecast: nothing is
/// recommended that does not work there, and nothing that the guest has already.
/// </summary>
internal static class QemuCures
{
    /// <summary>Forecasts made for one guest at most; a guest of hundreds of devices takes milliseconds for each.</summary>
    private const int MaxForecasts = 1500;

    /// <summary>Values of a setting that are tried together with two others: the first, the last, and some in between.</summary>
    private const int MostOfThree = 5;

    /// <summary>The largest window below 4 GiB that any of the firmwares has: from 80000000 to the I/O APIC.</summary>
    private const ulong LargestLowWindow = QemuLayout.IoApic - 0x80000000;

    private static readonly ImmutableArray<string> s_seaBios = ["seabios-1.16.2", "seabios-1.16.3", "seabios-1.17.0"];

    private static readonly ImmutableArray<string> s_ovmf =
        ["ovmf-2022.11", "ovmf-2023.05", "ovmf-2023.11", "ovmf-2024.05", "ovmf-2024.08", "ovmf-2024.11", "ovmf-2025.02-8", "edk2-stable202505",
            "edk2-stable202508"];

    private static readonly ImmutableArray<string> s_ports = ["hotplug=off", "io-reserve=0", "mem-reserve=0", "pref64-reserve=1M"];

    /// <summary>Tries the settings. False where the guest as it is cannot be forecast.</summary>
    public static bool TryFind(QemuCureRequest request, out QemuCure cure)
    {
        ArgumentNullException.ThrowIfNull(request);
        var search = new Search(request);
        bool isKnown = search.TryRun();
        cure = isKnown ? search.Result() : null!;
        return isKnown;
    }

    /// <summary>Whether a guest boots with every BAR in its place, and nothing where the host's hardware does not let it be.</summary>
    public static bool IsWell(QemuForecast forecast, QemuLimits limits)
    {
        ArgumentNullException.ThrowIfNull(forecast);
        return forecast.PlacesAll && limits.Suit(forecast);
    }

    /// <summary>The end of the highest RAM or BAR of a device that is passed through, in bytes: what a device may be asked to reach.</summary>
    internal static ulong HighestAddress(QemuForecast forecast)
    {
        ulong end = forecast.Memory?.RamEnd ?? 0;
        foreach (BarPlacement bar in forecast.Placement?.Bars ?? [])
        {
            if (bar.Address is { } address && bar.Bar.Type.IsMemory())
                end = Math.Max(end, unchecked(address + bar.Bar.SizeBytes) is var last && last > address ? last : ulong.MaxValue);
        }

        return end;
    }

    private sealed class Search(QemuCureRequest given)
    {
        private QemuCureRequest _request = given;
        private readonly List<QemuTrial> _trials = [];
        private readonly List<ImmutableArray<QemuChange>> _families = [];
        private QemuTrial? _best;
        private int _forecasts;
        private ulong _need;
        private ulong _lowNeed;

        private bool _isStartOnly;
        private bool _isPlugRefused;

        public QemuCure Result() => new([.. _trials], _best) { IsStartOnly = _isStartOnly, IsPlugRefused = _isPlugRefused };

        public bool TryRun()
        {
            if (!QemuForecaster.TryForecast(_request.Machine, out QemuForecast forecast, out _) && !TryStopped(out forecast))
                return false;
            QemuTrial asItIs = TrialOf([], forecast);
            _trials.Add(asItIs);
            if (asItIs.IsCure)
            {
                _best = asItIs;
                return true;
            }

            // QEMU refuses the layout before it plugs devices in: what makes it start is found without their BARs.
            if (forecast is { Outcome: GuestOutcome.Refused, Memory: null } && TryWithoutHostBars(out QemuMachine without))
                (_request, _isStartOnly) = (_request with { Machine = without }, true);
            // How the devices are plugged together QEMU refuses whatever is set.
            if (!TryReckonNeeds())
                return true;
            CollectFamilies(forecast);
            foreach (ImmutableArray<QemuChange> family in _families)
                TryAlone(family);
            // Two light changes cost less than another firmware or board.
            if (_lowNeed <= LargestLowWindow)
                TryTogether(2);
            if (_best is null && _lowNeed <= LargestLowWindow)
            {
                // Three at a time are many: fewer values of each, and as many forecasts again at most.
                _forecasts = 0;
                for (int i = 0; i < _families.Count; i++)
                    _families[i] = Thinned(_families[i]);
                TryTogether(3);
            }

            return true;
        }

        /// <summary>Where a guest's RAM alone keeps QEMU from starting it, what makes it start is found without the BARs that are not told. False for
        /// other guests.</summary>
        private bool TryStopped(out QemuForecast forecast)
        {
            forecast = null!;
            if (!QemuMemory.TryLayOut(_request.Machine, out QemuMemory memory, out _) || !_request.Limits.StopsStart(memory)
                || !TryWithoutHostBars(out QemuMachine without) || !QemuForecaster.TryForecast(without, out forecast, out _))
                return false;
            (_request, _isStartOnly) = (_request with { Machine = without }, true);
            return true;
        }

        private bool TryWithoutHostBars(out QemuMachine without)
        {
            bool isLacking = false;
            ImmutableArray<QemuDevice> devices = _request.Machine.Devices;
            for (int i = 0; i < devices.Length; i++)
            {
                if (devices[i].Host is not null || !devices[i].Driver.StartsWith("vfio-pci", StringComparison.Ordinal))
                    continue;
                isLacking = true;
                devices = devices.SetItem(i, devices[i] with { Host = new HostFunction([]) });
            }

            without = _request.Machine with { Devices = devices };
            return isLacking;
        }

        /// <summary>What the BARs of 64 and of 32 bits take. False where QEMU does not plug the devices together.</summary>
        private bool TryReckonNeeds()
        {
            QemuTopology topology = QemuTopology.Build(_request.Machine, out PciTree? tree);
            _isPlugRefused = topology.Refusal is not null;
            if (_isPlugRefused || tree is null || !NumberedTree.TryCreate(tree, out NumberedTree numbered))
                return false;
            foreach (NumberedFunction function in numbered.Functions)
            {
                foreach (BarRequest bar in function.Node.Bars)
                {
                    ref ulong need = ref bar.Type.Is64Bit() ? ref _need : ref _lowNeed;
                    if (bar.Type is not (BarType.Io or BarType.Rom) && need < 1UL << 50)
                        need += bar.SizeBytes;
                }
            }

            return true;
        }

        // ------------------------------------------------------------------ what can be changed

        private void CollectFamilies(QemuForecast asItIs)
        {
            QemuMachine machine = _request.Machine;
            if (machine.Firmware.Name == FirmwareName.Ovmf)
                AddWindows();
            AddWidths(machine);
            if (machine is { Firmware.Name: FirmwareName.Ovmf, Cpu: { HasGiBPages: false, Is64Bit: true } } && _request.CanHaveGiBPages)
                Add([new QemuChange(QemuSetting.GiBPages, 0, "")]);
            var ports = ImmutableArray.CreateBuilder<QemuChange>();
            bool hasPorts = false;
            foreach (QemuDevice device in machine.Devices)
                hasPorts |= device.Driver == "pcie-root-port";
            foreach (string port in hasPorts ? s_ports : [])
                ports.Add(new(QemuSetting.Ports, 0, port));
            Add(ports);
            Add(Sizes(QemuSetting.MaxRamBelow4GiB, [3 * QemuLayout.GiB, 2 * QemuLayout.GiB, QemuLayout.GiB], larger: false, machine.MaxRamBelow4GiB));
            // Larger where there is much to place, smaller where QEMU refuses it.
            ulong large = BitOperations.RoundUpToPowerOf2(Math.Max(_need, 64 * QemuLayout.GiB));
            Add(Of(QemuSetting.Hole64, asItIs.Outcome == GuestOutcome.Refused ? [32 * QemuLayout.GiB, 2 * QemuLayout.GiB, QemuLayout.GiB] : [large]));
            AddSlots(machine);
            AddFirmware(machine);
            AddMachineVersions(machine, asItIs);
            if (_request.WithBoard is not null)
                Add([new QemuChange(QemuSetting.Board, 0, machine.Type.Chipset == QemuChipset.Q35 ? "pc" : "q35")]);
        }

        /// <summary>The first that moves RAM out of HyperTransport's way, where RAM is there, which may take a later QEMU; then the newest of this
        /// one.</summary>
        private void AddMachineVersions(QemuMachine machine, QemuForecast asItIs)
        {
            var versions = ImmutableArray.CreateBuilder<QemuChange>();
            if (_request.Limits.IsAcrossHyperTransport(asItIs.Memory) && machine.Type.Version < QemuMemory.MovesAboveHyperTransport)
                versions.Add(VersionOf(machine, QemuMemory.MovesAboveHyperTransport));
            if (machine.Emulator > machine.Type.Version && VersionOf(machine, machine.Emulator) is var newest && !versions.Contains(newest))
                versions.Add(newest);
            Add(versions);
        }

        private static QemuChange VersionOf(QemuMachine machine, QemuVersion version) =>
            new(QemuSetting.MachineVersion, 0, new QemuMachineType(machine.Type.Chipset, version).ToString());

        private void AddWindows()
        {
            // From what is needed upward; then what is smaller, for windows that reach beyond the width.
            const ulong mostMiB = 1 << 24;
            ulong needMiB = Math.Clamp(BitOperations.RoundUpToPowerOf2(_need) >> 20, 1024, mostMiB);
            var windows = ImmutableArray.CreateBuilder<QemuChange>();
            for (ulong sizeMiB = needMiB; sizeMiB <= mostMiB; sizeMiB *= 2)
                windows.Add(new(QemuSetting.OvmfWindow, sizeMiB, ""));
            windows.Add(new(QemuSetting.OvmfWindow, needMiB / 4 * 3, ""));
            for (ulong sizeMiB = needMiB / 2; sizeMiB >= 1024; sizeMiB /= 2)
                windows.Add(new(QemuSetting.OvmfWindow, sizeMiB, ""));
            Add(windows);
        }

        /// <summary>Rising from the present width, as far as host and guest go; then what is below it, the widest first.</summary>
        private void AddWidths(QemuMachine machine)
        {
            if (!machine.Cpu.Is64Bit)
                return;
            int now = machine.Cpu.PhysBits;
            // Where the host's width is not told, a guest that has it has all there is.
            int most = Math.Min(_request.Limits.Width ?? (_request.HasHostsWidth ? now : 52), 52);
            var widths = ImmutableArray.CreateBuilder<QemuChange>();
            for (int bits = now + 1; bits <= most; bits++)
                widths.Add(new(QemuSetting.PhysBits, (ulong)bits, ""));
            for (int bits = Math.Min(now - 1, _request.Limits.Width ?? 52); bits >= 36; bits--)
                widths.Add(new(QemuSetting.PhysBits, (ulong)bits, ""));
            Add(widths);
        }

        /// <summary>Fewer slots for memory to be plugged in, down to those that are taken; then none, and no such memory.</summary>
        private void AddSlots(QemuMachine machine)
        {
            if (machine.MaxMemoryBytes <= machine.MemoryBytes)
                return;
            int taken = 0;
            foreach (QemuDevice device in machine.Devices)
                taken += device.Driver is "pc-dimm" or "nvdimm" || device.Driver.StartsWith("virtio-mem", StringComparison.Ordinal) ? 1 : 0;
            var fewer = ImmutableArray.CreateBuilder<QemuChange>();
            for (int slots = 128; slots > 0 && _request.NamesSlots; slots /= 2)
            {
                if (slots < machine.MemorySlots && slots >= taken)
                    fewer.Add(new(QemuSetting.MemorySlots, (ulong)slots, ""));
            }

            if (taken == 0)
                fewer.Add(new(QemuSetting.MemorySlots, 0, ""));
            Add(fewer);
        }

        private void AddFirmware(QemuMachine machine)
        {
            QemuFirmware now = machine.Firmware;
            var later = ImmutableArray.CreateBuilder<QemuChange>();
            foreach (string name in now.Name == FirmwareName.Ovmf ? s_ovmf : s_seaBios)
            {
                if (QemuFirmware.TryParse(name, out QemuFirmware release) && release.IsSince(now.Major, now.Minor, now.Patch)
                    && (release.Major, release.Minor, release.Patch) != (now.Major, now.Minor, now.Patch))
                {
                    later.Add(new(QemuSetting.FirmwareRelease, 0, name));
                }
            }

            Add(later);
            FirmwareName other = now.Name == FirmwareName.Ovmf ? FirmwareName.SeaBios : FirmwareName.Ovmf;
            Add([new QemuChange(QemuSetting.Firmware, 0, QemuFirmwareGuess.Of(other, "", machine.Emulator, "", out _).ToString())]);
        }

        private static ImmutableArray<QemuChange> Of(QemuSetting setting, ReadOnlySpan<ulong> values)
        {
            var changes = ImmutableArray.CreateBuilder<QemuChange>(values.Length);
            foreach (ulong value in values)
                changes.Add(new(setting, value, ""));
            return changes.ToImmutable();
        }

        private static ImmutableArray<QemuChange> Sizes(QemuSetting setting, ReadOnlySpan<ulong> values, bool larger, ulong now)
        {
            var changes = ImmutableArray.CreateBuilder<QemuChange>(values.Length);
            foreach (ulong value in values)
            {
                if (now == 0 || (larger ? value > now : value < now))
                    changes.Add(new(setting, value, ""));
            }

            return changes.ToImmutable();
        }

        private void Add(ImmutableArray<QemuChange>.Builder family) => Add(family.ToImmutable());

        private void Add(ImmutableArray<QemuChange> family)
        {
            if (!family.IsEmpty)
                _families.Add(family);
        }

        // ------------------------------------------------------------------ trying

        private void TryAlone(ImmutableArray<QemuChange> family)
        {
            QemuTrial? nearest = null;
            foreach (QemuChange change in family)
            {
                if (Try([change]) is not { } trial)
                    continue;
                if (nearest is null || IsNearer(trial, nearest))
                    nearest = trial;
                if (trial.IsCure)
                    break;
            }

            if (nearest is null)
                return;
            _trials.Add(nearest);
            if (nearest.IsCure && (_best is null || WeightOf(nearest) < WeightOf(_best)))
                _best = nearest;
        }

        private static bool IsNearer(QemuTrial trial, QemuTrial other) => trial.IsCure != other.IsCure ? trial.IsCure
            : (trial.Outcome == GuestOutcome.Boots) != (other.Outcome == GuestOutcome.Boots) ? trial.Outcome == GuestOutcome.Boots
            : trial.Unplaced != other.Unplaced ? trial.Unplaced < other.Unplaced
            // Of widths that all do not help the largest says most.
            : trial.Changes[0].Setting == QemuSetting.PhysBits && trial.Changes[0].Number > other.Changes[0].Number;

        private static int WeightOf(QemuTrial trial) => WeightOf(trial.Changes);

        private static int WeightOf(ImmutableArray<QemuChange> changes)
        {
            int weight = 0;
            foreach (QemuChange change in changes)
                weight += change.Weight;
            return weight;
        }

        private static ImmutableArray<QemuChange> Thinned(ImmutableArray<QemuChange> family)
        {
            if (family.Length <= MostOfThree)
                return family;
            var few = ImmutableArray.CreateBuilder<QemuChange>(MostOfThree);
            for (int i = 0; i < MostOfThree; i++)
                few.Add(family[i * (family.Length - 1) / (MostOfThree - 1)]);
            return few.MoveToImmutable();
        }

        /// <summary>Tries settings together, the lightest first.</summary>
        /// <param name="count">How many at a time: 2 or 3.</param>
        private void TryTogether(int count)
        {
            var groups = new List<int[]>();
            for (int a = 0; a < _families.Count; a++)
            {
                for (int b = a + 1; b < _families.Count; b++)
                {
                    if (Excludes(a, b))
                        continue;
                    if (count == 2)
                        groups.Add([a, b]);
                    for (int c = b + 1; count == 3 && c < _families.Count; c++)
                    {
                        if (!Excludes(a, c) && !Excludes(b, c))
                            groups.Add([a, b, c]);
                    }
                }
            }

            groups.Sort((x, y) => WeightOfGroup(x).CompareTo(WeightOfGroup(y)));
            foreach (int[] group in groups)
            {
                if (_best is not null && WeightOfGroup(group) >= WeightOf(_best))
                    return;
                // A setting's values may weigh more than its first one.
                if (TryGroup(group, []) is not { } found || (_best is not null && WeightOf(found) >= WeightOf(_best)))
                    continue;
                _trials.Add(found);
                _best = found;
            }
        }

        /// <summary>A change of the firmware takes the place of another one of it; a window is OVMF's alone.</summary>
        private bool Excludes(int a, int b)
        {
            QemuSetting first = _families[a][0].Setting;
            QemuSetting second = _families[b][0].Setting;
            return second == QemuSetting.Firmware && first is QemuSetting.FirmwareRelease or QemuSetting.OvmfWindow;
        }

        private int WeightOfGroup(int[] group)
        {
            int weight = 0;
            foreach (int family in group)
                weight += _families[family][0].Weight;
            return weight;
        }

        private QemuTrial? TryGroup(ReadOnlySpan<int> group, ImmutableArray<QemuChange> chosen)
        {
            if (group.IsEmpty)
                return Try(chosen) is { IsCure: true } trial ? trial : null;
            foreach (QemuChange change in _families[group[0]])
            {
                if (TryGroup(group[1..], chosen.Add(change)) is { } found)
                    return found;
            }

            return null;
        }

        /// <summary>Null for a change that changes nothing, and one whose result nobody can tell.</summary>
        private QemuTrial? Try(ImmutableArray<QemuChange> changes)
        {
            if (++_forecasts > MaxForecasts)
                return null;
            QemuMachine machine = _request.Machine;
            foreach (QemuChange change in changes)
            {
                if (change.Setting == QemuSetting.Board && _request.WithBoard?.Invoke(change.Text) is { } rebuilt)
                    machine = rebuilt;
            }

            foreach (QemuChange change in changes)
            {
                if (change.Setting == QemuSetting.Board)
                    continue;
                QemuMachine changed = change.ApplyTo(machine);
                if (changed.Equals(machine))
                    return null;
                machine = changed;
            }

            if (machine.Equals(_request.Machine) || !TryDerive(changes, ref machine))
                return null;
            return QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _) ? TrialOf(changes, forecast) : null;
        }

        /// <summary>Takes what follows from changed settings where the guest's own form decides it: memory, and the devices of the board's version.
        /// False where that form cannot be read.</summary>
        private bool TryDerive(ImmutableArray<QemuChange> changes, ref QemuMachine machine)
        {
            if (_request.Rebuilt is null)
                return true;
            if (_request.Rebuilt(changes) is not { } rebuilt)
                return false;
            machine = machine with
            {
                MemoryBytes = rebuilt.MemoryBytes,
                MaxMemoryBytes = rebuilt.MaxMemoryBytes,
                MemorySlots = rebuilt.MemorySlots,
                MemoryObjects = rebuilt.MemoryObjects,
                Devices = _isStartOnly ? machine.Devices : rebuilt.Devices,
            };
            return true;
        }

        /// <summary>What asks for an address in a guest that QEMU does not start: none gets one.</summary>
        private static int AllBars(QemuMachine machine)
        {
            int count = 0;
            _ = QemuTopology.Build(machine, out PciTree? tree);
            if (tree is not null && NumberedTree.TryCreate(tree, out NumberedTree numbered))
            {
                foreach (NumberedFunction function in numbered.Functions)
                    count += function.Node.Bars.Length;
                return count;
            }

            foreach (QemuDevice device in machine.Devices)
                count += device.Host?.Bars.Length ?? 0;
            return count;
        }

        private QemuTrial TrialOf(ImmutableArray<QemuChange> changes, QemuForecast forecast)
        {
            int unplaced = forecast.Placement is null ? AllBars(forecast.Machine) : forecast.CountUnusable();
            GuestOutcome outcome = _request.Limits.StopsStart(forecast.Memory) ? GuestOutcome.Refused : forecast.Outcome;
            return new(changes, outcome, unplaced, IsWell(forecast, _request.Limits));
        }
    }
}
