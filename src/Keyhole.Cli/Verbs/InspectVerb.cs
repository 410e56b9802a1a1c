// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.Globalization;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Dom0;
using Keyhole.Hosts;
using Keyhole.Platforms;
using Spectre.Console;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole inspect</c>: what is known of a live domain and its map.</summary>
internal static class InspectVerb
{
    private const string NotReadable = "a domain's own map cannot be read from dom0: XENMEM_memory_map answers the caller alone";

    public static Command Build(CommandConsole console)
    {
        var domain = new Argument<string>("DOMAIN") { Description = "The domain's name or number." };
        var json = new Option<bool>("--json") { Description = "One JSON document on standard output." };
        var command = new Command("inspect", "Tell what is known of a live domain: its state, its pages, and the map it was given. In dom0, as root.") { domain, json };
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
            if (!new MachineCapture(console.Dom0).ReadMachineMap(xen).TryGet(out HostMemoryMap? machine, out problem))
                return console.Refuse(problem);
            if (!new AppliedMapStore(console.Dom0.StateFolder).Load(guest.Info.Id, guest.Info.Uuid).TryGet(out AppliedMapState? state, out InputError? error))
                return console.Fail(error);
            var facts = new Facts(
                guest,
                version,
                xen.Calls.MaximumReservation(guest.Info.Id),
                tools.TargetKiB(guest.Info.Id),
                tools.StaticMaxKiB(guest.Info.Id),
                state.Applied,
                guest.ToolstackPlan(machine));
            if (json)
                WriteJson(console, facts);
            else
                Print(console, facts);
            return ExitStatus.Yes;
        }
    }

    private static void WriteJson(CommandConsole console, Facts facts) => JsonText.Write(console, writer =>
    {
        DomainInfo info = facts.Guest.Info;
        writer.WriteString("xen", facts.Version);
        writer.WriteNumber("id", info.Id.Value);
        if (facts.Guest.Name is { } name)
            writer.WriteString("name", name);
        writer.WriteString("uuid", info.Uuid);
        writer.WriteString("state", info.StateName);
        writer.WriteString("type", facts.Guest.TypeName);
        writer.WriteBoolean("hasRun", info.HasRun);
        writer.WriteNumber("cpuTimeNanoseconds", info.CpuTimeNanoseconds);
        writer.WriteNumber("pages", info.TotalPages);
        if (facts.MaximumPages >= 0)
            writer.WriteNumber("maximumPages", facts.MaximumPages);
        if (facts.TargetKiB is { } target)
            writer.WriteNumber("targetKiB", target);
        if (facts.StaticMaxKiB is { } max)
            writer.WriteNumber("staticMaxKiB", max);
        if (facts.Applied is { } applied)
        {
            writer.WriteStartObject("applied");
            writer.WriteString("policy", applied.Policy);
            LiveMap.WriteMap(writer, "e820", applied.Installed);
            writer.WriteEndObject();
        }

        if (facts.Toolstack is { } plan)
        {
            writer.WriteStartObject("toolstack");
            writer.WriteString("policy", plan.Policy);
            LiveMap.WriteEntries(writer, "e820", plan.Entries);
            writer.WriteEndObject();
        }

        writer.WriteString("remark", NotReadable);
    });

    private static void Print(CommandConsole console, Facts facts)
    {
        DomainInfo info = facts.Guest.Info;
        Line(console, "domain", $"{(facts.Guest.Name is { } name ? InputError.OneLine(name, 128) : "(no name)")}, number {info.Id.Value}, {info.Uuid}, on Xen {facts.Version}");
        string ran = info.HasRun ? string.Create(CultureInfo.InvariantCulture, $"has run for {info.CpuTimeNanoseconds / 1e9:0.000} s") : "has never run";
        Line(console, "state", $"{facts.Guest.TypeName}, {info.StateName}; {ran}");
        string maximum = facts.MaximumPages < 0 ? "" : $", may own {Pages((ulong)facts.MaximumPages)}";
        Line(console, "pages", $"owns {Pages(info.TotalPages)}{maximum}");
        if (facts.TargetKiB is { } target)
            Line(console, "target", $"{ByteSize.ToText(target << 10)}{(facts.StaticMaxKiB is { } max ? $", at most {ByteSize.ToText(max << 10)}" : "")}");
        console.Ansi.WriteLine();
        if (info.Id.Value == 0)
        {
            console.Ansi.WriteLine("dom0 uses the machine's own map: keyhole show --with-xen");
            return;
        }

        console.Ansi.WriteLine($"({NotReadable})");
        if (facts.Applied is { } applied)
        {
            console.Ansi.WriteLine($"The map that Keyhole installed ({applied.Policy}):");
            MapView.WriteMap(console, applied.Installed);
        }

        if (facts.Toolstack is { } plan)
        {
            console.Ansi.WriteLine(facts.Applied is null ? "The map that libxl gave it:" : "The map that libxl gave it before:");
            MapView.WriteMap(console, plan.Map);
        }
        else
        {
            console.Remark("the toolstack does not say how the domain was made (xl list -l): which map it was given is not known");
        }
    }

    private static void Line(CommandConsole console, string what, string text) => console.Ansi.WriteLine($"{what + ":",-8}{text}");

    private static string Pages(ulong count) => string.Create(CultureInfo.InvariantCulture, $"{count} pages ({ByteSize.ToText(count << Frames.Shift)})");

    private sealed record Facts(
        LiveGuest Guest, string Version, long MaximumPages, ulong? TargetKiB, ulong? StaticMaxKiB, AppliedMap? Applied, Plan? Toolstack);
}
