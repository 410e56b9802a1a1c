// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;

namespace Keyhole.Platforms.Qemu;

/// <summary>Changes of a guest, ready to be pasted into the file or command line that describes it. Null for a form that the guest has not, or that
/// has no word for a change.</summary>
/// <param name="Libvirt">Elements of the domain; each takes the place of the one of its name.</param>
/// <param name="Qemu">Arguments; <c>-cpu</c> and <c>-machine</c> take the place of what is there.</param>
/// <param name="Proxmox">Lines of the VMID.conf; each takes the place of the one of its key.</param>
/// <param name="Notes">What no file says: a package to update, a value that goes.</param>
internal sealed partial record QemuPaste(string? Libvirt, string? Qemu, string? Proxmox, ImmutableArray<string> Notes)
{
    /// <summary>Keys of the VMID.conf whose lines go.</summary>
    public ImmutableArray<string> Dropped { get; init => field = Given.Array(value); } = [];

    /// <summary>In the guest's own form, on one line; the notes alone where no file says the change.</summary>
    public string OneLine
    {
        get
        {
            string own = Proxmox is not null && Qemu is null ? Proxmox : Libvirt is not null && Qemu is null ? Libvirt : Qemu ?? "";
            string line = string.Join(' ', own.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
            return line.Length == 0 ? string.Join("; ", Notes) : line;
        }
    }

    /// <summary>The notes, to stand behind <see cref="OneLine"/>; empty where that says them already.</summary>
    public string InBrackets => Notes.IsEmpty || OneLine == string.Join("; ", Notes) ? "" : $" ({string.Join("; ", Notes)})";

    public static QemuPaste Of(QemuGuest guest, QemuCureRequest request, ImmutableArray<QemuChange> changes)
    {
        ArgumentNullException.ThrowIfNull(guest);
        ArgumentNullException.ThrowIfNull(request);
        Given.Array(changes, nameof(changes));
        return new Writer(guest, request, changes).Write();
    }

    private sealed partial class Writer(QemuGuest guest, QemuCureRequest request, ImmutableArray<QemuChange> changes)
    {
        private const string Max4GiBOption = "max-ram-below-4g";

        private readonly List<string> _notes = [];

        /// <summary>What the guest's own form has already and what is pasted takes the place of.</summary>
        private readonly List<string> _replaced = [];
        private readonly List<string> _dropped = [];

        public QemuPaste Write()
        {
            foreach (QemuChange change in changes)
                Note(change);
            bool isAny = guest.Dialect == QemuDialect.Options;
            string? libvirt = isAny || guest.Dialect == QemuDialect.Libvirt ? OrNull(Libvirt()) : null;
            string? arguments = isAny || guest.Dialect == QemuDialect.CommandLine ? OrNull(CommandLine()) : null;
            string? proxmox = isAny || guest.Dialect == QemuDialect.Proxmox ? OrNull(Proxmox()) : null;
            if (_replaced.Count > 0 && !isAny)
                _notes.Insert(0, $"in place of {Listed(_replaced)} that {(_replaced.Count == 1 ? "stands" : "stand")} there");
            return new(libvirt, arguments, proxmox, [.. _notes]) { Dropped = [.. _dropped] };
        }

        private static string Listed(List<string> names) =>
            names.Count == 1 ? names[0] : $"{string.Join(", ", names.Take(names.Count - 1))} and {names[^1]}";

        /// <summary>Notes that something stands there already; once.</summary>
        private void Replace(string name, bool isThere = true)
        {
            if (isThere && !_replaced.Contains(name))
                _replaced.Add(name);
        }

        private static string? OrNull(string text) => text.Length == 0 ? null : text;

        private void Note(QemuChange change)
        {
            switch (change.Setting)
            {
                case QemuSetting.FirmwareRelease:
                    _notes.Add(request.Machine is { Firmware.Maker: FirmwareMaker.Proxmox, FirmwareFile: var file }
                        && file.Length > 0 && !file.Contains("_4M", StringComparison.Ordinal)
                            ? $"efidisk0 has to be one with efitype=4m, and the host's firmware package {change.Text} or later"
                            : $"the host's firmware package has to be {change.Text} or later");
                    break;
                case QemuSetting.Firmware:
                    _notes.Add($"a system that was installed under one firmware does not start under the other by itself; tried was {change.Text}");
                    break;
                case QemuSetting.MachineVersion when QemuMachineType.TryParse(change.Text, request.Machine.Emulator, out QemuMachineType type)
                    && (request.Machine.IsEmulatorAssumed || type.Version > request.Machine.Emulator):
                    _notes.Add($"QEMU has to be {type.Version} or later");
                    break;
                case QemuSetting.Board:
                    _notes.Add("a system finds its devices at other addresses on another board");
                    break;
                case QemuSetting.MemorySlots when change.Number == 0:
                    _notes.Add("without room for memory that is plugged in: "
                        + (guest.Dialect == QemuDialect.Libvirt ? "leave <maxMemory> out" : "the guest keeps the memory that it starts with"));
                    break;
                case QemuSetting.GiBPages when guest.IsKvm:
                    _notes.Add("the host's processor has to have pages of 1 GiB (pdpe1gb in /proc/cpuinfo)");
                    break;
                case QemuSetting.PhysBits
                    when request.HasHostsWidth && !request.KnowsIommu && (int)change.Number > request.Machine.Cpu.PhysBits:
                    _notes.Add(string.Create(CultureInfo.InvariantCulture,
                        $"the host's IOMMU has to have {change.Number} address bits: how many it has is not told, and the limit that stands "
                            + $"there may be for its sake"));
                    break;
                case QemuSetting.PhysBits when request.Limits.Width is null && !request.HasHostsWidth && guest.IsKvm:
                    _notes.Add(string.Create(CultureInfo.InvariantCulture,
                        $"the host's processor and IOMMU have to have {change.Number} address bits: neither is told"));
                    break;
            }
        }

        // ------------------------------------------------------------------ QEMU

        /// <summary>Whether the width is the host's with a limit, not a number of its own.</summary>
        private bool IsLimit(QemuChange change) => request.HasHostsWidth || (guest.IsKvm && (ulong)(request.Limits.Width ?? 0) == change.Number);

        private string CommandLine()
        {
            var words = new List<string>();
            string machine = "";
            if (changes.Any(IsOfCpu))
            {
                words.Add($"-cpu {Shell(CpuText(guest.Cpu.Text))}");
                Replace("the -cpu", guest.Cpu.Text.Length > 0);
            }

            AddMovedArguments(words);
            foreach (QemuChange change in changes)
            {
                switch (change.Setting)
                {
                    case QemuSetting.Chassis or QemuSetting.FirstFunction:
                        break;
                    case QemuSetting.PhysBits or QemuSetting.GiBPages:
                        break;
                    case QemuSetting.Firmware when change.Text.StartsWith("seabios", StringComparison.Ordinal):
                        _notes.Add("leave out the flash images (-drive if=pflash, -bios)");
                        break;
                    case QemuSetting.Firmware:
                        words.Add("-drive if=pflash,format=raw,readonly=on,file=OVMF_CODE.fd");
                        _notes.Add("file= is where the host has OVMF's image");
                        Replace("the -bios", guest.FirmwareFile.Length > 0);
                        break;
                    case QemuSetting.MachineVersion or QemuSetting.Board:
                        machine = machine.Length == 0 ? change.Text : $"{change.Text},{machine}";
                        Replace("the machine type (what else -machine has stays)", guest.Dialect == QemuDialect.CommandLine);
                        break;
                    case QemuSetting.MaxRamBelow4GiB:
                        machine = $"{machine}{(machine.Length == 0 ? "" : ",")}{Max4GiBOption}={change.Size}";
                        Replace($"the {Max4GiBOption}", request.Machine.MaxRamBelow4GiB != 0);
                        break;
                    case QemuSetting.OvmfWindow or QemuSetting.Ports or QemuSetting.Hole64 or QemuSetting.MemorySlots:
                        words.AddRange(Arguments(change).Select(Shell));
                        Replace(NameOf(change), IsSet(change));
                        break;
                    case QemuSetting.FirmwareRelease:
                        break;
                }
            }

            if (machine.Length > 0)
                words.Insert(0, $"-machine {machine}");
            return string.Join(' ', words);
        }

        private static bool IsOfCpu(QemuChange change) => change.Setting is QemuSetting.PhysBits or QemuSetting.GiBPages;

        /// <summary>How an option of the command line is called that sets what a change sets.</summary>
        private static string NameOf(QemuChange change) => change.Setting switch
        {
            QemuSetting.OvmfWindow => $"the -fw_cfg {QemuChange.WindowName}",
            QemuSetting.Ports => $"the -global pcie-root-port.{change.Property}",
            QemuSetting.Hole64 => "the -global of pci-hole64-size",
            _ => "the -m",
        };

        /// <summary>Whether the guest has a value for it already.</summary>
        private bool IsSet(QemuChange change) => change.Setting switch
        {
            QemuSetting.OvmfWindow => request.Machine.FwCfgValue(QemuChange.WindowName) is not null,
            QemuSetting.Ports => request.Machine.Global("pcie-root-port", change.Property) is not null,
            QemuSetting.Hole64 => request.Machine.Globals.Any(static global => global.Property == "pci-hole64-size"),
            _ => true,
        };

        /// <summary>What is handed to QEMU whoever starts it; empty for what each tool has a setting of its own for.</summary>
        private ImmutableArray<string> Arguments(QemuChange change) => change.Setting switch
        {
            QemuSetting.OvmfWindow =>
                ["-fw_cfg", string.Create(CultureInfo.InvariantCulture, $"name={QemuChange.WindowName},string={change.Number}")],
            QemuSetting.Ports => ["-global", $"pcie-root-port.{change.Text}"],
            QemuSetting.MaxRamBelow4GiB => ["-machine", $"{Max4GiBOption}={change.Size}"],
            QemuSetting.Hole64 =>
                ["-global", $"{(IsQ35 ? "q35-pcihost" : "i440FX-pcihost")}.pci-hole64-size={change.Size}"],
            QemuSetting.MemorySlots => ["-m", MemoryText(change.Number)],
            _ => [],
        };

        /// <summary>The board that the guest has in the end.</summary>
        private bool IsQ35 => changes.FirstOrDefault(static change => change.Setting == QemuSetting.Board).Text is { } board ? board == "q35"
            : request.Machine.Type.Chipset == QemuChipset.Q35;

        /// <summary>The memory option with so many slots; with 0 there is nothing to be plugged in. QEMU takes two of these options together, and so
        /// all is said.</summary>
        private string MemoryText(ulong slots) => string.Create(CultureInfo.InvariantCulture,
            $"{ByteText(request.Machine.MemoryBytes)},slots={slots},maxmem="
                + $"{ByteText(slots == 0 ? request.Machine.MemoryBytes : request.Machine.MaxMemoryBytes)}");

        private static string ByteText(ulong bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes >> 20}M");

        /// <summary>The processor as the guest has it, with what the changes set.</summary>
        private string CpuText(string text)
        {
            text = text.Length > 0 ? text : guest.Cpu.Model.Length > 0 ? guest.Cpu.Model : "qemu64";
            bool hasWidth = changes.Any(static change => change.Setting == QemuSetting.PhysBits);
            bool hasPages = changes.Any(static change => change.Setting == QemuSetting.GiBPages);
            var kept = new StringBuilder();
            foreach (string part in text.Split(','))
            {
                string name = part.Split('=')[0].Trim().Replace('_', '-');
                if ((hasWidth && name is "phys-bits" or "host-phys-bits" or "host-phys-bits-limit" or "guest-phys-bits")
                    || (hasPages && name.TrimStart('+', '-') == "pdpe1gb"))
                    continue;
                kept.Append(kept.Length == 0 ? "" : ",").Append(part);
            }

            string pages = hasPages ? ",+pdpe1gb" : "";
            if (!hasWidth)
                return $"{kept}{pages}";
            QemuChange change = changes.First(static change => change.Setting == QemuSetting.PhysBits);
            string width = IsLimit(change)
                ? string.Create(CultureInfo.InvariantCulture, $"host-phys-bits=on,host-phys-bits-limit={change.Number}")
                : string.Create(CultureInfo.InvariantCulture, $"host-phys-bits=off,phys-bits={change.Number}");
            int mostMapped = Math.Min((int)change.Number, request.Machine.Cpu.MostMappedBits);
            string mapped = guest.Cpu.GuestPhysBits is > 0
                ? string.Create(CultureInfo.InvariantCulture, $",guest-phys-bits={mostMapped}") : "";
            return $"{kept}{pages},{width}{mapped}";
        }

        /// <summary>A word that a shell hands over as it is.</summary>
        private static string Shell(string word) =>
            word.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '=' or ',' or '.' or '/' or ':' or '+') ? word
                : $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";
    }
}
