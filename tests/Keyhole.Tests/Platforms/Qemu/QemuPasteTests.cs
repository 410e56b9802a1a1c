// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Xml.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>A remedy whose setting the guest has already says what it takes the place of, in each form of a guest; and pasted so, it works.</summary>
[TestClass]
public sealed class QemuPasteTests
{
    private const ulong GiB = 1UL << 30;

    private static GuestSpec Read(string text)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest").TryGet(out GuestDocument? guest,
            out InputError? error), error?.ToString());
        return guest.Guest;
    }

    private static Scenario ScenarioOf(string text, ulong barBytes, string? firmware = null, bool? hasGiBPages = true,
        int hostBits = 46) => new()
    {
        Host = Host.Unknown with { Traits = new() { CpuVendor = "GenuineIntel", PhysicalAddressBits = hostBits, HasGiBPages = hasGiBPages } },
        Guest = Read(text),
        Qemu = new()
        {
            Bars = [BarRequest.Create(0, barBytes, BarType.Memory64Prefetchable)],
            HostKernel = new QemuVersion(6, 12),
            Firmware = firmware is not null && QemuFirmware.TryParse(firmware, out QemuFirmware release) ? release : null,
        },
    };

    private static SettingComparison Compare(Scenario scenario) => Planner.PlatformOf(scenario).CompareSettings(scenario)!;

    private static string Domain(string elements, string devices = "") =>
        "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>g</name><memory unit='GiB'>8</memory>"
            + "<os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type>"
            + "<loader readonly='yes' type='pflash'>/usr/share/edk2/ovmf-2024.05/OVMF.fd</loader></os>"
            + $"{elements}<devices>{devices}<hostdev mode='subsystem' type='pci' managed='yes'><source>"
            + "<address domain='0' bus='1' slot='0' function='0'/></source></hostdev></devices></domain>";

    /// <summary>The document with elements in the place of those of their names.</summary>
    private static string Pasted(string xml, string pasted)
    {
        var domain = XElement.Parse(xml);
        foreach (XElement element in XElement.Parse($"<all>{pasted}</all>").Elements())
        {
            domain.Elements(element.Name).Remove();
            domain.Add(element);
        }

        return domain.ToString();
    }

    // 128 GiB need more than the 32 GiB of a guest with QEMU's 40 bits.
    private const string Command = "qemu-system-x86_64 -machine pc-q35-8.2,accel=kvm -m 8G -cpu Skylake-Server -nodefaults "
        + "-bios /usr/share/edk2/ovmf-2024.05/OVMF.fd -device pcie-root-port,id=p1 -device vfio-pci,host=01:00.0,bus=p1";

    [TestMethod]
    [DataRow("name=opt/ovmf/X-PciMmio64Mb,string=abc", true)]
    [DataRow("opt/ovmf/X-PciMmio64Mb,string=1024", false)]
    public void A_window_of_a_command_line_takes_the_place_of_the_one_that_stands_there(string value, bool isIgnored)
    {
        Plan plan = Planner.Plan(ScenarioOf($"{Command} -fw_cfg {value}", 128 * GiB));

        Problem problem = plan.Problems.First(static problem => problem.Code == ProblemCodes.BarUnplaced);
        Assert.EndsWith(": -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=131072 (in place of the -fw_cfg opt/ovmf/X-PciMmio64Mb that stands there)",
            problem.Remedy!.ToString());
        Assert.AreEqual(isIgnored, plan.Problems.Any(static other => other.Code == ProblemCodes.SettingIgnored));
    }

    [TestMethod]
    [DataRow("host,phys-bits=39", true)]
    [DataRow("max,phys-bits=39", true)]
    [DataRow("Skylake-Server,host-phys-bits=on,phys-bits=39", true)]
    [DataRow("host,host-phys-bits=off,phys-bits=39", false)]
    [DataRow("host,host-phys-bits-limit=39", false)]
    [DataRow("Skylake-Server,phys-bits=39", false)]
    public void A_width_beside_the_hosts_own_is_said_to_do_nothing(string cpu, bool isIgnored)
    {
        Problem? problem = Planner.Plan(ScenarioOf(Command.Replace("Skylake-Server", cpu, StringComparison.Ordinal), 1 * GiB)).Problems
            .FirstOrDefault(static problem => problem.Code == ProblemCodes.SettingIgnored);

        Assert.AreEqual(isIgnored, problem is not null);
        if (problem is not null)
            Assert.StartsWith("phys-bits=39 does nothing: ", problem.Message.ToString());
    }

    [TestMethod]
    public void What_is_not_there_takes_no_place() =>
        Assert.EndsWith("string=131072",
            Planner.Plan(ScenarioOf(Command, 128 * GiB)).Problems
                .First(static problem => problem.Code == ProblemCodes.BarUnplaced).Remedy!.ToString());

    /// <summary>Seen on QEMU 7.2 with OVMF 2022.11: blanks before the digits are taken, 65536M and 16777217 are not.</summary>
    [TestMethod]
    [DataRow("'  65536'", null)]
    [DataRow("' 0065536'", null)]
    [DataRow("65536M", "-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536 (in place of the -fw_cfg opt/ovmf/X-PciMmio64Mb that stands there)")]
    [DataRow("64G", "-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536 (in place of the -fw_cfg opt/ovmf/X-PciMmio64Mb that stands there)")]
    [DataRow("16777217", "take it out, for it does nothing")]
    [DataRow("99999999999999999999", "take it out, for it does nothing")]
    public void A_window_that_OVMF_does_not_take_is_named_with_what_was_meant(string value, string? remedy)
    {
        Problem? problem = Planner.Plan(ScenarioOf($"{Command} -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string={value}", 16 * GiB)).Problems
            .FirstOrDefault(static problem => problem.Code == ProblemCodes.SettingIgnored);

        Assert.AreEqual(remedy, problem?.Remedy?.ToString());
    }

    [TestMethod]
    public void A_name_that_is_nearly_that_of_OVMF_s_window_is_told_to_be_none()
    {
        Problem problem = Planner.Plan(ScenarioOf($"{Command} -fw_cfg name=opt/ovmf/X-PciMmio64,string=65536", 16 * GiB)).Problems
            .Single(static problem => problem.Code == ProblemCodes.SettingIgnored);

        Assert.Contains("opt/ovmf/X-PciMmio64\"", problem.Message.ToString());
        Assert.AreEqual("in place of it: -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536", problem.Remedy?.ToString());
    }

    [TestMethod]
    [DataRow("<qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg value='opt/ovmf/X-PciMmio64Mb,string=64G'/></qemu:commandline>",
        "the <qemu:commandline>")]
    [DataRow("<qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg value='string=64G,name=opt/ovmf/X-PciMmio64Mb'/></qemu:commandline>",
        "the <qemu:commandline>")]
    public void A_window_of_libvirt_s_is_changed_where_it_stands(string elements, string replaced)
    {
        string xml = Domain(elements);
        Scenario scenario = ScenarioOf(xml, 128 * GiB);

        PastedSetting paste = Compare(scenario).Paste!;

        Assert.AreEqual($"in place of {replaced} that stands there", paste.Beside);
        Scenario cured = ScenarioOf(Pasted(xml, paste.Libvirt!), 128 * GiB);
        Assert.HasCount(elements.Contains("opt/a", StringComparison.Ordinal) ? 2 : 1, cured.Guest.Qemu!.Machine.FwCfg);
        Assert.AreEqual("as it is", Compare(cured).Best);
    }

    /// <summary>libvirt refuses the name in that element: "That firmware name is reserved".</summary>
    [TestMethod]
    public void A_window_in_libvirt_s_list_of_what_the_firmware_is_given_goes_to_where_libvirt_takes_it()
    {
        string xml = Domain("<sysinfo type='fwcfg'><entry name='opt/a'>1</entry><entry name='opt/ovmf/X-PciMmio64Mb'>64G</entry></sysinfo>");

        PastedSetting paste = Compare(ScenarioOf(xml, 128 * GiB)).Paste!;

        Assert.AreEqual("in place of the <sysinfo type='fwcfg'> that stands there", paste.Beside);
        Scenario cured = ScenarioOf(Pasted(xml, paste.Libvirt!), 128 * GiB);
        CollectionAssert.AreEqual(new[] { "opt/a", "opt/ovmf/X-PciMmio64Mb" }, cured.Guest.Qemu!.Machine.FwCfg.Select(static b => b.Name).ToArray());
        Assert.DoesNotContain("opt/ovmf/", XElement.Parse(Pasted(xml, paste.Libvirt!)).Element("sysinfo")!.ToString());
        Assert.AreEqual("as it is", Compare(cured).Best);
        Assert.AreEqual("leave <sysinfo type='fwcfg'> out",
            Compare(ScenarioOf(xml.Replace("<entry name='opt/a'>1</entry>", "", StringComparison.Ordinal), 128 * GiB)).Paste!.Beside);
    }

    [TestMethod]
    public void A_hole_of_libvirt_s_keeps_the_rest_of_its_controller()
    {
        string xml = Domain("",
            "<controller type='pci' index='0' model='pcie-root'><alias name='ua-root'/><pcihole64 unit='TiB'>128</pcihole64></controller>");

        PastedSetting paste = Compare(ScenarioOf(xml, GiB)).Paste!;

        Assert.AreEqual(
            """
            <controller type='pci' index='0' model='pcie-root'>
              <alias name='ua-root' />
              <pcihole64 unit='KiB'>33554432</pcihole64>
            </controller>
            """.ReplaceLineEndings("\n"), paste.Libvirt);
        Assert.AreEqual("in place of the <controller type='pci' index='0'> that stands there", paste.Beside);
    }

    [TestMethod]
    public void Slots_of_libvirt_s_are_changed_in_its_own_element()
    {
        PastedSetting paste = Compare(ScenarioOf(
            Domain("<maxMemory slots='255' unit='GiB'>64</maxMemory><cpu mode='host-passthrough'/>")
                .Replace("OVMF.fd", "bios.bin", StringComparison.Ordinal)
                .Replace("type='pflash'", "", StringComparison.Ordinal), GiB, "seabios-1.16.3", hostBits: 38)).Paste!;

        Assert.AreEqual("<maxMemory slots='128' unit='GiB'>64</maxMemory>", paste.Libvirt);
        Assert.AreEqual("in place of the <maxMemory> that stands there", paste.Beside);
    }

    private const string Conf = "bios: ovmf\nmemory: 8192\nhostpci0: 0000:07:00.0,pcie=1\n";

    [TestMethod]
    public void Lines_of_Proxmox_s_that_are_there_are_said_to_be_replaced()
    {
        string conf = $"{Conf}machine: pc-q35-8.1\ncpu: x86-64-v2-AES\nargs: -fw_cfg opt/ovmf/X-PciMmio64Mb,string=64G -d guest_errors\n";

        PastedSetting paste = Compare(ScenarioOf(conf, 128 * GiB)).Paste!;

        Assert.AreEqual("args: -d guest_errors -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=262144", paste.Proxmox);
        Assert.AreEqual("in place of the line args: that stands there", paste.Beside);
    }

    /// <summary>Proxmox hands its args to QEMU last, and QEMU takes the last -cpu.</summary>
    [TestMethod]
    public void A_processor_that_stands_in_Proxmox_s_args_is_changed_there()
    {
        string conf = $"{Conf}machine: pc-q35-8.1\ncpu: x86-64-v2-AES\nargs: -cpu Skylake-Server,phys-bits=38\n".Replace("8192", "262144",
            StringComparison.Ordinal);

        Scenario scenario = ScenarioOf(conf, 16 * GiB);
        PastedSetting paste = Compare(scenario).Paste!;

        Assert.StartsWith("args: -cpu Skylake-Server,", paste.Proxmox!);
        Assert.DoesNotContain("cpu: ", paste.Proxmox!);
        string changed = string.Concat(conf.Split('\n').Where(static line => !line.StartsWith("args", StringComparison.Ordinal))
            .Select(static line => line + "\n")) + paste.Proxmox + "\n";
        Assert.AreEqual("as it is", Compare(ScenarioOf(changed, 16 * GiB)).Best);
    }

    /// <summary>Seen on QEMU 7.2 with OVMF 2022.11: without pages of 1 GiB it never ends, with them it boots.</summary>
    [TestMethod]
    [DataRow("-cpu qemu64,phys-bits=42", "-cpu qemu64,phys-bits=42,+pdpe1gb")]
    [DataRow("-cpu EPYC,phys-bits=42,-pdpe1gb", "-cpu EPYC,phys-bits=42,+pdpe1gb")]
    public void RAM_that_QEMU_moves_beyond_what_OVMF_maps_is_named_and_pages_of_1_GiB_are_the_cure(string cpu, string cured)
    {
        Plan plan = Planner.Plan(ScenarioOf($"qemu-system-x86_64 -accel tcg -machine pc-q35-7.2 -m 1500G {cpu} -nodefaults -bios /usr/share/OVMF.fd "
            + "-device pcie-root-port,id=r1 -device pci-testdev,membar=16G,bus=r1", GiB, "ovmf-2022.11"));

        Assert.AreEqual(GuestOutcome.Hangs, plan.Firmware!.Outcome);
        Problem problem = plan.Problems.Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        Assert.AreEqual("the firmware never ends: the guest's RAM, which QEMU moves behind AMD's HyperTransport range, ends at 0x27680000000, beyond "
            + "the 40 address bits that OVMF maps, the most that OVMF takes without pages of 1 GiB (pdpe1gb)", problem.Message);
        Assert.AreEqual($"pdpe1gb=on, with which every BAR has its place: {cured} (in place of the -cpu that stands there)",
            problem.Remedy!.ToString());
    }

    [TestMethod]
    [DataRow("1500G", "47", "64", "ends at 0x27680000000")]
    [DataRow("4G", "42", "1048576", "OVMF's window above 4 GiB (1 TiB, behind RAM) ends at 0x20000000000, beyond the 40 address bits")]
    public void What_reaches_beyond_OVMF_s_bits_is_named(string memory, string bits, string windowMiB, string words)
    {
        Plan plan = Planner.Plan(ScenarioOf($"qemu-system-x86_64 -accel tcg -machine pc-q35-7.2 -m {memory} -cpu qemu64,phys-bits={bits} -nodefaults "
            + $"-bios /usr/share/OVMF.fd -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string={windowMiB}", GiB, "ovmf-2022.11"));

        Assert.Contains(words, plan.Problems.Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart).Message);
    }

    [TestMethod]
    public void Pages_of_1_GiB_are_no_cure_where_the_host_has_none() =>
        Assert.DoesNotContain("pdpe1gb=on", Compare(ScenarioOf(
            "qemu-system-x86_64 -machine pc-q35-8.2,accel=kvm -m 8G -cpu EPYC,phys-bits=42,-pdpe1gb -nodefaults -bios /usr/share/OVMF.fd "
            + "-device pcie-root-port,id=p1 -device vfio-pci,host=01:00.0,bus=p1", 256 * GiB, "ovmf-2024.05", hasGiBPages: false)).Settings
            .Select(static tried => tried.Setting));

    [TestMethod]
    public void Pages_of_1_GiB_join_what_libvirt_and_Proxmox_have_of_the_processor()
    {
        const ulong size = 256 * GiB;
        string xml = Domain("<cpu mode='custom'><model>EPYC</model><maxphysaddr mode='emulate' bits='42'/>"
            + "<feature policy='disable' name='pdpe1gb'/></cpu>");
        PastedSetting paste = Compare(ScenarioOf(xml, size)).Paste!;
        Assert.AreEqual("as it is", Compare(ScenarioOf(Pasted(xml, paste.Libvirt!), size)).Best);

        string conf = $"{Conf}machine: pc-q35-8.1\ncpu: EPYC,phys-bits=42,flags=+aes;-pdpe1gb\n";
        Scenario proxmox = ScenarioOf(conf, 256 * GiB, "ovmf-2024.05");
        string line = Keyhole.Platforms.Qemu.QemuPaste.Of(proxmox.Guest.Qemu!, new(proxmox.Guest.Qemu!.Machine),
            [new(Keyhole.Platforms.Qemu.QemuSetting.GiBPages, 0, "")]).Proxmox!;
        Assert.AreEqual("cpu: EPYC,phys-bits=42,flags=+aes;+pdpe1gb", line);
    }

    [TestMethod]
    public void Of_a_cure_in_two_parts_what_no_file_says_stands_beside_what_is_pasted()
    {
        var change = new Keyhole.Platforms.Qemu.QemuChange(Keyhole.Platforms.Qemu.QemuSetting.FirmwareRelease, 0, "edk2-stable202505");
        var window = new Keyhole.Platforms.Qemu.QemuChange(Keyhole.Platforms.Qemu.QemuSetting.OvmfWindow, 65536, "");
        GuestSpec guest = Read(Command);

        var paste = Keyhole.Platforms.Qemu.QemuPaste.Of(guest.Qemu!, new(guest.Qemu!.Machine), [change, window]);

        Assert.AreEqual("-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536 (the host's firmware package has to be edk2-stable202505 or later)",
            paste.OneLine + paste.InBrackets);
    }

    [TestMethod]
    public void The_BARs_for_which_there_is_no_room_are_named_and_not_the_small_ones_beside_them()
    {
        Plan plan = Planner.Plan(ScenarioOf(
            "qemu-system-x86_64 -accel tcg -machine q35 -m 4G -nodefaults -bios /usr/share/seabios/bios.bin "
            + "-device secondary-vga,vgamem_mb=512,id=a -device secondary-vga,vgamem_mb=512,id=b -device edu", GiB, "seabios-1.16.3"));

        Problem problem = plan.Problems.Single(static problem => problem.Code == ProblemCodes.BarUnplaced);
        Assert.StartsWith("BAR 0 of 0000:00:01.0 (512 MiB) and BAR 0 of 0000:00:02.0 (512 MiB) get no address", problem.Message);
        Assert.IsTrue(plan.Firmware!.Placement!.Bars.Any(static bar => bar.Why is { Reason: UnplacedReason.NotReached }));
    }

    [TestMethod]
    public void Where_the_windows_of_bridges_alone_are_too_many_that_is_told()
    {
        string bridges = string.Concat(Enumerable.Range(1, 17).Select(static i => $"-device pci-bridge,id=b{i},chassis_nr={i},io-reserve=4K "));
        Plan plan = Planner.Plan(ScenarioOf(
            $"qemu-system-x86_64 -accel tcg -machine q35 -m 4G -nodefaults -bios /usr/share/seabios/bios.bin {bridges}", GiB, "seabios-1.16.3"));

        Assert.AreEqual(GuestOutcome.Panics, plan.Firmware!.Outcome);
        Assert.Contains("the I/O ports do not suffice (the windows of the bridges alone take more",
            plan.Problems.Single(static problem => problem.Code == ProblemCodes.BarUnplaced).Message);
    }

    [TestMethod]
    public void How_much_is_short_is_told_where_both_figures_look_alike()
    {
        var why = new Unplaced(UnplacedReason.Window32Full, (1004UL << 20) + 8192, Keyhole.Addresses.ByteRange.FromSize(0xc0000000, 1004UL << 20));
        Assert.EndsWith("which has 1004 MiB at [0xc0000000, 0xfec00000); 8 KiB more are needed", why.ToText());
        Assert.EndsWith("; 900 MiB are needed, each BAR at a multiple of its size", (why with { NeededBytes = 900UL << 20 }).ToText());
    }
}
