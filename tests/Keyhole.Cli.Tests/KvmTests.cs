// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>KVM guests through the command line: inputs from the field that came out wrong once, and the cure.</summary>
[TestClass]
public sealed class KvmTests
{
    private static string Fixture(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", name);

    private static CommandRun Plan(string host, string devices, params string[] options) =>
        CommandRun.Of(["plan", "--host", Fixture(host), "--type", "kvm", "--memory", "4096", "--devices", Fixture(devices), "--json", .. options]);

    private static string[] Codes(JsonElement answer) =>
        [.. answer.GetProperty("problems").EnumerateArray().Select(static problem => problem.GetProperty("code").GetString()!)];

    [TestMethod]
    [DataRow("h39.json", "shadow-rom.lspci")]
    [DataRow("h39.json", "noshadow.lspci")]
    [DataRow("h39.json", "p100.lspci")]
    [DataRow("hamd.json", "ht.lspci")]
    [DataRow("h39.json", "noindent.lspci")]
    [DataRow("h39.json", "unassigned-size.lspci")]
    public void Devices_that_fit_are_told_to_fit(string host, string devices)
    {
        // OVMF's window is 64 GiB of 39 bits: the BARs of 128 GiB are SeaBIOS's alone.
        bool isLarge = devices is "noindent.lspci" or "unassigned-size.lspci";
        foreach (string firmware in isLarge ? ["seabios-1.16.3"] : new[] { "seabios-1.16.3", "ovmf-2024.05" })
        {
            CommandRun run = Plan(host, devices, "--firmware", firmware);
            Assert.AreEqual(0, run.Status, run.Output);
            JsonElement answer = run.Json();
            Assert.AreEqual("boots", answer.GetProperty("outcome").GetString());
            Assert.DoesNotContain("hyper-transport-hole", Codes(answer));
            Assert.DoesNotContain("bar-conflict", Codes(answer));
            Assert.IsTrue(answer.GetProperty("hostWindows").GetArrayLength() > 0);
        }
    }

    [TestMethod]
    public void The_shadow_of_a_display_s_ROM_changes_no_recommendation()
    {
        string[] best = [.. new[] { "shadow-rom.lspci", "noshadow.lspci" }.Select(static devices =>
            CommandRun.Of("compare", "--host", Fixture("h39.json"), "--type", "kvm", "--memory", "4096", "--devices", Fixture(devices), "--json")
                .Json().GetProperty("best").GetString()!)];
        Assert.AreEqual("as it is", best[0]);
        Assert.AreEqual(best[0], best[1]);
    }

    [TestMethod]
    public void Windows_without_an_address_on_the_host_are_named()
    {
        JsonElement answer = Plan("h39.json", "ignored.lspci").Json();
        Assert.AreEqual(2, Codes(answer).Count(static code => code == "host-unplaced"));
        JsonElement[] windows = [.. answer.GetProperty("hostWindows").EnumerateArray()];
        Assert.HasCount(3, windows);
        Assert.AreEqual("lspci shows <ignored>", windows.Single(static window => window.GetProperty("bar").GetInt32() == 1).GetProperty("why")
            .GetString());
        Assert.Contains("on the host",
            CommandRun.Of("plan", "--host", Fixture("h39.json"), "--type", "kvm", "--memory", "4096", "--devices", Fixture("ignored.lspci")).Output);
    }

    [TestMethod]
    public void For_32_bit_BARs_no_setting_of_q35_is_recommended()
    {
        CommandRun run = Plan("h39.json", "bar32.lspci", "--pci", "01:00.0");
        Assert.AreEqual(1, run.Status);
        string remedy = run.Json().GetProperty("problems").EnumerateArray()
            .First(static problem => problem.GetProperty("code").GetString() == "bar-unplaced").GetProperty("remedy").GetString()!;
        Assert.Contains("-machine pc,max-ram-below-4g=2G", remedy);
        JsonElement compared = CommandRun.Of("compare", "--host", Fixture("h39.json"), "--type", "kvm", "--memory", "4096", "--pci", "01:00.0",
            "--devices", Fixture("bar32.lspci"), "--json").Json();
        Assert.IsTrue(compared.GetProperty("settings").EnumerateArray()
            .Any(static row => row.GetProperty("setting").GetString() == "max-ram-below-4g=3G"
                && row.GetProperty("outcome").GetString() == "panics"));
    }

    [TestMethod]
    [DataRow("102.conf", "boots")]
    [DataRow("qemu.cmd", "boots")]
    [DataRow("libvirt-gpu.xml", "refused")]
    public void Each_configuration_is_read_as_what_it_is(string guest, string outcome)
    {
        CommandRun run = CommandRun.Of("plan", "--host", Fixture("h39.json"), "--guest", Fixture(guest), "--bar-size", "16G,64bit", "--json");
        Assert.AreNotEqual(2, run.Status, run.Errors);
        Assert.AreEqual("qemu", run.Json().GetProperty("platform").GetString());
        Assert.AreEqual(outcome, run.Json().GetProperty("outcome").GetString());
    }

    [TestMethod]
    public void Four_devices_on_a_39_bit_host_stay_within_its_bits()
    {
        CommandRun run = CommandRun.Of(
            "compare", "--host", Fixture("h39.json"), "--type", "kvm", "--firmware", "ovmf-2024.05", "--memory", "4096", "--pci", "01:00.0", "--pci",
            "02:00.0", "--pci", "03:00.0", "--pci", "04:00.0",
            "--bar-size", "32G,64bit", "--json");
        Assert.AreEqual(0, run.Status, run.Output);
        JsonElement answer = run.Json();
        Assert.Contains("X-PciMmio64Mb=", answer.GetProperty("best").GetString()!);
        Assert.DoesNotContain("phys-bits=4", run.Output);
        Assert.Contains("<qemu:arg value='-fw_cfg' />", answer.GetProperty("paste").GetProperty("libvirt").GetString()!);
        Assert.Contains("args: -fw_cfg", answer.GetProperty("paste").GetProperty("proxmox").GetString()!);
    }

    [TestMethod]
    [DataRow("100G,64bit")]
    [DataRow("4G,32bit")]
    [DataRow("big")]
    public void A_size_that_no_register_has_is_refused_in_one_line(string size)
    {
        CommandRun run = CommandRun.Of("plan", "--host", Fixture("h39.json"), "--type", "kvm", "--memory", "4096", "--bar-size", size);
        Assert.AreEqual(2, run.Status);
        Assert.StartsWith("keyhole: --bar-size: ", run.Errors);
        Assert.HasCount(1, run.Errors.TrimEnd('\n').Split('\n'));
    }

    [TestMethod]
    public void The_table_marks_what_to_take_and_prints_it_in_three_forms()
    {
        CommandRun run = CommandRun.Of(
            "compare", "--host", Fixture("h39.json"), "--type", "kvm", "--firmware", "ovmf-2024.05", "--phys-bits", "40", "--memory", "4096",
            "--bar-size", "128G,64bit");
        Assert.AreEqual(0, run.Status, run.Output);
        Assert.Contains(" *  ", run.Output);
        foreach (string form in new[] { "in QEMU's arguments:", "in libvirt's XML:", "in Proxmox VE's conf:" })
            Assert.Contains(form, run.Output);
    }

    [TestMethod]
    public void What_the_host_s_log_tells_of_its_Linux_and_its_IOMMU_counts()
    {
        const string log = """
            [    0.000000] Linux version 6.8.0-40-generic (buildd@lcy02) (gcc 13) #40-Ubuntu SMP
            [    0.000000] BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
            [    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000bfffffff] usable
            [    0.000000] BIOS-e820: [mem 0x0000000100000000-0x000000103fffffff] usable
            [    0.010000] DMAR: Host address width 39
            [    0.020000] DMAR: RMRR base: 0x000000ab000000 end: 0x000000ab7fffff
            """;
        CommandRun run = CommandRun.WithInput(
            System.Text.Encoding.UTF8.GetBytes(log), "plan", "--host", "-", "--type", "kvm", "--memory", "16384", "--phys-bits", "46", "--firmware",
            "ovmf-2024.05", "--bar-size", "16G,64bit", "--json");
        Assert.AreNotEqual(2, run.Status, run.Errors);
        JsonElement[] problems = [.. run.Json().GetProperty("problems").EnumerateArray()];
        Assert.IsFalse(problems.Any(static problem => problem.GetProperty("message")
            .GetString()!.Contains("host's Linux is not told", StringComparison.Ordinal)));
        JsonElement beyond = problems.First(static problem => problem.GetProperty("code").GetString() == "dma-beyond-iommu");
        Assert.Contains("39 address bits", beyond.GetProperty("message").GetString()!);
        Assert.Contains("phys-bits", beyond.GetProperty("remedy").GetString()!);
        Assert.IsTrue(problems.Any(static problem => problem.GetProperty("code").GetString() == "reserved-device-memory"));
    }

    [TestMethod]
    public void A_guest_s_own_log_is_held_beside_the_forecast_of_its_command_line()
    {
        string guest = Path.Combine("verify", "sea-ports.cmd");
        CommandRun run = CommandRun.Of("verify", "--guest", Fixture(guest), "--dmesg", Fixture(Path.Combine("verify", "sea-ports.log")), "--json");
        Assert.AreEqual(0, run.Status, run.Errors);
        JsonElement answer = run.Json();
        Assert.IsTrue(answer.GetProperty("agrees").GetBoolean());
        Assert.AreEqual("boots", answer.GetProperty("outcome").GetProperty("forecast").GetString());
        Assert.AreEqual("boots", answer.GetProperty("outcome").GetProperty("observed").GetString());
        Assert.AreEqual("linux-6.12.117", answer.GetProperty("profile").GetString());

        CommandRun other = CommandRun.Of("verify", "--guest", Fixture(guest), "--dmesg", Fixture(Path.Combine("verify", "sea-ports.log")),
            "--firmware", "seabios-1.16.3", "--json");
        Assert.AreEqual(1, other.Status, other.Errors);
        JsonElement[] differences = [.. other.Json().GetProperty("differences").EnumerateArray()];
        Assert.HasCount(5, differences);
        Assert.AreEqual("0x400000000 (16 GiB, mem64-prefetchable)",
            differences.Single(static one => one.GetProperty("what").GetString() == "BAR 2 of 0000:01:00.0").GetProperty("observed").GetString());
        Assert.Contains("Everything agrees with seabios-1.14.0 or seabios-1.16.2.", other.Output);
    }

    [TestMethod]
    public void A_guest_s_log_has_to_be_named_and_to_say_something()
    {
        string guest = Fixture(Path.Combine("verify", "sea-ports.cmd"));
        CommandRun without = CommandRun.Of("verify", "--guest", guest);
        Assert.AreEqual(2, without.Status);
        Assert.Contains("--dmesg", without.Errors);
        CommandRun nothing = CommandRun.WithInput("just words\n"u8.ToArray(), "verify", "--guest", guest, "--dmesg", "-");
        Assert.AreEqual(2, nothing.Status);
        Assert.AreEqual(1, nothing.Errors.TrimEnd().Split('\n').Length, nothing.Errors);
    }

    [TestMethod]
    public void A_folder_of_sysfs_and_a_folder_of_such_folders_tell_the_devices()
    {
        DirectoryInfo root = Directory.CreateTempSubdirectory("keyhole-sysfs");
        try
        {
            string devices = Directory.CreateDirectory(Path.Combine(root.FullName, "sys", "bus", "pci", "devices")).FullName;
            string gpu = Directory.CreateDirectory(Path.Combine(devices, "0000:03:00.0")).FullName;
            string network = Directory.CreateDirectory(Path.Combine(devices, "0000:04:00.0")).FullName;
            File.WriteAllText(Path.Combine(gpu, "resource"), "0x0000002000000000 0x00000020ffffffff 0x000000000014220c\n");
            File.WriteAllText(Path.Combine(network, "resource"), "0x00000000f7000000 0x00000000f701ffff 0x0000000000040200\n");
            string[] guest = ["plan", "--type", "kvm", "--memory", "4096", "--host", Fixture("h39.json"), "--firmware", "seabios-1.16.3", "--json"];
            JsonElement[] one = [.. CommandRun.Of([.. guest, "--pci", "03:00.0", "--devices", gpu]).Json().GetProperty("hostWindows")
                .EnumerateArray()];
            Assert.AreEqual("0x100000000", one.Single().GetProperty("size").GetString());
            foreach (string folder in new[] { devices, root.FullName })
            {
                JsonElement[] all = [.. CommandRun.Of([.. guest, "--pci", "03:00.0", "--pci", "04:00.0", "--devices", folder]).Json()
                    .GetProperty("hostWindows").EnumerateArray()];
                CollectionAssert.AreEqual(new[] { "03:00.0", "04:00.0" }, all.Select(static window => window.GetProperty("bdf").GetString())
                    .ToArray());
            }

            CommandRun nothing = CommandRun.Of([.. guest, "--devices", Directory.CreateDirectory(Path.Combine(root.FullName, "empty")).FullName]);
            Assert.AreEqual(2, nothing.Status);
            Assert.Contains("a folder without devices", nothing.Errors);
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    [TestMethod]
    [DataRow("gfx_passthru=1", "map-not-known", "gfx_passthru= is not modelled")]
    [DataRow("vnuma=[[\"pnode=0\",\"size=2048\",\"vcpus=0\",\"vdistances=10\"]]", "map-not-known", "vnuma= is not modelled")]
    [DataRow("usbctrl=[\"version=3,ports=4\"]", "map-not-known", "usbctrl= adds is not modelled")]
    [DataRow("device_model_stubdomain_override=1", "map-not-known", "runs qemu-xen-traditional, which is not modelled")]
    [DataRow("device_model_version=\"qemu-xen\"\ndevice_model_stubdomain_override=1", "assumed", "QEMU runs in a PV domain of its own")]
    [DataRow("bios=\"ovmf\"", "map-not-known", "the E820 map that OVMF hands over is not modelled")]
    public void What_is_not_modelled_of_an_HVM_guest_is_said(string setting, string code, string words)
    {
        string file = Path.Combine(Path.GetTempPath(), $"keyhole-hvm-{setting.Split('=')[0]}.cfg");
        File.WriteAllText(file, $"type=\"hvm\"\nname=\"h\"\nmemory=2048\n{setting}\n");

        JsonElement json = CommandRun.Of("plan", "--host", Fixture("h39.json"), "--guest", file, "--json").Json();

        Assert.IsTrue(json.GetProperty("problems").EnumerateArray().Any(problem => problem.GetProperty("code").GetString() == code
            && problem.GetProperty("message").GetString()!.Contains(words, StringComparison.Ordinal)), $"{json}");
    }

    [TestMethod]
    public void Where_the_BARs_of_a_device_of_the_host_are_not_told_the_remedy_is_its_listing()
    {
        string[] options = ["--host", CommandRun.Golden("plain4g.log"), "--guest", Fixture("libvirt-gpu.xml")];

        JsonElement json = CommandRun.Of(["plan", .. options, "--json"]).Json();
        CommandRun text = CommandRun.Of(["plan", .. options, "--devices", Fixture("ht.lspci")]);

        JsonElement last = json.GetProperty("problems").EnumerateArray().Last();
        Assert.AreEqual("map-not-known", last.GetProperty("code").GetString());
        Assert.AreEqual("give what lspci -vv prints of it on the host: --devices", last.GetProperty("remedy").GetString());
        Assert.Contains("guest:  gpu, 16384 MiB, with 0000:01:00.0\n", text.Output);
        Assert.Contains("tells no window of 0000:01:00.0: is", text.Errors.ReplaceLineEndings(" ").Replace("   ", " ", StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_firmware_that_nobody_knows_is_not_taken_for_another()
    {
        string file = Path.Combine(Path.GetTempPath(), "keyhole-coreboot.cmd");
        File.WriteAllText(file, "qemu-system-x86_64 -machine q35,accel=kvm -cpu host -m 8G -bios /tmp/coreboot.rom\n");
        string[] options = ["--host", Fixture("h39.json"), "--guest", file];

        JsonElement json = CommandRun.Of(["plan", .. options, "--json"]).Json();
        CommandRun text = CommandRun.Of(["plan", .. options]);
        CommandRun named = CommandRun.Of(["plan", .. options, "--firmware", "seabios-1.16.3"]);

        Assert.IsFalse(json.TryGetProperty("e820", out _));
        Assert.IsFalse(json.TryGetProperty("bars", out _));
        Assert.AreEqual("map-not-known", json.GetProperty("problems").EnumerateArray().Last().GetProperty("code").GetString());
        Assert.AreEqual("none", json.GetProperty("policy").GetString());
        Assert.Contains("--firmware", text.Output);
        Assert.DoesNotContain("policy:", text.Output);
        Assert.DoesNotContain("firmware: ", text.Output);
        Assert.Contains("firmware: seabios 1.16.3: boots", named.Output);
    }

    [TestMethod]
    public void The_picture_of_a_KVM_guest_has_its_RAM_and_its_BARs_and_not_the_host()
    {
        string folder = Directory.CreateTempSubdirectory("keyhole-svg").FullName;
        string picture = Path.Combine(folder, "guest.svg");
        try
        {
            CommandRun run = CommandRun.Of("plan", "--host", Fixture("h39.json"), "--guest", Fixture(Path.Combine("verify", "sea-ports.cmd")),
                "--firmware", "seabios-1.16.2", "--svg", picture);
            Assert.AreEqual(0, run.Status, run.Errors);
            string svg = File.ReadAllText(picture);
            Assert.Contains("BAR 2 of 01:00.0 [0x400000000, 0x800000000) 16 GiB", svg);
            Assert.Contains("bridge 00:01.0: [0xfe800000, 0xfea00000) prefetchable [0x400000000, 0x800000000)", svg);
            Assert.Contains("A guest under seabios 1.16.2", svg);
            Assert.Contains("window above 4 GiB: [0x180000000, 0x840000000)", svg);
            Assert.DoesNotContain("data-column=\"1\"", svg);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
