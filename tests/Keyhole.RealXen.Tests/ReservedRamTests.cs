// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.ReservedRam;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

/// <summary>Debian's Linux, booted without Xen with the parameters that a plan asks for: what it shows, and what a program does with the kept
/// RAM.</summary>
[TestClass]
[TestCategory("RealXen")]
public sealed class ReservedRamTests
{
    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void From_512_MiB_on_with_the_seeds_RAM_iomem_is_as_forecast_and_kept_RAM_is_left_alone() =>
        BootAndUse("start-512m", 512UL << 20, new("start-512m", 991) { Processors = 2 }, failedPage: 0x2100_0000);

    [TestMethod]
    public void From_1_GiB_on_iomem_is_as_forecast_and_kept_RAM_is_left_alone() =>
        BootAndUse("start-1g", 1UL << 30, new("start-1g", 1536) { IsQ35 = true }, failedPage: 0x4100_0000);

    [TestMethod]
    public void From_above_4_GiB_on_iomem_is_as_forecast_and_kept_RAM_is_left_alone() =>
        BootAndUse("start-4g", (4UL << 30) + (128UL << 20), new("start-4g", 4096), failedPage: 0x1_0900_0000);

    [TestMethod]
    [DataRow(512UL << 20)]
    [DataRow((4UL << 30) + (128UL << 20))]
    public void GRUB_hands_the_kernel_the_parameters_as_they_are_meant(ulong start)
    {
        string parameters = Plan(start == 512UL << 20 ? "start-512m" : "start-4g", start).Today!.Parameters;

        Assert.AreEqual(parameters, GrubPrompt.Echo(MemmapParameters.ForGrubScript(parameters)));
    }

    [TestMethod]
    public void GRUB_loses_what_follows_a_bare_dollar_sign() => Assert.AreEqual("memmap=572K", GrubPrompt.Echo("memmap=572K$4K"));

    /// <summary>The same program on a page that somebody does write to: what finds nothing elsewhere has to find that.</summary>
    private const string Spoilt = "kept-range spoil 200000 &\nkept-range 200000-240000 | sed 's/^/spoilt: /'\nkill $!";

    /// <param name="failedPage">A page of the host's own RAM, which nobody may map.</param>
    private void BootAndUse(string record, ulong start, HostBoot boot, ulong failedPage)
    {
        ReservePlan plan = Plan(record, start);
        TodaysHost today = plan.Today!;
        string[] ranges = [.. today.Guest.Map.Select(static entry => $"{entry.Address:x}-{entry.End:x}")];
        HostRun run =
            HostMachine.Run(boot with { Parameters = today.Parameters,
                Commands = $"kept-range {string.Join(' ', ranges)}\necho status $?\nkept-range try {failedPage:x}\n{Spoilt}" });
        TestContext.WriteLine($"{boot.Name}: {run.Elapsed.TotalSeconds:0.0} s\n{run.Output}");

        Assert.AreEqual(Show(plan.Host), Show(Read(run.Firmware, null)), "QEMU's firmware map is the record's");
        Host iomem = Read(run.Iomem, HostMapDialect.Iomem);
        Assert.AreEqual(Show(plan.Host with { Entries = today.Iomem }), Show(iomem));
        Assert.IsEmpty(HostCheck.Compare(plan, iomem));

        string[] output = run.Output.Split('\n');
        Assert.Contains("status 0", output, run.Output);
        Assert.HasCount(2 * ranges.Length,
            output.Where(static line => !line.StartsWith("spoilt: ", StringComparison.Ordinal)
                && line.EndsWith(" 0 changed", StringComparison.Ordinal)), run.Output);
        Assert.HasCount(1,
            output.Where(static line => line.StartsWith("pressure: ", StringComparison.Ordinal)
                && line.EndsWith(" written", StringComparison.Ordinal)), run.Output);
        Assert.Contains($"try {failedPage:x}: refused", output, run.Output);
        Assert.Contains("spoilt: after pressure 200000-240000: 64 pages, 1 changed", output, run.Output);
    }

    private static ReservePlan Plan(string record, ulong start) => ReservePlanner.Plan(new()
    {
        Host = Read(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "reserve", record + ".log")), HostMapDialect.Linux),
        Start = start,
    });

    private static Host Read(string text, HostMapDialect? dialect)
    {
        Assert.IsTrue(HostMapReader.Read(new MemoryStream(Encoding.ASCII.GetBytes(text)), "test", new() { From = dialect })
            .TryGet(out HostDocument? map, out InputError? error), error?.ToString());
        return map.Host;
    }

    private static string Show(Host host) =>
        string.Join('\n', host.Entries.Select(static entry => $"{entry.Address:x} {entry.End:x} {E820TypeNames.NameOf(entry.Type)}"));
}
