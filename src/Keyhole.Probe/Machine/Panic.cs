// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Runtime;
using System.Runtime.InteropServices;
using Keyhole.Hypercalls;

namespace Keyhole.Probe;

/// <summary>What the processor and Xen leave on the stack for a trap, the vector below it (entry.S).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TrapFrame
{
    public ulong Vector;
    public ulong Rcx;
    public ulong R11;
    public ulong ErrorCode;
    public ulong Rip;
    public ulong Cs;
    public ulong Rflags;
    public ulong Rsp;
    public ulong Ss;
}

/// <summary>The end of a probe that went wrong: what was tried, where, and the domain crashes.</summary>
internal static unsafe class Panic
{
    private const ulong PageFault = 14;

    private static bool s_isDying;

    public static void OutOfRange() => Die("index out of range"u8);

    public static void Overflow() => Die("arithmetic overflow"u8);

    public static void DivideByZero() => Die("division by zero"u8);

    public static void NullReference() => Die("null reference"u8);

    public static void OutOfMemory() => NoRoom("working memory exhausted"u8);

    /// <summary>Where the probe itself has come to its limits, it ends in order, and says nothing of the map.</summary>
    public static void NoRoom(ReadOnlySpan<byte> what)
    {
        Check.Begin("room"u8, passed: false);
        Json.Text("what"u8, what);
        Json.Text("while"u8, Activity.Name);
        Json.End();
        Kernel.End();
    }

    public static void Die(ReadOnlySpan<byte> what)
    {
        if (!s_isDying)
        {
            s_isDying = true;
            Begin(what);
            Json.End();
        }

        Shutdown.Crash();
    }

    [RuntimeExport("probe_trap")]
    private static void Trap(TrapFrame* frame)
    {
        if (!s_isDying)
        {
            s_isDying = true;
            Begin(TrapName(frame->Vector));
            Json.Number("vector"u8, frame->Vector);
            Json.Hex("errorCode"u8, frame->ErrorCode);
            Json.Hex("rip"u8, frame->Rip);
            Json.Hex("rsp"u8, frame->Rsp);
            if (frame->Vector == PageFault)
                Json.Hex("address"u8, SharedInfo.FaultAddress);
            Json.End();
        }

        Shutdown.Crash();
    }

    [RuntimeExport("probe_unexpected")]
    private static void Unexpected(ulong callback) =>
        Die(callback == 0x101 ? "failsafe callback"u8 : callback == 0x102 ? "system call"u8 : "stack buffer overrun"u8);

    private static void Begin(ReadOnlySpan<byte> what)
    {
        Json.Begin("trap"u8);
        Json.Text("what"u8, what);
        Json.Text("while"u8, Activity.Name);
        Json.Hex("subject"u8, Activity.Subject);
    }

    private static ReadOnlySpan<byte> TrapName(ulong vector)
    {
        if (vector == PageFault)
            return "page fault"u8;
        if (vector == 13)
            return "general protection fault"u8;
        if (vector == 8)
            return "double fault"u8;
        return vector == 6 ? "invalid opcode"u8 : "trap"u8;
    }
}

/// <summary>The ways out.</summary>
internal static unsafe class Shutdown
{
    private const uint SCHEDOP_shutdown = 2;
    private const uint SHUTDOWN_poweroff = 0;
    private const uint SHUTDOWN_reboot = 1;
    private const uint SHUTDOWN_crash = 3;

    /// <summary>Ends cleanly. dom0 asks for a reboot: Xen does not switch a machine off without ACPI from dom0.</summary>
    public static void End(bool isDom0) => Leave(isDom0 ? SHUTDOWN_reboot : SHUTDOWN_poweroff);

    public static void Crash() => Leave(SHUTDOWN_crash);

    private static void Leave(uint reason)
    {
        Console.Drain();
        while (true)
            Native.Hypercall(Hypercall.sched_op, SCHEDOP_shutdown, (ulong)&reason, 0, 0, 0);
    }
}
