// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms;

/// <summary>
/// Devices that share reserved memory (RMRR): since 4.6 Xen with VT-d gives none of them to a guest, unless its policy is relaxed
/// (intel_iommu_assign_device() in xen/drivers/passthrough/vtd/iommu.c).
/// </summary>
internal static class SharedDeviceMemory
{
    /// <summary>What libxl says where Xen refuses a device.</summary>
    public const string Words = "xc_assign_device failed: Operation not permitted";

    /// <summary>The first device of the guest that Xen refuses for memory that it shares with another; null where it refuses none.</summary>
    /// <param name="policy">What counts for a device without a policy of its own; null: strict, as libxl has it.</param>
    public static SharedMemoryRefusal? RefusedOf(Scenario scenario, string? policy)
    {
        HostTraits traits = scenario.Host.Traits;
        if (traits.XenVersion is { } xen && xen.IsUpTo(4, 5))
            return null;
        // AMD's IOMMU has no such check.
        bool isAmds = traits.CpuVendor is "AuthenticAMD" or "HygonGenuine";
        ImmutableArray<DeviceMemoryOwner> owners = isAmds ? [] : traits.DeviceMemoryOwners;
        foreach (PciAssignment assignment in scenario.Guest.Pci)
        {
            if ((assignment.RdmPolicy ?? policy) == "relaxed")
                continue;
            foreach (DeviceMemoryOwner owner in owners.Where(owner => assignment.Covers(owner.Device)))
            {
                foreach (DeviceMemoryOwner other in owners)
                {
                    if (other.Range == owner.Range && other.Device != owner.Device)
                        return new(owner.Device, $"with {other.Device}", owner.Range.Start.ToAddress(), owner.Range.End.ToAddress());
                }
            }

            foreach (SharedMemoryDevice said in traits.Complaints.Sharing)
            {
                if (assignment.Covers(said.Device))
                    return new(said.Device, $"with another device (Xen's log: \"{said.Device} with shared RMRR at {said.Address:x}\")",
                        said.Address, null);
            }
        }

        return null;
    }

    /// <summary>Whether there may be such devices at all.</summary>
    public static bool MayBe(HostTraits traits) => !traits.DeviceMemoryOwners.IsEmpty || !traits.Complaints.Sharing.IsEmpty;

    /// <summary>The problem of such a device.</summary>
    /// <param name="remedy">Null where none is known to help.</param>
    public static Problem ProblemOf(SharedMemoryRefusal refused, string? remedy) => new(
            Severity.Error,
            ProblemCodes.GuestDoesNotStart,
            $"the guest is not created: {Words}: {refused.Device} shares its reserved memory (RMRR) {refused.With}, and Xen gives such "
                + "a device to a guest with the relaxed policy alone",
            refused.Start,
            refused.End,
            remedy);

    /// <summary>The guest with the relaxed policy for each of its devices.</summary>
    public static GuestSpec Relaxed(GuestSpec guest) =>
        guest with { Pci = [.. guest.Pci.Select(static assignment => assignment with { RdmPolicy = "relaxed" })] };

    /// <summary>What the file is to say then.</summary>
    public static string RelaxedText(GuestSpec guest) =>
        $"if the device can do without that memory (a network card can, a graphics card may not): pci=[ "
            + $"{string.Join(", ", Relaxed(guest).Pci.Select(static assignment => $"\"{assignment}\""))} ]"
            + OwnWords.XlAlone(guest.Toolstack);
}

/// <summary>A device that Xen does not give to a guest.</summary>
/// <param name="With">Whom it shares its memory with, in words.</param>
/// <param name="Start">Of that memory, in bytes.</param>
/// <param name="End">Exclusive; null where it is not told.</param>
internal readonly record struct SharedMemoryRefusal(PciAddress Device, string With, ulong Start, ulong? End);
