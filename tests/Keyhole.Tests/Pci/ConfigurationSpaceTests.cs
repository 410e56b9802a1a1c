// SPDX-License-Identifier: GPL-2.0-only

using System;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Pci;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Pci;

[TestClass]
public sealed class ConfigurationSpaceTests
{
    /// <summary>Power management, then MSI, then MSI-X with 5 vectors in register 3 at 2000, as an Intel 82574L has them in this order.</summary>
    private static byte[] Card()
    {
        byte[] space = new byte[256];
        space[0x06] = 0x10;
        space[0x34] = 0xc8;
        (space[0xc8], space[0xc9]) = (0x01, 0xd0);
        (space[0xd0], space[0xd1]) = (0x05, 0xa0);
        (space[0xa0], space[0xa1], space[0xa2], space[0xa3]) = (0x11, 0x00, 0x04, 0x80);
        (space[0xa4], space[0xa5]) = (0x03, 0x20);
        return space;
    }

    [TestMethod]
    public void The_table_is_found_behind_other_capabilities() => Assert.AreEqual(new MsixTable(3, 0x2000, 5), ConfigurationSpace.FindMsix(Card()));

    [TestMethod]
    [DataRow(0x06, 0, DisplayName = "no capabilities")]
    [DataRow(0x0e, 0x02, DisplayName = "a CardBus bridge, whose list begins elsewhere")]
    [DataRow(0x0e, 0xff, DisplayName = "a device that is gone")]
    [DataRow(0x34, 0x00, DisplayName = "an empty list")]
    [DataRow(0x34, 0x10, DisplayName = "a list within the header")]
    [DataRow(0xd1, 0x00, DisplayName = "a list that ends in front of it")]
    [DataRow(0xd1, 0xc8, DisplayName = "a list that runs in a circle")]
    [DataRow(0xa4, 0x06, DisplayName = "a register that is none")]
    public void There_is_none(int at, int value)
    {
        byte[] space = Card();
        space[at] = (byte)value;

        Assert.IsNull(ConfigurationSpace.FindMsix(space));
    }

    [TestMethod]
    public void Two_low_bits_of_a_pointer_mean_nothing_and_a_device_of_several_functions_is_one_too()
    {
        byte[] space = Card();
        space[0x0e] = 0x80;
        space[0xd1] = 0xa3;

        Assert.AreEqual(new MsixTable(3, 0x2000, 5), ConfigurationSpace.FindMsix(space));
    }

    [TestMethod]
    [DataRow(0, false)]
    [DataRow(63, false)]
    [DataRow(64, true)]
    [DataRow(256, false)]
    public void Bytes_that_end_with_the_header_hide_the_capabilities(int length, bool hides)
    {
        Assert.AreEqual(hides, ConfigurationSpace.HidesCapabilities(Card().AsSpan(0, length)));
        Assert.AreEqual(length == 256, ConfigurationSpace.FindMsix(Card().AsSpan(0, length)) is not null);
    }

    [TestMethod]
    public void Whatever_the_bytes_are_a_table_that_is_found_is_one()
    {
        int found = 0;
        Gen<byte[]> spaces =
            from length in Gen.Choose(0, 300)
            from bytes in Gen.Choose(0, 255).Select(number => (byte)number).ArrayOf(length)
            from places in Gen.Choose(0, 23).Select(number => (number * 8) + 0x40).ArrayOf(6)
            select WithCapabilities(bytes, places);
        Prop.ForAll(spaces.ToArbitrary(), bytes =>
        {
            if (ConfigurationSpace.FindMsix(bytes) is not { } table)
                return;
            found++;
            Assert.IsTrue(table.BarIndex is >= 0 and <= 5 && table.Vectors is >= 1 and <= MsixTable.MaxVectors, table.ToString());
            Assert.IsTrue(table.OffsetBytes <= uint.MaxValue && table.OffsetBytes % MsixTable.OffsetAlignment == 0, table.ToString());
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));
        Assert.IsGreaterThan(100, found);
    }

    /// <summary>Makes a list of capabilities likely.</summary>
    private static byte[] WithCapabilities(byte[] bytes, int[] places)
    {
        if (bytes.Length < 64)
            return bytes;
        bytes[0x06] |= 0x10;
        bytes[0x0e] = 0;
        bytes[0x34] = (byte)places[0];
        for (int i = 0; i + 1 < places.Length; i++)
        {
            if (places[i] + 1 >= bytes.Length)
                return bytes;
            bytes[places[i]] = (byte)(i == 4 ? 0x11 : 0x05);
            bytes[places[i] + 1] = (byte)places[i + 1];
        }

        return bytes;
    }
}
