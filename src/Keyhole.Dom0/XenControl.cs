// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>The real hypervisor, through <see cref="Privcmd"/>.</summary>
public sealed class XenControl : IXenControl
{
    private const uint domctl = 36;
    private const uint XEN_DOMCTL_getdomaininfo = 5;
    private const uint XEN_DOMCTL_get_address_size = 36;
    private const int DomctlSizeBytes = 144;
    private const uint XENVER_version = 0;
    private const uint XENVER_extraversion = 1;
    private const int ExtraVersionSizeBytes = 16;

    // The interface's version changes with most releases of Xen (0x11: 4.11 or so; 0x18: after 4.20); the fields read here have stayed where they
    // are.
    private const uint OldestInterface = 0x11;
    private const uint NewestInterface = 0x18;

    private readonly Privcmd _privcmd;
    private uint _interface;

    private XenControl(Privcmd privcmd)
    {
        _privcmd = privcmd;
        Calls = new PrivcmdHypercalls(privcmd);
    }

    /// <inheritdoc/>
    public IHypercalls Calls { get; }

    /// <summary>The hypervisor of this machine, or why it cannot be asked: no dom0, or not root.</summary>
    public static XenResult<IXenControl> Open() => Privcmd.Open().TryGet(out Privcmd? privcmd, out XenProblem? problem) ? new XenControl(privcmd)
        : problem;

    /// <inheritdoc/>
    public XenResult<string> Version()
    {
        long version = _privcmd.Call(Hypercall.xen_version, XENVER_version);
        if (version < 0)
            return XenProblem.Of("Xen", "xen_version", version, "check that this is a Xen dom0");
        using HypercallBuffer? memory = HypercallBuffer.Allocate(ExtraVersionSizeBytes);
        if (memory is null)
            return NoMemory();
        string extra = "";
        if (_privcmd.Call(Hypercall.xen_version, XENVER_extraversion, memory.Address) >= 0)
        {
            ReadOnlySpan<byte> text = memory.Bytes[..ExtraVersionSizeBytes];
            int end = text.IndexOf((byte)0);
            extra = InputError.OneLine(Encoding.Latin1.GetString(end < 0 ? text : text[..end]), ExtraVersionSizeBytes);
        }

        return $"{version >> 16}.{version & 0xffff}{extra}";
    }

    /// <inheritdoc/>
    public XenResult<DomainInfo> Domain(DomainId id)
    {
        long result = FirstFrom(id.Value, out DomainInfo? found);
        if (result == 0 && found!.Id == id)
            return found;
        // Xen answers with the next domain where that number is free.
        return result is 0 or -(long)XenError.ESRCH
            ? new XenProblem(XenProblemKind.Here, $"domain {id.Value}", "there is no such domain", "xl list shows those there are")
            : Failed(result);
    }

    /// <inheritdoc/>
    public XenResult<IReadOnlyList<DomainInfo>> Domains()
    {
        List<DomainInfo> all = [];
        uint next = 0;
        while (next < DomainId.FirstReserved)
        {
            long result = FirstFrom((ushort)next, out DomainInfo? found);
            if (result == -(long)XenError.ESRCH)
                break;
            if (result != 0)
                return Failed(result);
            // A number below the one asked for would never end.
            if (found!.Id.Value < next)
                break;
            all.Add(found);
            next = (uint)found.Id.Value + 1;
        }

        return all;
    }

    /// <inheritdoc/>
    public long AddressBits(DomainId id)
    {
        long result = Ask(XEN_DOMCTL_get_address_size, id.Value, out Domctl answer);
        return result < 0 ? result : answer.address_size;
    }

    /// <inheritdoc/>
    public long ReadFrames(DomainId id, ReadOnlySpan<ulong> machineFrames, Span<byte> pages) => _privcmd.ReadFrames(id, machineFrames, pages);

    /// <inheritdoc/>
    public void Dispose() => _privcmd.Dispose();

    private static XenProblem Failed(long result) => result == -(long)XenError.EACCES
        ? new(XenProblemKind.Here, "Xen", $"its domctl interface is not one of {OldestInterface:x}–{NewestInterface:x}",
            "this Xen is older or newer than Keyhole knows; see docs/inspect.md")
        { Error = XenError.EACCES }
        : XenProblem.Of("Xen", "XEN_DOMCTL_getdomaininfo", result, "run this as root in dom0");

    private static XenProblem NoMemory() => new(XenProblemKind.Here, "/dev/xen/hypercall", "no memory for a hypercall", "free some memory in dom0");

    /// <summary>The domain of that number, or the next one. 0 or −<see cref="XenError"/>.</summary>
    private long FirstFrom(ushort id, out DomainInfo? found)
    {
        long result = Ask(XEN_DOMCTL_getdomaininfo, id, out Domctl answer);
        found = result == 0 ? Describe(answer) : null;
        return result;
    }

    /// <summary>Makes a call about a domain. 0 or −<see cref="XenError"/>.</summary>
    private long Ask(uint what, ushort domain, out Domctl answer)
    {
        answer = default;
        using HypercallBuffer? memory = HypercallBuffer.Allocate(DomctlSizeBytes);
        if (memory is null)
            return -(long)XenError.ENOMEM;
        long result = -(long)XenError.EACCES;
        for (uint version = _interface == 0 ? NewestInterface : _interface; version >= OldestInterface; version--)
        {
            memory.Bytes[..DomctlSizeBytes].Clear();
            ref Domctl call = ref memory.At<Domctl>(0);
            call.cmd = what;
            call.interface_version = version;
            call.domain = domain;
            result = _privcmd.Call(domctl, memory.Address);
            if (result == -(long)XenError.EACCES && _interface == 0)
                continue;
            if (result == 0)
            {
                _interface = version;
                answer = call;
            }

            return result;
        }

        return result;
    }

    private static DomainInfo Describe(in Domctl call) => new()
    {
        Id = new(call.info_domain),
        Uuid = new(MemoryMarshal.AsBytes(new ReadOnlySpan<DomainHandle>(in call.handle)), bigEndian: true),
        IsDying = (call.flags & Domctl.XEN_DOMINF_dying) != 0,
        IsHvm = (call.flags & Domctl.XEN_DOMINF_hvm_guest) != 0,
        IsShutdown = (call.flags & Domctl.XEN_DOMINF_shutdown) != 0,
        ShutdownReason = (int)(call.flags >> Domctl.XEN_DOMINF_shutdownshift) & 0xff,
        IsPaused = (call.flags & Domctl.XEN_DOMINF_paused) != 0,
        TotalPages = call.tot_pages,
        MaxPages = call.max_pages,
        CpuTimeNanoseconds = call.cpu_time,
        SharedInfoFrame = call.shared_info_frame,
    };

    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct DomainHandle
    {
        public ulong first;
        public ulong last;
    }

    /// <summary>The head of struct xen_domctl with what the calls made here fill in.</summary>
    [StructLayout(LayoutKind.Explicit, Size = DomctlSizeBytes)]
    private struct Domctl
    {
        public const uint XEN_DOMINF_dying = 1 << 0;
        public const uint XEN_DOMINF_hvm_guest = 1 << 1;
        public const uint XEN_DOMINF_shutdown = 1 << 2;
        public const uint XEN_DOMINF_paused = 1 << 3;
        public const int XEN_DOMINF_shutdownshift = 16;

        [FieldOffset(0)]
        public uint cmd;
        [FieldOffset(4)]
        public uint interface_version;
        [FieldOffset(8)]
        public ushort domain;
        [FieldOffset(16)]
        public ushort info_domain;
        [FieldOffset(16)]
        public uint address_size;
        [FieldOffset(20)]
        public uint flags;
        [FieldOffset(24)]
        public ulong tot_pages;
        [FieldOffset(32)]
        public ulong max_pages;
        [FieldOffset(64)]
        public ulong shared_info_frame;
        [FieldOffset(72)]
        public ulong cpu_time;
        [FieldOffset(92)]
        public DomainHandle handle;
    }
}
