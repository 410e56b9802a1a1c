// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using System.Numerics;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Firmware;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <content>Which settings there are to try, and which values of each.</content>
internal static partial class QemuCures
{
    private static readonly ImmutableArray<string> s_seaBios = ["seabios-1.16.2", "seabios-1.16.3", "seabios-1.17.0"];

    private static readonly ImmutableArray<string> s_ovmf =
        ["ovmf-2022.11", "ovmf-2023.05", "ovmf-2023.11", "ovmf-2024.05", "ovmf-2024.08", "ovmf-2024.11", "ovmf-2025.02-8", "edk2-stable202505",
            "edk2-stable202508"];

    private static readonly ImmutableArray<string> s_proxmoxs = ["pve-edk2-2023.08", "pve-edk2-2025.02", "pve-edk2-2025.05"];

    private static readonly ImmutableArray<string> s_ports = ["hotplug=off", "io-reserve=0", "mem-reserve=0", "pref64-reserve=1M"];

    private sealed partial class Search
    {
        private void CollectFamilies(QemuMachine machine, QemuForecast asItIs)
        {
            if (machine.Refusal is { IsOfType: true })
            {
                // Whatever else is set.
                Add([VersionOf(machine, machine.Emulator)]);
                return;
            }

            if (!asItIs.Unseen.IsEmpty)
                Add([new QemuChange(QemuSetting.FirstFunction, 0, QemuUnseen.CureName(asItIs.Unseen))]);
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
            if (hasPorts && WholeWindow(asItIs) is { } whole)
            {
                ports.Add(new(QemuSetting.Ports, 0, $"pref64-reserve={QemuChange.SizeText(whole)}"));
                ports.Add(new(QemuSetting.Ports, 0, $"pref64-reserve={QemuChange.SizeText(whole * 2)}"));
            }

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

        /// <summary>A window of which every multiple is one of the BARs' sizes, for ports whose windows SeaBIOS 1.16.3 puts at places that are none:
        /// what the port with the largest BARs needs, rounded up to a power of two. Null where no BAR is misaligned.</summary>
        private static ulong? WholeWindow(QemuForecast asItIs)
        {
            if (asItIs.Placement is not { } placement || !asItIs.Faults.Any(static fault => fault.Fault == BarFault.Misaligned))
                return null;
            ImmutableArray<NumberedFunction> functions = placement.Tree.Functions;
            var needs = new ulong[functions.Length];
            ulong most = 0;
            for (int i = 0; i < functions.Length; i++)
            {
                foreach (BarRequest bar in functions[i].Node.Bars)
                {
                    if (!bar.Type.Is64Bit() || !bar.Type.IsPrefetchable())
                        continue;
                    for (int at = functions[i].Parent; at >= 0; at = functions[at].Parent)
                    {
                        if (functions[at].Node.Model == "pcie-root-port")
                            most = Math.Max(most, needs[at] += bar.SizeBytes);
                    }
                }
            }

            return most is > 0 and < 1UL << 50 ? BitOperations.RoundUpToPowerOf2(most) : null;
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
            // What Proxmox VE plugs in the guest has from the start where nothing can be.
            foreach (QemuDevice device in _request.NamesSlots ? machine.Devices : [])
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
            foreach (string name in now.Name != FirmwareName.Ovmf ? s_seaBios : now.Maker == FirmwareMaker.Proxmox ? s_proxmoxs : s_ovmf)
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
    }
}
