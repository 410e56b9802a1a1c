// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.RealMachine;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

/// <summary>
/// A map that stays, on the real Xen with the real xl and Xen's own vif-bridge: on a host with ACPI NVS at 8 MiB, where a guest on libxl's own map
/// dies without a word, and one on punch moves 256 pages.
/// </summary>
[TestClass]
[TestCategory("RealXen")]
public sealed class InstallTests
{
    // What docs/install.md calls /etc/xen/guest.cfg: it idles, so that whoever wants it to reboot has to say so.
    private const string Guest = """
        # A guest with two network cards, on Xen's own scripts
        name="guest"
        type="pv"
        kernel="/k/vmlinuz"
        ramdisk="/k/initrd.gz"
        extra="console=hvc0 earlyprintk=xen rdinit=/bin/busybox -- sleep 99999"
        vcpus=1
        memory=256
        e820_host=1
        on_crash="preserve"
        vif = [ 'bridge=xenbr0',   # the first
                "mac=00:16:3e:00:00:02,bridge=xenbr0" ]

        """;

    // Its first process ends by rebooting it.
    private static readonly string s_inside = Guest.Replace("\"guest\"", "\"inside\"", StringComparison.Ordinal)
        .Replace("\"console=hvc0 earlyprintk=xen rdinit=/bin/busybox -- sleep 99999\"",
            "'console=hvc0 earlyprintk=xen rdinit=/bin/busybox -- sh -c \"/bin/busybox sleep 1; /bin/busybox reboot -f\"'", StringComparison.Ordinal);

    // Neither card nor disk.
    private static readonly string s_kept = s_inside.Replace("\"inside\"", "\"kept\"", StringComparison.Ordinal)
        .Split("vif =")[0] + "on_reboot=\"preserve\"\n";

    // A disk on a block device, and no card.
    private static readonly string s_disk = Guest.Replace("\"guest\"", "\"disk\"", StringComparison.Ordinal)
        .Split("vif =")[0] + "disk = [ 'phy:/dev/loop0,xvda,w' ]\n";

    // boots NAME COUNT: waits until the guest has come up so often on its map, and says how often it has.
    internal const string Boots = """
        #!/bin/busybox sh
        log=/var/log/xen/console/guest-$1.log
        for i in $(seq $((600 * $2 + 1))); do
          count=$(cat "$log" 2>/dev/null | grep -c 'Remapped [0-9]* page(s)')
          [ "$count" -ge "$2" ] && break
          sleep 0.2
        done
        echo "boots $count"

        """;

    private static readonly RunStep s_before =
        new("before", "cp /etc/xen/guest.cfg /tmp/guest.cfg; chmod +x /bin/boots; mkdir /etc/xen/auto; ln -s ../guest.cfg /etc/xen/auto/guest.cfg");

    private static readonly Lazy<XenRun> s_run = new(static () => XenMachine.Run(Everyday()));
    private static readonly Lazy<XenRun> s_probe = new(static () => XenMachine.Run(Probed()));

    // The Xen that eng/prove-install asks for; without it the one that is booted where nothing is said.
    private static readonly string s_xen = Environment.GetEnvironmentVariable("KEYHOLE_XEN") is { Length: > 0 } version
        ? XenRelease.Named(version).Version : XenRelease.Default.Version;

    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void The_commands_of_the_page_give_the_guest_its_map_again_after_xl_reboot_and_undo_takes_it_back_to_the_byte()
    {
        XenRun run = Run();
        string[] page = Page();

        Assert.Contains("nothing was changed (--dry-run)", Answered(run, "page-0", 0));
        Assert.Contains("installed: from the guest's next start on", Answered(run, "page-1", 0));
        Assert.Contains("boots 1", Answered(run, "page-2", 0));
        Assert.Contains("The map that Keyhole installed (punch;", Answered(run, "page-3", 0));
        Assert.Contains("boots 2", Answered(run, "page-4", 0));
        Assert.Contains("taken out", Answered(run, "page-5", 0));
        Assert.HasCount(6, page);
        Assert.AreEqual("", Answered(run, "byte-for-byte", 0).Trim());
        // Two cards, two starts; the second waits for the first, and both say so.
        Assert.HasCount(4, Regex.Matches(Answered(run, "log", 0), "its map is in force \\(backend/vif/[0-9]+/[01]\\)"));
        Assert.Contains("2 interfaces", Answered(run, "bridge", 0));
    }

    [TestMethod]
    public void A_reboot_from_inside_and_autostart_find_the_map_there()
    {
        XenRun run = Run();

        Assert.Contains("boots 2", Answered(run, "inside", 0));
        Assert.Contains("boots 1", Answered(run, "autostart", 0));
    }

    [TestMethod]
    public void A_guest_with_a_disk_and_no_card_gets_its_map_from_the_disks_script_and_again_after_xl_reboot()
    {
        string disk = Answered(Run(), "disk", 0);

        Assert.Contains("boots 1", disk);
        Assert.Contains("boots 2", disk);
        Assert.HasCount(2, Regex.Matches(disk, "its map is in force \\(backend/vbd/[0-9]+/51712\\)"));
        // Xen's own script has run after it: it writes the node.
        Assert.Contains("physical-device 7:0", disk);
    }

    [TestMethod]
    public void The_map_is_applied_in_well_under_a_second_while_xl_builds_the_guest()
    {
        double seconds = double.Parse(Regex.Match(Answered(Run(), "time", 0), "took ([0-9.]+)").Groups[1].Value,
            System.Globalization.CultureInfo.InvariantCulture);

        TestContext.WriteLine($"keyhole apply in the hotplug script: {seconds} s, on an emulated processor");
        Assert.IsLessThan(5.0, seconds);
    }

    [TestMethod]
    public void Where_the_map_cannot_be_given_the_guest_is_not_started_or_starts_on_libxls_as_chosen()
    {
        XenRun run = Run();

        string stopped = Answered(run, "stop", 1);
        Assert.Contains("it gets no map of Keyhole's", stopped);
        Assert.Contains("left 0", stopped);
        Assert.Contains("left 1", Answered(run, "libxl", 0));
        Assert.Contains("starts on libxl's own map", Answered(run, "libxl", 0));
        string killed = Answered(run, "killed", 1);
        Assert.Contains("left 0", killed);
    }

    [TestMethod]
    public void Where_Keyhole_was_removed_the_guest_starts_all_the_same()
    {
        string removed = Answered(Run(), "removed", 0);

        Assert.Contains("left 1", removed);
        Assert.Contains("keyhole is not there any more", removed);
        // On libxl's map, on which it comes to nothing on this host.
        Assert.Contains("boots 0", removed);
    }

    [TestMethod]
    [TestCategory("Long")]
    public void The_probe_says_yes_to_the_map_on_which_a_guest_lives_that_dies_on_libxls() =>
        Assert.Contains("yes", Answered(RunProbe(), "probe", 0));

    [TestMethod]
    [TestCategory("Long")]
    public void Ten_guests_made_at_once_have_their_map_each()
    {
        string script = """
            for i in 0 1 2 3 4 5 6 7 8 9; do
              sed "s/\"guest\"/\"guest$i\"/; s/memory=256/memory=192/; s/00:00:02/00:0$i:02/" /etc/xen/guest.cfg > /etc/xen/guest$i.cfg
              keyhole install /etc/xen/guest$i.cfg > /dev/null || exit 1
            done
            for i in 0 1 2 3 4 5 6 7 8 9; do
              { xl create -q /etc/xen/guest$i.cfg > /tmp/xl$i.log 2>&1; echo $? > /tmp/status$i; } &
            done
            wait
            for i in 0 1 2 3 4 5 6 7 8 9; do echo "guest$i: status $(cat /tmp/status$i), $(boots guest$i 1)"; cat /tmp/xl$i.log; done
            grep keyhole /var/log/syslog
            xl list
            """;
        XenRun run = XenMachine.Run(OnNvs8m("install-ten", [s_before, new RunStep("ten", script)]) with { MemoryMiB = 6144 });
        TestContext.WriteLine(run.Answers);

        string answer = Answered(run, "ten", 0);
        Assert.HasCount(10, Regex.Matches(answer, "guest[0-9]: status 0, boots 1"), answer);
        Assert.HasCount(20, Regex.Matches(answer, "its map is in force"), answer);
    }

    [TestMethod]
    [TestCategory("Long")]
    public void A_guest_on_a_laptop_of_AMDs_survives_ten_reboots_where_it_dies_on_libxls_map()
    {
        Scenario scenario = ScenarioFile.Load("linux612/amdlaptop") with
        {
            Name = "install-reboots",
            Hotplug = true,
            CountsInstructions = true,
            Files = Dom0Programs.Keyhole,
            Texts = Texts,
            DeadlineSeconds = 3600,
            Steps =
            [
                s_before,
                new RunStep("libxl",
                    "xl create -q /etc/xen/inside.cfg && sleep 20; boots inside 0; xl list; xl destroy inside; rm -f "
                        + "/var/log/xen/console/guest-inside.log"),
                new RunStep("reboots",
                    "keyhole install /etc/xen/inside.cfg && xl create -q /etc/xen/inside.cfg && boots inside 11; xl list; xl "
                        + "destroy inside; cat /var/log/syslog"),
            ],
        };
        XenRun run = XenMachine.Run(scenario);
        TestContext.WriteLine(run.Answers);

        Assert.Contains("boots 0", Answered(run, "libxl", 0));
        Assert.Contains("boots 11", Answered(run, "reboots", 0));
    }

    private static ImmutableSortedDictionary<string, string> Texts =>
        ImmutableSortedDictionary<string, string>.Empty.Add("etc/xen/guest.cfg", Guest).Add("etc/xen/inside.cfg", s_inside).Add("bin/boots", Boots)
            .Add("etc/xen/kept.cfg", s_kept).Add("etc/xen/disk.cfg", s_disk);

    /// <summary>The commands of docs/install.md, in order.</summary>
    private static string[] Page()
    {
        string[] lines = File.ReadAllLines(Path.Combine(Workshop.Root, "docs", "install.md"));
        return
        [
            .. lines.SkipWhile(static line => line != "## Step by step").Skip(1)
                .TakeWhile(static line => !line.StartsWith("## ", StringComparison.Ordinal))
                .Where(static line => line.StartsWith("    ", StringComparison.Ordinal)).Select(static line => line.Split(" #")[0].Trim()),
        ];
    }

    private static Scenario Everyday()
    {
        List<Step> steps = [s_before];
        string[] page = Page();
        for (int i = 0; i < page.Length; i++)
        {
            string then = page[i].StartsWith("xl create", StringComparison.Ordinal) ? "boots guest 1"
                : page[i].StartsWith("xl reboot", StringComparison.Ordinal) ? "boots guest 2" : ":";
            // What the page says last is done when the guest is down, as one would.
            steps.Add(new RunStep($"page-{i}", $"{(i == 5 ? "xl destroy guest; " : "")}{page[i]} || exit $?\n{then}"));
            if (i == 4)
                steps.Add(new RunStep("bridge", "echo \"$(ls /sys/class/net/xenbr0/brif | wc -l) interfaces\""));
        }

        const string count = "echo left $(xl list | grep -c -w guest)";
        steps.Add(new RunStep("byte-for-byte", "cmp /tmp/guest.cfg /etc/xen/guest.cfg && [ ! -e /etc/xen/keyhole/guest ]"));
        steps.Add(new RunStep("log", "cat /var/log/syslog"));
        steps.Add(new RunStep("inside",
            "keyhole install /etc/xen/inside.cfg > /dev/null && xl create -q /etc/xen/inside.cfg && boots inside 2; xl destroy inside"));
        // As /etc/init.d/xendomains does it.
        steps.Add(new RunStep("autostart", """
            keyhole install /etc/xen/auto/guest.cfg > /dev/null || exit 1
            rm /var/log/xen/console/guest-guest.log
            for dom in /etc/xen/auto/*; do xl create --quiet --defconfig "$dom" || exit 1; done
            boots guest 1
            """));
        steps.Add(new RunStep("disk", """
            dd if=/dev/zero of=/tmp/disk bs=1M count=2 2> /dev/null && losetup /dev/loop0 /tmp/disk || exit 1
            keyhole install /etc/xen/disk.cfg && xl create -q /etc/xen/disk.cfg
            status=$?
            boots disk 1
            xl reboot disk
            boots disk 2
            echo "physical-device $(xenstore-read /local/domain/0/backend/vbd/$(xl domid disk)/51712/physical-device)"
            xl destroy disk
            grep 'keyhole.*vbd' /var/log/syslog
            exit $status
            """));
        steps.Add(new RunStep("time", """
            xl destroy guest
            xl create -q -p /etc/xen/guest.cfg || exit 1
            export XENBUS_PATH=backend/vif/$(xl domid guest)/0
            time -f 'took %e' keyhole apply --guest /etc/xen/guest.cfg --policy punch --kernel 6.1 > /dev/null
            xl destroy guest
            """));
        steps.Add(new RunStep("stop", $"""
            mv /bin/keyhole /bin/keyhole.real
            printf '#!/bin/sh\nkill -KILL $$\n' > /bin/keyhole; chmod +x /bin/keyhole
            xl create -q /etc/xen/guest.cfg
            status=$?
            grep keyhole: /var/log/syslog | tail -n 3
            {count}
            exit $((status != 0))
            """));
        steps.Add(new RunStep("libxl", $"""
            sed -i s/^or_else=stop/or_else=libxl/ /etc/xen/keyhole/guest/vif-1
            xl create -q -p /etc/xen/guest.cfg
            status=$?
            sed -i s/^or_else=libxl/or_else=stop/ /etc/xen/keyhole/guest/vif-1
            grep keyhole: /var/log/syslog | tail -n 3
            {count}
            xl destroy guest
            exit $status
            """));
        steps.Add(new RunStep("killed", $"""
            printf '#!/bin/sh\nsleep 15\n' > /bin/keyhole
            xl create -q /etc/xen/guest.cfg &
            xl=$!
            for i in $(seq 100); do
              script=$(ps | grep '[/]etc/xen/keyhole/guest/vif-1 online' | sed 's/^ *//; s/ .*//; q')
              [ -n "$script" ] && break
              sleep 0.1
            done
            kill -KILL $script
            wait $xl
            status=$?
            {count}
            exit $((status != 0))
            """));
        steps.Add(new RunStep("removed", $"""
            rm /bin/keyhole /var/log/xen/console/guest-guest.log
            xl create -q /etc/xen/guest.cfg
            status=$?
            grep keyhole: /var/log/syslog | tail -n 3
            {count}
            sleep 3
            boots guest 0
            exit $status
            """));
        return OnNvs8m("install", [.. steps]);
    }

    /// <summary>A guest that has neither a network card nor a disk.</summary>
    private static Scenario Probed() => OnNvs8m("install-probe",
    [
        s_before,
        new RunStep("probe", "cd /etc/xen && keyhole probe kept.cfg"),
    ]);

    private static Scenario OnNvs8m(string name, ImmutableArray<Step> steps) => ScenarioFile.Load("nvs8m") with
    {
        XenVersion = s_xen,
        Name = name,
        Hotplug = true,
        // On a busy machine the emulator's clock would run on while nothing is done, and xl gives its scripts 40 s.
        CountsInstructions = true,
        Files = Dom0Programs.Keyhole,
        Texts = Texts,
        DeadlineSeconds = 1800,
        Steps = steps,
    };

    private static string Answered(XenRun run, string step, int status)
    {
        Dom0Answer answer = Dom0Answer.Of(run, step);
        Assert.AreEqual(status, answer.Status, $"{step}: {answer.Output}");
        return answer.Output;
    }

    private XenRun Run() => Told(s_run.Value);

    private XenRun RunProbe() => Told(s_probe.Value);

    private XenRun Told(XenRun run)
    {
        TestContext.WriteLine($"{run.Scenario.Name}: {run.End} after {run.Elapsed.TotalSeconds:0.0} s");
        foreach ((TimeSpan at, string line) in run.Marks)
            TestContext.WriteLine($"{at.TotalSeconds,6:0.0} s {line}");
        TestContext.WriteLine(run.Answers);
        return run;
    }
}
