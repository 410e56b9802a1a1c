// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Answers;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole plan</c>: the map that a guest would get, why, and what is wrong with it.</summary>
internal static class PlanVerb
{
    public static Command Build(CommandConsole console)
    {
        var source = new PlanSource();
        var emit = new Option<string?>("--emit")
        {
            Description = "Write the guest's configuration for this toolstack and nothing else.",
            HelpName = "xl|libvirt"
        };
        emit.CompletionSources.Add("xl", "libvirt");
        var svg = new SvgOption(console);
        var html = new HtmlOption(console);
        Option<bool> json = JsonOption.Create();
        var command = new Command("plan", "Plan the memory map of a guest: each entry with its reason, and what is wrong with it.") { emit, json };
        JsonOption.KeepAlone(command, json, emit);
        svg.AddTo(command);
        html.AddTo(command);
        source.AddTo(command);
        var kernel = new KernelSource();
        kernel.AddTo(command, withRelease: false);
        Examples.AddTo(command, console, """

            Examples:
              keyhole plan --host xen.log --guest guest.cfg
              keyhole plan --host xen.log --memory 3072 --e820-host
              keyhole plan --host xen.log --guest guest.cfg --devices lspci-vv.txt    will the device's windows be free?
              keyhole plan --host xen.log --guest guest.xml --emit xl                 the same guest for xl
              keyhole plan --host xen.log --guest guest.cfg --svg plan.svg            host and guest side by side, as a picture
              keyhole plan --guest vm.xml --devices lspci-vv.txt                      a KVM guest: where its firmware puts each BAR
            """);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(emit) is { } named and not ("xl" or "libvirt"))
                return console.Fail(InputError.UnknownWord("--emit", null, $"{InputError.Quote(named)} is not a toolstack", "take xl or libvirt"));
            if (!source.Read(parsed, console).TryGet(out PlanInput? input, out InputError? error))
                return console.Fail(error);
            Scenario scenario = input.Scenario;
            bool hasKernel = Planner.PlatformOf(scenario).Traits.KernelLaysMemory;
            if (!kernel.Read(parsed, console, KernelReleases.UsualOf(scenario.Guest.Is32Bit), hasKernel ? scenario.Guest : null, isSaid: false)
                .TryGet(out KernelChoice? chosen, out error))
                return console.Fail(error);
            // With the kernel at hand it is told whether that one boots, not whether a usual one has room.
            PlanAnswer answer = chosen.Image is not null && hasKernel
                ? PlanAnswer.Of(Boot.Of(scenario with { Kernel = chosen.Release, IsKernelAssumed = !chosen.IsNamed, Image = chosen.Image }),
                    OptionWords.Of)
                : PlanAnswer.Of(Planner.Plan(scenario), OptionWords.Of);
            if (svg.Write(parsed, () => Pictures.OfPlan(answer.Plan)) is { } unwritten)
                return console.Fail(unwritten);
            InputError? unpainted = html.Write(
                parsed, $"keyhole plan: {answer.Guest.Name ?? "a guest"}, {answer.Plan.HostName}", Verdicts.Of(answer), answer.IsYes,
                answer.E820 is null ? null : () => Pictures.OfPlan(answer.Plan), answer.Problems, to => PlanText.Write(to, answer),
                to => answer.WriteJson(to.OutBytes));
            if (unpainted is not null)
                return console.Fail(unpainted);
            if (parsed.GetValue(emit) is { } toolstack)
                return Emit(console, input, toolstack);
            return json.Give(parsed, console, answer, to => PlanText.Write(to, answer));
        });
        return command;
    }

    private static int Emit(CommandConsole console, PlanInput input, string toolstack)
    {
        GuestDocument guest = input.Guest;
        Parsed<GuestText> written = toolstack == "xl" ? XlConfig.Write(guest) : LibvirtDomain.Write(guest);
        if (!written.TryGet(out GuestText? text, out InputError? error))
            return console.Fail(error);
        foreach (string remark in text.Remarks)
            console.Remark(remark);
        if (!IsSameGuest(input.Scenario with { Guest = guest.Guest }, text.Text))
        {
            console.Remark($"the guest of this text gets another map or other BAR addresses than the one that was read: not all that decides them "
                + $"(the video card, ACPI, emulated devices, a stubdomain) is carried over; plan it, and add what it lacks");
        }

        console.Out.Write(text.Text);
        return ExitStatus.Yes;
    }

    /// <summary>Whether what was written, read again, is forecast as what was read.</summary>
    private static bool IsSameGuest(Scenario scenario, string text)
    {
        using var bytes = new MemoryStream(Encoding.UTF8.GetBytes(text));
        if (!GuestReader.Read(bytes, "--emit").TryGet(out GuestDocument? again, out _))
            return false;
        Plan was = Planner.Plan(scenario);
        Plan now = Planner.Plan(scenario with { Guest = again.Guest });
        return was.IsMapKnown == now.IsMapKnown && was.RamBelow4GiBKiB == now.RamBelow4GiBKiB && was.Map.SequenceEqual(now.Map)
            && Addresses(was).SequenceEqual(Addresses(now));
    }

    private static IEnumerable<ulong?> Addresses(Plan plan) => plan.Firmware?.Placement?.Bars.Select(static bar => bar.Address) ?? [];
}
