// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

[TestClass]
[TestCategory("RealXen")]
public sealed class ProbeTests
{
    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void Trial()
    {
        Scenario scenario = (ScenarioFile.Load("passthrough") with
        {
            Name = "probe-guest",
            Steps =
            [
                Probe.AsGuest("card", "mode=remap bar=0xfebc0000+8 try-forbidden=0xfee00000 try-foreign-mfn=0x1000 try-populate=100000", "memory=256", "e820_host=1", "pci=['00:02.0']"),
                Probe.AsGuest("plain", "mode=remap bar=0xfebc0000+8 try-populate=100000", "memory=64", "maxmem=128", "e820_host=1"),
                Probe.AsGuest("touch", "balloon=0 touch=0x12345678", "memory=64"),
            ],
        }).WithProbe();
        XenRun run = XenMachine.Run(scenario);
        Console.WriteLine(run.Answers);
        System.IO.File.WriteAllText("/tmp/pb/guest.log", run.Answers);
        System.IO.File.WriteAllText("/tmp/pb/guest.serial", run.Serial);
    }
}
