// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.PvGuest;

/// <summary>
/// What a PV kernel does with its memory map at boot: decides what to keep, identity-map, move, release and leave to the balloon. One
/// algorithm; what differs between kernels stands in <see cref="KernelProfile"/>.
/// </summary>
/// <remarks>Source: the setup code of the releases that <see cref="BehaviourSpan.Of"/> tells apart, and the records of them, which judge
/// it.</remarks>
internal static partial class MemorySetup
{
    private const ulong IbftStart = 0x8_0000;
    private const ulong SlackWithoutMapBytes = 8UL << 20;
    private const ulong ExtraMemoryRatio = 10;
    private const ulong FramesPerLeaf = 512;
    private const ulong MostIgnoredReported = 3;
    private const ulong FramesOf512GiB = 1UL << (39 - Addresses.Frames.Shift);
    private const ulong PmdSizeBytes = X86Layout.LargePageBytes;
    private const ulong PudSizeBytes = X86Layout.HugePageBytes;
    private const ulong P4dSizeBytes = 1UL << 39;

    /// <summary>Runs a memory setup to its end: early setup, then (as Linux does once memory can be allocated) the remap.</summary>
    /// <param name="start">What the kernel finds.</param>
    /// <param name="profile">Which kernel.</param>
    /// <param name="xen">Answers for the map and the maximum reservation.</param>
    /// <param name="frames">Carries out what is decided.</param>
    /// <param name="log">Takes events.</param>
    /// <param name="tables">Empty tables of sufficient size.</param>
    public static SetupResult Run<TXen, TFrames, TLog>(
        in GuestStart start,
        KernelProfile profile,
        ref TXen xen,
        ref TFrames frames,
        ref TLog log,
        ref SetupTables tables)
        where TXen : IHypercalls
        where TFrames : IFrames, allows ref struct
        where TLog : IBootLog
    {
        // A field cannot refer to a ref struct: the setup works on copies, handed back at its end.
        var setup = new Setup<TXen, TFrames, TLog>(in start, profile, xen, frames, log, tables);
        setup.Run();
        xen = setup.Xen;
        log = setup.Log;
        frames = setup.Frames;
        tables = setup.Tables;
        setup.Result.PciGap = MapQueries.PciGap(tables.KernelMap.Entries, profile.Has(KernelBehaviour.PrefersHighPciGap));
        return setup.Result;
    }

    private ref partial struct Setup<TXen, TFrames, TLog>
        where TXen : IHypercalls
        where TFrames : IFrames, allows ref struct
        where TLog : IBootLog
    {
        public SetupResult Result;
        public TXen Xen;
        public TLog Log;
        public TFrames Frames;
        public SetupTables Tables;

        private readonly GuestStart _start;
        private readonly KernelProfile _profile;
        private readonly ulong _limit;
        private readonly ulong _pages;
        private Pfn _remapTarget;
        private ulong _identityPages;
        private ulong _listedPages;
        private bool _isHalted;

        public Setup(
            scoped in GuestStart start,
            KernelProfile profile,
            TXen xen,
            TFrames frames,
            TLog log,
            SetupTables tables)
        {
            _start = start;
            _profile = profile;
            Xen = xen;
            Frames = frames;
            Log = log;
            Tables = tables;
            _limit = profile.PageLimit(start.Is32Bit, start.IsDom0, start.IsLimitedTo512GiB);
            _pages = Min(_limit, start.PageCount);
            Result = new() { PageCount = _pages, MaxP2mPfn = new(_pages), Initrd = start.Initrd, P2mList = start.P2mList };
        }

        private readonly ulong MemoryEnd => new Pfn(_pages).ToAddress();

        private readonly ReadOnlySpan<E820Entry> XenMap => Tables.XenMap.Entries;

        public void Run()
        {
            ReserveFixed();
            if (!FetchMap())
                return;
            if (_start.IsAutoTranslated)
            {
                TakeMapAsItIs();
                return;
            }

            // What the domain builder's list does not cover: up to 3.18 nothing is there, later it is identity but for the list's last leaf.
            Pfn listEnd = _profile.Has(KernelBehaviour.LeavesTailInvalid)
                ? new((_start.PageCount + FramesPerLeaf - 1) / FramesPerLeaf * FramesPerLeaf)
                : new(_profile.Has(KernelBehaviour.IdentityReaches512GiB) ? FramesOf512GiB : Addresses.Frames.MaxCount);
            Frames.Invalidate(PfnRange.FromBounds(new Pfn(_start.PageCount), listEnd));
            if (_profile.Has(KernelBehaviour.CountsBeforehand))
                SetUpByCounting();
            else
                SetUpByWalking();
        }

        private void Halt(HaltReason reason)
        {
            Result.Halt = reason;
            _isHalted = true;
        }

        private void ReserveFixed()
        {
            Tables.Reserved.Add(ByteRange.FromSize(0, _profile.ReservedLowBytes));
            Tables.Reserved.Add(_start.StartInfo);
            Tables.Reserved.Add(_start.PageTables);
            if (!_profile.Has(KernelBehaviour.ReservesKernelEarly))
                return;
            Tables.Reserved.Add(_start.Kernel);
            Tables.Reserved.Add(_start.Initrd);
        }

        private bool FetchMap()
        {
            Span<E820Entry> buffer = stackalloc E820Entry[SetupTables.MapCapacity / 2];
            buffer = buffer.Slice(0, _profile.XenMapEntries);
            long result = _start.IsDom0 && !_start.IsAutoTranslated
                ? Xen.MachineMemoryMap(buffer, out int count)
                : Xen.MemoryMap(buffer, out count);
            if (result == -(long)XenError.ENOSYS && !_start.IsDom0 && !_start.IsAutoTranslated)
            {
                buffer[0] = E820Entry.FromSize(0, MemoryEnd + SlackWithoutMapBytes, E820Type.Ram);
                count = 1;
            }
            else if (result != 0 || count == 0)
            {
                Halt(HaltReason.NoMemoryMap);
                return false;
            }

            bool usesMachineMap = _start.IsDom0 && !_start.IsAutoTranslated;
            bool takesUnusable = usesMachineMap && _profile.Has(KernelBehaviour.TakesUnusableForRam);
            foreach (E820Entry entry in buffer.Slice(0, count))
                Tables.XenMap.TryAdd(takesUnusable && entry.Type == E820Type.Unusable ? entry.WithType(E820Type.Ram) : entry);
            if (usesMachineMap && _profile.Has(KernelBehaviour.KeepsIbftArea))
                Tables.XenMap.TryAdd(E820Entry.FromBounds(IbftStart, X86Layout.IsaEnd, E820Type.Reserved));
            // Where Linux refuses to sanitise, it goes on with the map as it is.
            Sanitize(ref Tables.XenMap, _profile.Has(KernelBehaviour.SanitizesWithinItsCount) ? count : _profile.XenMapEntries);
            return true;
        }

        private readonly void Sanitize(ref E820Table table, int limit) => table.TrySanitize(limit, _profile.Has(KernelBehaviour.KeepsPramApart));

        private void TakeMapAsItIs()
        {
            foreach (E820Entry entry in XenMap)
                Tables.KernelMap.TryAdd(entry);
        }

        private static ulong Min(ulong left, ulong right) => left < right ? left : right;
    }
}
