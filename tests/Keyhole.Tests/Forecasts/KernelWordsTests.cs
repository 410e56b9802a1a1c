// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Forecasts;

/// <summary>Words that no record has, by the source of each version: e820_setup_gap, later e820__setup_pci_gap, of arch/x86/kernel/e820.c.</summary>
[TestClass]
public sealed class KernelWordsTests
{
    private const ulong GiB = 1UL << 30;

    [TestMethod]
    [DataRow("linux-3.3", "Allocating PCI resources starting at 40000000 (gap: 40000000:c0000000)")]
    [DataRow("linux-3.4", "Allocating PCI resources starting at 40000000 (gap: 40000000:c0000000)")]
    [DataRow("linux-4.3", "e820: [mem 0x40000000-0xffffffff] available for PCI devices")]
    [DataRow("linux-4.4", "e820: [mem 0x40000000-0xffffffff] available for PCI devices")]
    [DataRow("linux-6.1", "[mem 0x40000000-0xffffffff] available for PCI devices")]
    [DataRow("linux-7.2", "[gap 0x40000000-0xffffffff] available for PCI devices")]
    public void The_gap_for_PCI_is_told_in_each_kernels_words(string version, string words) =>
        Assert.AreEqual(words, Log(Kernels.Of(version), GiB).Single(static line => line.Contains("PCI", System.StringComparison.Ordinal)));

    [TestMethod]
    [DataRow("linux-3.3",
        "PCI: Warning: Cannot find a gap in the 32bit address range|PCI: Unassigned devices with 32bit resource registers may break!|Allocating "
            + "PCI resources starting at 140100000 (gap: 140100000:400000)")]
    [DataRow("linux-3.4",
        "PCI: Warning: Cannot find a gap in the 32bit address range|PCI: Unassigned devices with 32bit resource registers may break!|Allocating "
            + "PCI resources starting at 140100000 (gap: 140100000:400000)")]
    [DataRow("linux-4.3",
        "e820: cannot find a gap in the 32bit address range|e820: PCI devices with unassigned 32bit BARs may break!|e820: [mem "
            + "0x140100000-0x1404fffff] available for PCI devices")]
    [DataRow("linux-4.4",
        "e820: cannot find a gap in the 32bit address range|e820: PCI devices with unassigned 32bit BARs may break!|e820: [mem "
            + "0x140100000-0x1404fffff] available for PCI devices")]
    [DataRow("linux-6.1",
        "Cannot find an available gap in the 32-bit address range|PCI devices with unassigned 32-bit BARs may not work!|[mem "
            + "0x140100000-0x1404fffff] available for PCI devices")]
    [DataRow("linux-7.2",
        "Cannot find an available gap in the 32-bit address range|PCI devices with unassigned 32-bit BARs may not work!|[gap "
            + "0x140100000-0x1404fffff] available for PCI devices")]
    public void Without_a_gap_a_64_bit_kernel_warns_and_takes_what_lies_behind_its_memory(string version, string words) =>
        Assert.AreEqual(words, string.Join('|', Log(Kernels.Of(version), 5 * GiB)[^3..]));

    [TestMethod]
    [DataRow("linux-3.4", "Allocating PCI resources starting at 10000000 (gap: 10000000:400000)")]
    [DataRow("linux-6.1", "[mem 0x10000000-0x103fffff] available for PCI devices")]
    public void Without_a_gap_a_32_bit_kernel_takes_256_MiB_without_a_word(string name, string words)
    {
        KernelRelease version = Kernels.Of(name);
        ImmutableArray<string> log = Log(version, 5 * GiB, is32Bit: true);

        Assert.AreEqual(words, log[^1]);
        Assert.DoesNotContain("annot find", string.Join('\n', log));
    }

    private static ImmutableArray<string> Log(KernelRelease version, ulong ramEnd, bool is32Bit = false) =>
        Forecaster.Forecast(new()
        {
            Map = [E820Entry.FromBounds(0, ramEnd, E820Type.Ram)],
            PageCount = ramEnd >> 12,
            Kernel = version,
            Is32Bit = is32Bit,
            Layout = GuestLayout.OfXl(ramEnd >> 12, is32Bit),
        }).Log;
}
