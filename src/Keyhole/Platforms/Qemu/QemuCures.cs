// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <summary>
/// Looks for the lightest change of settings under which a guest boots with every BAR in its place. Each one is tried by the forecast: nothing is
/// recommended that does not work there, and nothing that the guest has already.
/// </summary>
internal static partial class QemuCures
{
    /// <summary>Forecasts made for one guest at most; a guest of hundreds of devices takes milliseconds for each.</summary>
    private const int MaxForecasts = 1500;

    /// <summary>Values of a setting that are tried together with two others: the first, the last, and some in between.</summary>
    private const int MostOfThree = 5;

    /// <summary>The largest window below 4 GiB that any of the firmwares has: from 80000000 to the I/O APIC.</summary>
    private const ulong LargestLowWindow = QemuLayout.IoApic - 0x80000000;

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
        return forecast.PlacesAll && limits.Suit(forecast) && QemuOtherFirmware.IsWellWithAll(forecast.Machine, limits);
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

    private sealed partial class Search(QemuCureRequest given)
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
        private bool _isNameRefused;
        private string? _refusedBy;

        /// <summary>Without which QEMU does not plug the devices together, whatever else is set.</summary>
        private ImmutableArray<QemuChange> _first = [];

        public QemuCure Result() => new([.. _trials], _best)
        {
            IsStartOnly = _isStartOnly,
            IsPlugRefused = _isPlugRefused,
            IsNameRefused = _isNameRefused,
            RefusedBy = _refusedBy,
        };

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

            if (_request.Machine.LacksKvm && forecast.Memory is null)
            {
                _refusedBy = "QEMU";
                return true;
            }

            if (_request.Machine.Refusal is { IsOfName: true } or { IsOfCommand: true, IsBehindMemory: false }
                || (_request.Machine.Refusal is { IsOfCommand: true } refusal && forecast.Message == refusal.Words))
            {
                _isNameRefused = _request.Machine.Refusal.IsOfName;
                _refusedBy = _isNameRefused ? null : _request.Machine.Refusal.Program;
                return true;
            }

            // QEMU refuses the layout before it plugs devices in: what makes it start is found without their BARs.
            if (forecast is { Outcome: GuestOutcome.Refused, Memory: null } && TryWithoutHostBars(out QemuMachine without))
                (_request, _isStartOnly) = (_request with { Machine = without }, true);
            QemuMachine machine = _request.Machine;
            if (PortNumbers.Mended(machine) is { } numbered)
            {
                _first = [new(QemuSetting.Chassis, 0, PortNumbers.CureName(machine, numbered))];
                if (Try([]) is not { } trial || !QemuForecaster.TryForecast(numbered, out forecast, out _))
                    return true;
                _trials.Add(trial);
                _best = trial.IsCure ? trial : null;
                machine = numbered;
            }

            // How the devices are plugged together QEMU refuses whatever is set.
            if (_best is not null || !TryReckonNeeds(machine))
                return true;
            CollectFamilies(machine, forecast);
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
            ImmutableArray<QemuDevice> devices = WithoutHostBars(_request.Machine.Devices);
            without = _request.Machine with { Devices = devices };
            return devices != _request.Machine.Devices;
        }

        private static ImmutableArray<QemuDevice> WithoutHostBars(ImmutableArray<QemuDevice> devices)
        {
            for (int i = 0; i < devices.Length; i++)
            {
                if (devices[i].Host is not null || !devices[i].Driver.StartsWith("vfio-pci", StringComparison.Ordinal))
                    continue;
                devices = devices.SetItem(i, devices[i] with { Host = new HostFunction([]) });
            }

            return devices;
        }

        /// <summary>What the BARs of 64 and of 32 bits take. False where QEMU does not plug the devices together.</summary>
        private bool TryReckonNeeds(QemuMachine machine)
        {
            QemuTopology topology = QemuTopology.Build(PluggedMemory.WithoutModules(machine), out PciTree? tree);
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
            : trial.Changes[^1].Setting == QemuSetting.PhysBits && trial.Changes[^1].Number > other.Changes[^1].Number;

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
            changes = [.. _first, .. changes];
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
                Refusal = rebuilt.Refusal,
                Devices = _isStartOnly ? WithoutHostBars(rebuilt.Devices) : rebuilt.Devices,
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
            return new(changes, _request.Limits.OutcomeOf(forecast), unplaced, IsWell(forecast, _request.Limits));
        }
    }
}
