// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Keyhole.E820;
using Keyhole.Xen;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Core.Tests.Xen;

[TestClass]
public sealed class AbiTests
{
    [TestMethod]
    public void Structs_have_the_sizes_of_the_hypervisors_interface()
    {
        Assert.AreEqual(20, Unsafe.SizeOf<E820Entry>());
        Assert.AreEqual(E820Entry.WireSizeBytes, Unsafe.SizeOf<E820Entry>());
        Assert.AreEqual(32, Unsafe.SizeOf<MemoryReservation>());
        Assert.AreEqual(MemoryReservation.SizeBytes, Unsafe.SizeOf<MemoryReservation>());
        Assert.AreEqual(16, Unsafe.SizeOf<MemoryMapRequest>());
        Assert.AreEqual(24, Unsafe.SizeOf<ForeignMemoryMap>());
        Assert.AreEqual(72, Unsafe.SizeOf<MemoryExchange>());
        Assert.AreEqual(16, Unsafe.SizeOf<MmuUpdate>());
        Assert.AreEqual(64, Unsafe.SizeOf<MulticallEntry>());
        Assert.AreEqual(16, Unsafe.SizeOf<CallbackRegister>());
    }

    [TestMethod]
    public void A_reservations_members_lie_where_xen_reads_them()
    {
        Assert.AreEqual(0, Marshal.OffsetOf<MemoryReservation>(nameof(MemoryReservation.extent_start)));
        Assert.AreEqual(8, Marshal.OffsetOf<MemoryReservation>(nameof(MemoryReservation.nr_extents)));
        Assert.AreEqual(16, Marshal.OffsetOf<MemoryReservation>(nameof(MemoryReservation.extent_order)));
        Assert.AreEqual(20, Marshal.OffsetOf<MemoryReservation>(nameof(MemoryReservation.mem_flags)));
        Assert.AreEqual(24, Marshal.OffsetOf<MemoryReservation>(nameof(MemoryReservation.domid)));
        Assert.AreEqual(8, Marshal.OffsetOf<ForeignMemoryMap>(nameof(ForeignMemoryMap.map)));
        Assert.AreEqual(8, Marshal.OffsetOf<CallbackRegister>(nameof(CallbackRegister.address)));
    }

    [TestMethod]
    public void An_entry_has_address_size_and_type_in_twenty_bytes()
    {
        E820Entry[] entries = [E820Entry.FromSize(0x0807_0605_0403_0201, 0x100f_0e0d_0c0b_0a09, (E820Type)0x1413_1211)];
        byte[] bytes = MemoryMarshal.AsBytes<E820Entry>(entries).ToArray();

        CollectionAssert.AreEqual(new byte[] { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 }, bytes);
    }
}
