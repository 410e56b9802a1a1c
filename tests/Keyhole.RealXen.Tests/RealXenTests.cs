// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Threading;
using Keyhole.RealMachine;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

/// <summary>Boots of the real Xen: that the harness still makes what the golden records say. Minutes, not milliseconds; ./test quick leaves them
/// out.</summary>
[TestClass]
[TestCategory("RealXen")]
public sealed class RealXenTests
{
    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void A_kernel_that_lies_on_nvs_halts_as_in_the_golden_record() => Remake("nvskernel");

    [TestMethod]
    public void A_guest_on_a_plain_host_boots_on_libxls_map_as_in_the_golden_record() => Remake("plain4g", "boot512");

    [TestMethod]
    public void A_passed_through_card_works_in_a_guest_as_in_the_golden_record() => Remake("passthrough", "a_pci");

    [TestMethod]
    public void Linux_6_12_moves_nvs_away_from_under_its_kernel_as_in_its_record() => Remake("linux612/nvskernel", "both-sides");

    [TestMethod]
    public void Linux_6_12_remaps_on_RAM_that_is_split_above_4_GiB_as_in_its_record() => Remake("linux612/splithigh", "boot600");

    [TestMethod]
    public void Hvmloader_places_the_BARs_of_a_passed_through_card_as_in_its_record() => Remake("hvm/passthrough-intel", "e1000", "e1000-hole3072");

    [TestMethod]
    public void A_PVH_dom0_and_its_PVH_guest_boot_as_in_their_record() => Remake("hvm/dom0-pvh", "m512");

    [TestMethod]
    public void On_the_seeds_machine_dom0_with_all_memory_remaps_283_999_pages()
    {
        XenRun run = Run(ScenarioFile.Load("seed8g-all"));
        GoldenRecord record = GoldenRecord.Parse(RecordWriter.Write(run));

        CollectionAssert.AreEqual(Golden.Record("seed8g").FirmwareMap.ToArray(), record.FirmwareMap.ToArray());
        Assert.AreEqual(283_999, record.Dom0Kernel.RemappedPages);
        Assert.AreEqual(0, record.Dom0Kernel.ReleasedPages);
    }

    [TestMethod]
    public void On_a_host_with_nvs_at_8_MiB_a_guest_dies_on_libxls_map_and_boots_with_RAM_on_both_sides()
    {
        GoldenRecord record = GoldenRecord.Parse(RecordWriter.Write(Run(ScenarioFile.Load("nvs8m"))));
        GuestRecord onLibxlsMap = record.Guest("libxl"), onBothSides = record.Guest("both-sides");

        Assert.AreEqual("[0 -> 800] RAM", onLibxlsMap.XlMap[1]);
        Assert.IsTrue(onLibxlsMap.Died);
        Assert.IsFalse(onLibxlsMap.Done);
        Assert.IsTrue(onBothSides.Done);
        Assert.AreEqual(256, onBothSides.Kernel!.RemappedPages);
        Assert.AreEqual(0, onBothSides.Kernel!.ReleasedPages);
    }

    // Where it does, domains get each other's vector registers (see XenMachine.Processor).
    [TestMethod]
    public void Xen_finds_no_extended_state_in_the_emulated_processor() =>
        Assert.IsEmpty(Run(ScenarioFile.Load("plain4g").OnlyGuests() with { Name = "processor" }).Serial.Split('\n')
            .Where(line => line.Contains("xstate:", StringComparison.Ordinal)));

    [TestMethod]
    public void A_dom0_that_does_not_come_up_in_time_is_ended_and_said_so()
    {
        Scenario scenario = ScenarioFile.Load("plain4g").OnlyGuests() with { Name = "deadline", DeadlineSeconds = 1 };
        string message = Assert.ThrowsExactly<HarnessException>(() => XenMachine.Run(scenario)).Message;

        Assert.StartsWith("deadline: not done after 1 s; the serial console ends with", message);
        Assert.DoesNotContain('\n', message);
        // A killed process lets go of its folder a moment after it has closed its files.
        Assert.IsTrue(SpinWait.SpinUntil(() => !Directory.GetDirectories("/proc").Select(WorkingFolder)
            .Any(folder => folder.Contains("/deadline-", StringComparison.Ordinal)), TimeSpan.FromSeconds(5)));

        static string WorkingFolder(string process)
        {
            try
            {
                return new FileInfo(process + "/cwd").LinkTarget ?? "";
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                return "";
            }
        }
    }

    private void Remake(string name, params string[] guests)
    {
        XenRun run = Run(ScenarioFile.Load(name).OnlyGuests(guests));
        GoldenRecord golden = Golden.Record(name).OnlyGuests(guests);
        Assert.AreEqual("", string.Join('\n', RecordComparison.Differences(golden, GoldenRecord.Parse(RecordWriter.Write(run)))));
        Assert.HasCount(guests.Length, golden.Guests.Where(guest => guest.Done || !guest.HvmLoader.IsEmpty));
    }

    private XenRun Run(Scenario scenario)
    {
        XenRun run = XenMachine.Run(scenario);
        TestContext.WriteLine($"{scenario.Name}: {run.End} after {run.Elapsed.TotalSeconds:0.0} s");
        return run;
    }
}
