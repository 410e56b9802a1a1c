// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms.XenPv;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

/// <summary>The maps of our own policies, installed by hand, under the real Linux: one boot of the real Xen for all of them.</summary>
[TestClass]
[TestCategory("RealXen")]
public sealed class PolicyMapTests
{
    private const ulong MemoryMiB = 384;

    // On the host of the scenario (NVS at 8 MiB): a hole amid the guest's memory for each policy.
    private static readonly (string Name, IHolePolicy Policy)[] s_policies =
        [("punch", new PunchPolicy()), ("minimal", new MinimalPolicy()), ("hole-at", new HoleAtPolicy(0x1000_0000))];

    private static readonly ImmutableArray<Bar> s_bars = [new(0, BarKind.Memory, 0x1200_0000, 0x1300_0000, false, false)];

    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void Punch_minimal_and_hole_at_boot_the_real_Linux_and_move_as_many_pages_as_forecast()
    {
        Scenario host = ScenarioFile.Load("nvs8m").OnlyGuests();
        ImmutableArray<E820Entry> machineMap = MachineMap.Of(new Host { Entries = host.FirmwareMap });
        Dictionary<string, BootForecast> forecasts = [];
        List<Step> steps = [];
        foreach ((string name, IHolePolicy policy) in s_policies)
        {
            PolicyInput input = new(machineMap, new GuestSpec { MemoryKiB = MemoryMiB << 10, MaxmemKiB = MemoryMiB << 10, E820Host = true },
                policy is PunchPolicy ? [] : s_bars);
            ImmutableArray<E820Entry> map = [.. policy.Lay(input).Entries.Select(planned => planned.Entry)];
            forecasts.Add(name, Forecaster.Forecast(new() { Map = map, PageCount = MemoryMiB << 8, Layout = GuestLayout.OfXl(MemoryMiB << 8) }));
            steps.Add(new GuestStep(name, [$"memory={MemoryMiB}", "e820_host=1"]) { Map = map, Boot = true });
        }

        XenRun run = XenMachine.Run(host with { Name = "policies", Steps = [.. steps] });
        TestContext.WriteLine($"policies: {run.End} after {run.Elapsed.TotalSeconds:0.0} s");
        GoldenRecord record = GoldenRecord.Parse(RecordWriter.Write(run));

        foreach ((string name, BootForecast forecast) in forecasts)
        {
            GuestRecord guest = record.Guest(name);
            TestContext.WriteLine(
                $"{name}: remapped {guest.Kernel?.RemappedPages}, released {guest.Kernel?.ReleasedPages}; forecast "
                    + $"{forecast.RemappedPages}, {forecast.ReleasedPages}");
            Assert.IsTrue(forecast.Boots, name);
            Assert.IsTrue(guest.Done, name);
            Assert.AreEqual((long)forecast.RemappedPages, guest.Kernel!.RemappedPages, name);
            Assert.AreEqual((long)forecast.ReleasedPages, guest.Kernel!.ReleasedPages, name);
            Assert.IsGreaterThan(0UL, forecast.RemappedPages, name);
        }
    }
}
