// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;
using Keyhole.Captures;
using Keyhole.Dom0;
using Keyhole.Guests;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class GuestLauncherTests
{
    [TestMethod]
    [DataRow("creating", false, "\"g1\": interrupted; nothing is left of it")]
    [DataRow("installed", false, "\"g1\": interrupted; nothing is left of it")]
    [DataRow("started", false, "\"g1\": interrupted; nothing is left of it")]
    [DataRow("started", true, "\"g1\": interrupted; what there is of it is kept: see xl list")]
    public void Wherever_it_is_interrupted_it_says_so_and_what_becomes_of_the_guest(string at, bool keeps, string expected)
    {
        using var dom0 = new FakeDom0();
        using var console = new FakeConsole();
        using var interruption = new CancellationTokenSource();
        dom0.Console = console.Terminal;
        dom0.Creation = new(0, "", "");
        dom0.Creating = uuid => dom0.Info = dom0.Info with { Uuid = uuid };
        Assert.IsTrue(dom0.Machine.OpenXen().TryGet(out IXenControl? xen, out _));
        using (xen)
        {
            dom0.Write("guest.cfg", "");
            var launcher = new GuestLauncher(xen, new DomainTools(dom0), Guid.NewGuid(), interruption.Token) { Keeps = keeps };

            XenResult<StartedGuest> result = launcher.Run(Path.Combine(dom0.Root, "guest.cfg"), Punched(), TimeSpan.FromSeconds(30), said =>
            {
                if (said.StartsWith(at, StringComparison.Ordinal))
                    interruption.Cancel();
            });

            Assert.IsFalse(result.TryGet(out _, out XenProblem? problem));
            Assert.AreEqual(expected, problem.ToString());
            launcher.Destroy();
            Assert.AreEqual("xl destroy 5", dom0.Done[^1]);
        }
    }

    /// <summary>Each release's own words, with a gap for PCI devices and without one.</summary>
    [TestMethod]
    [DataRow("3.2")]
    [DataRow("3.4")]
    [DataRow("3.5")]
    [DataRow("4.11")]
    [DataRow("4.12")]
    [DataRow("6.12")]
    public void The_end_of_a_kernels_memory_setup_is_seen_whatever_its_release(string release)
    {
        foreach (string map in new[] { "0 9f000 ram\n100000 40000000 ram\nfec00000 fec01000 reserved\n", "0 9f000 ram\n100000 ffc00000 ram\n" })
        {
            string[] log = [.. CommandRun.WithInput(System.Text.Encoding.UTF8.GetBytes(map), "boot", "--guest-map", "-", "--nr-pages", "262144",
                "--kernel", release, "--json").Json().GetProperty("log").EnumerateArray().Select(static line => line.GetString()!)];

            Assert.IsTrue(ConsoleFollower.IsSetupDone(log[^1]), string.Join('\n', log));
            Assert.IsFalse(ConsoleFollower.IsSetupDone(string.Join('\n', log[..^1])), string.Join('\n', log));
        }
    }

    [TestMethod]
    public void What_cannot_be_destroyed_is_not_said_to_be_gone()
    {
        using var dom0 = new FakeDom0 { Destruction = new(1, "", "libxl: error: no") };
        using var console = new FakeConsole();
        using var interruption = new CancellationTokenSource();
        dom0.Console = console.Terminal;
        dom0.Creation = new(0, "", "");
        dom0.Creating = uuid => dom0.Info = dom0.Info with { Uuid = uuid };
        Assert.IsTrue(dom0.Machine.OpenXen().TryGet(out IXenControl? xen, out _));
        using (xen)
        {
            dom0.Write("guest.cfg", "");
            var launcher = new GuestLauncher(xen, new DomainTools(dom0), Guid.NewGuid(), interruption.Token);

            XenResult<StartedGuest> result = launcher.Run(Path.Combine(dom0.Root, "guest.cfg"), Punched(), TimeSpan.FromSeconds(30),
                _ => interruption.Cancel());

            Assert.IsFalse(result.TryGet(out _, out XenProblem? problem));
            Assert.AreEqual("\"g1\": interrupted; it may be left over: xl list, xl destroy", problem.ToString());
        }
    }

    private static Scenario Punched()
    {
        const string host = """
            (XEN) Xen-e820 RAM map:
            (XEN)  [0000000000000000, 000000000009fbff] (usable)
            (XEN)  [0000000000100000, 00000000007fffff] (usable)
            (XEN)  [0000000000800000, 00000000008fffff] (ACPI NVS)
            (XEN)  [0000000000900000, 00000000afffffff] (usable)
            """;
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(host));
        Assert.IsTrue(HostMapReader.Read(stream, "host", HostMapOptions.Default).TryGet(out HostDocument? map, out _));
        return new() { Host = map.Host, Guest = new GuestSpec { Name = "g1", MemoryKiB = 262_144, MaxmemKiB = 262_144, E820Host = true },
            Policy = new PunchPolicy() };
    }
}
