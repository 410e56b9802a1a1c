// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;

namespace Keyhole.Platforms.Qemu;

/// <content>Lines of Proxmox VE's conf.</content>
internal sealed partial record QemuPaste
{
    private sealed partial class Writer
    {
        private string Proxmox()
        {
            var lines = new List<string>();
            var arguments = new List<string>();
            List<string> kept = [.. QemuCommandText.Split(Kept("args"), 1).Select(static word => word.Text)];
            // What the guest's own arguments say of the processor comes after what Proxmox says, and counts.
            int ownCpu = kept.FindLastIndex(static word => word.TrimStart('-') == "cpu");
            bool isInArguments = changes.Any(IsOfCpu) && ownCpu >= 0 && ownCpu + 1 < kept.Count;
            if (isInArguments)
                kept[ownCpu + 1] = CpuText(kept[ownCpu + 1]);
            else if (changes.Any(IsOfCpu) && CpuSetting() is { } setting)
                lines.Add($"cpu: {setting}");
            List<string> before = [.. kept];
            AddMovedLines(lines, kept);
            isInArguments |= !kept.SequenceEqual(before);
            foreach (QemuChange change in changes)
            {
                switch (change.Setting)
                {
                    case QemuSetting.Chassis or QemuSetting.FirstFunction:
                        break;
                    case QemuSetting.PhysBits when !isInArguments && IsLimitedByGlobal:
                        arguments.AddRange(["-global",
                            string.Create(CultureInfo.InvariantCulture, $"host-x86_64-cpu.host-phys-bits-limit={change.Number}")]);
                        break;
                    case QemuSetting.PhysBits or QemuSetting.GiBPages:
                        break;
                    case QemuSetting.MemorySlots:
                        lines.Add("hotplug: disk,network,usb");
                        break;
                    case QemuSetting.MachineVersion or QemuSetting.Board:
                        lines.Add($"machine: {string.Join(',', [change.Text, .. Kept("machine").Split(',').Skip(1)])}");
                        if (change is { Setting: QemuSetting.Board, Text: "pc" })
                            lines.AddRange(WithoutExpress());
                        break;
                    case QemuSetting.Firmware:
                        lines.Add(change.Text.StartsWith("seabios", StringComparison.Ordinal) ? "bios: seabios" : "bios: ovmf");
                        break;
                    case QemuSetting.OvmfWindow or QemuSetting.Ports or QemuSetting.MaxRamBelow4GiB or QemuSetting.Hole64:
                        arguments.AddRange(Arguments(change));
                        break;
                    case QemuSetting.FirmwareRelease:
                        break;
                }
            }

            if (arguments.Count > 0 || isInArguments)
                lines.Add($"args: {string.Join(' ', WithoutReplaced(kept, arguments).Concat(arguments).Select(Shell))}");
            foreach (string line in lines)
            {
                string key = line[..line.IndexOf(':', StringComparison.Ordinal)];
                Replace($"the line {key}:", guest.Dialect == QemuDialect.Proxmox && KeptText(key) is not null);
            }

            return string.Join('\n', lines);
        }

        /// <summary>The guest's devices as Proxmox VE takes them on a board without PCI Express.</summary>
        private IEnumerable<string> WithoutExpress()
        {
            foreach (QemuProperty setting in guest.Kept)
            {
                string[] parts = setting.Name.StartsWith("hostpci", StringComparison.Ordinal) ? setting.Value.Split(',') : [];
                string[] left = [.. parts.Where(static part => !part.Trim().StartsWith("pcie=", StringComparison.Ordinal))];
                if (left.Length < parts.Length)
                    yield return $"{setting.Name}: {InputError.OneLine(string.Join(',', left), 4000)}";
            }
        }

        private string Kept(string key) => KeptText(key) is { } text ? InputError.OneLine(text, 4000) : "";

        private string? KeptText(string key)
        {
            foreach (QemuProperty setting in guest.Kept)
            {
                if (setting.Name == key)
                    return setting.Value;
            }

            return null;
        }

        /// <summary>Proxmox has no word for a limit of the host's width.</summary>
        private bool IsLimitedByGlobal => request.HasHostsWidth && guest.Cpu.Model is "host" or "";

        /// <summary>The setting with what the changes set; null where it stays as it is.</summary>
        private string? CpuSetting()
        {
            string text = Kept("cpu");
            if (text.Length == 0)
                text = guest.Dialect == QemuDialect.Options ? "x86-64-v2-AES" : "kvm64";
            List<string> parts = [.. text.Split(',')];
            bool isChanged = false;
            foreach (QemuChange change in changes)
            {
                if (change.Setting == QemuSetting.PhysBits && !IsLimitedByGlobal)
                {
                    parts.RemoveAll(static part => part.TrimStart().StartsWith("phys-bits=", StringComparison.Ordinal));
                    parts.Add(string.Create(CultureInfo.InvariantCulture, $"phys-bits={change.Number}"));
                    isChanged = true;
                }
                else if (change.Setting == QemuSetting.GiBPages)
                {
                    const string flags = "flags=";
                    int own = parts.FindIndex(static part => part.StartsWith(flags, StringComparison.Ordinal));
                    string[] others = own < 0 ? []
                        : [.. parts[own][flags.Length..].Split(';').Where(static flag => flag is not ("+pdpe1gb" or "-pdpe1gb" or ""))];
                    if (own >= 0)
                        parts.RemoveAt(own);
                    parts.Add(flags + string.Join(';', [.. others, "+pdpe1gb"]));
                    isChanged = true;
                }
            }

            return isChanged ? string.Join(',', parts) : null;
        }
    }
}
