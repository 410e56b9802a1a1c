// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using Keyhole.Addresses;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Rooms;

/// <summary>What a program gives the library by mistake is told at the border, not deep inside.</summary>
[TestClass]
public sealed class BorderTests
{
    private static readonly HashSet<Type> s_made =
        [typeof(PolicyInput), typeof(PolicyResult), typeof(PciDevice), typeof(MigrationHost), typeof(QemuDevice), typeof(HostFunction)];

    [TestMethod]
    public void No_public_method_answers_null_or_a_default_array_with_a_fault_of_its_own()
    {
        string wrong = string.Join('\n', Borders.FaultsOfNothing(typeof(Host).Assembly, out int count));

        Assert.AreEqual("", wrong);
        Assert.IsGreaterThan(100, count);
        Assert.AreEqual("", string.Join('\n', Borders.FaultsOfNothing(typeof(ByteRange).Assembly, out _)));
    }

    [TestMethod]
    public void No_array_of_a_value_that_users_make_can_be_the_default()
    {
        string wrong = string.Join('\n', Borders.DefaultArrays(typeof(Host).Assembly, type => s_made.Contains(type), out int count));

        Assert.AreEqual("", wrong);
        Assert.IsGreaterThan(20, count);
    }

    [TestMethod]
    public void A_value_cannot_be_made_of_nothing()
    {
        Assert.ThrowsExactly<ArgumentException>(static () => new Host { Entries = default });
        Assert.ThrowsExactly<ArgumentNullException>(static () => Host.Unknown with { Traits = null! });
        Assert.ThrowsExactly<ArgumentException>(static () => HostTraits.Unknown with { IoApics = default });
        Assert.ThrowsExactly<ArgumentNullException>(static () => new Scenario { Host = null!, Guest = new() { MemoryKiB = 1, MaxmemKiB = 1 } });
        Assert.ThrowsExactly<ArgumentException>(static () => new BootRequest { Map = default, PageCount = 1, Layout = GuestLayout.Unknown });
    }
}
