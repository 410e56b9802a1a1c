// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

/// <summary>A map that stays.</summary>
[TestClass]
[TestCategory("RealXen")]
public sealed class InstallTests
{
    private const string Guest = """
        name="guest"
        type="pv"
        kernel="/k/vmlinuz"
        ramdisk="/k/initrd.gz"
        extra='console=hvc0 earlyprintk=xen loglevel=8 rdinit=/bin/busybox -- sh -c "/bin/busybox sleep 3; /bin/busybox reboot -f"'
        vcpus=1
        memory=256
        e820_host=1
        vif=['bridge=xenbr0', 'bridge=xenbr0,mac=00:16:3e:00:00:02']

        """;

    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void Explore()
    {
        Scenario scenario = ScenarioFile.Load("nvs8m") with
        {
            Name = "install",
            Hotplug = true,
            Files = Dom0Programs.Keyhole,
            Texts = ImmutableSortedDictionary<string, string>.Empty.Add("etc/xen/guest.cfg", Guest),
            DeadlineSeconds = 900,
            Steps =
            [
                new RunStep("ls", "ls -l /etc/xen /etc/xen/scripts; brctl show; which logger xenstore-write timeout bash"),
                new RunStep("install", "time keyhole install /etc/xen/guest.cfg; cat /etc/xen/keyhole/guest/vif-1"),
                new RunStep("create", "time xl -vv create /etc/xen/guest.cfg; echo status $?; xl list; cat /var/log/syslog | tail"),
                new RunStep("wait", "for i in $(seq 240); do [ $(grep -c 'Remapped 256 page' /var/log/xen/console/guest-guest.log) -ge 3 ] && break; sleep 0.5; done; grep -e Remapped -e 'reboot' /var/log/xen/console/guest-guest.log; xl list; tail /var/log/syslog; cat /var/log/xen/xl-guest.log; ls /run/keyhole"),
                new RunStep("inspect", "keyhole inspect guest; xl destroy guest; brctl show; cat /var/log/xen/console/guest-guest.log | tail -30"),
            ],
        };
        XenRun run = XenMachine.Run(scenario);
        TestContext.WriteLine(run.Answers);
        foreach ((TimeSpan at, string line) in run.Marks)
            TestContext.WriteLine($"{at.TotalSeconds,6:0.0} s {line}");
        Assert.Fail("to see it");
    }
}
