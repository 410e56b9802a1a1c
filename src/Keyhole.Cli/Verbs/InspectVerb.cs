// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using Keyhole.Answers;
using Keyhole.Cli.Help;
using Keyhole.Cli.Options;
using Keyhole.Cli.Terminal;
using Keyhole.Cli.Text;
using Keyhole.Dom0;
using Keyhole.Hosts;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole inspect</c>: what is known of a live domain and its map.</summary>
internal static class InspectVerb
{
    private const string NotReadable = "a domain's own map cannot be read from dom0: XENMEM_memory_map answers the caller alone";

    private const string Known = "known: remembered as Xen took it; another program may have set another since";
    private const string Reckoned = "reckoned from the machine map and how the guest was made, not read";

    public static Command Build(CommandConsole console)
    {
        var domain = new Argument<string>("DOMAIN") { Description = "The domain's name or number." };
        Option<bool> json = JsonOption.Create();
        var command = new Command("inspect",
            "Tell what is known of a live domain: its state, its pages, and the map it was given. In dom0, as root.") { domain, json };
        Examples.AddTo(command, console, """

            Examples:
              keyhole inspect guest
              keyhole inspect 3 --json
            """);
        command.SetAction(parsed => Run(console, parsed.GetValue(domain)!, parsed.GetValue(json)));
        return command;
    }

    private static int Run(CommandConsole console, string name, bool json)
    {
        var tools = new DomainTools(console.Dom0.Tools);
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
            long maximum = xen.Calls.MaximumReservation(info.Id);
            var answer = new InspectAnswer
            {
                Xen = version,
                Id = info.Id.Value,
                Name = guest.Name,
                Uuid = info.Uuid,
                State = info.StateName,
                Type = guest.TypeName,
                HasRun = info.HasRun,
                CpuTimeNanoseconds = info.CpuTimeNanoseconds,
                Pages = info.TotalPages,
                MaximumPages = maximum < 0 ? null : maximum,
                TargetKiB = tools.TargetKiB(info.Id),
                StaticMaxKiB = tools.StaticMaxKiB(info.Id),
                Applied = state.Applied is { } applied ? new(applied.Policy, EntryAnswer.AllOf(applied.Installed), Known) : null,
                Toolstack = guest.ToolstackPlan(machine) is { } plan ? new(plan.Policy, PlannedEntryAnswer.AllOf(plan.Entries), Reckoned) : null,
                Remark = NotReadable,
            };
            if (json)
                answer.WriteJson(console.OutBytes);
            else
                InspectText.Write(console, answer);
            return ExitStatus.Of(answer);
        }
    }
}
