// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.PvGuest;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms;

/// <summary>What is advised for a guest is in the words of its own configuration: no guest of libvirt is told what to write into an xl.cfg.</summary>
[TestClass]
public sealed class OwnWordsTests
{
    private static readonly string[] s_xmlWords = ["<", "/>", "virsh"];
    private static readonly string[] s_xlWords = ["e820_host=1", "e820_host=0", "pci=", "maxmem", "type=\"", "xl mem-set", "mmio_hole="];
    private static readonly string[] s_proxmoxWords = ["args: ", "hotplug: ", "machine: ", "bios: ", "cpu: "];
    private static readonly string[] s_qemuWords = ["ulimit", "-machine ", "-cpu "];

    private static string[] Foreign(string dialect) => dialect switch
    {
        "xl" => [.. s_xmlWords, .. s_proxmoxWords, .. s_qemuWords],
        "libvirt-xen" => [.. s_xlWords, .. s_proxmoxWords, .. s_qemuWords],
        "libvirt-kvm" => [.. s_xlWords, .. s_proxmoxWords, .. s_qemuWords],
        "proxmox" => [.. s_xmlWords, .. s_xlWords.Where(static word => word != "maxmem"), .. s_qemuWords],
        _ => [.. s_xmlWords, .. s_proxmoxWords, "e820_host", "pci=[", "type=\"", "xl "],
    };

    private static string Xl(string type, string more) => $"name=\"a\"\ntype=\"{type}\"\nmemory=2048\n{more}\n";

    private static string LibvirtXen(string type, string more, string devices, int currentMiB = 2048) =>
        $"<domain type='xen'><name>a</name><memory unit='MiB'>2048</memory><currentMemory unit='MiB'>{currentMiB}</currentMemory>"
            + $"<os><type>{type}</type></os>{more}<devices>{devices}</devices></domain>";

    private const string XenDevice = "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0' bus='1' slot='0' function='0'/>"
        + "</source></hostdev>";

    private const string HostMap = "<features><xen><e820_host state='on'/></xen></features>";

    private static string LibvirtKvm(string more, string cpu = "<cpu mode='host-passthrough'/>", string machine = "pc-q35-8.2") =>
        $"<domain type='kvm'><name>a</name><memory unit='GiB'>4</memory><os><type arch='x86_64' machine='{machine}'>hvm</type>"
            + $"<loader type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader></os>{cpu}{more}<devices>{XenDevice}</devices></domain>";

    private static string Proxmox(string more, string cpu = "host", string machine = "q35") =>
        $"bios: ovmf\ncpu: {cpu}\nhostpci0: 0000:01:00.0,pcie=1\nmachine: {machine}\nmemory: 4096\nostype: l26\n{more}\n";

    private static string Qemu(string more, string cpu = "host", string machine = "pc-q35-8.2", string memory = "4G") =>
        $"qemu-system-x86_64 -machine {machine},accel=kvm -cpu {cpu} -m {memory} -nodefaults -drive if=pflash,unit=0,file=/usr/share/OVMF/OVMF_CODE.fd "
            + $"-device pcie-root-port,id=p1 -device vfio-pci,host=0000:01:00.0,bus=p1 {more}";

    /// <summary>Each a guest and lines of its host's log.</summary>
    private static IEnumerable<(string Dialect, string Guest, string Lines)> Guests()
    {
        const string memory = "vfio_dma_map(0x55, 0x0, 0x80000000, 0x7f) = -12 (Cannot allocate memory)";
        const string exceeded = "vfio_pin_pages_remote: RLIMIT_MEMLOCK (67108864) exceeded";
        const string narrow = "address sizes   : 39 bits physical, 48 bits virtual\nDMAR: Host address width 39\n"
            + "smpboot: CPU0: Intel(R) Core(TM) i5-9400 CPU @ 2.90GHz (family: 0x6, model: 0x9e, stepping: 0xa)";
        const string amd = "smpboot: CPU0: AMD EPYC 7742 64-Core Processor (family: 0x17, model: 0x31, stepping: 0x0)";
        foreach (string more in new[] { "", "pci=[\"01:00.0\"]", "e820_host=0\npci=[\"01:00.0\"]", "maxmem=4096", "maxmem=1024", "e820_host=1" })
        {
            yield return ("xl", Xl("pv", more), "");
            yield return ("xl", Xl("pvh", more), "");
            yield return ("xl", Xl("hvm", more), "");
        }

        foreach (string type in new[] { "xen", "xenpvh", "hvm" })
        {
            foreach (string more in new[] { "", HostMap })
            {
                yield return ("libvirt-xen", LibvirtXen(type, more, ""), "");
                yield return ("libvirt-xen", LibvirtXen(type, more, "", 1024), "");
                yield return ("libvirt-xen", LibvirtXen(type, more, XenDevice), "");
                yield return ("libvirt-xen", LibvirtXen(type, more, XenDevice, 1024), "");
            }
        }

        foreach (string lines in new[] { memory, exceeded, narrow, amd, $"{narrow}\n{memory}" })
        {
            yield return ("libvirt-kvm", LibvirtKvm(""), lines);
            yield return ("libvirt-kvm", LibvirtKvm("<maxMemory slots='8' unit='TiB'>1</maxMemory>"), lines);
            yield return ("libvirt-kvm", LibvirtKvm("", "<cpu mode='custom'><model>EPYC</model><maxphysaddr mode='emulate' bits='46'/></cpu>"), lines);
            yield return ("proxmox", Proxmox(""), lines);
            yield return ("proxmox", Proxmox("hotplug: disk,memory\nnuma: 1"), lines);
            yield return ("proxmox", Proxmox("", "host,phys-bits=39"), lines);
            yield return ("proxmox", Proxmox("", "EPYC,phys-bits=46", "pc-q35-6.2"), lines);
            yield return ("qemu", Qemu(""), lines);
            yield return ("qemu", Qemu("", memory: "4G,slots=8,maxmem=1T"), lines);
            yield return ("qemu", Qemu("", "host,phys-bits=39"), lines);
            yield return ("qemu", Qemu("", "EPYC,phys-bits=46"), lines);
        }
    }

    private static Scenario ScenarioOf(string text, string lines, int kernel)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "guest").TryGet(out GuestDocument? guest, out InputError? error),
            $"{error}: {text}");
        return new()
        {
            Host = MapFixtures.Expect(MapFixtures.ReadText($"""
                Linux version 6.2.16-3-pve
                BIOS-provided physical RAM map:
                BIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable
                BIOS-e820: [mem 0x0000000000100000-0x000000003fffffff] usable
                BIOS-e820: [mem 0x0000000040000000-0x0000000040ffffff] reserved
                BIOS-e820: [mem 0x0000000100000000-0x000001ff4fffffff] usable
                tsc: Detected 2250.000 MHz processor
                {lines}

                """)).Host,
            Guest = guest.Guest,
            Bars = guest.Guest.Type == GuestType.Kvm ? [] : [new Bar(0, BarKind.Memory, 0x60000000, 0x61000000, false, false)],
            Qemu = new() { Bars = guest.Guest.Type == GuestType.Kvm ? [BarRequest.Create(0, 64UL << 30, BarType.Memory64Prefetchable)] : [] },
            Kernel = kernel == 0 ? new KernelRelease(6, 8) : new KernelRelease(3, 3),
        };
    }

    [TestMethod]
    [DataRow(Toolstack.Xl, "xl")]
    [DataRow(Toolstack.Libvirt, "libvirt-xen")]
    public void What_is_advised_in_the_place_of_another_map_is_in_the_guests_own_words(Toolstack toolstack, string dialect)
    {
        foreach (GuestType? type in new GuestType?[] { GuestType.Hvm, GuestType.Pvh, null })
        {
            string advice = GuestReview.InsteadOfAnotherMap(type, toolstack).ToString();

            Assert.Contains(toolstack == Toolstack.Libvirt ? "<os><type>xen</type></os>" : "type=\"pv\"", advice);
            Assert.IsFalse(Foreign(dialect).Any(word => advice.Contains(word, StringComparison.Ordinal)), advice);
        }
    }

    [TestMethod]
    public void No_remedy_speaks_the_words_of_another_configuration()
    {
        List<string> wrong = [];
        Dictionary<string, HashSet<string>> seen = [];
        foreach ((string dialect, string guest, string lines) in Guests())
        {
            for (int kernel = 0; kernel < 2; kernel++)
            {
                Scenario scenario = ScenarioOf(guest, lines, kernel);
                Boot boot = Boot.Of(Planner.Plan(scenario));
                foreach (Problem problem in boot.Problems.Where(static problem => problem.Remedy is not null))
                {
                    // What was tried is called by its name in QEMU, of which what is to be written follows.
                    string remedy = problem.Remedy!.ToString();
                    remedy = remedy.IndexOf(", with which", StringComparison.Ordinal) is > 0 and var at ? remedy[at..] : remedy;
                    (seen.TryGetValue(dialect, out HashSet<string>? codes) ? codes : seen[dialect] = []).Add(problem.Code);
                    foreach (string word in Foreign(dialect).Where(word => remedy.Contains(word, StringComparison.Ordinal)))
                        wrong.Add($"{dialect}: {problem.Code}: {word}: {remedy}");
                }
            }
        }

        Assert.AreEqual("", string.Join('\n', wrong.Distinct()));
        Assert.Contains(ProblemCodes.DmaNotTranslated, seen["libvirt-xen"]);
        Assert.Contains(ProblemCodes.BarConflict, seen["libvirt-xen"]);
        Assert.Contains(ProblemCodes.PopulateOnDemand, seen["libvirt-xen"]);
        Assert.Contains(ProblemCodes.NotPv, seen["libvirt-xen"]);
        Assert.Contains(ProblemCodes.MemoryReleased, seen["xl"]);
        foreach (string dialect in new[] { "libvirt-kvm", "qemu" })
            Assert.Contains(ProblemCodes.GuestDoesNotStart, seen[dialect]);
        Assert.Contains(ProblemCodes.SettingIgnored, seen["proxmox"]);
    }
}
