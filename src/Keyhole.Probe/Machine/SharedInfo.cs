// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.Probe;

/// <summary>The page that Xen shares with the domain (struct shared_info), as far as the probe reads it: processor 0's part at its start.</summary>
internal static unsafe class SharedInfo
{
    private const int UpcallPendingOffset = 0;
    private const int UpcallMaskOffset = 1;
    private const int PendingSelectorOffset = 8;
    private const int Cr2Offset = 16;
    private const int TimeStampOffset = 40;
    private const int SystemTimeOffset = 48;
    private const int MultiplierOffset = 56;
    private const int ShiftOffset = 60;

    // Behind the parts of 32 processors, 64 bytes each: a bit for each port, 64 words of them; then as many to mask them.
    private const int PendingOffset = 2048;
    private const int MaskOffset = 2560;
    private const int PortWords = 64;
    private const int PortsOfWord = 64;
    private const ulong Present = 0x63;

    private static bool s_isMapped;

    /// <summary>Maps the page. 0, or what Xen says.</summary>
    public static long Map(ulong machineAddress)
    {
        long result = default(RealXen).UpdateVaMapping(Page, (machineAddress & ~Frames.OffsetMask) | Present, Uvmf.InvalidateLocally);
        s_isMapped = result == 0;
        return result;
    }

    /// <summary>The address of the last page fault, as Xen tells a guest that cannot read cr2.</summary>
    public static ulong FaultAddress => s_isMapped ? *(ulong*)(Page + Cr2Offset) : 0;

    public static void LetEventsThrough(bool yes)
    {
        if (s_isMapped)
            *(byte*)(Page + UpcallMaskOffset) = yes ? (byte)0 : (byte)1;
    }

    /// <summary>Masks all ports and forgets the events that came: the console's are not what is waited for.</summary>
    public static void MaskEvents()
    {
        if (!s_isMapped)
            return;
        for (int i = 0; i < PortWords; i++)
            ((ulong*)(Page + MaskOffset))[i] = ulong.MaxValue;
        *(ulong*)(Page + PendingSelectorOffset) = 0;
        *(byte*)(Page + UpcallPendingOffset) = 0;
    }

    /// <summary>Whether an event of the port has come.</summary>
    public static bool IsPending(uint port) =>
        s_isMapped && port < PortWords * PortsOfWord && (((ulong*)(Page + PendingOffset))[port / PortsOfWord] >> (int)(port % PortsOfWord) & 1) != 0;

    /// <summary>Ticks of the time-stamp counter in a millisecond: Xen gives the factor from ticks to nanoseconds, 32 bits behind the point, and a
    /// shift before.</summary>
    public static ulong TicksPerMillisecond
    {
        get
        {
            if (!s_isMapped)
                return 0;
            ulong multiplier = *(uint*)(Page + MultiplierOffset);
            int shift = *(sbyte*)(Page + ShiftOffset);
            if (multiplier == 0)
                return 0;
            ulong ticks = (1_000_000UL << 32) / multiplier;
            return shift >= 0 ? ticks >> shift : ticks << -shift;
        }
    }

    private static ulong Page => Native.Layout()->SharedInfoPage;
}

/// <summary>What update_va_mapping does with stale translations (UVMF_*).</summary>
internal static class Uvmf
{
    public const ulong InvalidateLocally = 2;
}
