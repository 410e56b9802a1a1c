// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Captures;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Hosts;
using Keyhole.ReservedRam;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole reserve</c>: a host that keeps RAM aside for a guest that is mapped one to one, for devices without an IOMMU.</summary>
internal sealed class ReserveVerb
{
    private readonly HostSource _host = new();

    private readonly Option<string?> _start =
        new("--start") { Description = "The lowest address that the host's kernel uses: all RAM below is kept aside.", HelpName = "ADDR" };

    private readonly Option<string?> _below = new("--below")
    {
        Description = "Keep RAM below this address, which is as far as the device reaches: with --guest-memory no more than the guest needs.",
        HelpName = "ADDR",
    };

    private readonly RangesOption _range = new(
        "--range", "Keep this range, anywhere, instead of what is below a start; may be given several times. A-B: hex or "
            + "with a unit (82G-161G), B exclusive.");

    private readonly SizeOption _guestMemory = new("--guest-memory", "The guest's memory, without it all that is kept:", Frames.AddressLimit);

    private readonly RangesOption _reserved =
        new("--reserved", "A further range that is not left alone (the boot loader's, firmware's), as A-B: hex, B exclusive.");

    private readonly Option<string[]> _resource = new("--resource")
    {
        Description = "A resource of another source to show in the listing, as A-B=NAME: cd600-d0000=\"pnp 00:0d\".",
        HelpName = "A-B=NAME",
    };

    private readonly RangeOption _kernelSpan =
        RangeOption.KernelSpan("Where the host's kernel is, if it cannot move (nokaslr), without it, it chooses its place");

    private readonly SizeOption _crashKernel = new("--crashkernel", "Whether a crash kernel of this size still finds room:", Frames.AddressLimit);

    private readonly Option<bool> _check =
        new("--check")
        {
            Description =
                "Whether the host is set up that way: this machine, by its /proc/iomem (read it as root), or the one whose boot log or capture "
                    + "--host names."
        };

    private readonly Option<string?> _iomem = new("--iomem")
    {
        Description = "With --check: a copy of the host's /proc/iomem.",
        HelpName = "FILE|-"
    };

    private readonly Option<bool> _json = JsonOption.Create();

    public static Command Build(CommandConsole console)
    {
        var verb = new ReserveVerb();
        var command = new Command("reserve", "Keep RAM aside for a guest that is mapped one to one, so that its device needs no IOMMU.")
        {
            verb._start, verb._below, verb._range, verb._guestMemory, verb._reserved, verb._resource, verb._kernelSpan, verb._crashKernel,
            verb._check, verb._iomem, verb._json,
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
        if (parsed.GetValue(_iomem) is not null && !parsed.GetValue(_check))
            return console.Fail(InputError.Missing("--iomem", null, "there is nothing to compare it with", "add --check"));
        if (!ReadRequest(parsed, console).TryGet(out GivenRequest? request, out InputError? error))
            return console.Fail(error);
        if (!ReadResources(parsed).TryGet(out GivenResources? given, out error))
            return console.Fail(error);
        ReservePlan plan = ReservePlanner.Plan(request.Request);
        Finding? finding = null;
        if (parsed.GetValue(_check))
        {
            if (!Check(parsed, console, plan, request.Host).TryGet(out finding, out error))
                return console.Fail(error);
            // What the running host shows decides over what EFI or KASLR might do.
            plan = plan with
            {
                Problems = [.. plan.Problems.Where(static problem =>
                    problem.Code is not (ReserveProblemCodes.EfiKernelPlace or ReserveProblemCodes.KernelMustMove))],
            };
        }

        var answer = ReserveAnswer.Of(plan, given.Resources, finding?.Differences, OptionWords.Of);
        return _json.Give(parsed, console, answer, to =>
        {
            if (finding is not null && !plan.HasErrors)
                ReserveText.WriteCheck(to, answer, finding.Source);
            else
                ReserveText.Write(to, answer);
        });
    }

    private sealed record GivenRequest(ReserveRequest Request, HostDocument Host);

    /// <summary>What differs on the host from the plan, and by what that was seen.</summary>
    private sealed record Finding(ImmutableArray<Problem> Differences, string Source);

    /// <summary>By /proc/iomem: the one that is named, a capture's own, or, where no host is named, this machine's; of a log by what it says itself.
    /// What a capture or this machine was booted with is of the same boot as its /proc/iomem; of a copy nobody knows that.</summary>
    private Parsed<Finding> Check(ParseResult parsed, CommandConsole console, ReservePlan plan, HostDocument host)
    {
        if (parsed.GetValue(_iomem) is { } copy)
            return Compare(plan, ReadIomem(console, copy), null, null);
        if (!host.IomemLines.IsEmpty)
        {
            using var lines = new MemoryStream(Encoding.UTF8.GetBytes(string.Join('\n', host.IomemLines) + "\n"));
            return Compare(plan, HostMapReader.Read(lines, host.Description, new() { From = HostMapDialect.Iomem }), host.Host.Traits.KernelOptions,
                $"/proc/iomem in {host.Description}");
        }

        if (!_host.IsNamed(parsed))
            return Compare(plan, ReadIomem(console, Path.Combine(console.Dom0.Root, "proc/iomem")), host.Host.Traits.KernelOptions, null);
        if (host is not { Log: { } log, LogMap: { } map })
            return InputError.NothingInIt(_host.NameOf(parsed), null, "it does not show what the host's kernel made of the firmware's map",
                "give that host's /proc/iomem with --iomem");
        return HostCheck.Compare(plan, log, map) is { } told
            ? new Finding(told, $"what the kernel made of it, by {_host.NameOf(parsed)} itself")
            : InputError.NothingInIt(_host.NameOf(parsed), null,
                "behind the firmware's map the log has no line that shows what the kernel made of it",
                "give the whole log, or the host's /proc/iomem with --iomem");
    }

    private static Parsed<Finding> Compare(ReservePlan plan, Parsed<HostDocument> iomem, ImmutableArray<string>? options, string? source)
    {
        if (!iomem.TryGet(out HostDocument? read, out InputError? error))
            return error;
        Host shown = read.Host with { Traits = read.Host.Traits with { KernelOptions = options } };
        return new Finding(HostCheck.Compare(plan, read with { Host = shown }), source ?? read.Description);
    }

    private sealed record GivenResources(ImmutableArray<GivenResource> Resources);

    private Parsed<GivenRequest> ReadRequest(ParseResult parsed, CommandConsole console)
    {
        (string option, string? text) = (parsed.GetValue(_start), parsed.GetValue(_below), (parsed.GetValue(_range) ?? []).Length) switch
        {
            ({ } start, null, 0) => (_start.Name, start),
            (null, { } below, 0) => (_below.Name, below),
            (null, null, > 0) => (_range.Name, "0"),
            (null, null, _) => ("--start", null),
            _ => ("--start", ""),
        };
        if (string.IsNullOrEmpty(text))
            return new InputError(text is null ? InputErrorCode.Missing : InputErrorCode.Conflict, "--start", null,
                "one of --start, --below and --range is needed, and no two of them",
                "say for instance --start 512M");
        if (!PhysicalAddress.TryParse(text, out ulong address))
            return PhysicalAddress.Error(option, text);
        if (PhysicalAddress.Reading(option, text) is { } reading)
            console.Remark(reading);
        if (_range.Read(parsed, out ImmutableArray<ByteRange> ranges) is { } rangeError)
            return rangeError;
        if (_guestMemory.Read(parsed, out ulong? guestBytes) is { } guestError)
            return guestError;
        if (_crashKernel.Read(parsed, out ulong? crashBytes) is { } crashError)
            return crashError;
        if (_kernelSpan.Read(parsed, default, out ByteRange kernel) is { } kernelError)
            return kernelError;
        if (_reserved.Read(parsed, out ImmutableArray<ByteRange> reserved) is { } reservedError)
            return reservedError;
        if (!_host.Read(parsed, console, "RAM is kept aside on a host without Xen").TryGet(out HostDocument? host, out InputError? error))
            return error;
        var request = new ReserveRequest
        {
            // A check looks itself what the options have done.
            Host = parsed.GetValue(_check) ? host.Host with { Traits = host.Host.Traits with { KernelOptions = null } } : host.Host,
            HostName = host.Description,
            Start = address,
            Ranges = ranges,
            LowestStart = option == _below.Name,
            GuestBytes = guestBytes,
            Reserved = [.. reserved.Select(static range => new EarlyReservation(range, "as given"))],
            Kernel = kernel,
            CrashKernelBytes = crashBytes ?? 0,
        };
        return new GivenRequest(request, host);
    }

    private Parsed<GivenResources> ReadResources(ParseResult parsed)
    {
        var given = ImmutableArray.CreateBuilder<GivenResource>();
        foreach (string text in parsed.GetValue(_resource) ?? [])
        {
            int sign = text.IndexOf('=', StringComparison.Ordinal);
            if (sign < 0 || sign == text.Length - 1 || text.Any(char.IsControl)
                || !AddressRange.TryParse(text[..sign], out ulong start, out ulong end))
                return InputError.Malformed(_resource.Name, null, $"{InputError.Quote(text)} is not a valid resource",
                    "write it as A-B=NAME, hex, B exclusive, such as f0000-100000=reserved");
            given.Add(new(ByteRange.FromBounds(start, end), text[(sign + 1)..]));
        }

        return new GivenResources(given.ToImmutable());
    }

    private static Parsed<HostDocument> ReadIomem(CommandConsole console, string path) =>
        Files.Read(console, path, "a copy of /proc/iomem",
            static (stream, name) => HostMapReader.Read(stream, name, new() { From = HostMapDialect.Iomem }));
}
