// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Platforms;

/// <summary>The sizes of the ACPI tables that Xen makes for a PVH dom0 at the end of its RAM below 4 GiB: they decide where that ends, to the
/// byte.</summary>
/// <param name="MadtBytes">Processors and interrupts: 44 bytes, 12 for each I/O APIC, 10 for each interrupt override, 16 for each of dom0's
/// processors.</param>
/// <param name="XsdtBytes">The list of tables: 36 bytes, 8 for each that dom0 may see, and its own MADT.</param>
/// <remarks>Source: Xen's arch/x86/hvm/dom0_build.c.</remarks>
public sealed record PvhDom0Tables(ulong MadtBytes, ulong XsdtBytes)
{
    /// <summary>The pointer to the list (RSDP).</summary>
    public const ulong PointerBytes = 36;

    /// <summary>A PC with one I/O APIC and five overrides, whose dom0 has one processor and sees two tables.</summary>
    public static readonly PvhDom0Tables Usual = new(122, 60);

    private const ulong MadtHeader = 44;
    private const ulong XsdtHeader = 36;
    private const ulong XsdtEntry = 8;

    /// <summary>All that Xen takes of RAM for them.</summary>
    public ulong TakenBytes => MadtBytes + XsdtBytes + PointerBytes;

    /// <summary>
    /// The sizes that dom0's map shows: RAM to <paramref name="ramEnd"/>, the tables' entry to <paramref name="entryEnd"/>, in the last page before
    /// <paramref name="pageEnd"/>. Null where no tables make that.
    /// </summary>
    public static PvhDom0Tables? Of(ulong ramEnd, ulong entryEnd, ulong pageEnd)
    {
        if (ramEnd >= entryEnd || entryEnd >= pageEnd || pageEnd - entryEnd <= PointerBytes + XsdtHeader)
            return null;
        // The entry has the MADT's size and begins where the pointer does: Xen moves its start and leaves its size.
        ulong madt = entryEnd - ramEnd;
        ulong xsdt = pageEnd - entryEnd - PointerBytes;
        return madt > MadtHeader && madt % 2 == 0 && (xsdt - XsdtHeader) % XsdtEntry == 0 ? new(madt, xsdt) : null;
    }
}
