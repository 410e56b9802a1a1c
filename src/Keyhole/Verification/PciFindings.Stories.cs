// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Globalization;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.Pci;

namespace Keyhole.Verification;

/// <content>What became of one BAR, in a sentence.</content>
internal sealed partial class PciFindings
{
    private string? StoryOf(PciAddress address, int index, List<PciSighting> resources, int function)
    {
        PciSighting? register = FirstOf(resources, index);
        // A line that takes the place away names it.
        PciSighting? first = register ?? TakenFrom(resources, index);
        ulong? before = AddressIn(first);
        PciSighting last = resources.FindLast(seen => seen.Index == index);
        string name = NameOf(address, index);
        string at = string.Create(CultureInfo.InvariantCulture, $"(line {last.Line})");
        string? why = _reasons.GetValueOrDefault((function, index));
        string reason = why is null ? "" : $": {why}";
        bool isLostBefore = register is null && _log.LeavesOut(_boot.FirstLine - 1, last.Line);
        bool isLostBehind = _log.LeavesOut(last.Line, _boot.LastLine);
        // The lines that are left out may have told of another address, or of another end.
        if (isLostBefore && last.Word != PciWord.NoRoom)
            return null;
        if (last is { Word: PciWord.NoRoom, SizeBytes: > 0 } && (isLostBefore || isLostBehind))
        {
            string end = isLostBehind ? "; what came of it is left out" : reason;
            return $"Linux found no room for {name} ({ByteSize.ToText(last.SizeBytes)}) {at}{end}.";
        }

        if (isLostBehind && last.Word is (PciWord.CannotClaim or PciWord.Released))
            return null;
        if (before is null && MayHaveUnplugged && function >= 0 && IsIde(_placement.Tree.Functions[function]))
            return null;
        if (before is null && function >= 0 && IsReset(_placement.Tree.Functions[function]))
            return $"{name} lost its address when Linux had the emulated disks taken away, before it looked.";
        return last.Word switch
        {
            PciWord.Assigned when first is null =>
                $"Linux placed {name} itself at 0x{last.Start:x} {at}; where the firmware had put it the log does not show.",
            PciWord.Assigned when before is null =>
                $"{name} got no address from the firmware{reason}. Linux then placed it itself at 0x{last.Start:x} {at}.",
            PciWord.Assigned when before != last.Start =>
                $"Linux moved {name} from 0x{before:x} to 0x{last.Start:x} {at}: the first address is the firmware's.",
            PciWord.Assigned => null,
            PciWord.NoRoom when last.SizeBytes == 0 && before is { } had && !isLostBefore =>
                $"{name} has no address when NVIDIA's driver looks {at}, though the firmware had put it at 0x{had:x}.",
            PciWord.NoRoom when last.SizeBytes == 0 && (first is null || isLostBefore) =>
                $"{name} has no address when NVIDIA's driver looks {at}{reason}.",
            PciWord.NoRoom when last.SizeBytes == 0 =>
                $"{name} has no address when NVIDIA's driver looks {at}: neither the firmware nor Linux has placed it{reason}.",
            PciWord.NoRoom when before is null && !resources.Exists(seen => seen.Index == index && seen.Word == PciWord.Found) =>
                $"{name} ({ByteSize.ToText(last.SizeBytes)}) has no address in the end{reason}: Linux found no room for it {at}.",
            PciWord.NoRoom when before is null =>
                $"{name} ({ByteSize.ToText(last.SizeBytes)}) got no address from the firmware{reason}. Linux found no room for it either {at}.",
            PciWord.NoRoom => $"Linux gave {name} up, which the firmware had put at 0x{before:x}: it has no room for it {at}.",
            PciWord.Found or PciWord.CannotClaim or PciWord.Released when before is null =>
                $"{name} ({ByteSize.ToText(last.SizeBytes)}) got no address from the firmware{reason}.",
            PciWord.CannotClaim => $"Linux does not let {name} have the place that the firmware gave it {at}.",
            PciWord.Released => $"Linux took {name} from the place that the firmware gave it {at}.",
            PciWord.Found => null,
        };
    }
}
