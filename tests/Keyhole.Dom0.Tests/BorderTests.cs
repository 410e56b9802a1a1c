// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Tests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Dom0.Tests;

/// <summary>What a program gives the library by mistake is told at the border, not deep inside.</summary>
[TestClass]
public sealed class BorderTests
{
    [TestMethod]
    public void No_public_method_answers_null_or_a_default_array_with_a_fault_of_its_own()
    {
        string wrong = string.Join('\n', Borders.FaultsOfNothing(typeof(MachineCapture).Assembly, out int count));

        Assert.AreEqual("", wrong);
        Assert.IsGreaterThan(20, count);
    }

    [TestMethod]
    public void No_array_of_a_value_that_users_make_can_be_the_default()
    {
        string wrong = string.Join('\n', Borders.DefaultArrays(typeof(MachineCapture).Assembly, static _ => false, out int count));

        Assert.AreEqual("", wrong);
        Assert.IsGreaterThan(3, count);
    }
}
