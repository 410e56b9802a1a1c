// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.E820;
using Keyhole.Hypercalls;

namespace Keyhole.Simulation;

/// <summary>
/// The simulated hypervisor as one domain calls it, and that domain's mapped memory. A struct, so that code generic over
/// <see cref="IHypercalls"/> calls it without a detour. The default belongs to no domain: every call says ENOSYS and nothing is mapped.
/// </summary>
internal readonly struct SimulatedHypercalls : IHypercalls, IMappedMemory, IEquatable<SimulatedHypercalls>
{
    private const long Nobody = -(long)XenError.ENOSYS;

    private readonly DomainCalls? _calls;

    internal SimulatedHypercalls(DomainCalls calls) => _calls = calls;

    public long MachineMemoryMap(Span<E820Entry> buffer, out int count)
    {
        count = 0;
        return _calls is null ? Nobody : _calls.MachineMemoryMap(buffer, out count);
    }

    public long MemoryMap(Span<E820Entry> buffer, out int count)
    {
        count = 0;
        return _calls is null ? Nobody : _calls.MemoryMap(buffer, out count);
    }

    public long SetMemoryMap(DomainId domain, ReadOnlySpan<E820Entry> map) => _calls is null ? Nobody : _calls.SetMemoryMap(domain, map);

    public long MaximumRamPage() => _calls is null ? Nobody : _calls.MaximumRamPage();

    public long CurrentReservation(DomainId domain) => _calls is null ? Nobody : _calls.Reservation(HypercallKind.CurrentReservation, domain);

    public long MaximumReservation(DomainId domain) => _calls is null ? Nobody : _calls.Reservation(HypercallKind.MaximumReservation, domain);

    public long IncreaseReservation(DomainId domain, Span<ulong> mfns, int order) =>
        _calls is null ? 0 : _calls.IncreaseReservation(domain, mfns, order, _calls.Enter(HypercallKind.IncreaseReservation));

    public long DecreaseReservation(DomainId domain, ReadOnlySpan<ulong> mfns, int order) =>
        _calls is null ? 0 : _calls.DecreaseReservation(domain, mfns, order, _calls.Enter(HypercallKind.DecreaseReservation));

    public long PopulatePhysmap(DomainId domain, Span<ulong> frames, int order) =>
        _calls is null ? 0 : _calls.PopulatePhysmap(domain, frames, order, _calls.Enter(HypercallKind.PopulatePhysmap));

    public long Exchange(DomainId domain, ReadOnlySpan<ulong> mfnsIn, int orderIn, Span<ulong> framesOut, int orderOut, out ulong exchanged)
    {
        exchanged = 0;
        return _calls is null ? Nobody : _calls.Exchange(domain, mfnsIn, orderIn, framesOut, orderOut, out exchanged);
    }

    public long MmuUpdate(ReadOnlySpan<MmuUpdate> updates, out int done)
    {
        done = 0;
        return _calls is null ? Nobody : _calls.MmuUpdate(updates, DomainId.Self, _calls.Enter(HypercallKind.MmuUpdate), out done);
    }

    public long UpdateVaMapping(ulong virtualAddress, ulong pageTableEntry, ulong flags) =>
        _calls is null ? Nobody : _calls.UpdateVaMapping(virtualAddress, pageTableEntry);

    /// <summary>
    /// Pointers in the entries' arguments are addresses in the domain's mapped memory. Calls outside <see cref="IHypercalls"/> say ENOSYS.
    /// </summary>
    public long Multicall(Span<MulticallEntry> calls) => _calls is null ? Nobody : _calls.Multicall(calls);

    public long RegisterCallback(in CallbackRegister callback) => _calls is null ? Nobody : _calls.RegisterCallback(callback);

    public long VmAssist(uint command, uint type) => _calls is null ? Nobody : _calls.VmAssist(command, type);

    public ulong PfnOf(ulong mfn) => _calls is null ? ulong.MaxValue : _calls.PfnOf(mfn);

    public Span<ulong> Page(ulong virtualAddress) => _calls is null ? [] : _calls.Page(virtualAddress, false);

    /// <inheritdoc/>
    public bool Equals(SimulatedHypercalls other) => ReferenceEquals(_calls, other._calls);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is SimulatedHypercalls other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => _calls?.GetHashCode() ?? 0;

    public static bool operator ==(SimulatedHypercalls left, SimulatedHypercalls right) => left.Equals(right);

    public static bool operator !=(SimulatedHypercalls left, SimulatedHypercalls right) => !left.Equals(right);
}
