// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;

namespace Keyhole.Platforms.Qemu;

/// <summary>What virtual machines of QEMU suffer from, with settings that can be pasted.</summary>
/// <remarks>The sizes are rules of QEMU as its source and documentation have them, not records of a run.</remarks>
internal static class QemuAdvice
{
    // q35: RAM below 4 GiB ends at 2 GiB once the guest has 2.75 GiB; the memory-mapped configuration space follows, then the hole for windows.
    private const ulong QemuLowHoleStart = 0xc000_0000;
    private const ulong QemuDefaultHole64Bytes = 32UL << 30;

    public static void Report(GuestSpec guest, ImmutableArray<Bar> bars, List<Problem> problems)
    {
        if (bars.IsEmpty)
            return;
        BarRoom room = BarRoom.Of(bars);
        ulong lowHole = MachineMap.UsualIoApic - QemuLowHoleStart;
        if (room.LowBytes > lowHole)
        {
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.MmioHole,
                $"windows of 32 bits take {ByteSize.ToText(room.LowBytes)}, and q35 leaves {ByteSize.ToText(lowHole)} for them below 4 GiB",
                QemuLowHoleStart,
                MachineMap.UsualIoApic,
                "start QEMU with -machine q35,max-ram-below-4g=1G"));
        }

        ulong ramEnd = Frames.FourGiB + (guest.MaxmemKiB << 10);
        if (room.HighBytes > QemuDefaultHole64Bytes / 2)
        {
            ulong sizeGiB = 1;
            // Twice the sum: firmware keeps room for hotplug and alignment.
            while (sizeGiB << 30 < 2 * room.HighBytes)
                sizeGiB *= 2;
            problems.Add(new(
                Severity.Warning,
                ProblemCodes.PciHole64,
                $"windows of 64 bits take {ByteSize.ToText(room.HighBytes)}, the largest aligned to {ByteSize.ToText(room.HighAlignment)}: QEMU's hole above 4 GiB has {ByteSize.ToText(QemuDefaultHole64Bytes)}, and the guest needs {room.AddressBitsBehind(ramEnd)} address bits",
                Remedy: $"start QEMU with -global q35-pcihost.pci-hole64-size={sizeGiB}G -cpu host,host-phys-bits=on, and under OVMF with -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string={sizeGiB * 1024}"));
        }
    }
}
