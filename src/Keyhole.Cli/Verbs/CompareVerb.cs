// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.CommandLine;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Captures;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Comparison;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Migration;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole compare</c>: every policy for one host and guest, side by side, and which to take.</summary>
internal static class CompareVerb
{
    public static Command Build(CommandConsole console)
    {
        var host = new HostSource();
        var guest = new GuestSource();
        var qemu = new QemuOptions();
        var kernel = new KernelSource();
        Option<string?> hole = PolicyOption.CreateHole();
        var migrateTo = new Option<string[]>("--migrate-to")
        {
            Description = "Another host that the guest is to move to: a source of a memory map, as --host takes it. May be given again.",
            HelpName = "FILE",
        };
        var migrateBar = new WindowsOption(
            "--migrate-bar",
            "A window of the device on the other hosts, as A-B; without it the whole hole there has to be free. May be given again.");
        var ballooned = new SizeOption("--ballooned", "Memory that the guest has given back before it moves to the other hosts:",
            SizeOption.MostOfGuest);
        var consultMap = new Option<bool>("--consult-map")
        {
            Description =
                "The guest asks for its map again on the other host; Linux keeps that of its first boot."
        };
        var svg = new SvgOption(console);
        var html = new HtmlOption(console);
        Option<bool> json = JsonOption.Create();
        var command = new Command("compare",
            "Compare all policies for one host and guest, or all settings of a KVM guest, and recommend one.") { hole, migrateTo, migrateBar,
                ballooned, consultMap, json };
        kernel.AddTo(command);
        svg.AddTo(command);
        html.AddTo(command);
        host.AddTo(command);
        guest.AddTo(command);
        qemu.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole compare --host xen.log --guest guest.cfg
              keyhole compare --host xen.log --memory 3072 --bar febc0000-febe0000
              keyhole compare --host xen.log --guest guest.cfg --svg policies.svg              all maps side by side, as a picture
              keyhole compare --host a.log --memory 3072 --migrate-to b.log                   with a hole that suits both?
              keyhole compare --host a.log --memory 3072 --hole 40000000 --migrate-to b.log
              keyhole compare --guest vm.xml --devices lspci-vv.txt                           which setting places all BARs of a KVM guest?
              keyhole compare --type kvm --firmware ovmf --memory 65536 --bar-size 128G,64bit
            """);
        command.SetAction(parsed =>
        {
            if (migrateBar.Read(parsed, out ImmutableArray<Bar> otherBars) is { } windowError)
                return console.Fail(windowError);
            if (ballooned.Read(parsed, out ulong? balloonedBytes) is { } sizeError)
                return console.Fail(sizeError);
            if (!Read(parsed, console, host, guest, qemu, kernel, parsed.GetValue(hole) is { } start ? PolicyOption.InHex(start) : null,
                parsed.GetValue(migrateTo) ?? [], otherBars)
                .TryGet(out ComparisonRequest? request, out InputError? error))
            {
                return console.Fail(error);
            }

            if (Move(balloonedBytes, parsed.GetValue(consultMap), request).TryGet(out ComparisonRequest? moving, out error))
                request = moving;
            else
                return console.Fail(error);
            PolicyComparison comparison = PolicyComparer.Compare(request);
            if (svg.Write(parsed, () => Pictures.OfComparison(request.Scenario.HostName, comparison, OptionWords.Of)) is { } unwritten)
                return console.Fail(unwritten);
            var answer = ComparisonAnswer.Of(request, comparison, OptionWords.Of);
            InputError? unpainted = html.Write(
                parsed, $"keyhole compare: {request.Scenario.HostName}", answer.Best is { } best ? $"{best}: {answer.Why}" : answer.Why, answer.IsYes,
                answer.Policies is null || answer.Settings is not null ? null
                    : () => Pictures.OfComparison(request.Scenario.HostName, comparison, OptionWords.Of), [], to => ComparisonText.Write(to, answer),
                    to => answer.WriteJson(to.OutBytes));
            if (unpainted is not null)
                return console.Fail(unpainted);
            return json.Give(parsed, console, answer, to => ComparisonText.Write(to, answer));
        });
        return command;
    }

    private static Parsed<ComparisonRequest> Move(ulong? balloonedBytes, bool consultsMap, ComparisonRequest request)
    {
        if (request.MigrateTo.IsEmpty && (balloonedBytes is not null || consultsMap))
            return InputError.Missing(consultsMap ? "--consult-map" : "--ballooned", null, "there is no other host", "name it with --migrate-to");
        ulong memoryKiB = request.Scenario.Guest.MemoryKiB;
        if (balloonedBytes >> 10 >= memoryKiB)
            return InputError.OutOfRange("--ballooned", null, $"{balloonedBytes >> 20} MiB are all that the guest has",
                $"give less than {memoryKiB >> 10} MiB");
        return request with
        {
            BalloonedPages = (balloonedBytes ?? 0) >> Frames.Shift,
            Resume = consultsMap ? ResumeMode.ConsultsMap
                : ResumeMode.KeepsP2m
        };
    }

    private static Parsed<ComparisonRequest> Read(
        ParseResult parsed,
        CommandConsole console,
        HostSource hostSource,
        GuestSource guestSource,
        QemuOptions qemuOptions,
        KernelSource kernelSource,
        string? hole,
        string[] migrateTo,
        ImmutableArray<Bar> otherBars)
    {
        ImmutableArray<IHolePolicy> policies = Policies.All;
        if (hole is not null)
        {
            if (Policies.WithHoleAt(hole, out policies, "--hole") is { } bad)
                return bad;
        }

        if (!guestSource.Read(parsed, console).TryGet(out Guests.GuestDocument? document, out InputError? error))
            return error;
        Guests.GuestSpec guest = document.Guest;
        bool hasKernel = Planner.PlatformOf(guest).Traits.KernelLaysMemory;
        if (!kernelSource.Read(parsed, console, KernelReleases.UsualOf(guest.Is32Bit), hasKernel ? guest : null, isSaid: false)
            .TryGet(out KernelChoice? kernel, out error))
            return error;
        if (!guestSource.ReadBars(parsed, console, guest).TryGet(out BarList? bars, out error))
            return error;
        if (!otherBars.IsEmpty && migrateTo.Length == 0)
            return InputError.Missing("--migrate-bar", null, "there is no other host", "name it with --migrate-to");
        if (!qemuOptions.Read(parsed).TryGet(out Guests.QemuSurroundings? around, out error))
            return error;
        if (!PlanSource.ReadHost(parsed, console, hostSource, guest).TryGet(out HostDocument? host, out error))
            return error;
        List<MigrationHost> others = [];
        foreach (string path in migrateTo)
        {
            if (!HostSource.ReadOther(path, console).TryGet(out HostDocument? other, out error))
                return error;
            // Neither the map that the guest comes with nor the hole that it needs there is known.
            if (host.Host.HasLostEntries || other.Host.HasLostEntries)
                return InputError.NotSupported(other.Host.HasLostEntries ? Files.Shown(path) : "--host", null,
                    "lines of its map are lost: whether the guest can move is not known",
                    "give the whole log, or another source of the host's map, or leave out --migrate-to");
            if (other.Host.RamShown != RamShown.All)
                console.Remark($"{Files.Shown(path)} may not show all of that host's RAM: a move there is judged by what it shows");
            others.Add(new(Files.Shown(path), other.Host, otherBars));
        }

        return new ComparisonRequest
        {
            Scenario = new()
            {
                Host = host.Host,
                HostName = host.Description,
                Guest = guest,
                Bars = bars.Bars,
                Kernel = kernel.Release,
                IsKernelAssumed = !kernel.IsNamed,
                Image = kernel.Image,
                Qemu = PlanSource.Around(around, bars)
            },
            MigrateTo = [.. others],
            Policies = policies,
        };
    }
}
