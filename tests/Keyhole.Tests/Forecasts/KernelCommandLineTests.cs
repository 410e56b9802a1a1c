// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Forecasts;

[TestClass]
public sealed class KernelCommandLineTests
{
    [TestMethod]
    [DataRow("", null)]
    [DataRow("root=/dev/xvda ro", null)]
    [DataRow("xen_512gb_limit", true)]
    [DataRow("ro xen_512gb_limit quiet", true)]
    [DataRow("xen_512gb_limit=1", true)]
    [DataRow("xen_512gb_limit=y", true)]
    [DataRow("xen_512gb_limit=Yes", true)]
    [DataRow("xen_512gb_limit=on", true)]
    [DataRow("xen_512gb_limit=ON quiet", true)]
    [DataRow("xen_512gb_limit=0", false)]
    [DataRow("xen_512gb_limit=n", false)]
    [DataRow("xen_512gb_limit=off", false)]
    [DataRow("xen_512gb_limit=o", null)]
    [DataRow("xen_512gb_limit=maybe", null)]
    [DataRow("xen_512gb_limit=", null)]
    [DataRow("xen_512gb_limit=1 xen_512gb_limit=0", true, DisplayName = "the first counts")]
    [DataRow("xen_512gb_limit xen_512gb_limit=0", false, DisplayName = "one with a value counts before one without")]
    [DataRow("foo.xen_512gb_limit", true, DisplayName = "Linux looks for the word anywhere, in another one too")]
    [DataRow("XEN_512GB_LIMIT", null)]
    public void The_limit_is_read_as_linux_reads_it(string commandLine, bool? expected)
    {
        Assert.AreEqual(expected ?? false, KernelCommandLine.IsLimitedTo512GiB(commandLine, isConfigured: false));
        Assert.AreEqual(expected ?? true, KernelCommandLine.IsLimitedTo512GiB(commandLine, isConfigured: true));
    }
}
