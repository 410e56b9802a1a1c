// SPDX-License-Identifier: GPL-2.0-only

using System;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

[TestClass]
public sealed class RecordWriterTests
{
    [TestMethod]
    public void A_line_of_Xens_in_the_middle_of_one_of_dom0s_is_taken_out()
    {
        string record = Record("(XEN) Command line: x\n[    0.1] Rema(XEN) d0: something\npped 610 page(s)\n[    0.2] noise\n", "=== ALLDONE\n");
        Assert.AreEqual("(XEN) Command line: x\n[    0.1] Remapped 610 page(s)\n=== ALLDONE\n", record);
    }

    [TestMethod]
    public void A_dom0_that_halted_is_recorded_up_to_its_last_message()
    {
        string record = Record("(XEN) Command line: x\nXen hypervisor allocated kernel memory conflicts with E820 map\n(XEN) Hardware Dom0 halted\n",
            "", RunEnd.Halted);
        Assert.AreEqual("(XEN) Command line: x\nXen hypervisor allocated kernel memory conflicts with E820 map\n=== HALTED\n", record);
    }

    [TestMethod]
    public void Of_xl_and_of_a_guests_console_only_what_matters_is_kept_and_nothing_behind_its_end()
    {
        string record = Record(
            "(XEN) Command line: x\n",
            "=== GUEST g\nmemory=1\n=== XL\nxencall: noise\nlibxl: error: bad\n=== END\n=== KERNEL\n[    1.0] noise\n[    1.1] Released 0 "
                + "page(s)\n=== IOMEM\n0-1 : Reserved\n\n=== DONE\n[    2.0] reboot\n=== END\n=== ALLDONE\n");
        Assert.AreEqual(
            "(XEN) Command line: x\n=== GUEST g\nmemory=1\n=== XL\nlibxl: error: bad\n=== END\n=== KERNEL\n[    1.1] Released 0 page(s)\n=== "
                + "IOMEM\n0-1 : Reserved\n=== DONE\n=== END\n=== ALLDONE\n",
            record);
    }

    private static string Record(string serial, string answers, RunEnd end = RunEnd.AllDone) =>
        RecordWriter.Write(new XenRun(new Scenario { Name = "t" }, end, serial, answers, TimeSpan.Zero, []));
}
