// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Dom0.Tests;

[TestClass]
public sealed class DomainConfigTests
{
    [TestMethod]
    public void The_listing_of_the_real_xl_of_4_17_is_read()
    {
        // As it came from the real thing: the golden guest a_pci of the record "passthrough", started by keyhole.
        const string real = """
            [
                {
                    "domid": 1,
                    "config": {
                        "c_info": { "type": "pv", "name": "g1", "domid": 4294967295, "uuid": "9f1c10ee-f3d0-4946-a39e-bc4746397a50", "run_hotplug_scripts": "True" },
                        "b_info": {
                            "max_vcpus": 1, "avail_vcpus": [ 0 ], "max_memkb": 262144, "target_memkb": 262144, "video_memkb": 0,
                            "sched_params": { "sched": "credit2", "weight": 256, "cap": 0 }, "claim_mode": "True",
                            "kernel": "/k/vmlinuz", "cmdline": "console=hvc0 earlyprintk=xen loglevel=8 ", "ramdisk": "/k/initrd.gz",
                            "type.pv": { "e820_host": "True" }, "arch_arm": { }, "arch_x86": { "msr_relaxed": "False" }
                        },
                        "pcidevs": [ { "dev": 2, "vfunc_mask": 1, "rdm_policy": "strict" } ],
                        "on_poweroff": "preserve", "on_reboot": "restart", "on_soft_reset": "soft_reset"
                    }
                }
            ]


            """;

        GuestSpec guest = DomainConfig.Parse(real)!;

        Assert.AreEqual(("g1", GuestType.Pv, 262144UL, 262144UL, true),
            (guest.Name, guest.Type, guest.MemoryKiB, guest.MaxmemKiB, guest.UsesHostMap));
        Assert.AreEqual("0000:00:02.0", guest.Pci.Single().ToString());
    }

    [TestMethod]
    public void A_PV_guest_on_the_hosts_map_is_read_as_it_was_made()
    {
        GuestSpec guest = DomainConfig.Parse(Listing("""{"e820_host":"True"}""", "[]"))!;

        Assert.AreEqual(("g1", GuestType.Pv, 262144UL, 524288UL, true),
            (guest.Name, guest.Type, guest.MemoryKiB, guest.MaxmemKiB, guest.UsesHostMap));
        Assert.AreEqual("console=hvc0", guest.CommandLine);
    }

    [TestMethod]
    [DataRow("""{"e820_host":"False"}""", false)]
    [DataRow("""{"e820_host":"<default>"}""", false)]
    [DataRow("{}", false)]
    [DataRow("""{"e820_host":true}""", true)]
    public void Without_e820_host_the_guest_has_the_plain_map_whatever_devices_it_has(string pv, bool usesHostMap)
    {
        Assert.AreEqual(usesHostMap, DomainConfig.Parse(Listing(pv, """[{"dev":2}]"""))!.UsesHostMap);
    }

    [TestMethod]
    [DataRow("""[{"func":1,"dev":31,"bus":3,"domain":1}]""", "0001:03:1f.1")]
    [DataRow("""[{"bdf":{"dev":2},"vdevfn":0}]""", "0000:00:02.0")]
    public void Devices_are_read_in_the_old_form_and_the_new(string devices, string address)
    {
        Assert.AreEqual(address, DomainConfig.Parse(Listing("{}", devices))!.Pci.Single().ToString());
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("[]")]
    [DataRow("[1]")]
    [DataRow("{\"config\":{}}")]
    [DataRow("[{\"config\":{\"b_info\":{\"max_memkb\":-1,\"target_memkb\":1}}}]")]
    [DataRow("[{\"config\":")]
    public void What_is_no_listing_is_nothing(string text) => Assert.IsNull(DomainConfig.Parse(text));

    private static string Listing(string pv, string devices) => $$"""
        [
            {
                "domid": 1,
                "config": {
                    "c_info": { "type": "pv", "name": "g1", "uuid": "da989694-a8dc-4a21-8247-ee43858f5fd7", "run_hotplug_scripts": "True" },
                    "b_info": {
                        "max_vcpus": 1, "max_memkb": 524288, "target_memkb": 262144, "shadow_memkb": 5120, "claim_mode": "True",
                        "kernel": "/k/vmlinuz", "cmdline": "console=hvc0", "ramdisk": "/k/initrd.gz", "type.pv": {{pv}}, "arch_arm": { }
                    },
                    "pcidevs": {{devices}},
                    "on_poweroff": "preserve"
                }
            }
        ]
        """;
}
