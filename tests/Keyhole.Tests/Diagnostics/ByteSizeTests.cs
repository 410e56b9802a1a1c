// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Diagnostics;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Diagnostics;

/// <summary>Sizes that stand side by side.</summary>
[TestClass]
public sealed class ByteSizeTests
{
    [TestMethod]
    [DataRow(3UL << 30, (3UL << 30) - (384 << 10), "3072 MiB", "3071.63 MiB")]
    [DataRow(3UL << 30, 3UL << 30, "3 GiB", "3 GiB")]
    [DataRow(1UL << 40, (1UL << 40) - 1, "1099511627776 B", "1099511627775 B")]
    [DataRow(0UL, 1UL << 20, "0 B", "1 MiB")]
    [DataRow(1UL << 30, 3UL << 29, "1 GiB", "1.5 GiB")]
    public void Two_sizes_that_differ_do_not_read_the_same(ulong first, ulong second, string firstText, string secondText)
    {
        Assert.AreEqual((firstText, secondText), ByteSize.ToTexts(first, second));
    }
}
