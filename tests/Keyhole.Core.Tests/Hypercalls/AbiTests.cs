// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Keyhole.E820;
using Keyhole.Hypercalls;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Core.Tests.Hypercalls;

[TestClass]
public sealed class AbiTests
{
    [TestMethod]
    public void Structs_have_the_sizes_of_the_public_headers()
    {
        AssertSize<MemoryReservation>(32, MemoryReservation.SizeBytes);
        AssertSize<MemoryMapRequest>(16, MemoryMapRequest.SizeBytes);
        AssertSize<ForeignMemoryMap>(24, ForeignMemoryMap.SizeBytes);
        AssertSize<MemoryExchange>(72, MemoryExchange.SizeBytes);
        AssertSize<MmuUpdate>(16, MmuUpdate.SizeBytes);
        AssertSize<MulticallEntry>(64, MulticallEntry.SizeBytes);
        AssertSize<CallbackRegister>(16, CallbackRegister.SizeBytes);
        AssertSize<E820Entry>(20, E820Entry.WireSizeBytes);
        Assert.AreEqual(2, Unsafe.SizeOf<DomainId>());
    }

    [TestMethod]
    [DataRow(nameof(MemoryReservation.extent_start), 0)]
    [DataRow(nameof(MemoryReservation.nr_extents), 8)]
    [DataRow(nameof(MemoryReservation.extent_order), 16)]
    [DataRow(nameof(MemoryReservation.mem_flags), 20)]
    [DataRow(nameof(MemoryReservation.domid), 24)]
    public void Memory_reservation_has_the_headers_offsets(string field, int offset) => AssertOffset<MemoryReservation>(field, offset);

    [TestMethod]
    [DataRow(nameof(MemoryMapRequest.nr_entries), 0)]
    [DataRow(nameof(MemoryMapRequest.buffer), 8)]
    public void Memory_map_has_the_headers_offsets(string field, int offset) => AssertOffset<MemoryMapRequest>(field, offset);

    [TestMethod]
    [DataRow(nameof(ForeignMemoryMap.domid), 0)]
    [DataRow(nameof(ForeignMemoryMap.map), 8)]
    public void Foreign_memory_map_has_the_headers_offsets(string field, int offset) => AssertOffset<ForeignMemoryMap>(field, offset);

    [TestMethod]
    [DataRow("in", 0)]
    [DataRow("out", 32)]
    [DataRow("nr_exchanged", 64)]
    public void Memory_exchange_has_the_headers_offsets(string field, int offset) => AssertOffset<MemoryExchange>(field, offset);

    [TestMethod]
    [DataRow(nameof(MulticallEntry.op), 0)]
    [DataRow(nameof(MulticallEntry.result), 8)]
    [DataRow(nameof(MulticallEntry.arg0), 16)]
    [DataRow(nameof(MulticallEntry.arg5), 56)]
    public void Multicall_entry_has_the_headers_offsets(string field, int offset) => AssertOffset<MulticallEntry>(field, offset);

    [TestMethod]
    [DataRow(nameof(CallbackRegister.type), 0)]
    [DataRow(nameof(CallbackRegister.flags), 2)]
    [DataRow(nameof(CallbackRegister.address), 8)]
    public void Callback_register_has_the_headers_offsets(string field, int offset) => AssertOffset<CallbackRegister>(field, offset);

    private static void AssertSize<T>(int expected, int declared)
    {
        Assert.AreEqual(expected, declared);
        Assert.AreEqual(expected, Unsafe.SizeOf<T>());
    }

    private static void AssertOffset<T>(string field, int offset) => Assert.AreEqual(offset, (int)Marshal.OffsetOf<T>(field));
}
