// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
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
