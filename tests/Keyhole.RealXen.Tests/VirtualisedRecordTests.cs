// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

/// <summary>Records of HVM and PVH guests and of a PVH dom0: that nothing of them is lost, and what they say.</summary>
[TestClass]
public sealed class VirtualisedRecordTests
{
    [TestMethod]
    [DynamicData(nameof(Golden.VirtualisedRows), typeof(Golden))]
    public void No_entry_section_or_guest_of_a_record_is_lost(string name)
    {
        string[] lines = Golden.Text(name).Split('\n');
        GoldenRecord record = Golden.Record(name);

        Assert.HasCount(lines.Count(line => line.StartsWith("(XEN)  [", StringComparison.Ordinal)), record.FirmwareMap);
        Assert.HasCount(lines.Count(line => line.StartsWith("=== GUEST ", StringComparison.Ordinal)), record.Guests);
        Assert.AreEqual(lines.Count(line => line.StartsWith("(d", StringComparison.Ordinal)), record.Guests.Sum(guest => guest.HvmLoader.Length));
        Assert.AreEqual(
            lines.Count(line => line.Contains("Xen: [mem ", StringComparison.Ordinal) || line.Contains("BIOS-e820: [mem ", StringComparison.Ordinal)),
            record.Dom0Kernel.E820.Length + record.Guests.Sum(guest => guest.Kernel?.E820.Length ?? 0));
        Assert.IsTrue(record.AllDone);
    }

    [TestMethod]
    [DynamicData(nameof(Golden.VirtualisedRows), typeof(Golden))]
    public void A_record_agrees_with_itself_and_a_changed_address_of_hvmloader_is_seen(string name)
    {
        GoldenRecord record = Golden.Record(name);
        Assert.IsTrue(RecordComparison.Differences(record, record).IsEmpty);
        foreach (string line in Golden.Text(name).Split('\n')
            .Where(line => line.Contains(" bar ", StringComparison.Ordinal) || line.Contains(": RAM", StringComparison.Ordinal)).Distinct())
        {
            GoldenRecord changed = GoldenRecord.Parse(Golden.Text(name).Replace(line, line.Replace('0', '1'), StringComparison.Ordinal));
            Assert.IsFalse(RecordComparison.Differences(record, changed).IsEmpty, line);
        }
    }
}
