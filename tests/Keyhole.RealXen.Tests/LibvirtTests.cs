// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.IO;
using System.Text.RegularExpressions;
using Keyhole.RealMachine;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

/// <summary>
/// What docs/libvirt.md says, with the real libvirtd and its libxl driver on the real Xen: on a host with ACPI NVS at 8 MiB, where a guest on libxl's
/// own map dies without a word. eng/prove-install runs it.
/// </summary>
[TestClass]
[TestCategory("RealXen")]
[TestCategory("Long")]
public sealed class LibvirtTests
{
    private const string Idles = "console=hvc0 earlyprintk=xen rdinit=/bin/busybox -- sleep 99999";
    private const string Reboots = "console=hvc0 earlyprintk=xen rdinit=/bin/busybox -- sh -c \"/bin/busybox sleep 5; /bin/busybox reboot -f\"";
    private const string Card =
        "<interface type='bridge'><mac address='00:16:3e:00:00:02'/><source bridge='xenbr0'/><script path='/etc/xen/keyhole/card/vif-1'/></interface>";

    private static readonly Lazy<XenRun> s_run = new(static () => XenMachine.Run(Page()));

    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void The_interfaces_script_gives_the_map_at_the_start_after_virsh_reboot_and_at_autostart()
    {
        string card = Answered("card");

        Assert.Contains("boots 1", card);
        Assert.Contains("boots 2", card);
        Assert.Contains("its map is in force", card);
        Assert.Contains("boots 1", Answered("card-autostart"));
        Assert.Contains("boots 2", Answered("card-inside"));
    }

    [TestMethod]
    public void The_hook_gives_a_guest_that_is_started_paused_its_map_and_refuses_one_that_is_not()
    {
        Assert.Contains("boots 1", Answered("hook"));
        string refused = Answered("not-paused", 1);
        Assert.Contains("create it again, paused: virsh start --paused; it is not started", refused);
        Assert.Contains("shut off", refused);
        // A reboot that nobody looks after: libvirt does not make it paused.
        Assert.Contains("on libxl's own map", Answered("libxl"));
    }

    [TestMethod]
    public void The_supervisor_starts_a_guest_with_the_host_and_again_after_each_reboot_on_its_map()
    {
        string supervised = Answered("supervised");

        Assert.Contains("boots 3", supervised);
        Assert.Contains("started with the host", supervised);
        Assert.HasCount(2, Regex.Matches(supervised, "again after its reboot"), supervised);
    }

    // A guest whose command line is given, with devices and settings of its own.
    private static string Xml(string name, string commandLine, string onReboot = "restart", string devices = "") => $"""
        <domain type='xen'>
          <name>{name}</name>
          <uuid>00000000-0000-4000-8000-00000000000{name.Length}</uuid>
          <memory unit='MiB'>256</memory>
          <vcpu>1</vcpu>
          <os>
            <type arch='x86_64' machine='xenpv'>linux</type>
            <kernel>/k/vmlinuz</kernel>
            <initrd>/k/initrd.gz</initrd>
            <cmdline>{commandLine.Replace("\"", "&quot;", StringComparison.Ordinal)}</cmdline>
          </os>
          <features><xen><e820_host state='on'/></xen></features>
          <on_poweroff>destroy</on_poweroff>
          <on_reboot>{onReboot}</on_reboot>
          <on_crash>preserve</on_crash>
          <devices>
            {devices}
            <console type='pty'><target type='xen' port='0'/></console>
          </devices>
        </domain>

        """;

    private static Scenario Page()
    {
        string samples = Path.Combine(Workshop.Root, "samples", "hooks");
        const string shown = "grep 'keyhole: ' /var/log/syslog; : > /var/log/syslog";
        return ScenarioFile.Load("nvs8m") with
        {
            Name = "libvirt",
            Hotplug = true,
            Libvirt = true,
            CountsInstructions = true,
            Files = Dom0Programs.Keyhole.Add("samples/hooks/libvirt-libxl", Path.Combine(samples, "libvirt-libxl"))
                .Add("samples/hooks/libvirt-supervisor", Path.Combine(samples, "libvirt-supervisor")),
            Texts = ImmutableSortedDictionary<string, string>.Empty
                .Add("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n").Add("etc/group", "root:x:0:\n")
                .Add("etc/libvirt/libvirtd.conf", "auth_unix_rw = \"none\"\nunix_sock_group = \"root\"\nlog_outputs = \"2:file:/var/log/libvirtd.log\"\n")
                // The emulated processor has features that no model of libvirt's is without, and lacks others: any processor is this one.
                .Add("usr/share/libvirt/cpu_map/x86_qemu32.xml",
                    "<cpus><model name='qemu32'><decode host='on' guest='on'/><feature name='fpu'/></model></cpus>\n")
                .Add("bin/boots", InstallTests.Boots)
                .Add("root/card.xml", Xml("card", Idles, devices: Card))
                .Add("root/inside.xml", Xml("card", Reboots, devices: Card))
                .Add("root/guest.xml", Xml("guest", Idles, "preserve"))
                .Add("root/rebooting.xml", Xml("guest", Reboots, "preserve")),
            DeadlineSeconds = 2400,
            Steps =
            [
                new RunStep("libvirtd", """
                    ln -s /usr/sbin/libvirtd /bin/libvirtd
                    chmod +x /bin/boots; cd /root
                    mkdir -p /run/libvirt /var/lib/libvirt/libxl /var/log/libvirt/libxl /var/cache/libvirt /etc/libvirt/libxl
                    libvirtd --daemon; echo "status $?"
                    for i in $(seq 100); do virsh list > /tmp/list 2>&1 && break; sleep 1; done
                    cat /tmp/list; virsh version
                    tail -n 20 /var/log/libvirtd.log
                    """),
                new RunStep("card", $"""
                    cd /root
                    keyhole plan --guest card.xml --emit xl > /etc/xen/card.cfg || exit 1
                    cat /etc/xen/card.cfg
                    grep -q '^vif' /etc/xen/card.cfg || echo "vif=['bridge=xenbr0']" >> /etc/xen/card.cfg
                    keyhole install /etc/xen/card.cfg || exit 1
                    virsh define card.xml && virsh start card && boots card 1
                    virsh reboot card && boots card 2
                    virsh list --all; virsh destroy card
                    tail -n 20 /var/log/libvirtd.log
                    {shown}
                    """),
                new RunStep("card-inside", $"""
                    cd /root; rm -f /var/log/xen/console/guest-card.log
                    virsh define inside.xml && virsh start card && boots card 2
                    virsh destroy card
                    virsh define card.xml
                    {shown}
                    """),
                new RunStep("card-autostart", $"""
                    virsh autostart card
                    kill $(pidof libvirtd); while pidof libvirtd > /dev/null; do sleep 0.2; done
                    rm -rf /run/libvirt/libxl/* /var/log/xen/console/guest-card.log
                    libvirtd --daemon
                    boots card 1
                    virsh autostart --disable card
                    virsh destroy card; virsh undefine card
                    {shown}
                    """),
                new RunStep("hook", $"""
                    cd /
                    mkdir -p /etc/libvirt/hooks
                    cp samples/hooks/libvirt-libxl /etc/libvirt/hooks/libxl
                    mkdir -p /etc/keyhole
                    echo "stop guest" > /etc/keyhole/libvirt-guests
                    kill $(pidof libvirtd); while pidof libvirtd > /dev/null; do sleep 0.2; done
                    libvirtd --daemon; for i in $(seq 100); do virsh list > /dev/null 2>&1 && break; sleep 1; done
                    virsh define /root/guest.xml
                    virsh start --paused guest && virsh resume guest
                    boots guest 1
                    virsh destroy guest
                    {shown}
                    """),
                new RunStep("not-paused", $"""
                    virsh start guest
                    status=$?
                    virsh domstate guest
                    {shown}
                    exit $((status != 0))
                    """),
                new RunStep("libxl", $"""
                    echo "libxl guest" > /etc/keyhole/libvirt-guests
                    virsh start guest; sleep 3
                    virsh domstate guest
                    virsh destroy guest
                    {shown}
                    """),
                new RunStep("supervised", $"""
                    cp samples/hooks/libvirt-supervisor /bin/keyhole-libvirt-supervisor
                    echo "stop guest" > /etc/keyhole/libvirt-guests
                    echo "autostart guest" >> /etc/keyhole/libvirt-guests
                    virsh autostart --disable guest
                    virsh define /root/rebooting.xml
                    rm -f /var/log/xen/console/guest-guest.log
                    keyhole-libvirt-supervisor &
                    boots guest 3
                    kill $!
                    virsh list --all; virsh destroy guest
                    {shown}
                    """),
            ],
        };
    }

    private string Answered(string step, int status = 0)
    {
        XenRun run = s_run.Value;
        TestContext.WriteLine($"{run.Scenario.Name}: {run.End} after {run.Elapsed.TotalSeconds:0.0} s");
        TestContext.WriteLine(run.Answers);
        Dom0Answer answer = Dom0Answer.Of(run, step);
        Assert.AreEqual(status, answer.Status, $"{step}: {answer.Output}");
        return answer.Output;
    }
}
