// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.RealMachine;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

[TestClass]
public sealed class ScenarioTests
{
    [TestMethod]
    [DynamicData(nameof(Golden.AllRows), typeof(Golden))]
    public void The_scenario_of_a_golden_record_describes_its_host_and_guests(string name)
    {
        GoldenRecord golden = Golden.Record(name);
        Scenario scenario = ScenarioFile.Load(name);

        Assert.AreEqual(golden.XenCommandLine, scenario.XenCommandLine);
        if (golden.MapSource == "Multiboot-e820")
            CollectionAssert.AreEqual(golden.FirmwareMap.ToArray(), scenario.FirmwareMap.ToArray());
        else
            Assert.IsTrue(scenario.FirmwareMap.IsEmpty);
        Assert.AreEqual(golden.Bars.IsEmpty, scenario.Assign.Length == 0);
        CollectionAssert.AreEqual(golden.Guests.Select(guest => guest.Name).ToArray(), scenario.Guests.Select(guest => guest.Name).ToArray());
        foreach (GuestStep guest in scenario.Guests)
        {
            Assert.AreEqual(string.Join('\n', golden.Guest(guest.Name).Config) + "\n", guest.ConfigText, guest.Name);
            bool booted = golden.Guest(guest.Name).Kernel is not null || !golden.Guest(guest.Name).HvmLoader.IsEmpty;
            // A guest that libxl refuses to make cannot be booted.
            bool refused = golden.Guest(guest.Name).XlMessages.Any(line => line.Contains("error:", StringComparison.OrdinalIgnoreCase));
            Assert.IsTrue(booted == guest.Boot || refused, guest.Name);
        }
    }

    [TestMethod]
    [DataRow("""{"xem": "dom0_mem=1G"}""", "xem")]
    [DataRow("""{"firmwareMap": ["0 9fc00"]}""", "\"0 9fc00\" is not a valid map entry")]
    [DataRow("""{"firmwareMap": ["9fc00 0 ram"]}""", "\"9fc00 0 ram\" is not a valid map entry")]
    [DataRow("""{"steps": [{"guest": "a", "run": "b"}]}""", "either \"guest\" or \"run\"")]
    [DataRow("""{"machine": "vax"}""", "machine")]
    [DataRow("{", "end of the JSON")]
    public void A_scenario_that_cannot_be_read_is_refused_in_one_line_that_says_why(string json, string why)
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".json");
        File.WriteAllText(path, json);
        try
        {
            string message = Assert.ThrowsExactly<HarnessException>(() => ScenarioFile.Load(path)).Message;
            Assert.Contains(path, message);
            Assert.Contains(why, message);
            Assert.DoesNotContain('\n', message);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void A_scenario_that_is_not_there_is_answered_with_those_that_are()
    {
        string message = Assert.ThrowsExactly<HarnessException>(() => ScenarioFile.Load("nonesuch")).Message;
        foreach (string name in Golden.Names)
            Assert.Contains(name, message);
    }

    [TestMethod]
    public void An_archive_holds_its_folders_before_their_files_each_part_aligned_to_four_bytes()
    {
        using var archive = new MemoryStream();
        var cpio = new CpioWriter(archive);
        cpio.Text("a/b/c", "12345", executable: true);
        cpio.Link("a/d", "b/c");
        cpio.Finish(4096);

        Assert.AreEqual(4096, archive.Length);
        Assert.AreEqual("a 41ed, a/b 41ed, a/b/c 81ed 12345, a/d a1ff b/c, TRAILER!!! 0", string.Join(", ", Entries(archive.ToArray())));

        static System.Collections.Generic.IEnumerable<string> Entries(byte[] bytes)
        {
            for (int at = 0; ;)
            {
                string header = Encoding.ASCII.GetString(bytes, at, 110);
                Assert.StartsWith("070701", header);
                int mode = Field(1), size = Field(6), nameSize = Field(11);
                string name = Encoding.ASCII.GetString(bytes, at + 110, nameSize - 1);
                at = (at + 110 + nameSize + 3) & ~3;
                string content = Encoding.ASCII.GetString(bytes, at, size);
                at = (at + size + 3) & ~3;
                yield return $"{name} {mode:x} {content}".TrimEnd();
                if (name == "TRAILER!!!")
                    yield break;

                int Field(int index) => Convert.ToInt32(header.Substring(6 + (8 * index), 8), 16);
            }
        }
    }
}
