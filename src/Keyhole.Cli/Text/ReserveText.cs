// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.E820;
using Keyhole.ReservedRam;

namespace Keyhole.Cli.Text;

/// <summary><c>reserve</c>'s answer in words.</summary>
internal static class ReserveText
{
    private const int MostRanges = 3;

    public static void Write(CommandConsole console, ReserveAnswer answer)
    {
        ReservePlan plan = answer.Plan;
        console.Ansi.WriteLine($"host:  {plan.HostName}");
        console.Ansi.WriteLine(answer.Start is { } start ? $"start: {start} ({ByteSize.ToText(start.Value)})"
            : answer.Ranges is null ? "start: not known" : $"kept:  RAM {WhatIsKept(answer)}");
        if (answer.SurelyKept is { } surely)
        {
            console.Ansi.WriteLine(surely.IsEmpty ? "No RAM is known to be kept; no parameters are given."
                : $"Kept whatever the lost lines said: {string.Join(", ", surely.Select(static range => $"[{range.Start}, {range.End})"))}. "
                    + "No parameters are given, for the lost lines may make them wrong.");
            console.Ansi.WriteLine();
        }

        if (plan is { Map: { } map, Guest: { } guest, Today: { } today } && answer.Today is { } told)
        {
            if (answer.Start is not null)
            {
                Heading(console, "The host, as a kernel with that physical start shows it (/proc/iomem, scheme of 2008)");
                Indented(console, answer.Iomem ?? []);
                WriteLost(console, plan);
                console.Ansi.WriteLine(Totals(answer.Totals!, plan));
            }

            Heading(console, "The guest: its E820 names the kept RAM only; every page has a slot");
            WriteSlots(console, guest);
            ImmutableArray<ByteRange> lost = plan.Host.LostRanges;
            MapView.Draw(console, [DrawnMaps.OfHost(plan.Host) with { Title = "firmware" },
                new("left to the host's kernel", [.. map.Entries.Select(static entry => ToDrawn(entry))]) { NotKnown = lost },
                new("guest", guest.Map) { NotKnown = [.. lost.Where(range => range.Start < map.Start)] }]);

            Heading(console, plan.HasErrors ? "Today: kernel parameters that do the same; not to be used, for the errors below"
                : "Today: kernel parameters that do the same");
            Indented(console, [told.Parameters]);
            WriteForGrub(console, plan, told);
            console.Ansi.WriteLine("/proc/iomem then (without devices' resources):");
            Indented(console, told.Iomem);
            WriteLost(console, plan);
            console.Ansi.WriteLine(Totals(told.Totals, plan));
            if (today.Guest.MemoryBytes != guest.MemoryBytes || today.Guest.BufferBytes != guest.BufferBytes)
            {
                console.Ansi.WriteLine("the guest's slots then:");
                WriteSlots(console, today.Guest);
            }

            console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"large pages that are whole in it: {told.HugePages.Of1GiB} of 1 GiB, {told.HugePages.Of2MiB} of 2 MiB outside of those"));
            bool hasHugePages = plan.Standing is { } standing && standing.HugePageBytes >= today.Guest.MemoryBytes;
            console.Ansi.WriteLine($"as huge pages of the host instead, where there is an IOMMU: "
                + (hasHugePages ? "the host's command line asks for enough of them already" : told.HugePages.Instead));
            console.Ansi.WriteLine();
        }

        MapView.WriteProblems(console, answer.Problems);
    }

    private static void WriteForGrub(CommandConsole console, ReservePlan plan, TodaysHostAnswer told)
    {
        if (plan.Standing is { There.IsEmpty: false } standing)
        {
            console.Ansi.WriteLine($"on the host's command line already: {string.Join(' ', standing.There)}");
            if (standing.Missing.Length == 0)
            {
                console.Ansi.WriteLine(plan.HasErrors ? "nothing is to be added; the errors below say what is to change"
                    : "nothing is to be added; whether it took effect --check tells");
                return;
            }
        }

        string add = plan.Standing is null ? "" : ", added to what stands there";
        console.Ansi.WriteLine($"in /etc/default/grub{add}, then update-grub (or grub2-mkconfig -o /boot/grub2/grub.cfg):");
        Indented(console, [told.DefaultGrub]);
        console.Ansi.WriteLine("at GRUB's prompt or in grub.cfg:");
        Indented(console, [told.GrubCfg]);
    }

    private static string WhatIsKept(ReserveAnswer answer) => answer.Ranges is { } ranges
        ? $"in {string.Join(", ", ranges.Select(static range => $"[{range.Start}, {range.End})"))}"
        : answer.Start is { } start ? $"below {start}" : "below a start that is not known";

    public static void WriteCheck(CommandConsole console, ReserveAnswer answer, string source)
    {
        HostCheckAnswer check = answer.Check!;
        console.Ansi.WriteLine($"host:  {answer.Plan.HostName}");
        console.Ansi.WriteLine($"check: {source}");
        console.Ansi.WriteLine(check.Agrees
            ? answer.Today is { } today ? $"yes: {ByteSize.ToText(today.Totals.Kept.Value)} {WhatIsKept(answer)} are kept aside"
                : $"yes: what RAM there is {WhatIsKept(answer)} is kept aside; how much that is the host's map does not tell"
            : check.Outcome == "not-known" ? $"not known: whether the host is set up to keep RAM {WhatIsKept(answer)}"
            : $"no: the host is not set up to keep RAM {WhatIsKept(answer)}");
        MapView.WriteProblems(console, check.Problems);
    }

    private static void WriteSlots(CommandConsole console, GuestRam guest)
    {
        TextTable table = MapView.NewTable("Memory slots", "slot", "guest_phys_addr", "memory_size", "size", "userspace_addr", "mapping");
        table.AlignRight(0);
        table.AlignRight(3);
        foreach (MemorySlot slot in guest.Slots)
        {
            table.AddRow(
                MapView.Cell(slot.Slot.ToString(CultureInfo.InvariantCulture)),
                MapView.Cell(MapView.Hex(slot.GuestAddress)),
                MapView.Cell(MapView.Hex(slot.SizeBytes)),
                MapView.Cell(ByteSize.ToText(slot.SizeBytes)),
                MapView.Cell($"{(slot.IsIdentity ? "/dev/mem" : "buffer")} + {MapView.Hex(slot.UserspaceOffset)}"),
                slot.IsIdentity ? MapView.Cell("identity", MapView.ColourOf(E820Type.Ram))
                    : MapView.Cell("failed: elsewhere, not in the E820", MapView.ColourOf(E820Type.Nvs)));
        }

        MapView.WriteTable(console, table);
        console.Ansi.WriteLine($"{ByteSize.ToText(guest.MemoryBytes)} for the guest, {ByteSize.ToText(guest.BufferBytes)} of buffer");
    }

    private static E820Entry ToDrawn(ReservedRamEntry entry) =>
        E820Entry.FromSize(entry.Range.Start, entry.Range.SizeBytes, ReservedRamTypes.ToE820(entry.Type));

    private static string Totals(ReservedTotalsAnswer totals, ReservePlan plan) =>
        $"kept {ByteSize.ToText(totals.Kept.Value)}, failed {ByteSize.ToText(totals.Failed.Value)}, left to the host "
            + $"{(plan.Host.HasLostEntries ? "at least " : "")}{ByteSize.ToText(totals.HostRam.Value)}";

    /// <summary>Behind a listing that has no lines of what is not known.</summary>
    private static void WriteLost(CommandConsole console, ReservePlan plan)
    {
        if (plan.Host.HasLostEntries)
            console.Ansi.WriteLine($"not known, and not listed: {string.Join(", ", plan.Host.LostRangesInWords.Take(MostRanges))}"
                + $"{(plan.Host.LostRanges.Length > MostRanges ? " and more" : "")}");
    }

    private static void Heading(CommandConsole console, string text)
    {
        console.Ansi.WriteLine();
        console.Ansi.WriteLine(text);
    }

    private static void Indented(CommandConsole console, ImmutableArray<string> lines)
    {
        foreach (string line in lines)
            console.Ansi.WriteVerbatim($"    {line}");
    }
}
