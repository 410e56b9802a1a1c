// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.PvGuest;
using Keyhole.Tests.Golden;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>The real logs beside their forecasts: all agree, what is changed in them is found and nothing else, and the explanations name
/// causes.</summary>
[TestClass]
public sealed class VerifierTests
{
    private static IEnumerable<object[]> LogNames => GoldenBoots.LogNames;

    private static IEnumerable<object[]> BootedGuests => GoldenBoots.BootedGuests;

    [TestMethod]
    [DynamicData(nameof(LogNames))]
    public void Dom0_of_every_record_agrees(string name)
    {
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(GoldenBoots.Lines(name));

        BootVerification verification = Verifier.Compare(forecast, boot);

        Assert.AreEqual("", Told(verification.Differences));
        Assert.AreEqual(forecast.KernelMap.Length, verification.Findings.Count(static finding => finding.What == "map entry"));
        Assert.AreEqual("", string.Join("; ", verification.NotCompared));
    }

    [TestMethod]
    [DynamicData(nameof(BootedGuests))]
    public void Every_booted_guest_agrees_on_its_own_text(string log, string name)
    {
        GoldenGuest guest = GoldenBoots.Guest(log, name);
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.OfGuest(log, guest, GoldenBoots.TextOf(guest));

        BootVerification verification = Verifier.Compare(forecast, boot);

        Assert.AreEqual("", Told(verification.Differences));
        Assert.AreEqual(forecast.KernelMap.Length, verification.Findings.Count(static finding => finding.What == "map entry"));
        Assert.AreEqual(BootOwner.Guest, boot.Owner);
    }

    [TestMethod]
    [DynamicData(nameof(BootedGuests))]
    public void A_guest_agrees_without_its_builders_lines(string log, string name)
    {
        GoldenGuest guest = GoldenBoots.Guest(log, name);
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.OfGuest(log, guest, guest.Kernel);

        Assert.AreEqual("", Told(Verifier.Compare(forecast, boot).Differences));
    }

    [TestMethod]
    public void The_halt_on_NVS_agrees_and_names_the_NVS_and_the_kernel_that_copes()
    {
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(GoldenBoots.Lines("nvskernel"));

        BootVerification verification = Verifier.Compare(forecast, boot);

        Assert.IsTrue(verification.Agrees);
        Assert.IsTrue(boot.Halts);
        Contains(verification, "What is in the way", "nvs", "[0x1800000, 0x1a00000)");
        Contains(verification, "By kernel", "6.12 and later: boots");
        Contains(verification, "By kernel", "4.3 to 6.11: halts with \"Xen hypervisor allocated kernel memory");
        Contains(verification, "What to change", "6.12 and later");
        Contains(verification, "CONFIG_PHYSICAL_START=0x1a00000");
    }

    [TestMethod]
    public void Where_no_version_copes_only_another_place_is_named()
    {
        string[] lines = [.. GoldenBoots.Lines("nvskernel").Select(static line => line.Replace("ACPI NVS", "reserved", StringComparison.Ordinal))];
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(lines);

        BootVerification verification = Verifier.Compare(forecast, boot);

        Contains(verification, "4.3 and later: halts");
        CollectionAssert.AreEqual(
            new[] { "What to change: build this kernel with CONFIG_PHYSICAL_START=0x1a00000: there it is on RAM, and by the forecast it boots." },
            verification.Explanations.Select(static text => text.ToString())
                .Where(static text => text.StartsWith("What to change", StringComparison.Ordinal)).ToArray());
    }

    [TestMethod]
    public void The_place_named_for_a_kernel_boots()
    {
        (BootForecast forecast, _) = GoldenBoots.Dom0(GoldenBoots.Lines("nvskernel"));
        GuestLayout layout = forecast.Request.Layout;
        const ulong by = 0x1a0_0000 - 0x100_0000;

        BootForecast moved = Forecaster.Forecast(forecast.Request with
        {
            Layout = layout with { Kernel = By(layout.Kernel), StartInfo = By(layout.StartInfo), PageTables = By(layout.PageTables) },
        });

        Assert.IsTrue(moved.Boots);

        static ByteRange By(ByteRange range) => ByteRange.FromSize(range.Start + by, range.SizeBytes);
    }

    [TestMethod]
    public void Released_pages_are_explained_with_the_hole_they_lay_under()
    {
        GoldenGuest guest = GoldenBoots.Guest("passthrough", "b_short");
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.OfGuest("passthrough", guest, GoldenBoots.TextOf(guest));

        BootVerification verification = Verifier.Compare(forecast, boot);

        Contains(verification, "16,384 pages (64 MiB) are missing", "[0x1c000000, 0x20000000) reserved: 16,384");
        Contains(verification, "458,364 KiB of RAM are 524,288 KiB given", "65,536 given back to Xen", "384 reserved", "4 the first page",
            "252,712 KiB for itself");
    }

    [TestMethod]
    public void A_window_that_cannot_be_claimed_is_named_with_what_it_meets()
    {
        GoldenGuest guest = GoldenBoots.Guest("passthrough", "c_overbar");
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.OfGuest("passthrough", guest, GoldenBoots.TextOf(guest));

        BootVerification verification = Verifier.Compare(forecast, boot);

        Finding[] claims = [.. verification.Findings.Where(static finding => finding.What == "window that cannot be claimed")];
        Assert.HasCount(2, claims);
        Assert.IsTrue(claims.All(static finding => finding.Agrees));
        Contains(verification, "[0xfebc0000, 0xfebe0000) and [0xfeb80000, 0xfebc0000) conflict with Unusable memory [0xfeb00000, 0xfec00000)");
    }

    [TestMethod]
    public void A_window_in_the_way_of_nothing_forecast_is_a_difference()
    {
        GoldenGuest guest = GoldenBoots.Guest("passthrough", "a_pci");
        List<string> lines = GoldenBoots.TextOf(guest);
        lines.Add("[    4.453712] pci 0000:00:00.0: can't claim BAR 0 [mem 0xfebc0000-0xfebdffff]: address conflict with "
            + "Unusable memory [mem 0xfeb00000-0xfebfffff]");
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.OfGuest("passthrough", guest, lines);

        Finding only = Verifier.Compare(forecast, boot).Differences.Single();

        Assert.AreEqual("window that cannot be claimed", only.What);
        Assert.AreEqual(lines.Count, only.Line);
    }

    [TestMethod]
    [DataRow("BAR 6: can't claim [mem 0x000c0000-0x000dffff]: address conflict with Reserved [mem 0x000a0000-0x000fffff]", "nothing is lost")]
    [DataRow("can't claim BAR 1 [mem 0xfec00000-0xfec0ffff]: address conflict with Reserved [mem 0xfec00000-0xfec00fff]",
        "reserved memory of the map")]
    [DataRow("can't claim BAR 1 [mem 0xfebc0000-0xfebdffff]: address conflict with Reserved [mem 0xfeb00000-0xfebfffff]",
        "conflicts with [0xfeb00000, 0xfec00000), which the kernel calls reserved, and which neither the forecast's map nor the log's has as such")]
    [DataRow("can't claim BAR 1 [mem 0xfebc0000-0xfebdffff]:", "why not does not stand in that line")]
    [DataRow("can't claim BAR 1 [mem 0xfebc0000-0xfebdffff]: no compatible bridge window", "not the memory map's")]
    public void Why_a_window_cannot_be_claimed_is_told_as_far_as_the_line_tells_it(string line, string told)
    {
        GoldenGuest guest = GoldenBoots.Guest("passthrough", "a_pci");
        List<string> lines = GoldenBoots.TextOf(guest);
        lines.Add($"[    4.453712] pci 0000:00:00.0: {line}");
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.OfGuest("passthrough", guest, lines);

        Contains(Verifier.Compare(forecast, boot), told);
    }

    [TestMethod]
    [DataRow("seed8g", 0)]
    [DataRow("seed8g", 3)]
    [DataRow("passthrough", 5)]
    public void Lines_of_the_map_that_have_changed_places_are_no_difference(string log, int entry)
    {
        List<string> lines = [.. GoldenBoots.Lines(log)];
        int at = Enumerable.Range(0, lines.Count).Where(i => lines[i].Contains("Xen: [mem ", StringComparison.Ordinal)).ElementAt(entry);
        (lines[at], lines[at + 1]) = (lines[at + 1], lines[at]);
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0([.. lines]);

        BootVerification verification = Verifier.Compare(forecast, boot);

        Assert.AreEqual("", Told(verification.Differences));
        Assert.AreEqual(forecast.KernelMap.Length, verification.Findings.Count(static finding => finding.What == "map entry"));
        Assert.AreEqual("", string.Join("; ", verification.NotCompared));
    }

    [TestMethod]
    [DataRow("seed8g", "0x0000000020000000-0x00000000201fffff] reserved", "0x0000000020001000-0x0000000020200fff] reserved")]
    [DataRow("passthrough", "0x00000000fed1c000-0x00000000fed1ffff] reserved", "0x00000000fed1d000-0x00000000fed20fff] reserved")]
    [DataRow("passthrough", "0x00000000fec00000-0x00000000fec00fff] reserved", "0x00000000fec01000-0x00000000fec01fff] reserved")]
    [DataRow("unusable", "0x0000000000100000-0x", "0x0000000000101000-0x")]
    public void An_entry_moved_by_a_page_is_the_only_difference(string log, string entry, string moved)
    {
        string[] lines = GoldenBoots.Changed(GoldenBoots.Lines(log), "Xen: [mem " + entry, "Xen: [mem " + moved, out int line);
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(lines);

        Finding only = Verifier.Compare(forecast, boot).Differences.Single();

        Assert.AreEqual("map entry", only.What);
        Assert.AreEqual(line, only.Line);
        Assert.IsNotNull(only.Forecast);
        Assert.IsNotNull(only.Observed);
    }

    [TestMethod]
    [DataRow("] Remapped 139361 page(s)", "] Remapped 139360 page(s)", "remapped pages", "139,361", "139,360")]
    [DataRow("] Released 0 page(s)", "] Released 1 page(s)", "released pages", "0", "1")]
    [DataRow("0x4dc61000-0xfebfffff] available", "0x4dc62000-0xfebfffff] available", "gap for PCI devices", "[0x4dc61000, 0xfec00000)",
        "[0x4dc62000, 0xfec00000)")]
    [DataRow("to [mem 0x28000000-0x2a6185c0]", "to [mem 0x28001000-0x2a6195c0]", "initrd moved", null, null)]
    [DataRow("RAMDISK: [mem 0x28000000-0x2a618fff]", "RAMDISK: [mem 0x28001000-0x2a619fff]", "ramdisk", "[0x28000000, 0x2a619000)",
        "[0x28001000, 0x2a61a000)")]
    public void A_line_changed_is_the_only_difference(string text, string changed, string what, string? forecastText, string? observed)
    {
        string[] lines = GoldenBoots.Changed(GoldenBoots.Lines("dom0-relocate"), text, changed, out int line);
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(lines);

        Finding only = Verifier.Compare(forecast, boot).Differences.Single();

        Assert.AreEqual(what, only.What);
        Assert.AreEqual(line, only.Line);
        Assert.AreEqual(forecastText ?? only.Forecast, only.Forecast);
        Assert.AreEqual(observed ?? only.Observed, only.Observed);
    }

    [TestMethod]
    public void An_entry_left_out_of_a_whole_map_is_a_difference_where_it_should_stand()
    {
        List<string> lines = [.. GoldenBoots.Lines("dom0-relocate")];
        int index = lines.FindIndex(static line => line.Contains("Xen: [mem 0x0000000006000000", StringComparison.Ordinal));
        lines.RemoveAt(index);
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(lines);

        Finding only = Verifier.Compare(forecast, boot).Differences.Single();

        Assert.AreEqual("[0x6000000, 0x28000000) reserved", only.Forecast);
        Assert.IsNull(only.Observed);
        Assert.AreEqual(index + 1, only.Line);
    }

    [TestMethod]
    public void A_log_cut_at_any_line_differs_in_nothing()
    {
        string[] lines = GoldenBoots.Lines("dom0-relocate");
        int first = Array.FindIndex(lines, static line => line.Contains("initrd moved", StringComparison.Ordinal)) + 1;
        int compared = 0;
        for (int kept = first; kept < lines.Length; kept++)
        {
            (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(lines.Take(kept));
            BootVerification verification = Verifier.Compare(forecast, boot);

            Assert.AreEqual("", Told(verification.Differences), $"cut behind line {kept}");
            Assert.IsGreaterThanOrEqualTo(compared, verification.Findings.Length);
            compared = verification.Findings.Length;
        }
    }

    [TestMethod]
    public void A_dmesg_that_begins_anywhere_differs_in_nothing()
    {
        GoldenGuest guest = GoldenBoots.Guest("seed8g", GoldenLog.Load("seed8g").Guests().First(static guest => guest.WasBooted).Name);
        BootForecast forecast = GoldenBoots.OfGuest("seed8g", guest, GoldenBoots.TextOf(guest)).Forecast;
        for (int skipped = 0; skipped < guest.Kernel.Count; skipped++)
        {
            if (BootLog.Of(GoldenBoots.Scan(guest.Kernel.Skip(skipped))) is not [{ HasKernelLines: true } boot, ..])
                break;

            Assert.AreEqual("", Told(Verifier.Compare(forecast, boot).Differences), $"{skipped} lines skipped");
        }
    }

    [TestMethod]
    public void A_halt_that_was_not_forecast_is_one_difference()
    {
        List<string> lines = [.. GoldenBoots.Lines("plain4g").TakeWhile(static line => line.StartsWith("(XEN)", StringComparison.Ordinal))];
        lines.Add("Xen hypervisor allocated kernel memory conflicts with E820 map");
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(lines);

        Finding only = Verifier.Compare(forecast, boot).Differences.Single();

        Assert.AreEqual("outcome", only.What);
        Assert.AreEqual("boots", only.Forecast);
        Assert.AreEqual(lines.Count, only.Line);
    }

    [TestMethod]
    public void Xens_word_that_dom0_halted_counts_where_the_kernel_is_silent()
    {
        List<string> lines = [.. GoldenBoots.Lines("nvskernel").TakeWhile(static line => line.StartsWith("(XEN)", StringComparison.Ordinal))];
        lines.Add("(XEN) Hardware Dom0 halted: halting machine");
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(lines);

        BootVerification verification = Verifier.Compare(forecast, boot);

        Assert.IsTrue(verification.Agrees);
        Assert.AreEqual(lines.Count, verification.Findings.Single().Line);
        Contains(verification, "6.12 and later: boots");
    }

    [TestMethod]
    public void A_poweroff_long_after_the_boot_is_no_halt()
    {
        string[] lines = [.. GoldenBoots.Lines("plain4g").TakeWhile(static line => line != "=== DOM0-IOMEM"),
            "(XEN) Hardware Dom0 halted: halting machine"];
        (BootForecast forecast, ObservedBoot boot) = GoldenBoots.Dom0(lines);

        Assert.IsFalse(boot.Halts);
        Assert.AreEqual("", Told(Verifier.Compare(forecast, boot).Differences));
    }

    [TestMethod]
    public void Every_kernels_own_words_are_read_back_without_a_difference()
    {
        GoldenGuest guest = GoldenBoots.Guest("seed8g", GoldenLog.Load("seed8g").Guests().First(static guest => guest.WasBooted).Name);
        BootRequest request = GoldenBoots.OfGuest("seed8g", guest, GoldenBoots.TextOf(guest)).Forecast.Request;
        foreach (KernelRelease version in KernelReleases.Named)
        {
            BootForecast forecast = Forecaster.Forecast(request with { Kernel = version });

            BootVerification verification = Verifier.Compare(forecast, BootLog.Of(GoldenBoots.Scan(forecast.Log)).Single());

            Assert.AreEqual("", Told(verification.Differences), KernelReleases.NameOf(version));
            Assert.AreEqual("", string.Join("; ", verification.NotCompared), KernelReleases.NameOf(version));
            Assert.AreEqual(version <= Kernels.Linux34, verification.Findings.Any(static finding => finding.What == "freed pages"),
                KernelReleases.NameOf(version));
        }
    }

    [TestMethod]
    public void Old_kernels_that_lose_pages_are_told_of_newer_ones()
    {
        GoldenGuest guest = GoldenBoots.Guest("seed8g", GoldenLog.Load("seed8g").Guests().First(static guest => guest.WasBooted).Name);
        BootRequest request = GoldenBoots.OfGuest("seed8g", guest, GoldenBoots.TextOf(guest)).Forecast.Request;
        BootForecast forecast = Forecaster.Forecast(request with { Kernel = Kernels.Linux33 });

        BootVerification verification = Verifier.Compare(forecast, BootLog.Of(GoldenBoots.Scan(forecast.Log)).Single());

        Contains(verification, $"{forecast.ReleasedPages:#,0} pages", "are missing", "gives back what is there");
        Contains(verification, "By kernel", "boots with all its memory");
    }

    [TestMethod]
    [DataRow("linux-3.3", "this kernel gives back what is there and gets nothing for it")]
    [DataRow("linux-4.3", "this kernel does not find the RAM after the guest's first pages that could take them")]
    public void Of_the_kernels_between_only_those_that_cope_are_advised(string name, string why)
    {
        KernelRelease version = Kernels.Of(name);
        // dom0's pages end where a range of RAM does: there the search of 3.18 to 4.3 for room ends, too.
        BootRequest request = GoldenBoots.Dom0(GoldenBoots.Lines("seed8g")).Forecast.Request with { Kernel = version };
        BootForecast forecast = Forecaster.Forecast(request);
        var verification = Verifier.Compare(forecast, BootLog.Of(GoldenBoots.Scan(forecast.Log)).Single());

        Contains(verification, "610 pages", "are missing", why);
        Contains(verification, "3.18 to 4.3: boots, but gives back 610 pages");
        Contains(verification, "What to change: boot a kernel of 3.5 to 3.17, or 4.4 and later; or balloon up again");
    }

    [TestMethod]
    public void Another_kernels_log_is_recognised_by_what_agrees()
    {
        GoldenGuest guest = GoldenBoots.Guest("seed8g", GoldenLog.Load("seed8g").Guests().First(static guest => guest.WasBooted).Name);
        BootForecast forecast = GoldenBoots.OfGuest("seed8g", guest, GoldenBoots.TextOf(guest)).Forecast;
        BootForecast older = Forecaster.Forecast(forecast.Request with { Kernel = Kernels.Linux33 });

        BootVerification verification = Verifier.Compare(forecast, BootLog.Of(GoldenBoots.Scan(older.Log)).Single());

        Assert.IsFalse(verification.Agrees);
        Contains(verification, "agrees with 3.17 and older", "Scenario.Kernel");
    }

    private static void Contains(BootVerification verification, params string[] words) =>
        Assert.IsTrue(
            verification.Explanations.Any(text => words.All(word => text.ToString().Contains(word, StringComparison.Ordinal))),
            $"no explanation has all of: {string.Join(" | ", words)}\n{string.Join('\n', verification.Explanations)}");

    private static string Told(IEnumerable<Finding> findings) =>
        string.Join("\n",
            findings.Select(static finding =>
                $"{finding.What}: forecast {finding.Forecast ?? "-"}, observed {finding.Observed ?? "-"}, line {finding.Line}"));
}
