// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Xml.Linq;
using Keyhole.Guests;

namespace Keyhole.Platforms.Qemu;

/// <content>Elements of libvirt's domain.</content>
internal sealed partial record QemuPaste
{
    private sealed partial class Writer
    {
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
                    case QemuSetting.Chassis or QemuSetting.FirstFunction:
                        break;
                    case QemuSetting.PhysBits or QemuSetting.GiBPages:
                        break;
                    case QemuSetting.Hole64:
                        elements.Add(RootController(change.Number));
                        break;
                    case QemuSetting.MemorySlots when change.Number > 0:
                        XElement most = Own("maxMemory") ?? new("maxMemory", new XAttribute("unit", "KiB"), request.Machine.MaxMemoryBytes >> 10);
                        most.SetAttributeValue("slots", change.Number);
                        elements.Add(most);
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
                        if (change.Setting == QemuSetting.OvmfWindow && WithoutWindow() is { } others)
                            elements.Add(others);
                        break;
                    case QemuSetting.FirmwareRelease:
                        break;
                }
            }

            if (changes.Any(IsOfCpu))
                elements.Insert(0, Cpu());
            if (machine is not null || firmware is not null)
                elements.Insert(0, Os(machine, firmware));
            if (arguments.Count > 0)
                elements.Add(CommandLineElement(arguments));
            foreach (XElement element in elements)
                Replace(NameOf(element), guest.Dialect == QemuDialect.Libvirt && KeptText(element.Name.LocalName) is not null);
            AddMovedAddresses(elements);
            return string.Join('\n', elements.Select(static element => Indented(element)));
        }

        private static string NameOf(XElement element) => element.Name.LocalName switch
        {
            "commandline" => "the <qemu:commandline>",
            "controller" => "the <controller type='pci' index='0'>",
            "sysinfo" => "the <sysinfo type='fwcfg'>",
            string name => $"the <{name}>",
        };

        /// <summary>The guest's own controller of the root bus with another hole.</summary>
        private XElement RootController(ulong bytes)
        {
            XElement controller = Own("controller") ?? new XElement("controller", new XAttribute("type", "pci"), new XAttribute("index", "0"),
                new XAttribute("model", request.Machine.Type.Chipset == QemuChipset.Q35 ? "pcie-root" : "pci-root"));
            controller.Elements("pcihole64").Remove();
            controller.Add(new XElement("pcihole64", new XAttribute("unit", "KiB"), bytes >> 10));
            return controller;
        }

        /// <summary>The guest's own list of what its firmware is given, without the window: libvirt refuses that name there, and QEMU a name that
        /// it is given twice. Null where the list stays as it is, or nothing is left of it.</summary>
        private XElement? WithoutWindow()
        {
            if (Own("sysinfo") is not { } list
                || list.Elements("entry").FirstOrDefault(static entry => (string?)entry.Attribute("name") == QemuChange.WindowName) is not { } entry)
                return null;
            entry.Remove();
            if (list.HasElements)
                return list;
            _notes.Add("leave <sysinfo type='fwcfg'> out");
            return null;
        }

        private XElement Cpu()
        {
            XElement cpu = Own("cpu") is { } own ? own
                : guest.Cpu.Model is "host" or "" ? new XElement("cpu", new XAttribute("mode", "host-passthrough"))
                : new XElement("cpu", new XAttribute("mode", "custom"), new XAttribute("match", "exact"), new XElement("model", guest.Cpu.Model));
            // Without <cpu> libvirt takes QEMU's plainest model, which stays.
            if (guest.Dialect == QemuDialect.Libvirt && Own("cpu") is null)
                cpu = new XElement("cpu", new XAttribute("mode", "custom"), new XAttribute("match", "exact"), new XElement("model", "qemu64"));
            if (changes.Any(static change => change.Setting == QemuSetting.GiBPages))
            {
                cpu.Elements("feature").Where(static feature => (string?)feature.Attribute("name") == "pdpe1gb").Remove();
                cpu.Add(new XElement("feature", new XAttribute("policy", "require"), new XAttribute("name", "pdpe1gb")));
            }

            if (!changes.Any(static change => change.Setting == QemuSetting.PhysBits))
                return cpu;
            QemuChange change = changes.First(static change => change.Setting == QemuSetting.PhysBits);
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

        /// <summary>Pairs of an option and a value that sets the same are left out: QEMU refuses a name that is there twice.</summary>
        private static IEnumerable<string> WithoutReplaced(List<string> words, List<string> added)
        {
            for (int i = 0; i < words.Count; i++)
            {
                bool isReplaced = false;
                for (int j = 0; j + 1 < added.Count && i + 1 < words.Count; j += 2)
                {
                    string option = words[i].TrimStart('-');
                    isReplaced |= option == added[j].TrimStart('-') && KeyOf(option, words[i + 1]) == KeyOf(option, added[j + 1]);
                }

                if (isReplaced)
                    i++;
                else
                    yield return words[i];
            }
        }

        /// <summary>What names the thing that is set, in whichever form: <c>name=opt/…</c>, <c>opt/…</c>; <c>driver.property</c>,
        /// <c>driver=…,property=…</c>.</summary>
        private static string KeyOf(string option, string value)
        {
            if (option == "fw_cfg")
                return QemuOptionSyntax.Find(QemuOptionSyntax.Split(value, "name"), "name") ?? value;
            int equals = value.IndexOf('=', StringComparison.Ordinal);
            if (option == "global" && equals >= 0 && !value.AsSpan(0, equals).Contains('.'))
            {
                ImmutableArray<QemuProperty> parts = QemuOptionSyntax.Split(value, "");
                return $"{QemuOptionSyntax.Find(parts, "driver")}.{QemuOptionSyntax.Find(parts, "property")}";
            }

            return equals < 0 ? value : value[..equals];
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
    }
}
