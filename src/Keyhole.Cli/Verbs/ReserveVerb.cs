// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.ReservedRam;
using Spectre.Console;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole reserve</c>: a host that keeps RAM aside for a guest that is mapped one to one, for devices without an IOMMU.</summary>
internal sealed class ReserveVerb
{
    private readonly HostSource _host = new();

    private readonly Option<string?> _start = new("--start") { Description = "The lowest address that the host's kernel uses: all RAM below is kept aside.", HelpName = "ADDR" };

    private readonly Option<string?> _below = new("--below")
    {
        Description = "Keep RAM below this address, which is as far as the device reaches: with --guest-memory no more than the guest needs.",
        HelpName = "ADDR",
    };

    private readonly Option<string[]> _range = new("--range")
    {
        Description = "Keep this range, anywhere, instead of what lies below a start; may be given several times. A-B: hex or with a unit (82G-161G), B exclusive.",
        HelpName = "A-B",
    };

    private readonly Option<ulong?> _guestMemory = new("--guest-memory") { Description = "The guest's memory; without it, all that is kept.", HelpName = "MiB" };

    private readonly Option<string[]> _reserved = new("--reserved")
    {
        Description = "A further range that is not left alone (the boot loader's, firmware's), as A-B: hex, B exclusive.",
        HelpName = "A-B",
    };

    private readonly Option<string[]> _resource = new("--resource")
    {
        Description = "A resource of another source to show in the listing, as A-B=NAME: cd600-d0000=\"pnp 00:0d\".",
        HelpName = "A-B=NAME",
    };

    private readonly Option<string?> _kernelSpan = new("--kernel-span")
    {
        Description = "Where the host's kernel lies, if it cannot move (nokaslr): A-B, hex, B exclusive. Without it, it chooses its place.",
        HelpName = "A-B",
    };

    private readonly Option<ulong?> _crashKernel = new("--crashkernel") { Description = "Whether a crash kernel of this size still finds room.", HelpName = "MiB" };

    private readonly Option<bool> _check = new("--check") { Description = "Whether the running host is set up that way, by its /proc/iomem (read it as root)." };

    private readonly Option<string?> _iomem = new("--iomem") { Description = "With --check: a copy of /proc/iomem instead of this machine's.", HelpName = "FILE|-" };

    private readonly Option<bool> _json = new("--json") { Description = "One JSON document on standard output." };

    public static Command Build(CommandConsole console)
    {
        var verb = new ReserveVerb();
        var command = new Command("reserve", "Keep RAM aside for a guest that is mapped one to one, so that its device needs no IOMMU.")
        {
            verb._start, verb._below, verb._range, verb._guestMemory, verb._reserved, verb._resource, verb._kernelSpan, verb._crashKernel, verb._check, verb._iomem, verb._json,
        };
        verb._host.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole reserve --start 512M                              this machine, its kernel from 512 MiB on
              keyhole reserve --host dmesg.txt --below 4G --guest-memory 2048
                  2 GiB for a guest whose device has 32 address bits, and no more than that
              keyhole reserve --range 4G-12G                            these 8 GiB, for instance on a host with EFI
              keyhole reserve --start 512M --crashkernel 256            does a crash kernel still fit?
              sudo keyhole reserve --start 512M --check                 is this machine set up that way? (exit status 0 or 1)
              keyhole reserve --host dmesg.txt --start 512M --check --iomem iomem.txt
            """);
        command.SetAction(parsed => verb.Run(parsed, console));
        return command;
    }

    private int Run(ParseResult parsed, CommandConsole console)
    {
        if (!ReadRequest(parsed, console).TryGet(out ReserveRequest? request, out InputError? error))
            return console.Fail(error);
        if (!ReadResources(parsed).TryGet(out GivenResources? given, out error))
            return console.Fail(error);
        HostMemoryMap? iomem = null;
        if (parsed.GetValue(_check))
        {
            if (!ReadIomem(parsed, console).TryGet(out iomem, out error))
                return console.Fail(error);
        }
        else if (parsed.GetValue(_iomem) is not null)
        {
            return console.Fail(new("--iomem", null, "there is nothing to compare it with", "add --check"));
        }

        ReservePlan plan = ReservePlanner.Plan(request);
        // What the running host shows decides over what EFI might do.
        if (iomem is not null)
            plan = plan with { Problems = [.. plan.Problems.Where(static problem => problem.Code != ReserveProblemCodes.EfiKernelPlace)] };
        ImmutableArray<Problem>? differences = iomem is null ? null : HostCheck.Compare(plan, iomem);
        if (parsed.GetValue(_json))
            JsonText.Write(console, writer => WriteJson(writer, plan, given.Resources, differences));
        else if (differences is { } found && !plan.HasErrors)
            PrintCheck(console, plan, iomem!, found);
        else
            Print(console, plan, given.Resources);
        return plan.HasErrors || (differences ?? []).Any(static problem => problem.Severity == Severity.Error) ? ExitStatus.No : ExitStatus.Yes;
    }

    private sealed record GivenResources(ImmutableArray<GivenResource> Resources);

    private Parsed<ReserveRequest> ReadRequest(ParseResult parsed, CommandConsole console)
    {
        string[] rangeTexts = parsed.GetValue(_range) ?? [];
        (string option, string? text) = (parsed.GetValue(_start), parsed.GetValue(_below), rangeTexts.Length) switch
        {
            ({ } start, null, 0) => (_start.Name, start),
            (null, { } below, 0) => (_below.Name, below),
            (null, null, > 0) => (_range.Name, "0"),
            _ => ("--start", null),
        };
        if (text is null)
            return new InputError("--start", null, "one of --start, --below and --range is needed, and no two of them", "say for instance --start 512M");
        if (!PhysicalAddress.TryParse(text, out ulong address))
            return PhysicalAddress.Error(option, text);
        if (PhysicalAddress.Reading(option, text) is { } reading)
            console.Remark(reading);
        var ranges = ImmutableArray.CreateBuilder<ByteRange>();
        foreach (string range in rangeTexts)
        {
            if (!AddressRange.TryParse(range, out ulong start, out ulong end))
                return AddressRange.Error(_range.Name, range);
            ranges.Add(ByteRange.FromBounds(start, end));
        }

        if (OutOfRange(parsed, _guestMemory) is { } guestError)
            return guestError;
        if (OutOfRange(parsed, _crashKernel) is { } crashError)
            return crashError;
        ulong kernelStart = 0;
        ulong kernelEnd = 0;
        if (parsed.GetValue(_kernelSpan) is { } span && !AddressRange.TryParse(span, out kernelStart, out kernelEnd))
            return AddressRange.Error(_kernelSpan.Name, span);
        var reserved = ImmutableArray.CreateBuilder<EarlyReservation>();
        foreach (string range in parsed.GetValue(_reserved) ?? [])
        {
            if (!AddressRange.TryParse(range, out ulong start, out ulong end))
                return AddressRange.Error(_reserved.Name, range);
            reserved.Add(new(ByteRange.FromBounds(start, end), "as given"));
        }

        if (!_host.Read(parsed, console, "RAM is kept aside on a host without Xen").TryGet(out HostMemoryMap? host, out InputError? error))
            return error;
        return new ReserveRequest
        {
            Host = host,
            Start = address,
            Ranges = ranges.ToImmutable(),
            LowestStart = option == _below.Name,
            GuestBytes = parsed.GetValue(_guestMemory) << 20,
            Reserved = reserved.ToImmutable(),
            Kernel = ByteRange.FromBounds(kernelStart, kernelEnd),
            CrashKernelBytes = (parsed.GetValue(_crashKernel) ?? 0) << 20,
        };
    }

    private static InputError? OutOfRange(ParseResult parsed, Option<ulong?> option) => parsed.GetValue(option) is 0 or > Frames.AddressLimit >> 20
        ? new(option.Name, null, "this is no size", "give it in MiB, 1 to 4294967296")
        : null;

    private Parsed<GivenResources> ReadResources(ParseResult parsed)
    {
        var given = ImmutableArray.CreateBuilder<GivenResource>();
        foreach (string text in parsed.GetValue(_resource) ?? [])
        {
            int sign = text.IndexOf('=', StringComparison.Ordinal);
            if (sign < 0 || sign == text.Length - 1 || text.Any(char.IsControl) || !AddressRange.TryParse(text[..sign], out ulong start, out ulong end))
                return new InputError(_resource.Name, null, $"{InputError.Quote(text)} is no resource", "write it as A-B=NAME, hex, B exclusive, such as f0000-100000=reserved");
            given.Add(new(ByteRange.FromBounds(start, end), text[(sign + 1)..]));
        }

        return new GivenResources(given.ToImmutable());
    }

    private Parsed<HostMemoryMap> ReadIomem(ParseResult parsed, CommandConsole console) =>
        Files.Read(console, parsed.GetValue(_iomem) ?? "/proc/iomem", "a copy of /proc/iomem", static (stream, name) => HostMapReader.Read(stream, name, new() { From = HostMapDialect.Iomem }));

    private static void WriteJson(Utf8JsonWriter writer, ReservePlan plan, ImmutableArray<GivenResource> given, ImmutableArray<Problem>? differences)
    {
        if (plan.Ranges.IsEmpty)
            writer.WriteAddress("start", plan.Start);
        else
            WriteRanges(writer, plan.Ranges);
        if (plan is { Map: { } map, Guest: { } guest, Today: { } today })
        {
            writer.WriteStartArray("host");
            foreach (ReservedRamEntry entry in map.Entries)
            {
                writer.WriteStartObject();
                writer.WriteRange(entry.Range.Start, entry.Range.End);
                writer.WriteString("type", ReservedRamTypes.NameOf(entry.Type));
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            WriteLines(writer, "iomem", map.ToIomem(given));
            WriteTotals(writer, map);
            WriteGuest(writer, guest);
            writer.WriteStartObject("today");
            writer.WriteStartArray("memmap");
            foreach (ByteRange range in today.Memmaps)
                writer.WriteStringValue(MemmapParameters.ToText(range));
            writer.WriteEndArray();
            writer.WriteString("parameters", today.Parameters);
            writer.WriteString("defaultGrub", MemmapParameters.DefaultGrubLine(today.Parameters));
            writer.WriteString("grubCfg", MemmapParameters.ForGrubScript(today.Parameters));
            WriteLines(writer, "iomem", LinuxIomem.ToText(today.Iomem));
            WriteTotals(writer, today.Map);
            WriteGuest(writer, today.Guest);
            HugePages huge = HugePages.In(today.Guest);
            writer.WriteStartObject("hugePages");
            writer.WriteNumber("fit1G", huge.Of1GiB);
            writer.WriteNumber("fit2M", huge.Of2MiB);
            writer.WriteString("instead", huge.Instead);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        writer.WriteProblems(plan.Problems);
        if (differences is not { } found)
            return;
        writer.WriteStartObject("check");
        writer.WriteBoolean("agrees", !plan.HasErrors && found.All(static problem => problem.Severity != Severity.Error));
        writer.WriteProblems(found);
        writer.WriteEndObject();
    }

    private static void WriteRanges(Utf8JsonWriter writer, ImmutableArray<ByteRange> ranges)
    {
        writer.WriteStartArray("ranges");
        foreach (ByteRange range in ranges)
        {
            writer.WriteStartObject();
            writer.WriteRange(range.Start, range.End);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static string WhatIsKept(ReservePlan plan) => plan.Ranges.IsEmpty
        ? $"below {MapView.Hex(plan.Start)}"
        : $"in {string.Join(", ", plan.Ranges.Select(static range => $"[{MapView.Hex(range.Start)}, {MapView.Hex(range.End)})"))}";

    private static void WriteLines(Utf8JsonWriter writer, string name, string text)
    {
        writer.WriteStartArray(name);
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            writer.WriteStringValue(line);
        writer.WriteEndArray();
    }

    private static void WriteTotals(Utf8JsonWriter writer, ReservedRamMap map)
    {
        ulong kept = Sum(map.Kept);
        ulong failed = Sum(map.Failed);
        ulong host = Sum(map.HostRam);
        writer.WriteStartObject("totals");
        writer.WriteAddress("firmwareRam", kept + failed + host);
        writer.WriteAddress("hostRam", host);
        writer.WriteAddress("kept", kept);
        writer.WriteAddress("failed", failed);
        writer.WriteEndObject();
    }

    private static void WriteGuest(Utf8JsonWriter writer, GuestRam guest)
    {
        writer.WriteStartObject("guest");
        writer.WriteStartArray("e820");
        foreach (E820Entry entry in guest.Map)
        {
            writer.WriteStartObject();
            writer.WriteEntry(entry);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("slots");
        foreach (MemorySlot slot in guest.Slots)
        {
            writer.WriteStartObject();
            writer.WriteNumber("slot", slot.Slot);
            writer.WriteNumber("flags", MemorySlot.Flags);
            writer.WriteAddress("guest_phys_addr", slot.GuestAddress);
            writer.WriteAddress("memory_size", slot.SizeBytes);
            writer.WriteAddress("userspace_addr", slot.UserspaceOffset);
            writer.WriteString("backing", slot.IsIdentity ? "/dev/mem" : "buffer");
            writer.WriteBoolean("identity", slot.IsIdentity);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteAddress("memory", guest.MemoryBytes);
        writer.WriteAddress("buffer", guest.BufferBytes);
        writer.WriteEndObject();
    }

    private static void Print(CommandConsole console, ReservePlan plan, ImmutableArray<GivenResource> given)
    {
        console.Ansi.WriteLine($"host:  {plan.Host.Description}");
        console.Ansi.WriteLine(plan.Ranges.IsEmpty ? $"start: {MapView.Hex(plan.Start)} ({ByteSize.ToText(plan.Start)})" : $"kept:  RAM {WhatIsKept(plan)}");
        if (plan is { Map: { } map, Guest: { } guest, Today: { } today })
        {
            if (plan.Ranges.IsEmpty)
            {
                Heading(console, "The host, as a kernel with that physical start shows it (/proc/iomem, scheme of 2008)");
                Indented(console, map.ToIomem(given));
                console.Ansi.WriteLine(Totals(map));
            }

            Heading(console, "The guest: its E820 names the kept RAM only; every page has a slot");
            PrintSlots(console, guest);
            MapView.Draw(console, [new("firmware", plan.Host.Entries), new("left to the host's kernel", [.. map.Entries.Select(static entry => ToDrawn(entry))]), new("guest", guest.Map)]);

            Heading(console, "Today: kernel parameters that do the same");
            Indented(console, today.Parameters);
            console.Ansi.WriteLine("in /etc/default/grub, then update-grub (or grub2-mkconfig -o /boot/grub2/grub.cfg):");
            Indented(console, MemmapParameters.DefaultGrubLine(today.Parameters));
            console.Ansi.WriteLine("at GRUB's prompt or in grub.cfg:");
            Indented(console, MemmapParameters.ForGrubScript(today.Parameters));
            console.Ansi.WriteLine("/proc/iomem then (without devices' resources):");
            Indented(console, LinuxIomem.ToText(today.Iomem));
            console.Ansi.WriteLine(Totals(today.Map));
            if (today.Guest.MemoryBytes != guest.MemoryBytes || today.Guest.BufferBytes != guest.BufferBytes)
            {
                console.Ansi.WriteLine("the guest's slots then:");
                PrintSlots(console, today.Guest);
            }

            HugePages huge = HugePages.In(today.Guest);
            console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture, $"large pages that lie whole in it: {huge.Of1GiB} of 1 GiB, {huge.Of2MiB} of 2 MiB outside of those"));
            console.Ansi.WriteLine($"as huge pages of the host instead, where there is an IOMMU: {huge.Instead}");
            console.Ansi.WriteLine();
        }

        MapView.WriteProblems(console, plan.Problems);
    }

    private static void PrintCheck(CommandConsole console, ReservePlan plan, HostMemoryMap iomem, ImmutableArray<Problem> differences)
    {
        bool agrees = differences.All(static problem => problem.Severity != Severity.Error);
        console.Ansi.WriteLine($"host:  {plan.Host.Description}");
        console.Ansi.WriteLine($"check: {iomem.Description}");
        console.Ansi.WriteLine(agrees
            ? $"yes: {ByteSize.ToText(Sum(plan.Today!.Map.Kept))} {WhatIsKept(plan)} are kept aside"
            : $"no: the host is not set up to keep RAM {WhatIsKept(plan)}");
        MapView.WriteProblems(console, differences);
    }

    private static void PrintSlots(CommandConsole console, GuestRam guest)
    {
        Table table = MapView.NewTable("slot", "guest_phys_addr", "memory_size", "size", "userspace_addr", "mapping");
        table.Columns[0].Alignment = Justify.Right;
        table.Columns[3].Alignment = Justify.Right;
        foreach (MemorySlot slot in guest.Slots)
        {
            table.AddRow(
                new Text(slot.Slot.ToString(CultureInfo.InvariantCulture)),
                new Text(MapView.Hex(slot.GuestAddress)),
                new Text(MapView.Hex(slot.SizeBytes)),
                new Text(ByteSize.ToText(slot.SizeBytes)),
                new Text($"{(slot.IsIdentity ? "/dev/mem" : "buffer")} + {MapView.Hex(slot.UserspaceOffset)}"),
                slot.IsIdentity ? new Text("identity", new Style(MapView.ColourOf(E820Type.Ram))) : new Text("failed: elsewhere, not in the E820", new Style(MapView.ColourOf(E820Type.Nvs))));
        }

        MapView.WriteTable(console, table);
        console.Ansi.WriteLine($"{ByteSize.ToText(guest.MemoryBytes)} for the guest, {ByteSize.ToText(guest.BufferBytes)} of buffer");
    }

    private static E820Entry ToDrawn(ReservedRamEntry entry) => E820Entry.FromSize(entry.Range.Start, entry.Range.SizeBytes, ReservedRamTypes.ToE820(entry.Type));

    private static string Totals(ReservedRamMap map) =>
        $"kept {ByteSize.ToText(Sum(map.Kept))}, failed {ByteSize.ToText(Sum(map.Failed))}, left to the host {ByteSize.ToText(Sum(map.HostRam))}";

    private static void Heading(CommandConsole console, string text)
    {
        console.Ansi.WriteLine();
        console.Ansi.WriteLine(text);
    }

    private static void Indented(CommandConsole console, string text)
    {
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            console.Ansi.WriteLine($"    {line}");
    }

    private static ulong Sum(IEnumerable<ByteRange> ranges) => ranges.Aggregate(0UL, static (sum, range) => sum + range.SizeBytes);
}
