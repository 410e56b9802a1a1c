// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;
using Keyhole.Hypercalls;

namespace Keyhole.Probe;

/// <summary>Where the report goes: Xen's own console for dom0, the ring shared with xenconsoled for others.</summary>
internal static unsafe class Console
{
    private const uint CONSOLEIO_write = 0;
    private const uint EVTCHNOP_send = 4;
    private const uint SCHEDOP_yield = 0;
    private const ulong Present = 0x63;

    // struct xencons_interface (public/io/console.h): in[1024], out[2048], in_cons, in_prod, out_cons, out_prod.
    private const ulong OutOffset = 1024;
    private const uint OutSizeBytes = 2048;
    private const ulong OutConsumerOffset = 3080;
    private const ulong OutProducerOffset = 3084;

    private static bool s_hasRing;
    private static uint s_port;

    /// <summary>Takes the ring of a domU into use. 0, or what Xen says.</summary>
    public static long UseRing(ulong ringMfn, uint port)
    {
        s_port = port;
        long result = default(RealXen).UpdateVaMapping(Ring, (ringMfn << Frames.Shift) | Present, Uvmf.InvalidateLocally);
        s_hasRing = result == 0;
        return result;
    }

    public static void Write(byte* text, uint length)
    {
        if (!s_hasRing)
        {
            // dom0's console; for others Xen has it only when built for debugging.
            Native.Hypercall(Hypercall.console_io, CONSOLEIO_write, length, (ulong)text, 0, 0);
            return;
        }

        uint written = 0;
        while (written < length)
        {
            uint producer = *Index(OutProducerOffset);
            uint free = unchecked(OutSizeBytes - (producer - Consumer));
            for (; free > 0 && written < length; free--, written++, producer = unchecked(producer + 1))
                *(byte*)(Ring + OutOffset + (producer & (OutSizeBytes - 1))) = text[written];
            // Stores become visible in order on x86.
            *Index(OutProducerOffset) = producer;
            Notify();
            if (written < length)
                Yield();
        }
    }

    /// <summary>Waits until everything is read, or for so long that nobody seems to listen.</summary>
    public static void Drain()
    {
        const int Patience = 1_000_000;
        if (!s_hasRing)
            return;
        for (int i = 0; i < Patience && *Index(OutProducerOffset) != Consumer; i++)
            Yield();
    }

    private static ulong Ring => Native.Layout()->ConsolePage;

    // Xenconsoled moves it while we look: read through a call that the compiler does not see through.
    private static uint Consumer
    {
        get
        {
            uint value = 0;
            Native.TryRead(Ring + OutConsumerOffset, &value);
            return value;
        }
    }

    private static uint* Index(ulong offset) => (uint*)(Ring + offset);

    private static void Notify()
    {
        uint port = s_port;
        Native.Hypercall(Hypercall.event_channel_op, EVTCHNOP_send, (ulong)&port, 0, 0, 0);
    }

    private static void Yield() => Native.Hypercall(Hypercall.sched_op, SCHEDOP_yield, 0, 0, 0, 0);
}
