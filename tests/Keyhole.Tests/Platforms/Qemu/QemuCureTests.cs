// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using System.Xml.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
using Keyhole.RealQemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Settings that cure a guest whose BARs have no place: each is tried by the forecast, and what is pasted says the same again.</summary>
[TestClass]
public sealed class QemuCureTests
{
    private const ulong GiB = 1UL << 30;

    /// <summary>The remedy's machine.</summary>
    private static QemuMachine Apply(QemuMachine machine, ImmutableArray<QemuChange> changes)
    {
        foreach (QemuChange change in changes)
            machine = change.ApplyTo(machine);
        return machine;
    }

    private static QemuForecast Forecast(QemuMachine machine)
    {
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _));
        return forecast;
    }

    private static GuestSpec Read(string text, string name = "guest")
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), name).TryGet(out GuestDocument? guest, out InputError? error),
            error?.ToString());
        return guest.Guest;
    }

    private static Host HostOf(int? bits = null, int? iommuBits = null, string vendor = "GenuineIntel") => Host.Unknown with
    {
        Traits = new() { CpuVendor = vendor, PhysicalAddressBits = bits, IommuAddressBits = iommuBits, HasGiBPages = true },
    };

    private static ImmutableArray<BarRequest> Gpu(ulong sizeBytes = 128 * GiB) =>
        [BarRequest.Create(0, 16 << 20, BarType.Memory32), BarRequest.Create(1, sizeBytes, BarType.Memory64Prefetchable),
            BarRequest.Create(3, 32 << 20, BarType.Memory64Prefetchable)];

    private static Scenario ScenarioOf(GuestSpec guest, Host host, ImmutableArray<BarRequest> bars) =>
        new() { Host = host, Guest = guest, Qemu = new() { Bars = bars, HostKernel = new QemuVersion(6, 12) } };

    [TestMethod]
    public void Every_remedy_of_a_recorded_guest_gives_every_BAR_its_place()
    {
        int unwell = 0;
        int cured = 0;
        foreach (QemuRecord record in QemuRecord.All)
        {
            QemuMachine machine = record.Machine;
            QemuForecast asItIs = Forecast(machine);
            Assert.IsTrue(QemuCures.TryFind(new(machine), out QemuCure cure), record.Name);
            Assert.AreEqual(asItIs.PlacesAll, cure.IsWell, record.Name);
            Assert.AreEqual(0, cure.Trials[0].Changes.Length);
            if (cure.IsWell)
            {
                Assert.HasCount(1, cure.Trials, record.Name);
                continue;
            }

            unwell++;
            if (cure.Best is not { } best)
                continue;
            cured++;
            QemuMachine changed = Apply(machine, best.Changes);
            Assert.AreNotEqual(machine, changed, record.Name);
            Assert.IsTrue(Forecast(changed).PlacesAll, $"{record.Name}: {best.Name}");
            // No single change of less weight does it as well.
            Assert.IsFalse(cure.Trials.Any(trial => trial.IsCure
                && trial.Changes.Sum(static change => change.Weight) < best.Changes.Sum(static change => change.Weight)), record.Name);
        }

        Assert.AreEqual(408, unwell);
        // The others have more 32-bit BARs than any window below 4 GiB holds, or a device tree that QEMU refuses.
        Assert.AreEqual(246, cured);
    }

    [TestMethod]
    public void Sixty_remedies_were_started_in_the_real_QEMU_and_every_BAR_had_its_place_as_forecast()
    {
        var remedies = new HashSet<QemuMachine>();
        foreach (QemuRecord record in QemuRecord.All.Concat(QemuRecord.Random))
        {
            Assert.IsTrue(QemuCures.TryFind(new(record.Machine), out QemuCure cure));
            if (cure is { IsWell: false, Best: { } best })
                remedies.Add(Apply(record.Machine, best.Changes) is { Firmware.Name: FirmwareName.Ovmf } ovmf
                    ? ovmf with { Firmware = ovmf.Firmware with { Revision = null } } : Apply(record.Machine, best.Changes));
        }

        foreach (QemuRecord record in QemuRecord.Cured)
        {
            Assert.AreEqual("booted", record.Outcome, record.Name);
            Assert.IsEmpty(QemuComparison.Compare(record), record.Name);
            Assert.IsTrue(Forecast(record.Machine).PlacesAll, record.Name);
            Assert.Contains(record.Machine, remedies, record.Name);
        }

        Assert.HasCount(60, QemuRecord.Cured);
    }

    [TestMethod]
    public void What_is_recommended_for_an_unplaced_record_is_the_same_again_when_it_is_pasted_into_the_command_line()
    {
        int count = 0;
        foreach (QemuRecord record in QemuRecord.All.Where(static (_, index) => index % 7 == 0))
        {
            if (CommandLine(record) is not { } text || Forecast(record.Machine).PlacesAll)
                continue;
            GuestSpec spec = Read(text);
            QemuSurroundings around = new() { Firmware = record.Machine.Firmware, Emulator = record.Machine.Emulator };
            Assert.IsTrue(spec.Qemu!.TryResolve(around, out QemuMachine machine, out _));
            QemuCureRequest request = new(machine);
            Assert.IsTrue(QemuCures.TryFind(request, out QemuCure cure));
            if (cure.Best is not { } best || best.Changes.Any(static change => change.Setting is QemuSetting.Firmware or QemuSetting.FirmwareRelease))
                continue;
            string pasted = QemuPaste.Of(spec.Qemu, request, best.Changes).Qemu!;
            GuestSpec changed = Read($"{Without(text, pasted)} {pasted}");
            Assert.IsTrue(changed.Qemu!.TryResolve(around, out QemuMachine again, out _));
            Assert.IsTrue(Forecast(again).PlacesAll, $"{record.Name}\n{pasted}");
            count++;
        }

        Assert.IsGreaterThan(10, count);
    }

    /// <summary>A record's configuration as a command line; null for one that has what only the record's own form says.</summary>
    private static string? CommandLine(QemuRecord record)
    {
        QemuMachine machine = record.Machine;
        if (record.Config.Json.TryGetProperty("objects", out _) || record.Config.Json.TryGetProperty("guest_phys_bits", out _))
            return null;
        var text = new StringBuilder($"qemu-system-x86_64 -nodefaults -accel tcg -machine {machine.Type} -m size={machine.MemoryBytes >> 20}M");
        if (machine.MaxMemoryBytes != 0)
            text.Append($",slots={machine.MemorySlots},maxmem={machine.MaxMemoryBytes >> 20}M");
        text.Append($" -cpu {record.Config.Json.GetProperty("cpu")},phys-bits={machine.Cpu.PhysBits} -smp {machine.Cpus}");
        if (machine.MaxRamBelow4GiB != 0)
            text.Append($" -machine max-ram-below-4g={machine.MaxRamBelow4GiB}");
        foreach (QemuGlobal global in machine.Globals)
            text.Append($" -global {global.Driver}.{global.Property}={global.Value}");
        foreach (QemuFwCfg blob in machine.FwCfg)
            text.Append($" -fw_cfg name={blob.Name},string={blob.Value}");
        if (machine.Vga != "none")
            text.Append($" -vga {machine.Vga}");
        foreach (QemuDevice device in machine.Devices)
            text.Append($" -device {device.Driver}"
                + $"{string.Concat(device.Properties.Select(static property => $",{property.Name}={property.Value}"))}");
        return text.ToString();
    }

    /// <summary>What QEMU refuses when it is there twice goes.</summary>
    private static string Without(string text, string pasted) => pasted.Contains(QemuChange.WindowName, StringComparison.Ordinal)
        ? System.Text.RegularExpressions.Regex.Replace(text, " -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=[0-9]+", "")
        : text;

    [TestMethod]
    [DataRow("-cpu Skylake-Server", 46, null, "phys-bits=4")]
    [DataRow("-cpu Skylake-Server,host-phys-bits=on", 46, null, null)]
    [DataRow("-cpu Skylake-Server -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=262144", 46, null, null)]
    public void Nothing_that_the_guest_follows_already_is_recommended(string options, int hostBits, int? iommuBits, string? words)
    {
        GuestSpec guest =
            Read($"-machine pc-q35-8.2,accel=kvm -m 32G {options} -nodefaults -bios /usr/share/edk2/ovmf-2024.05/OVMF.fd -device "
                + $"pcie-root-port,id=p1 -device vfio-pci,host=01:00.0,bus=p1");
        Plan plan = Planner.Plan(ScenarioOf(guest, HostOf(hostBits, iommuBits), Gpu()));
        Assert.AreEqual(words is not null, plan.HasErrors, string.Join('\n', plan.Problems));
        foreach (Problem problem in plan.Problems.Where(static problem => problem.Severity == Severity.Error))
            Assert.Contains("X-PciMmio64Mb=262144, with which every BAR has its place: -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=262144",
                problem.Remedy!.ToString());
    }

    [TestMethod]
    public void A_width_is_never_raised_beyond_the_host_s_or_its_IOMMU_s()
    {
        // Three BARs of 64 GiB and 40 bits, which OVMF does not believe an Intel guest; with 41 and more it has an eighth of the space.
        GuestSpec guest = Read(
            "-machine pc-q35-8.2,accel=kvm -m 32G -cpu Skylake-Server -nodefaults -bios /usr/share/edk2/ovmf-2024.05/OVMF.fd "
            + string.Concat(Enumerable.Range(1, 3)
                .Select(static i => $"-device pcie-root-port,id=p{i},chassis={i} -device vfio-pci,host={i:x2}:00.0,bus=p{i} ")));
        foreach ((int? host, int? iommu, int? most) in ((int?, int?, int?)[])[(46, null, 46), (46, 39, 39), (46, 42, 42), (null, null, null)])
        {
            Scenario scenario = ScenarioOf(guest, HostOf(host, iommu), Gpu(64 * GiB));
            SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
            Assert.IsNotNull(comparison.Best);
            foreach (TriedSetting tried in comparison.Settings)
            {
                int at = tried.Setting.IndexOf("phys-bits=", StringComparison.Ordinal);
                if (at >= 0 && most is { } limit)
                    Assert.IsLessThanOrEqualTo(limit,
                        int.Parse(tried.Setting.AsSpan(at + "phys-bits=".Length, 2), System.Globalization.CultureInfo.InvariantCulture),
                        tried.Setting);
            }
        }
    }

    /// <summary>Source: Linux, arch/x86/kvm/cpuid.c since 6.10; QEMU, target/i386/kvm/kvm-cpu.c since 9.1.</summary>
    [TestMethod]
    [DataRow("Skylake-Server", 39, 0x70_0000_0000UL, 0x80_0000_0000UL)]
    [DataRow("Skylake-Server", 46, 0xe0_0000_0000UL, 0x100_0000_0000UL)]
    [DataRow("Skylake-Server,guest-phys-bits=39", 46, 0x70_0000_0000UL, 0x80_0000_0000UL)]
    [DataRow("host", 52, 0x3800_0000_0000UL, 0x4000_0000_0000UL)]
    public void KVM_tells_a_guest_no_more_bits_than_the_host_has(string cpu, int hostBits, ulong start, ulong end)
    {
        GuestSpec guest = Read($"-machine pc-q35-9.2,accel=kvm -m 8G -cpu {cpu} -nodefaults -bios /usr/share/edk2/ovmf-2024.08/OVMF.fd "
            + "-device pcie-root-port,id=p1 -device vfio-pci,host=01:00.0,bus=p1");
        Plan plan = Planner.Plan(ScenarioOf(guest, HostOf(hostBits), Gpu(GiB)));
        Assert.AreEqual(ByteRange.FromBounds(start, end), plan.Firmware!.Placement!.Windows.Single(static w => w.Kind == WindowKind.Memory64).Range);
        Assert.IsFalse(plan.HasErrors, string.Join('\n', plan.Problems));
    }

    [TestMethod]
    [DataRow(46, null, "the limit that stands there may be for its sake")]
    [DataRow(46, 46, "")]
    public void A_limit_below_the_hosts_width_is_raised_as_far_as_host_and_IOMMU_go(int hostBits, int? iommuBits, string note)
    {
        GuestSpec guest = Read("-machine pc-q35-8.2,accel=kvm -m 32G -cpu host,host-phys-bits-limit=40 -nodefaults -bios "
            + "/usr/share/edk2/ovmf-2024.05/OVMF.fd " + string.Concat(Enumerable.Range(1, 8).Select(static i =>
                $"-device pcie-root-port,id=p{i},chassis={i} -device vfio-pci,host={i:x2}:00.0,bus=p{i} ")));
        Scenario scenario = ScenarioOf(guest, HostOf(hostBits, iommuBits), Gpu(128 * GiB));
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual("phys-bits=44", comparison.Best, string.Join('\n', comparison.Settings));
        Assert.Contains("host-phys-bits-limit=44", comparison.Paste!.Qemu!);
        Assert.AreEqual(note.Length > 0, comparison.Why.Contains("IOMMU has to have 44", System.StringComparison.Ordinal)
            || (comparison.Paste.Beside ?? "").Contains("IOMMU has to have 44", System.StringComparison.Ordinal));
    }

    [TestMethod]
    public void BARs_beyond_the_IOMMU_are_foretold_with_VFIO_s_words_and_the_limit_that_avoids_it()
    {
        GuestSpec guest =
            Read("-machine pc-q35-8.2,accel=kvm -m 16G -cpu host -nodefaults -bios /usr/share/edk2/ovmf-2024.05/OVMF.fd -device "
                + "pcie-root-port,id=p1 -device vfio-pci,host=01:00.0,bus=p1");
        Plan plan = Planner.Plan(ScenarioOf(guest, HostOf(46, 39), Gpu(16 * GiB)));
        Problem problem = plan.Problems.First(static problem => problem.Code == ProblemCodes.DmaBeyondIommu);
        Assert.Contains("VFIO_MAP_DMA fails with -22", problem.Message);
        Assert.AreEqual(Severity.Warning, problem.Severity);
        Assert.Contains("-cpu host,host-phys-bits=on,host-phys-bits-limit=39", problem.Remedy!.ToString());
        // The same host with an IOMMU as wide as its processor.
        Assert.IsFalse(Planner
            .Plan(ScenarioOf(guest, HostOf(46, 46), Gpu(16 * GiB))).Problems.Any(static other => other.Code == ProblemCodes.DmaBeyondIommu));
    }

    [TestMethod]
    public void Three_settings_are_tried_together_where_two_do_not_suffice()
    {
        // QEMU refuses the hole, OVMF's window is too small, and the BARs of 32 bits do not fit beside 3 GiB of RAM.
        GuestSpec guest =
            Read("-machine pc-i440fx-7.2 -m 4G -cpu Skylake-Server,phys-bits=40 -nodefaults -bios /usr/share/ovmf-2020.11/OVMF.fd -global "
                + "i440FX-pcihost.pci-hole64-size=2T -device vfio-pci,host=01:00.0");
        ImmutableArray<BarRequest> bars = [BarRequest.Create(0, 512 << 20, BarType.Memory32), BarRequest.Create(1, 512 << 20, BarType.Memory32),
            BarRequest.Create(2, 64 * GiB, BarType.Memory64Prefetchable)];
        Scenario scenario = ScenarioOf(guest, HostOf(40), bars) with { Qemu = new() { Bars = bars, Emulator = new QemuVersion(7, 2) } };
        QemuSurroundings around = scenario.Qemu;
        Assert.IsTrue(QemuUsualGuest.Of(scenario).TryResolve(around, out QemuMachine machine, out _));
        Assert.IsTrue(QemuCures.TryFind(new(machine) { Limits = new() { Width = 40 } }, out QemuCure cure));
        Assert.IsNotNull(cure.Best);
        Assert.HasCount(3, cure.Best.Changes, cure.Best.Name);
        Assert.IsTrue(Forecast(Apply(machine, cure.Best.Changes)).PlacesAll);
        Assert.IsFalse(Forecast(machine).PlacesAll);
    }

    /// <summary>A hole of the user's own that moves an AMD guest's RAM beyond what OVMF takes without pages of 1 GiB.</summary>
    [TestMethod]
    public void Two_light_changes_are_taken_rather_than_another_firmware()
    {
        GuestSpec guest = Read("-machine pc-q35-9.2 -m 64G -cpu EPYC,phys-bits=48,-pdpe1gb -nodefaults -bios /usr/share/OVMF/OVMF_CODE_4M.fd "
            + "-global q35-pcihost.pci-hole64-size=2T -device pcie-root-port,id=p1 -device vfio-pci,host=01:00.0,bus=p1");
        Scenario scenario = ScenarioOf(guest, HostOf(48, vendor: "AuthenticAMD"), Gpu());
        Assert.IsTrue(QemuUsualGuest.Of(scenario).TryResolve(scenario.Qemu, out QemuMachine machine, out _));
        Assert.AreEqual(GuestOutcome.Hangs, Forecast(machine).Outcome);

        Assert.IsTrue(QemuCures.TryFind(new(machine) { Limits = new() { Width = 48 }, CanHaveGiBPages = false }, out QemuCure cure));

        Assert.IsTrue(cure.Trials.Any(static trial => trial.IsCure && trial.Changes is [{ Setting: QemuSetting.Firmware }]));
        CollectionAssert.AreEqual(
            new[] { QemuSetting.OvmfWindow, QemuSetting.Hole64 }, cure.Best!.Changes.Select(static change => change.Setting).ToArray());
    }

    [TestMethod]
    [DataRow("0000:01:00.0", 0x020000, Severity.Error)]
    [DataRow("0000:01:00.0", 0x030000, Severity.Info)]
    [DataRow("0000:01:00.0", 0x0c0330, Severity.Info)]
    [DataRow("0000:00:14.0", 0x020000, null)]
    [DataRow(null, 0x020000, Severity.Warning)]
    [DataRow(null, 0x030000, Severity.Info)]
    public void Memory_that_a_device_uses_by_itself_keeps_that_device_from_KVM_and_no_other(string? owner, int classCode, Severity? severity)
    {
        GuestSpec guest = Read("-machine pc-q35-8.2,accel=kvm -m 4G -cpu host -nodefaults -device pcie-root-port,id=p1 "
            + "-device vfio-pci,host=01:00.0,bus=p1");
        var range = PfnRange.FromBounds(new Pfn(0x7b800), new Pfn(0x7bc00));
        Assert.IsTrue(PciAddress.TryParse("0000:01:00.0", out PciAddress address));
        Host host = HostOf(46, 46);
        HostTraits traits = host.Traits with { ReservedDeviceMemory = [range] };
        if (owner is not null && PciAddress.TryParse(owner, out PciAddress whose))
            traits = traits with { DeviceMemoryOwners = [new(range, whose)] };
        host = host with
        {
            Traits = traits,
            Devices = [new(address, "", [new(0, BarKind.Memory, 0xf0000000, 0xf0100000, false, false)]) { ClassCode = classCode }],
        };

        Problem? problem = Planner.Plan(new Scenario { Host = host, Guest = guest }).Problems
            .FirstOrDefault(static problem => problem.Code == ProblemCodes.ReservedDeviceMemory);

        Assert.AreEqual(severity, problem?.Severity, problem?.Message);
        if (problem is not null)
            Assert.Contains(severity == Severity.Info ? "displays and USB controllers, which the guest's devices are" : "platform RMRR requirement",
                problem.Message);
    }

    [TestMethod]
    public void RAM_beyond_the_IOMMU_keeps_QEMU_from_starting()
    {
        GuestSpec guest =
            Read("-machine pc-q35-8.2,accel=kvm -m 600G -cpu host -nodefaults -device pcie-root-port,id=p1 -device vfio-pci,host=01:00.0,bus=p1");
        Plan plan = Planner.Plan(ScenarioOf(guest, HostOf(46, 39), Gpu(16 * GiB)));
        Problem problem = plan.Problems.First(static problem => problem.Code == ProblemCodes.DmaBeyondIommu);
        Assert.AreEqual(Severity.Error, problem.Severity);
        Assert.AreEqual(1UL << 39, problem.Start);
        Assert.IsNull(problem.Remedy);
    }

    [TestMethod]
    public void A_guest_that_is_told_more_bits_than_the_host_has_is_told_so()
    {
        GuestSpec guest =
            Read("-machine pc-q35-8.2,accel=kvm -m 16G -cpu Skylake-Server,phys-bits=46 -nodefaults -bios /usr/share/edk2/ovmf-2024.05/OVMF.fd "
                + "-device pcie-root-port,id=p1 -device vfio-pci,host=01:00.0,bus=p1");
        Problem beyond =
            Planner.Plan(ScenarioOf(guest, HostOf(39), Gpu(16 * GiB))).Problems.First(static problem => problem.Code == ProblemCodes.AddressWidth);
        Assert.AreEqual(Severity.Error, beyond.Severity);
        Assert.Contains("-cpu Skylake-Server,host-phys-bits=on,host-phys-bits-limit=39", beyond.Remedy!.ToString());
    }

    [TestMethod]
    public void The_XML_that_is_pasted_keeps_the_guest_s_own_elements_and_works()
    {
        string xml = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", "libvirt-gpu.xml"))
            .Replace("<pcihole64 unit='KiB'>1073741824</pcihole64>", "", StringComparison.Ordinal)
            .Replace("<domain type='kvm'>",
                "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg "
                    + "value='name=opt/ovmf/X-PciMmio64Mb,string=65536'/>"
                + "<qemu:arg value='-d'/><qemu:arg value='guest_errors'/></qemu:commandline>", StringComparison.Ordinal);
        Host host = HostOf(39);
        Scenario scenario = ScenarioOf(Read(xml, "guest.xml"), host, Gpu());
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual("X-PciMmio64Mb=262144", comparison.Best);
        Assert.IsNull(comparison.Paste!.Qemu);
        Assert.AreEqual(
            """
            <qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
              <qemu:arg value='-d' />
              <qemu:arg value='guest_errors' />
              <qemu:arg value='-fw_cfg' />
              <qemu:arg value='name=opt/ovmf/X-PciMmio64Mb,string=262144' />
            </qemu:commandline>
            """.ReplaceLineEndings("\n"),
            comparison.Paste.Libvirt);
        Scenario cured = ScenarioOf(Read(Pasted(xml, comparison.Paste.Libvirt!), "guest.xml"), host, Gpu());
        Assert.AreEqual("as it is", Planner.PlatformOf(cured).CompareSettings(cured)!.Best);
    }

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

    [TestMethod]
    public void A_width_is_pasted_into_the_processor_that_the_guest_has()
    {
        string xml = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", "libvirt-gpu.xml"))
            .Replace("<pcihole64 unit='KiB'>1073741824</pcihole64>", "", StringComparison.Ordinal)
            .Replace("<cpu mode='host-passthrough' check='none' migratable='on'/>",
                "<cpu mode='host-passthrough' check='none'><topology sockets='1' cores='8' threads='1'/></cpu>", StringComparison.Ordinal);
        Host host = HostOf(46, 39);
        Scenario scenario = ScenarioOf(Read(xml, "guest.xml"), host, Gpu(16 * GiB));
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual(
            """
            <cpu mode='host-passthrough' check='none'>
              <topology sockets='1' cores='8' threads='1' />
              <maxphysaddr mode='passthrough' limit='39' />
            </cpu>
            """.ReplaceLineEndings("\n"),
            comparison.Paste!.Libvirt);
        Scenario cured = ScenarioOf(Read(Pasted(xml, comparison.Paste.Libvirt!), "guest.xml"), host, Gpu(16 * GiB));
        Assert.AreEqual("as it is", Planner.PlatformOf(cured).CompareSettings(cured)!.Best);
    }

    [TestMethod]
    public void Proxmoxs_args_keep_what_they_have()
    {
        const string conf =
            "args: -global q35-pcihost.pci-hole64-size=64G -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536\nbios: ovmf\ncpu: "
                + "x86-64-v2-AES\nmachine: pc-q35-8.1\nmemory: 16384\nhostpci0: 0000:07:00.0,pcie=1\n";
        Host host = HostOf(39);
        Scenario scenario = ScenarioOf(Read(conf, "102.conf"), host, Gpu());
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual("args: -global q35-pcihost.pci-hole64-size=64G -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=262144", comparison.Paste!.Proxmox);
        string changed = string.Join('\n', conf.Split('\n').Where(static line => !line.StartsWith("args:", StringComparison.Ordinal)))
            + comparison.Paste.Proxmox + "\n";
        Scenario cured = ScenarioOf(Read(changed, "102.conf"), host, Gpu());
        Assert.AreEqual("as it is", Planner.PlatformOf(cured).CompareSettings(cured)!.Best);
    }

    [TestMethod]
    public void Where_nothing_helps_no_remedy_is_told_and_what_was_tried_is()
    {
        GuestSpec guest =
            Read("-machine pc-q35-8.2,accel=kvm -m 4G -cpu host -nodefaults -device pcie-root-port,id=p1 -device vfio-pci,host=01:00.0,bus=p1");
        ImmutableArray<BarRequest> bars =
            [.. Enumerable.Range(0, 5).Select(static i => BarRequest.Create(i, 512 << 20, BarType.Memory32Prefetchable))];
        Plan plan = Planner.Plan(ScenarioOf(guest, HostOf(39), bars));
        Assert.IsTrue(plan.HasErrors);
        Assert.IsTrue(plan.Problems.All(static problem => problem.Code == ProblemCodes.NoSettingHelps || problem.Remedy is null));
        Assert.Contains("max-ram-below-4g", plan.Problems.Single(static problem => problem.Code == ProblemCodes.NoSettingHelps).Message);
    }

    [TestMethod]
    public void For_32_bit_BARs_on_q35_the_other_board_is_what_helps()
    {
        GuestSpec guest = new() { Type = GuestType.Kvm, MemoryKiB = 4 << 20, MaxmemKiB = 4 << 20 };
        ImmutableArray<BarRequest> bars =
            [.. Enumerable.Range(0, 3).Select(static i => BarRequest.Create(i, 512 << 20, BarType.Memory32Prefetchable))];
        Scenario scenario = ScenarioOf(guest, HostOf(39), bars);
        SettingComparison comparison = Planner.PlatformOf(scenario).CompareSettings(scenario)!;
        Assert.AreEqual("-machine pc,max-ram-below-4g=2G", comparison.Paste!.Qemu);
        Assert.IsTrue(comparison.Settings.Any(static tried => tried is { Setting: "max-ram-below-4g=3G", Outcome: GuestOutcome.Panics }));
    }
}
