// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using Keyhole.Hypercalls;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Dom0.Tests;

[TestClass]
public sealed class PrivcmdTests
{
    [TestMethod]
    public void A_machine_without_Xen_is_told_in_one_line()
    {
        Assert.IsFalse(Privcmd.Open("/dev/xen/no-such-device").TryGet(out _, out XenProblem? problem));

        Assert.AreEqual(XenProblemKind.Here, problem.Kind);
        Assert.AreEqual(
            "/dev/xen/no-such-device: is not there: this is not a Xen dom0, or its driver is not loaded; run this in dom0; there, modprobe xen-privcmd",
            problem.ToString());
    }

    [TestMethod]
    public void A_device_that_is_none_of_Xens_answers_with_an_error_and_no_exception()
    {
        string file = Path.GetTempFileName();
        try
        {
            Assert.IsTrue(Privcmd.Open(file).TryGet(out Privcmd? privcmd, out XenProblem? problem), problem?.ToString());
            using (privcmd)
                Assert.IsLessThan(0, privcmd.Call(Hypercall.memory_op, MemoryOp.XENMEM_maximum_ram_page));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [TestMethod]
    public void Memory_for_hypercalls_is_there_without_Xen_too_and_is_zero()
    {
        using HypercallBuffer buffer = HypercallBuffer.Allocate(5000)!;

        Assert.AreEqual(8192, buffer.SizeBytes);
        Assert.AreEqual(-1, buffer.Bytes.IndexOfAnyExcept((byte)0));
        Assert.AreEqual(0UL, buffer.Address % 4096);
    }

    [TestMethod]
    public void Every_error_of_Xens_has_a_name()
    {
        foreach (XenError error in Enum.GetValues<XenError>())
            Assert.DoesNotContain("error -", XenProblem.NameOf(-(long)error));
        Assert.AreEqual("EPERM (not permitted)", XenProblem.NameOf(-1));
        Assert.AreEqual("error 99", XenProblem.NameOf(-99));
    }
}
