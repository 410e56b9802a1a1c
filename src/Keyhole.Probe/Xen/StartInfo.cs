// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.InteropServices;

namespace Keyhole.Probe;

/// <summary>struct start_info (public/xen.h) as far as the probe reads it, with a copy of the command line behind it.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct StartInfo
{
    public const ulong SIF_INITDOMAIN = 2;
    public const ulong SIF_MOD_START_PFN = 8;
    public const int CommandLineBytes = 1024;

    public fixed byte magic[32];
    public ulong nr_pages;
    public ulong shared_info;
    public uint flags;
    public ulong store_mfn;
    public uint store_evtchn;
    public ulong console_mfn;
    public uint console_evtchn;
    public ulong pt_base;
    public ulong nr_pt_frames;
    public ulong mfn_list;
    public ulong mod_start;
    public ulong mod_len;
    public fixed byte cmd_line[CommandLineBytes];

    public readonly bool IsDom0 => (flags & SIF_INITDOMAIN) != 0;
}
