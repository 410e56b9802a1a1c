// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using Keyhole.Addresses;
using Keyhole.Answers;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.Forecasts;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole boot</c>: what a guest's kernel, or dom0's, makes of its map, and whether it survives.</summary>
internal static class BootVerb
{
    public static Command Build(CommandConsole console)
    {
        var source = new BootSource();
        var svg = new SvgOption(console);
        var html = new HtmlOption(console);
        Option<bool> json = JsonOption.Create();
        var command = new Command("boot", "Forecast the boot: what the kernel makes of its map, page by page, and whether it survives.") { json };
        svg.AddTo(command);
        html.AddTo(command);
        source.AddTo(command);
        var memSet = new SizeOption("--mem-set", "Forecast besides what becomes of xl mem-set after boot, pages that come or go and where they are:",
            Frames.AddressLimit);
        command.Options.Add(memSet);
        Examples.AddTo(command, console, """

            Examples:
              keyhole boot --host xen.log --guest guest.cfg
              keyhole boot --host xen.log --guest guest.cfg --kernel linux-7.2
              keyhole boot --host xen.log --dom0                      will dom0 boot on this machine?
              keyhole boot --host map.txt --dom0 --nr-pages 262144 --max 1024
              keyhole boot --host xen.log --guest guest.cfg --mem-set 4096    where will grown memory lie?
              keyhole boot --host xen.log --guest guest.cfg --svg boot.svg        which pages move where, as a picture
            """);
        command.SetAction(parsed =>
        {
            if (memSet.Read(parsed, out ulong? target) is { } sizeError)
                return console.Fail(sizeError);
            if (!source.Read(parsed, console).TryGet(out Boot? boot, out InputError? error))
                return console.Fail(error);
            if (boot.Forecast is null)
            {
                var plan = BootAnswer.Of(boot, words: OptionWords.Of);
                if (svg.Write(parsed, () => Pictures.OfPlan(boot.Plan)) is { } unwrittenPlan)
                    return console.Fail(unwrittenPlan);
                InputError? unpaintedPlan = html.Write(
                    parsed, $"keyhole boot: {plan.Guest.Name ?? "a guest"}, {plan.Plan.HostName}", Verdicts.Of(plan), plan.IsYes,
                    plan.E820 is null ? null : () => Pictures.OfPlan(plan.Plan), plan.Problems, to => PlanText.Write(to, plan),
                    to => plan.WriteJson(to.OutBytes));
                if (unpaintedPlan is not null)
                    return console.Fail(unpaintedPlan);
                return json.Give(parsed, console, plan, to => PlanText.Write(to, plan));
            }

            BalloonForecast? balloon = target is { } bytes ? Balloon(boot, bytes >> Frames.Shift) : null;
            BootAnswer answer = BootAnswer.Of(boot, balloon, OptionWords.Of);
            if (svg.Write(parsed, () => Pictures.OfBoot(answer.Plan, answer.Forecast!)) is { } unwritten)
                return console.Fail(unwritten);
            InputError? unpainted = html.Write(
                parsed, $"keyhole boot: {answer.Guest.Name ?? "a guest"}, {answer.Kernel ?? answer.Platform}, {answer.Plan.HostName}",
                Verdicts.Of(answer), answer.IsYes,
                answer.Forecast is { } forecast ? () => Pictures.OfBoot(answer.Plan, forecast) : null, answer.Problems,
                to => BootText.Write(to, answer), to => answer.WriteJson(to.OutBytes));
            if (unpainted is not null)
                return console.Fail(unpainted);
            return json.Give(parsed, console, answer, to => BootText.Write(to, answer));
        });
        return command;
    }

    /// <summary>Null for a kernel that halts: it has no balloon.</summary>
    private static BalloonForecast? Balloon(Boot boot, ulong targetPages)
    {
        BootForecast forecast = boot.Forecast!;
        ulong? maxPages = forecast.Request.IsDom0 ? forecast.Request.MaxPages : boot.Plan.Guest.MaxmemKiB >> (Frames.Shift - 10);
        return forecast.Boots ? BalloonForecast.Of(forecast, targetPages, maxPages, BalloonMoment.Later) : null;
    }
}
