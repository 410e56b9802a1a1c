// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Captures;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Captures;

[TestClass]
public sealed class UnusableMadeUpTests
{
    private const string AsHost = "0 a0000 1\na0000 100000 2\n100000 c0000000 1\nc0000000 c0100000 2\nc0100000 c0200000 1\nc0200000 c0300000 2";
    private const string AsItStands = "0 a0000 1\na0000 100000 2\n100000 40000000 1\n40000000 c0000000 5\nc0000000 c0100000 2\n"
        + "c0100000 c0200000 5\nc0200000 c0300000 2";

    private const string Map = """
        [    0.000000] Xen: [mem 0x0000000000000000-0x000000000009ffff] usable
        [    0.000000] Xen: [mem 0x00000000000a0000-0x00000000000fffff] reserved
        [    0.000000] Xen: [mem 0x0000000000100000-0x000000003fffffff] usable
        [    0.000000] Xen: [mem 0x0000000040000000-0x00000000bfffffff] unusable
        [    0.000000] Xen: [mem 0x00000000c0000000-0x00000000c00fffff] reserved
        [    0.000000] Xen: [mem 0x00000000c0100000-0x00000000c01fffff] unusable
        [    0.000000] Xen: [mem 0x00000000c0200000-0x00000000c02fffff] reserved
        [    0.000000] NX (Execute Disable) protection: active

        """;

    // As in lf-edge/eve 578 (dom0 on 4.19.5) and in a driver domain's own log (xen-devel, June 2025, Xen 4.18).
    [TestMethod]
    [DataRow("4.19.5-linuxkit", "", AsHost, DisplayName = "dom0's kernel marks what is beyond dom0's share")]
    [DataRow("6.12.21-gentoo", "[    0.000000] ACPI in unprivileged domain disabled\n", AsHost, DisplayName = "libxl marks a guest's")]
    public void Memory_that_a_toolstack_or_a_kernel_made_unusable_is_RAM_of_the_host(string release, string said, string expected)
    {
        string log = $"[    0.000000] Linux version {release} (gcc) #1 SMP\n{said}{Map}";
        HostDocument host = MapFixtures.Expect(MapFixtures.ReadText(log));
        MapFixtures.AreSame(expected, host);
        Assert.AreEqual(expected == AsHost, host.Remarks.Any(static remark => remark.ToString() == UnusableMadeUp.Remark));
        // The guest's own map stays what its kernel has printed.
        HostDocument own = MapFixtures.Expect(MapFixtures.ReadText(log, HostMapOptions.Default with { IsGuests = true }));
        MapFixtures.AreSame(AsItStands, own);
    }
}
