// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.ReservedRam;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.ReservedRam;

[TestClass]
public sealed class TodaysHostTests
{
    public static IEnumerable<object[]> Records() => KernelRecord.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Records))]
    public void The_real_kernels_iomem_equals_the_forecast(string name)
    {
        KernelRecord record = KernelRecord.Load(name);

        Assert.AreEqual(MapFixtures.Show(record.Iomem.Entries),
            MapFixtures.Show(LinuxIomem.Forecast(record.Firmware.Entries, record.Memmaps, record.Kernel)));
        Assert.IsNotEmpty(record.Memmaps);
    }

    [TestMethod]
    [DataRow("start-512m", 0x20000000UL)]
    [DataRow("start-1g", 0x40000000UL)]
    [DataRow("start-4g", 0x108000000UL)]
    public void The_plan_asks_for_the_parameters_that_were_tried(string name, ulong start)
    {
        KernelRecord record = KernelRecord.Load(name);
        ReservePlan plan = ReserveHosts.Plan(record.Firmware, start);

        Assert.AreEqual(record.Parameters, plan.Today!.Parameters);
        Assert.IsFalse(plan.HasErrors);
        Assert.IsEmpty(HostCheck.Compare(plan, record.Iomem));
    }

    [TestMethod]
    public void A_host_whose_kernel_stayed_at_16_MiB_does_not_pass_the_check()
    {
        KernelRecord record = KernelRecord.Load("nokaslr-512m");
        Problem problem = HostCheck.Compare(ReserveHosts.Plan(record.Firmware, 512 << 20), record.Iomem).Single();

        Assert.AreEqual(ReserveProblemCodes.NotKept, problem.Code);
        Assert.AreEqual(0x1000000UL, problem.Start);
        Assert.AreEqual(0x4430000UL, problem.End);
    }

    [TestMethod]
    [DataRow("e820: remove [mem 0x01600000-0x0422ffff]\n", 0x1600000UL, 0x4230000UL)]
    [DataRow("", null, null)]
    public void A_log_tells_by_itself_that_the_kernel_took_its_place_back(string edit, object? start, object? end)
    {
        HostDocument host =
            MapFixtures.Expect(MapFixtures.ReadText(LogOfKeptRam.Replace("MARK", $".text .data .bss are not marked as E820_TYPE_RAM!\n{edit}",
                StringComparison.Ordinal)));

        Problem problem = HostCheck.Compare(ReserveHosts.Plan(host.Host, 512 << 20), host.Log!, host.LogMap!)!.Value.Single();

        Assert.AreEqual((ReserveProblemCodes.NotKept, (ulong?)start, (ulong?)end), (problem.Code, problem.Start, problem.End));
        Assert.Contains("the host's kernel is in", problem.Message);
    }

    [TestMethod]
    public void A_log_tells_by_itself_that_RAM_is_kept_or_does_not_go_so_far()
    {
        HostDocument kept = MapFixtures.Expect(MapFixtures.ReadText(LogOfKeptRam.Replace("MARK", "", StringComparison.Ordinal)));
        HostDocument untouched = MapFixtures.Expect(MapFixtures.ReadText(LogOfKeptRam[..LogOfKeptRam.IndexOf("user", StringComparison.Ordinal)]
            + "[mem 0x80000000-0xffffffff] available for PCI devices\n"));
        HostDocument cut = MapFixtures.Expect(MapFixtures.ReadText(LogOfKeptRam[..LogOfKeptRam.IndexOf("user", StringComparison.Ordinal)]));
        ReservePlan plan = ReserveHosts.Plan(kept.Host, 512 << 20);

        Assert.AreEqual(0, HostCheck.Compare(plan, kept.Log!, kept.LogMap!)!.Value.Length);
        Assert.AreEqual("1000-90000 100000-20000000", Show(HostCheck.Compare(plan, untouched.Log!, untouched.LogMap!)!.Value));
        Assert.IsNull(HostCheck.Compare(plan, cut.Log!, cut.LogMap!));
    }

    private const string LogOfKeptRam =
        "Linux version 6.12.0\nCommand line: memmap=572K$4K memmap=511M$1M\nBIOS-e820: [mem 0x0000000000000000-0x000000000009ffff] usable\n"
        + "BIOS-e820: [mem 0x0000000000100000-0x000000007fffffff] usable\nuser-defined physical RAM map:\nuser: [mem "
        + "0x0000000000000000-0x0000000000000fff] usable\n"
        + "user: [mem 0x0000000000001000-0x000000000008ffff] reserved\nuser: [mem 0x0000000000090000-0x000000000009ffff] usable\nuser: [mem "
        + "0x0000000000100000-0x000000001fffffff] reserved\n"
        + "user: [mem 0x0000000020000000-0x000000007fffffff] usable\nMARK[mem 0x80000000-0xffffffff] available for PCI devices\n";

    [TestMethod]
    public void A_host_that_was_booted_without_parameters_does_not_pass_the_check()
    {
        Host plain = MapFixtures
            .Expect(MapFixtures.ReadText("00000000-00000fff : Reserved\n00001000-0009efff : System RAM\n00100000-3dedffff : System RAM\n")).Host;

        Assert.AreEqual("1000-90000 100000-20000000", Show(HostCheck.Compare(ReserveHosts.Plan(ReserveHosts.Seed, 512 << 20), plain)));
    }

    [TestMethod]
    public void A_host_with_the_kernel_of_2008_passes_the_check()
    {
        ReservePlan plan = ReserveHosts.Plan(ReserveHosts.Seed, 512 << 20);

        Assert.IsEmpty(HostCheck.Compare(plan,
            MapFixtures.Expect(MapFixtures.ReadText(plan.Map!.ToIomem([]), new() { From = HostMapDialect.Iomem })).Host));
    }

    [TestMethod]
    public void RAM_that_another_parameter_takes_from_the_host_is_a_warning()
    {
        Host short_ = MapFixtures.Expect(MapFixtures.ReadText(
            "00000000-0008ffff : Reserved\n00090000-0009efff : System RAM\n00100000-1fffffff : Reserved\n20000000-2fffffff : System RAM\n")).Host;
        Problem problem = HostCheck.Compare(ReserveHosts.Plan(ReserveHosts.Seed, 512 << 20), short_).Single();

        Assert.AreEqual(Severity.Warning, problem.Severity);
        Assert.AreEqual(0x30000000UL, problem.Start);
    }

    [TestMethod]
    public void Ranges_with_only_reserved_memory_between_them_share_a_parameter_and_gaps_stay_open()
    {
        Host host = ReserveHosts.ToHost(
            E820Entry.FromBounds(0x100000, 0x1000000, E820Type.Ram),
            E820Entry.FromBounds(0x1000000, 0x1200000, E820Type.Nvs),
            E820Entry.FromBounds(0x1200000, 0x2000000, E820Type.Ram),
            E820Entry.FromBounds(0x3000000, 0x20000000, E820Type.Ram));

        Assert.AreEqual("memmap=31M$1M memmap=16M$48M", ReserveHosts.Plan(host, 0x4000000).Today!.Parameters);
    }

    [TestMethod]
    public void Of_more_than_four_ranges_the_smallest_stay_with_the_host_and_fail()
    {
        E820Entry[] islands = [.. Enumerable.Range(1, 6).Select(static i => E820Entry.FromSize((ulong)i << 24, (ulong)i << 20, E820Type.Ram))];
        ReservePlan plan = ReserveHosts.Plan(ReserveHosts.ToHost([.. islands, E820Entry.FromBounds(0x10000000, 0x20000000, E820Type.Ram)]),
            0x10000000);

        Assert.AreEqual("memmap=3M$48M memmap=4M$64M memmap=5M$80M memmap=6M$96M", plan.Today!.Parameters);
        Assert.AreEqual("1000000-1100000 2000000-2200000", string.Join(' ', plan.Today.LeftOver.Select(range => $"{range.Start:x}-{range.End:x}")));
        Assert.HasCount(2, plan.Today.Guest.Slots.Where(slot => !slot.IsIdentity));
        Assert.Contains(ReserveProblemCodes.TooManyRanges, plan.Problems.Select(problem => problem.Code));
    }

    [TestMethod]
    public void What_is_kept_is_the_kernels_RAM_no_more_and_what_is_the_hosts_still_is_on_every_host()
    {
        foreach (Host host in ReserveHosts.Fixtures())
        {
            foreach (ulong start in (ulong[])[0x2000000, 0x20000000, 0x40000000, 0xc0000000, 0x110000000])
                AssertForecastHolds(ReserveHosts.Plan(host, start));
        }

        Prop.ForAll(ReserveHosts.Random.ToArbitrary(), ReserveHosts.Start.ToArbitrary(),
            static (host, start) => AssertForecastHolds(ReserveHosts.Plan(host, start)))
            .QuickCheckThrowOnFailure();
    }

    [TestMethod]
    [DataRow("memmap=572K$4K memmap=511M$1M iomem=relaxed")]
    [DataRow("memmap=0x1ff$0x123456789")]
    public void The_shell_makes_of_etc_default_grub_what_grub_cfg_needs(string parameters)
    {
        string file = Path.Combine(Path.GetTempPath(), $"keyhole-grub-{Guid.NewGuid():n}");
        try
        {
            File.WriteAllText(file, MemmapParameters.DefaultGrubLine(parameters) + "\n");
            Assert.AreEqual(MemmapParameters.ForGrubScript(parameters), Shell($". {file}; cat <<EOF\n${{GRUB_CMDLINE_LINUX}}\nEOF"));
            Assert.AreEqual(parameters.Replace("$", "\\$", StringComparison.Ordinal), MemmapParameters.ForGrubScript(parameters));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [TestMethod]
    [DataRow(0x1000UL, "4K")]
    [DataRow(0x100000UL, "1M")]
    [DataRow(0xbfee0000UL, "3144576K")]
    [DataRow(0x100000000UL, "4G")]
    [DataRow(0UL, "0x0")]
    [DataRow(0x123UL, "0x123")]
    public void Sizes_are_written_in_the_largest_unit_that_holds_them(ulong bytes, string expected)
    {
        Assert.AreEqual(expected, MemmapParameters.Size(bytes));
        Assert.AreEqual(bytes, KernelRecord.Number(expected));
    }

    private static void AssertForecastHolds(ReservePlan plan)
    {
        if (plan.Today is not { } today)
            return;
        Assert.IsLessThanOrEqualTo(MemmapParameters.MaxRanges, today.Memmaps.Length);
        Host forecast = ReserveHosts.ToHost([.. today.Iomem]);
        Assert.IsEmpty(HostCheck.Compare(plan, forecast));
        foreach (ByteRange kept in today.Guest.Map.Select(static entry => ByteRange.FromSize(entry.Address, entry.Size)))
            Assert.IsTrue(today.Memmaps.Any(range => range.Start <= kept.Start && kept.End <= range.End));
        // None starts at 0: KASLR would take that for a limit of memory.
        Assert.IsTrue(today.Memmaps.All(static range => range.Start != 0 && (range.Start | range.SizeBytes) % 0x1000 == 0));
    }

    private static string Show(IEnumerable<Problem> problems) => string.Join(' ', problems.Select(problem => $"{problem.Start:x}-{problem.End:x}"));

    private static string Shell(string script)
    {
        using Process shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", script]) { RedirectStandardOutput = true })!;
        string output = shell.StandardOutput.ReadToEnd();
        shell.WaitForExit();
        Assert.AreEqual(0, shell.ExitCode);
        return output.TrimEnd('\n');
    }
}
