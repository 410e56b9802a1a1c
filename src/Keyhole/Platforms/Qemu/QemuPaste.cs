// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Xml.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;

namespace Keyhole.Platforms.Qemu;

/// <summary>Changes of a guest, ready to be pasted into the file or command line that describes it. Null for a form that the guest has not, or that
/// has no word for a change.</summary>
/// <param name="Libvirt">Elements of the domain; each takes the place of the one of its name.</param>
/// <param name="Qemu">Arguments; <c>-cpu</c> and <c>-machine</c> take the place of what is there.</param>
/// <param name="Proxmox">Lines of the VMID.conf; each takes the place of the one of its key.</param>
/// <param name="Notes">What no file says: a package to update, a value that goes.</param>
internal sealed record QemuPaste(string? Libvirt, string? Qemu, string? Proxmox, ImmutableArray<string> Notes)
{
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

    public static QemuPaste Of(QemuGuest guest, QemuCureRequest request, ImmutableArray<QemuChange> changes)
    {
        ArgumentNullException.ThrowIfNull(guest);
        ArgumentNullException.ThrowIfNull(request);
        Given.Array(changes, nameof(changes));
        return new Writer(guest, request, changes).Write();
    }

    private sealed class Writer(QemuGuest guest, QemuCureRequest request, ImmutableArray<QemuChange> changes)
    {
        private const string Max4GiBOption = "max-ram-below-4g";

        private readonly List<string> _notes = [];

        public QemuPaste Write()
        {
            foreach (QemuChange change in changes)
                Note(change);
            bool isAny = guest.Dialect == QemuDialect.Options;
            return new(
                isAny || guest.Dialect == QemuDialect.Libvirt ? OrNull(Libvirt()) : null,
                isAny || guest.Dialect == QemuDialect.CommandLine ? OrNull(CommandLine()) : null,
                isAny || guest.Dialect == QemuDialect.Proxmox ? OrNull(Proxmox()) : null,
                [.. _notes]);
        }

        private static string? OrNull(string text) => text.Length == 0 ? null : text;

        private void Note(QemuChange change)
        {
            switch (change.Setting)
            {
                case QemuSetting.FirmwareRelease:
                    _notes.Add($"the host's firmware package has to be {change.Text} or later");
                    break;
                case QemuSetting.Firmware:
                    _notes.Add("a system that was installed under one firmware does not start under the other by itself");
                    break;
                case QemuSetting.Board:
                    _notes.Add("a system finds its devices at other addresses on another board");
                    break;
                case QemuSetting.MemorySlots when change.Number == 0:
                    _notes.Add("without room for memory that is plugged in: "
                        + (guest.Dialect == QemuDialect.Libvirt ? "leave <maxMemory> out" : "the guest keeps the memory that it starts with"));
                    break;
                case QemuSetting.PhysBits when request.WidthLimit is null && !request.HasHostsWidth && guest.IsKvm:
                    _notes.Add(string.Create(CultureInfo.InvariantCulture,
                        $"the host's processor and IOMMU have to have {change.Number} address bits: neither is told"));
                    break;
            }
        }

        // ------------------------------------------------------------------ QEMU

        /// <summary>Whether the width is the host's with a limit, not a number of its own.</summary>
        private bool IsLimit(QemuChange change) => request.HasHostsWidth || (guest.IsKvm && (ulong)(request.WidthLimit ?? 0) == change.Number);

        private string CommandLine()
        {
            var words = new List<string>();
            string machine = "";
            foreach (QemuChange change in changes)
            {
                switch (change.Setting)
                {
                    case QemuSetting.PhysBits:
                        words.Add($"-cpu {Shell(CpuText(change))}");
                        break;
                    case QemuSetting.Firmware when change.Text.StartsWith("seabios", StringComparison.Ordinal):
                        _notes.Add("leave out the flash images (-drive if=pflash, -bios)");
                        break;
                    case QemuSetting.Firmware:
                        words.Add("-drive if=pflash,format=raw,readonly=on,file=OVMF_CODE.fd");
                        break;
                    case QemuSetting.MachineVersion or QemuSetting.Board:
                        machine = machine.Length == 0 ? change.Text : $"{change.Text},{machine}";
                        break;
                    case QemuSetting.MaxRamBelow4GiB:
                        machine = $"{machine}{(machine.Length == 0 ? "" : ",")}{Max4GiBOption}={change.Size}";
                        break;
                    case QemuSetting.OvmfWindow or QemuSetting.Ports or QemuSetting.Hole64 or QemuSetting.MemorySlots:
                        words.AddRange(Arguments(change).Select(Shell));
                        break;
                    case QemuSetting.FirmwareRelease:
                        break;
                }
            }

            if (machine.Length > 0)
                words.Insert(0, $"-machine {machine}");
            return string.Join(' ', words);
        }

        /// <summary>What is handed to QEMU whoever starts it; empty for what each tool has a setting of its own for.</summary>
        private ImmutableArray<string> Arguments(QemuChange change) => change.Setting switch
        {
            QemuSetting.OvmfWindow =>
                ["-fw_cfg", string.Create(CultureInfo.InvariantCulture, $"name={QemuChange.WindowName},string={change.Number}")],
            QemuSetting.Ports => ["-global", $"pcie-root-port.{change.Text}"],
            QemuSetting.MaxRamBelow4GiB => ["-machine", $"{Max4GiBOption}={change.Size}"],
            QemuSetting.Hole64 =>
                ["-global", $"{(request.Machine.Type.Chipset == QemuChipset.Q35 ? "q35-pcihost" : "i440FX-pcihost")}.pci-hole64-size={change.Size}"],
            QemuSetting.MemorySlots => ["-m", MemoryText(change.Number)],
            _ => [],
        };

        /// <summary>The memory option with so many slots; with 0 there is nothing to be plugged in. QEMU takes two of these options together, and so
        /// all is said.</summary>
        private string MemoryText(ulong slots) => string.Create(CultureInfo.InvariantCulture,
            $"{ByteText(request.Machine.MemoryBytes)},slots={slots},maxmem="
                + $"{ByteText(slots == 0 ? request.Machine.MemoryBytes : request.Machine.MaxMemoryBytes)}");

        private static string ByteText(ulong bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes >> 20}M");

        private string CpuText(QemuChange change)
        {
            string text = guest.Cpu.Text.Length > 0 ? guest.Cpu.Text : guest.Cpu.Model.Length > 0 ? guest.Cpu.Model : "qemu64";
            var kept = new StringBuilder();
            foreach (string part in text.Split(','))
            {
                string name = part.Split('=')[0].Trim().Replace('_', '-');
                if (name is "phys-bits" or "host-phys-bits" or "host-phys-bits-limit" or "guest-phys-bits")
                    continue;
                kept.Append(kept.Length == 0 ? "" : ",").Append(part);
            }

            string width = IsLimit(change)
                ? string.Create(CultureInfo.InvariantCulture, $"host-phys-bits=on,host-phys-bits-limit={change.Number}")
                : string.Create(CultureInfo.InvariantCulture, $"host-phys-bits=off,phys-bits={change.Number}");
            string mapped = guest.Cpu.GuestPhysBits is > 0
                ? string.Create(CultureInfo.InvariantCulture, $",guest-phys-bits={Math.Min(change.Number, 48)}") : "";
            return $"{kept},{width}{mapped}";
        }

        /// <summary>A word that a shell hands over as it is.</summary>
        private static string Shell(string word) =>
            word.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '=' or ',' or '.' or '/' or ':' or '+') ? word
                : $"'{word.Replace("'", "'\\''", StringComparison.Ordinal)}'";

        // ------------------------------------------------------------------ libvirt

        private string Libvirt()
        {
            var elements = new List<XElement>();
            var arguments = new List<string>();
            string? machine = null;
            string? firmware = null;
            foreach (QemuChange change in changes)
            {
                switch (change.Setting)
                {
                    case QemuSetting.PhysBits:
                        elements.Add(Cpu(change));
                        break;
                    case QemuSetting.Hole64:
                        bool isQ35 = request.Machine.Type.Chipset == QemuChipset.Q35;
                        elements.Add(new(
                            "controller", new XAttribute("type", "pci"), new XAttribute("index", "0"),
                            new XAttribute("model", isQ35 ? "pcie-root" : "pci-root"),
                            new XElement("pcihole64", new XAttribute("unit", "KiB"), change.Number >> 10)));
                        break;
                    case QemuSetting.MemorySlots when change.Number > 0:
                        elements.Add(new("maxMemory", new XAttribute("slots", change.Number), new XAttribute("unit", "KiB"),
                            request.Machine.MaxMemoryBytes >> 10));
                        break;
                    case QemuSetting.MemorySlots:
                        break;
                    case QemuSetting.MachineVersion or QemuSetting.Board:
                        machine = change.Text;
                        break;
                    case QemuSetting.Firmware:
                        firmware = change.Text;
                        break;
                    case QemuSetting.OvmfWindow or QemuSetting.Ports or QemuSetting.MaxRamBelow4GiB:
                        arguments.AddRange(Arguments(change));
                        break;
                    case QemuSetting.FirmwareRelease:
                        break;
                }
            }

            if (machine is not null || firmware is not null)
                elements.Insert(0, Os(machine, firmware));
            if (arguments.Count > 0)
                elements.Add(CommandLineElement(arguments));
            return string.Join('\n', elements.Select(static element => Indented(element)));
        }

        private XElement Cpu(QemuChange change)
        {
            XElement cpu = Own("cpu") is { } own ? own
                : guest.Cpu.Model is "host" or "" ? new XElement("cpu", new XAttribute("mode", "host-passthrough"))
                : new XElement("cpu", new XAttribute("mode", "custom"), new XAttribute("match", "exact"), new XElement("model", guest.Cpu.Model));
            // Without <cpu> libvirt takes QEMU's plainest model, which stays.
            if (guest.Dialect == QemuDialect.Libvirt && Own("cpu") is null)
                cpu = new XElement("cpu", new XAttribute("mode", "custom"), new XAttribute("match", "exact"), new XElement("model", "qemu64"));
            cpu.Elements("maxphysaddr").Remove();
            cpu.Add(IsLimit(change)
                ? new XElement("maxphysaddr", new XAttribute("mode", "passthrough"), new XAttribute("limit", change.Number))
                : new XElement("maxphysaddr", new XAttribute("mode", "emulate"), new XAttribute("bits", change.Number)));
            return cpu;
        }

        private XElement Os(string? machine, string? firmware)
        {
            XElement os = Own("os") ?? new XElement("os",
                new XElement("type", new XAttribute("arch", "x86_64"), new XAttribute("machine", guest.MachineName), "hvm"));
            if (machine is not null)
                os.Element("type")?.SetAttributeValue("machine", machine);
            if (firmware is null)
                return os;
            foreach (string name in (ReadOnlySpan<string>)["loader", "nvram", "firmware"])
                os.Elements(name).Remove();
            os.SetAttributeValue("firmware", firmware.StartsWith("seabios", StringComparison.Ordinal) ? null : "efi");
            return os;
        }

        /// <summary>The guest's own arguments, without those that the new ones replace.</summary>
        private XElement CommandLineElement(List<string> added)
        {
            XNamespace qemu = LibvirtMachine.Qemu;
            XElement? own = Own("commandline");
            var kept = new List<string>();
            foreach (XElement argument in own?.Elements(qemu + "arg") ?? [])
                kept.Add((string?)argument.Attribute("value") ?? "");
            var element = new XElement(qemu + "commandline", new XAttribute(XNamespace.Xmlns + "qemu", qemu.NamespaceName));
            foreach (string word in WithoutReplaced(kept, added).Concat(added))
                element.Add(new XElement(qemu + "arg", new XAttribute("value", word)));
            foreach (XElement variable in own?.Elements(qemu + "env") ?? [])
                element.Add(new XElement(variable));
            return element;
        }

        /// <summary>Pairs of an option and a value whose key is set again are left out: QEMU refuses a name that is there twice.</summary>
        private static IEnumerable<string> WithoutReplaced(List<string> words, List<string> added)
        {
            for (int i = 0; i < words.Count; i++)
            {
                bool isReplaced = false;
                for (int j = 0; j + 1 < added.Count && i + 1 < words.Count; j += 2)
                    isReplaced |= words[i].TrimStart('-') == added[j].TrimStart('-') && KeyOf(words[i + 1]) == KeyOf(added[j + 1]);
                if (isReplaced)
                    i++;
                else
                    yield return words[i];
            }
        }

        /// <summary>What names the thing that is set: <c>name=opt/…</c>, <c>driver.property</c>.</summary>
        private static string KeyOf(string value)
        {
            int end = value.StartsWith("name=", StringComparison.Ordinal) ? value.IndexOf(',', StringComparison.Ordinal)
                : value.IndexOf('=', StringComparison.Ordinal);
            return end < 0 ? value : value[..end];
        }

        /// <summary>The guest's own element of that name, to be changed; null where it has none.</summary>
        private XElement? Own(string name)
        {
            if (guest.Dialect != QemuDialect.Libvirt || KeptText(name) is not { } text || LibvirtDomain.TryLoad(text) is not { } element)
                return null;
            // Blanks between elements are those of the whole document.
            foreach (XText blank in element.DescendantNodes().OfType<XText>().ToList())
            {
                if (blank.Value.AsSpan().Trim().IsEmpty)
                    blank.Remove();
            }

            return element;
        }

        /// <summary>As libvirt writes it: two blanks, single quotes where no value has one.</summary>
        private static string Indented(XElement element)
        {
            string text = element.ToString().Replace("\r\n", "\n", StringComparison.Ordinal);
            return text.Contains('\'', StringComparison.Ordinal) ? text : text.Replace('"', '\'');
        }

        // ------------------------------------------------------------------ Proxmox VE

        private string Proxmox()
        {
            var lines = new List<string>();
            var arguments = new List<string>();
            foreach (QemuChange change in changes)
            {
                switch (change.Setting)
                {
                    case QemuSetting.PhysBits when request.HasHostsWidth && guest.Cpu.Model is "host" or "":
                        arguments.AddRange(["-global",
                            string.Create(CultureInfo.InvariantCulture, $"host-x86_64-cpu.host-phys-bits-limit={change.Number}")]);
                        break;
                    case QemuSetting.PhysBits:
                        lines.Add(string.Create(CultureInfo.InvariantCulture, $"cpu: {CpuSetting()},phys-bits={change.Number}"));
                        break;
                    case QemuSetting.MemorySlots:
                        lines.Add("hotplug: disk,network,usb");
                        break;
                    case QemuSetting.MachineVersion or QemuSetting.Board:
                        lines.Add($"machine: {change.Text}");
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

            if (arguments.Count > 0)
            {
                List<string> kept = [.. QemuCommandText.Split(Kept("args"), 1).Select(static word => word.Text)];
                lines.Add($"args: {string.Join(' ', WithoutReplaced(kept, arguments).Concat(arguments).Select(Shell))}");
            }

            return string.Join('\n', lines);
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

        private string CpuSetting()
        {
            string text = Kept("cpu");
            if (text.Length == 0)
                return guest.Dialect == QemuDialect.Options ? "x86-64-v2-AES" : "kvm64";
            return string.Join(',', text.Split(',').Where(static part => !part.TrimStart().StartsWith("phys-bits=", StringComparison.Ordinal)));
        }
    }
}
