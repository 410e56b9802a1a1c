// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Guests;
using Keyhole.RealQemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>The forecast beside 1,538 guests that the real QEMU 7.2 and 10.0 with SeaBIOS and OVMF started.</summary>
[TestClass]
public sealed class QemuRecordTests
{
    /// <summary>
    /// Records that the forecast does not meet, with the reason. One: OVMF 2022.11 maps 47 bits, which takes two minutes under emulation, and the
    /// record was cut at 150 s; its neighbours with 48 bits, which OVMF cuts to the same 47, booted after 123 and 130 s.
    /// </summary>
    private static readonly ImmutableHashSet<int> s_cutRecords = [120];

    [TestMethod]
    public void Every_recorded_guest_comes_out_exactly_as_the_real_one_did()
    {
        var wrong = new List<string>();
        int exact = 0;
        foreach (QemuRecord record in QemuRecord.All)
        {
            List<string> differences = QemuComparison.Compare(record);
            if (differences.Count == 0)
                exact++;
            else if (!s_cutRecords.Contains(record.Line))
                wrong.Add($"{record.Name}\n    {string.Join("\n    ", differences.Take(6))}");
        }

        Assert.AreEqual(0, wrong.Count, $"{wrong.Count} of {QemuRecord.All.Length} differ:\n{string.Join('\n', wrong.Take(12))}");
        Assert.AreEqual(QemuRecord.All.Length - s_cutRecords.Count, exact);
        Assert.AreEqual(1538, QemuRecord.All.Length);
    }

    /// <summary>
    /// Line 69 keeps other pages at the end of low RAM than forecast: it has a virtio-scsi controller without a disk and an NVMe controller, and SeaBIOS
    /// looks for a disk while the other driver starts. It was through when this record was made; made anew five times it never was, as forecast.
    /// </summary>
    private const int OneThatIsARace = 69;

    [TestMethod]
    public void Machines_made_at_random_come_out_as_the_real_ones_did()
    {
        var wrong = new List<string>();
        foreach (QemuRecord record in QemuRecord.Random)
        {
            List<string> differences = QemuComparison.Compare(record);
            if (differences.Count > 0 != (record.Line == OneThatIsARace))
                wrong.Add($"{record.Name}\n    {string.Join("\n    ", differences.Take(6))}");
        }

        Assert.AreEqual(0, wrong.Count, $"{wrong.Count} of {QemuRecord.Random.Length} differ:\n{string.Join('\n', wrong.Take(12))}");
        Assert.AreEqual(120, QemuRecord.Random.Length);
    }

    [TestMethod]
    public void Virtual_functions_get_the_room_that_OVMF_keeps_for_them()
    {
        ImmutableArray<QemuRecord> records = QemuRecord.VirtualFunctions;
        var wrong = new List<string>();
        foreach (QemuRecord record in records)
        {
            List<string> differences = QemuComparison.Compare(record);
            if (differences.Count > 0)
                wrong.Add($"{record.Name}\n    {string.Join("\n    ", differences.Take(6))}");
        }

        Assert.AreEqual(0, wrong.Count, $"{wrong.Count} of {records.Length} differ:\n{string.Join('\n', wrong.Take(12))}");
        Assert.IsTrue(records.Any(static record => record.Outcome == "qemu-refused"));
        Assert.IsTrue(records.Any(static record => record.Machine.Devices.Any(static device => device["sriov_max_vfs"] is not null)));
    }

    [TestMethod]
    public void More_machines_made_at_random_come_out_as_the_real_ones_did()
    {
        var wrong = new List<string>();
        foreach (QemuRecord record in QemuRecord.MoreRandom)
        {
            List<string> differences = QemuComparison.Compare(record);
            if (differences.Count > 0)
                wrong.Add($"{record.Name}\n    {string.Join("\n    ", differences.Take(6))}");
        }

        Assert.AreEqual(0, wrong.Count, $"{wrong.Count} of {QemuRecord.MoreRandom.Length} differ:\n{string.Join('\n', wrong.Take(12))}");
        Assert.IsTrue(QemuRecord.MoreRandom.Any(static record => record.Machine.SocketCount > 4));
        Assert.IsTrue(QemuRecord.MoreRandom.Any(static record => record.Machine.Devices.Any(static device => device.Driver == "pvpanic-pci")
            && record.Machine.Firmware.Name == FirmwareName.Ovmf));
    }
}
