// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.Linq;
using Keyhole.Answers;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Diagnostics;
using Keyhole.Dom0;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole inspect</c>: what is known of a live domain and its map.</summary>
internal static class InspectVerb
{
    private const string NotReadable = "a domain's own map cannot be read from dom0: XENMEM_memory_map answers the caller alone";

    private const string Known = "known: remembered as Xen took it; another program may have set another since";
    private const string ReadFromList = "read from the guest's own list, whose pages were mapped from here";
    private const string Reckoned = "reckoned from the machine map and how the guest was made, not read";
    private const string NotTold = "the toolstack does not say how the domain was made (xl list -l): which map it was given is not known";
    private const string Hvmloaders =
        "hvmloader makes an HVM guest's map in the guest, by what it finds there: the map is not known; keyhole plan --guest and the guest's "
            + "xl.cfg forecast it";
    private const string MemoryNotTold =
        "which map libxl gave it is not known: xl list -l tells the memory that the domain has now, and with which it was made, libxl's record of it "
            + "(/var/lib/xen/userdata-d.*.libxl-json) does not say";

    public static Command Build(CommandConsole console)
    {
        var domain = new Argument<string>("DOMAIN") { Description = "The domain's name or number." };
        Option<bool> json = JsonOption.Create();
        var kernel = new KernelSource();
        var command = new Command("inspect",
            "Tell what is known of a live domain: its state, its pages, the map it was given, and its P2M beside the forecast. In dom0, as root.")
            { domain, json };
        kernel.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole inspect guest
              keyhole inspect 3 --json
              keyhole inspect guest --kernel linux-6.12     compare its P2M with that Linux's
            """);
        command.SetAction(parsed => Run(console, parsed, parsed.GetValue(domain)!, kernel, parsed.GetValue(json)));
        return command;
    }

    private static int Run(CommandConsole console, ParseResult parsed, string name, KernelSource kernelSource, bool json)
    {
        var tools = new DomainTools(console.Dom0.Tools, console.Dom0.Root);
        if (!console.Dom0.OpenXen().TryGet(out IXenControl? xen, out XenProblem? problem))
            return console.Refuse(problem);
        using (xen)
        {
            if (!LiveGuest.Find(xen, tools, name).TryGet(out LiveGuest? guest, out problem))
                return console.Refuse(problem);
            if (!xen.Version().TryGet(out string? version, out problem))
                return console.Refuse(problem);
            if (!new MachineCapture(console.Dom0).ReadMachineMap(xen).TryGet(out Host? machine, out problem))
                return console.Refuse(problem);
            var store = new AppliedMapStore(console.Dom0.StateFolder);
            store.ForgetDead(xen);
            if (!store.Load(guest.Info.Id, guest.Info.Uuid).TryGet(out AppliedMapState? state, out problem))
                return console.Refuse(problem);
            DomainInfo info = guest.Info;
            bool isListRead = P2mReader.Read(xen, info, guest.Shown).TryGet(out LiveP2m? list, out XenProblem? unread);
            // What the kernel is matters only for what the list is compared with; what is given and cannot be read is said anyway.
            KernelChoice? kernel = null;
            if ((isListRead || kernelSource.FirstGiven(parsed) is not null)
                && !kernelSource.Read(parsed, console, KernelReleases.Default, guest.Spec, isSaid: false, isHere: false)
                    .TryGet(out kernel, out InputError? error))
                return console.Fail(error);
            string? whyNoMap = info.Id.Value == 0 ? null : guest.Spec is null ? NotTold : guest.TypeName == "HVM" ? Hvmloaders
                : guest.IsMemoryAsMade ? null : MemoryNotTold;
            long maximum = xen.Calls.MaximumReservation(info.Id);
            var answer = new InspectAnswer
            {
                Xen = version,
                Id = info.Id.Value,
                Name = guest.Name,
                Uuid = info.Uuid,
                State = info.StateName,
                Shutdown = info.ShutdownName,
                Type = guest.TypeName,
                HasRun = info.HasRun,
                CpuTimeNanoseconds = info.CpuTimeNanoseconds,
                Pages = info.TotalPages,
                MaximumPages = maximum < 0 ? null : maximum,
                TargetKiB = tools.TargetKiB(info.Id),
                StaticMaxKiB = tools.StaticMaxKiB(info.Id),
                Applied = state.Applied is { } applied ? new(applied.Policy, EntryAnswer.AllOf(applied.Installed), Known) : null,
                Toolstack = whyNoMap is null && guest.ToolstackPlan(machine) is { } plan
                    ? new(plan.Policy, PlannedEntryAnswer.AllOf(plan.Entries), Reckoned) : null,
                ToolstackRemark = whyNoMap,
                P2m = list is not null && kernel is not null ? P2mOf(list, guest, state.Applied, machine, kernel) : null,
                P2mRemark = unread?.What,
                Remark = NotReadable,
            };
            if (json)
                answer.WriteJson(console.OutBytes);
            else
                InspectText.Write(console, answer);
            return ExitStatus.Of(answer);
        }
    }

    private static LiveP2mAnswer P2mOf(LiveP2m list, LiveGuest guest, AppliedMap? applied, Host machine, KernelChoice kernel)
    {
        LiveP2mForecastAnswer? compared = null;
        // How many pages its kernel began with is not known of another.
        if (guest is { Spec: { } spec, IsMemoryAsMade: true })
        {
            var boot = Boot.Of(new Scenario
            {
                Host = machine,
                Guest = applied is null ? spec : spec with { E820Host = true },
                Policy = applied is null ? null : new GivenMapPolicy(applied.Installed),
                Kernel = kernel.Release,
                Image = kernel.Image,
            });
            if (boot.Forecast is { } forecast)
                compared = Compare(list, forecast, applied?.Policy ?? boot.Plan.Policy, kernel.IsNamed);
        }

        return new(ReadFromList, list.FrameCount, list.CountOf(LiveP2mKind.Ram),
            [.. list.Runs.Select(static run => new LiveP2mRunAnswer(run.Range.Start.Value, run.Range.End.Value, NameOf(run.Kind),
                run.Page == 0 ? null : run.Page))], compared);
    }

    private static LiveP2mForecastAnswer Compare(LiveP2m list, BootForecast forecast, string policy, bool isKernelKnown)
    {
        ulong differing = 0;
        LiveP2mDifference? first = forecast.P2m.IsEmpty ? null : list.Compare(forecast, out differing);
        return new(KernelReleases.NameOf(forecast.Request.Kernel), isKernelKnown, policy, GuestOutcomes.NameOf(forecast.Outcome),
            forecast.P2m.IsEmpty ? null : first is null, differing,
            first is { } it ? new(it.Range.Start.Value, it.Range.End.Value, NameOf(it.Live), NameOf(it.Forecast)) : null);
    }

    private static string NameOf(LiveP2mKind kind) => kind switch
    {
        LiveP2mKind.Invalid => "invalid",
        LiveP2mKind.Ram => "ram",
        LiveP2mKind.Identity => "identity",
        LiveP2mKind.Foreign => "foreign",
        LiveP2mKind.Unwritten => "unwritten",
    };
}
