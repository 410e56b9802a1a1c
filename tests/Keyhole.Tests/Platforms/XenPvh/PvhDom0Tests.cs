// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPvh;
using Keyhole.PvGuest;
using Keyhole.Tests.Platforms.XenHvm;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.XenPvh;

/// <summary>The PVH dom0s of the records: the map that Xen made for each, and their logs beside the forecast.</summary>
[TestClass]
public sealed class PvhDom0Tests
{
    private static IEnumerable<object[]> Names =>
        Directory.GetFiles(Folder, "dom0-pvh*.log", SearchOption.AllDirectories).Select(path => new object[] { Path.GetRelativePath(Folder, path) });

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "fixtures", "hvm");

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void The_map_is_as_forecast_to_the_byte(string name)
    {
        (HostDocument host, LogScan scan, ObservedBoot boot) = Load(name);
        LogMap map = PvhDom0Verifier.MapOf(scan, boot)!;
        string[] real = [.. HvmRecord.KernelMap(Text(name).Split("=== ")[0].Split('\n'))];
        Dom0Log log = Dom0Log.Of(scan, host.LogMap)!;

        Assert.IsNotNull(log.Pvh);
        Plan plan = Of(host.Host, log.PageCount ?? PvhDom0Verifier.PagesIn(map), null).Plan;

        CollectionAssert.AreEqual(real, PvhLinuxView.Of(plan.Map).Select(HvmRecord.KernelText).ToArray());
        Assert.AreEqual(PvhDom0Tables.Usual, PvhDom0Verifier.TablesIn(map));
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Every_line_of_the_log_is_verified_and_a_changed_one_is_seen(string name)
    {
        (HostDocument host, LogScan scan, ObservedBoot boot) = Load(name);
        LogMap map = PvhDom0Verifier.MapOf(scan, boot)!;
        Plan plan = Of(host.Host, PvhDom0Verifier.PagesIn(map), PvhDom0Verifier.TablesIn(map)).Plan;

        BootVerification verification = PvhDom0Verifier.Compare(plan, boot, map);

        Assert.IsTrue(verification.Agrees, string.Join('\n', verification.Differences));
        Assert.AreEqual(map.Entries.Length, verification.Findings.Count(static finding => finding.What == "map entry"));
        Assert.Contains("gap for PCI devices", verification.Findings.Select(static finding => finding.What));
        LogMap changed = map with { Entries =
            map.Entries.SetItem(2, E820Entry.FromBounds(map.Entries[2].Address, map.Entries[2].End - 0x1000, E820Type.Ram)) };
        Assert.IsFalse(PvhDom0Verifier.Compare(plan, boot, changed).Agrees);
    }

    /// <summary>As people cut logs: Xen's lines, "[...]", the lines of dom0's map.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Dom0s_map_is_compared_where_no_other_line_of_its_kernel_is_in_the_log(bool isSaidByXen)
    {
        string[] lines = Text("dom0-pvh.log").Split("=== ")[0].Split('\n');
        string[] entries = [.. lines.Where(static line => line.Contains("BIOS-e820", StringComparison.Ordinal))];
        string[] xens = [.. lines.Where(static line => line.StartsWith("(XEN)", StringComparison.Ordinal))];
        string[] built = isSaidByXen ? ["(XEN) Dom0 memory map:", .. Of(ReadHost(lines), 1 << 18, null).Plan.Map.Select(static entry =>
            $"(XEN)  [{entry.Address:x16}, {entry.End - 1:x16}] ({XensNameOf(entry.Type)})")] : [];

        HostDocument host = Read([.. xens, .. built, "[...]", .. entries]);
        ObservedBoot boot = BootLog.Choose(BootLog.Of(host.Log!), wantsDom0: true, null, "log", host.LogMap).Value!;
        BootVerification verification = PvhDom0Verifier.Compare(Of(host.Host, 1 << 18, null).Plan, boot, PvhDom0Verifier.MapOf(host.Log!, boot));

        Assert.AreEqual(BootOwner.Dom0, boot.Owner);
        Assert.IsTrue(verification.Agrees, string.Join('\n', verification.Differences));
        Assert.AreEqual(entries.Length, verification.Findings.Count(static finding => finding.What == "map entry"));
        Assert.Contains("The log names no kernel version; it is taken for linux-6.1: Scenario.Kernel names another.",
            verification.Explanations.Select(static text => text.ToString()));
    }

    [TestMethod]
    public void The_map_of_the_bare_machine_behind_Xens_lines_is_not_a_PVH_dom0s()
    {
        string[] lines = Text("dom0-pvh.log").Split("=== ")[0].Split('\n');
        string[] xens = [.. lines.Where(static line => line.StartsWith("(XEN)", StringComparison.Ordinal))];

        HostDocument host = Read([.. xens, "[...]", .. ReadHost(lines).Entries.Select(static entry =>
            $"[    0.000000] BIOS-e820: [mem 0x{entry.Address:x16}-0x{entry.End - 1:x16}] {(entry.IsRam ? "usable" : "reserved")}")]);

        Assert.DoesNotContain(static boot => boot.HasKernelLines, BootLog.Of(host.Log!));
    }

    private static string XensNameOf(E820Type type) => type switch
    {
        E820Type.Ram => "usable",
        E820Type.Acpi => "ACPI data",
        E820Type.Unusable => "unusable",
        _ => "reserved",
    };

    private static Host ReadHost(string[] lines) => Read(lines).Host;

    private static HostDocument Read(string[] lines)
    {
        using var text = new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n"));
        Assert.IsTrue(HostMapReader.Read(text, "log", HostMapOptions.Default).TryGet(out HostDocument? host, out InputError? error),
            error?.ToString());
        return host;
    }

    /// <summary>The machine has 4 GiB: Xen gives dom0 no more than it has left.</summary>
    [TestMethod]
    [DataRow("1G", 1024UL)]
    [DataRow("3800M", 3800UL)]
    [DataRow("4000M", null)]
    [DataRow("64G", null)]
    public void A_dom0_mem_that_Xen_may_not_have_left_does_not_tell_dom0s_size(string size, ulong? mib)
    {
        string log = Text("dom0-pvh-all.log").Replace("dom0=pvh", $"dom0=pvh dom0_mem={size}", StringComparison.Ordinal);
        Assert.IsTrue(HostMapReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(log)), "log", HostMapOptions.Default)
            .TryGet(out HostDocument? host, out _));

        Assert.AreEqual(mib << 8, Dom0Log.Of(host.Log!, host.LogMap)!.PageCount);
    }

    /// <summary>Both tables' sizes from a map, and none where no tables make such a map.</summary>
    [TestMethod]
    public void The_sizes_of_ACPI_tables_are_read_back_from_every_map_that_they_make()
    {
        for (ulong madt = 72; madt < 600; madt += 2)
        {
            for (ulong xsdt = 52; xsdt < 200; xsdt += 8)
            {
                var tables = new PvhDom0Tables(madt, xsdt);
                E820Entry[] map =
                    [.. Of(new Host { Entries = [E820Entry.FromBounds(0, 0x9fc00, E820Type.Ram),
                        E820Entry.FromBounds(0x100000, 0x8000_0000, E820Type.Ram)] }, 0x10000, tables).Plan.Map];
                E820Entry ram = map[1], acpi = map[2];
                Assert.AreEqual(tables, PvhDom0Tables.Of(ram.End, acpi.End, 0x1006_1000));
            }
        }

        Assert.IsNull(PvhDom0Tables.Of(0x4006_0f26, 0x4006_0fa1, 0x4006_1000));
        Assert.IsNull(PvhDom0Tables.Of(0x4006_0f26, 0x4006_1000, 0x4006_1000));
    }

    [TestMethod]
    public void RAM_beyond_dom0s_is_unusable_and_every_byte_of_the_machines_other_entries_stays()
    {
        Host host = new()
        {
            Entries =
            [
                E820Entry.FromBounds(0, 0x9f800, E820Type.Ram), E820Entry.FromBounds(0x100000, 0x2000_0800, E820Type.Ram),
                E820Entry.FromBounds(0x3000_0000, 0x3100_0000, E820Type.Nvs),
                E820Entry.FromBounds(0x1_0000_0000, 0x2_0000_0000, E820Type.Ram),
            ],
        };
        for (ulong pages = 0x9f + 0x1000; pages < 0x9f + 0x1ff00 + 0x100000; pages += 0x7f7f)
        {
            ImmutableArray<E820Entry> map = Of(host, pages, null).Plan.Map;

            Assert.AreEqual(pages << Frames.Shift, Sum(map, E820Type.Ram) + PvhDom0Tables.Usual.TakenBytes);
            Assert.AreEqual(((0x9fUL + 0x1ff00 + 0x100000) << Frames.Shift) - (pages << Frames.Shift), Sum(map, E820Type.Unusable));
            Assert.Contains(host.Entries[2], map);
        }
    }

    /// <summary>By the source of Xen's dom0_build.c: 4.10 and 4.11 leave it out, 4.12 marks it so that no device is put there.</summary>
    [TestMethod]
    [DataRow("4.10.4", false)]
    [DataRow("4.11.0", false)]
    [DataRow("4.12.0", true)]
    public void RAM_beyond_dom0s_is_a_gap_up_to_Xen_4_11(string xen, bool isMarked)
    {
        Assert.IsTrue(XenVersion.TryParse(xen, out XenVersion version));
        Host host = new()
        {
            Entries =
            [
                E820Entry.FromBounds(0x100000, 0x8000_0000, E820Type.Ram), E820Entry.FromBounds(0x1_0000_0000, 0x2_0000_0000, E820Type.Ram),
            ],
            Traits = new() { XenVersion = version },
        };

        ImmutableArray<E820Entry> map = Of(host, 0x10000, null).Plan.Map;

        Assert.AreEqual(isMarked, map.Any(static entry => entry.Type == E820Type.Unusable));
        Assert.AreEqual(isMarked ? 0x2_0000_0000UL : 0x1010_0000, Align(map[^1].End));
        ByteRange gap = MapQueries.PciGap(PvhLinuxView.Of(map).AsSpan(), prefersHigh: false);
        Assert.AreEqual(isMarked ? 0x8000_0000UL : 0x1010_0000, Align(gap.Start));

        static ulong Align(ulong address) => Pfn.AtOrAbove(address).ToAddress();
    }

    private static ulong Sum(ImmutableArray<E820Entry> map, E820Type type) =>
        map.Where(entry => entry.Type == type).Aggregate(0UL, static (sum, entry) => sum + entry.Size);

    private static Boot Of(Host host, ulong pages, PvhDom0Tables? tables) => Boot.Of(new Scenario
    {
        Host = host,
        Guest = new() { MemoryKiB = pages << 2, MaxmemKiB = pages << 2 },
        Dom0 = new(null) { IsPvh = true, Tables = tables },
        PageCount = pages,
    });

    private static string Text(string name) => File.ReadAllText(Path.Combine(Folder, name));

    private static (HostDocument Host, LogScan Scan, ObservedBoot Boot) Load(string name)
    {
        Assert.IsTrue(HostMapReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(Text(name))), name, HostMapOptions.Default)
            .TryGet(out HostDocument? host, out InputError? error), error?.ToString());
        LogScan scan = host.Log!;
        Assert.IsTrue(BootLog.Choose(BootLog.Of(scan), wantsDom0: true, null, name).TryGet(out ObservedBoot? boot, out error), error?.ToString());
        return (host, scan, boot);
    }

    [TestMethod]
    public void From_6_9_on_what_is_unusable_becomes_RAM_ten_times_what_dom0_has_at_most()
    {
        ImmutableArray<E820Entry> given =
        [
            E820Entry.FromBounds(0, 0xa_0000, E820Type.Ram), E820Entry.FromBounds(0x10_0000, 0x100_0000, E820Type.Ram),
            E820Entry.FromBounds(0x100_0000, 0x1000_0000, E820Type.Unusable), E820Entry.FromBounds(0x1000_0000, 0x1010_0000, E820Type.Reserved),
        ];
        const ulong room = (0xa_0000 + 0xf0_0000) * 10;

        CollectionAssert.AreEqual(
            new[]
            {
                E820Entry.FromBounds(0, 0xa_0000, E820Type.Ram), E820Entry.FromBounds(0xa_0000, 0x10_0000, E820Type.Reserved),
                E820Entry.FromBounds(0x10_0000, 0x100_0000 + room, E820Type.Ram),
                E820Entry.FromBounds(0x100_0000 + room, 0x1000_0000, E820Type.Unusable),
                E820Entry.FromBounds(0x1000_0000, 0x1010_0000, E820Type.Reserved),
            },
            PvhLinuxView.WithRoomForBalloon(given).ToArray());
    }

    [TestMethod]
    [DataRow("6.1.0")]
    [DataRow("6.6.80")]
    [DataRow("6.12.0")]
    public void Whether_Linux_made_RAM_of_what_is_unusable_its_own_map_tells(string release)
    {
        (HostDocument host, LogScan scan, ObservedBoot boot) = Load("dom0-pvh.log");
        LogMap map = PvhDom0Verifier.MapOf(scan, boot)!;
        Plan plan = Of(host.Host, PvhDom0Verifier.PagesIn(map), PvhDom0Verifier.TablesIn(map)).Plan;
        boot = boot with { Identity = KernelReleases.Identify(release) };

        BootVerification asXenSays = PvhDom0Verifier.Compare(plan, boot, map);
        // The log's count of RAM is of the map that it has.
        BootVerification withRoom = PvhDom0Verifier.Compare(plan, boot with { Facts = boot.Facts with { Memory = null } },
            map with { Entries = PvhLinuxView.WithRoomForBalloon(plan.Map) });

        Assert.IsTrue(asXenSays.Agrees, string.Join('\n', asXenSays.Differences));
        Assert.Contains("takes it over as it is", asXenSays.Explanations[0].ToString());
        Assert.IsTrue(withRoom.Agrees, string.Join('\n', withRoom.Differences));
        Assert.Contains("as room for its balloon", withRoom.Explanations[0].ToString());
    }

    [TestMethod]
    [DataRow("6.1.90", false)]
    [DataRow("6.6.26", false)]
    [DataRow("6.6.27", true)]
    [DataRow("6.7.12", false)]
    [DataRow("6.8.5", false)]
    [DataRow("6.8.6", true)]
    [DataRow("6.9", true)]
    [DataRow("6.1.91", null)]
    public void Which_releases_make_RAM_of_what_is_unusable_is_known_but_for_one_series(string release, bool? makesRoom)
    {
        Assert.AreEqual(makesRoom, PvhLinuxView.MakesRoomForBalloon(KernelReleases.Identify(release)!.Release!.Value));
        // A map without unusable memory tells how much dom0 has only where the kernel leaves it as it is.
        (HostDocument document, LogScan scan, ObservedBoot boot) = Load("dom0-pvh.log");
        Host host = document.Host;
        LogMap map = PvhDom0Verifier.MapOf(scan, boot)!;
        map = map with { Entries = [.. map.Entries.Where(static entry => entry.Type != E820Type.Unusable)] };
        boot = boot with { Identity = KernelReleases.Identify(release) };
        Assert.AreEqual(makesRoom == false, PvhDom0Verifier.TellsSize(map, boot, host));
        // Up to 4.11 Xen puts none into it.
        Host old = host with { Traits = host.Traits with { XenVersion = new(4, 11) } };
        Assert.IsTrue(PvhDom0Verifier.TellsSize(map, boot, old));
    }

    [TestMethod]
    [DataRow("4.18", "6.12", null, GuestOutcome.NotKnown)]
    [DataRow("4.19", "6.11", null, GuestOutcome.NotKnown)]
    [DataRow("4.19", "6.12", null, GuestOutcome.Boots)]
    [DataRow("4.18", "6.12", 0x400_0000UL, GuestOutcome.Boots)]
    [DataRow("4.18", "6.12", 0x400_1000UL, GuestOutcome.Halts)]
    [DataRow("4.19", "6.12", 0x400_1000UL, GuestOutcome.Boots)]
    public void Xen_loads_a_kernel_to_RAM_alone_and_elsewhere_only_where_both_can(string xen, string linux, ulong? end, GuestOutcome outcome)
    {
        Host host = new()
        {
            Entries =
            [
                E820Entry.FromBounds(0, 0xa_0000, E820Type.Ram), E820Entry.FromBounds(0x10_0000, 0x400_0000, E820Type.Ram),
                E820Entry.FromBounds(0x400_0000, 0x401_2000, E820Type.Nvs), E820Entry.FromBounds(0x401_2000, 0x4000_0000, E820Type.Ram),
            ],
            Traits = new() { XenVersion = XenVersion.TryParse(xen, out XenVersion version) ? version : null },
        };

        var boot = Boot.Of(new Scenario
        {
            Host = host,
            Guest = new() { MemoryKiB = 512 << 10, MaxmemKiB = 512 << 10 },
            Dom0 = new(null) { IsPvh = true },
            Kernel = KernelReleases.Identify(linux)!.Release!.Value,
            Layout = end is { } last ? new() { Kernel = ByteRange.FromBounds(0x100_0000, last) } : null,
        });

        Assert.AreEqual(outcome, boot.Outcome);
        Assert.AreEqual(outcome == GuestOutcome.Halts, boot.HasErrors);
        Assert.AreEqual(outcome != GuestOutcome.Boots, boot.Problems.Any(static problem => problem.Code == ProblemCodes.KernelNotOnRam));
    }

    /// <summary>The note in the image of Debian's 6.12: 2 MiB, 16 MiB, 0x3fffffff.</summary>
    [TestMethod]
    [DataRow(0x3000_0000UL, 0x3400_0000UL, true)]
    [DataRow(0x3e00_0000UL, 0x4000_0000UL, false)]
    [DataRow(0x4000_0000UL, 0x5000_0000UL, false)]
    public void Xen_loads_a_kernel_elsewhere_up_to_1_GiB(ulong start, ulong end, bool boots)
    {
        Host host = new()
        {
            Entries =
            [
                E820Entry.FromBounds(0, 0xa_0000, E820Type.Ram), E820Entry.FromBounds(0x10_0000, 0x200_0000, E820Type.Ram),
                E820Entry.FromBounds(0x200_0000, start, E820Type.Reserved), E820Entry.FromBounds(start, end, E820Type.Ram),
            ],
            Traits = new() { XenVersion = new XenVersion(4, 20) },
        };

        var boot = Boot.Of(new Scenario
        {
            Host = host,
            Guest = new() { MemoryKiB = 256 << 10, MaxmemKiB = 256 << 10 },
            Dom0 = new(null) { IsPvh = true },
            Kernel = KernelReleases.Identify("6.12")!.Release!.Value,
            Layout = new() { Kernel = ByteRange.FromBounds(0x100_0000, 0x400_0000) },
        });

        Assert.AreEqual(!boots, boot.Problems.Any(static problem => problem.Code == ProblemCodes.KernelNotOnRam));
    }

    [TestMethod]
    [DataRow("Unable to allocate memory with order 0!", "Failed to setup Dom0 physical memory map", true)]
    [DataRow("d0 kernel: Address conflict and not relocatable", "Failed to load Dom0 kernel", true)]
    [DataRow("Failed to load kernel: -1", "Failed to load Dom0 kernel", false)]
    public void Why_Xen_cannot_build_a_PVH_dom0_is_told_in_its_first_words(string first, string second, bool isAboutMemory)
    {
        string text = $"(XEN) Command line: dom0=pvh dom0_mem=1G\n(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009ffff] (usable)\n"
            + "(XEN)  [0000000000100000, 000000007fffffff] (usable)\n(XEN) *** Building a PVH Dom0 ***\n"
            + $"(XEN) [    3.59] {first}\n(XEN) {second}\n(XEN) Panic on CPU 0:\n(XEN) Could not construct d0\n";
        ObservedBoot boot = BootLog.Of(LogScanner.Scan(new MemoryStream(Encoding.UTF8.GetBytes(text)), "f")).Single();
        BootFailure failure = boot.BootFailure!.Value.Value;

        Assert.AreEqual(("Could not construct d0", first, isAboutMemory), (failure.Words, failure.Cause, failure.IsAboutMemory));
        Plan plan = Of(new() { Entries = [E820Entry.FromBounds(0, 0x8000_0000, E820Type.Ram)] }, 1 << 18, null).Plan;
        string said = string.Join(' ', PvhDom0Verifier.Compare(plan, boot, null).Explanations);
        Assert.Contains($"Xen itself dies (line 8: \"Could not construct d0\")", said);
        Assert.Contains($"Before that Xen says \"{first}\"", said);
        Assert.AreEqual(isAboutMemory, said.Contains("memory has a part in it", StringComparison.Ordinal));
        Assert.DoesNotContain("not about memory", said);
    }
}
