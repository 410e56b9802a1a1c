// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.Drawing;
using Keyhole.Guests;
using Keyhole.Planning;
using Keyhole.Platforms;
using Spectre.Console;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole plan</c>: the map that a guest would get, why, and what is wrong with it.</summary>
internal static class PlanVerb
{
    public static Command Build(CommandConsole console)
    {
        var source = new PlanSource();
        var emit = new Option<string?>("--emit") { Description = "Write the guest's configuration for this toolstack and nothing else.", HelpName = "xl|libvirt" };
        emit.CompletionSources.Add("xl", "libvirt");
        var svg = new SvgOption();
        var json = new Option<bool>("--json") { Description = "One JSON document on standard output." };
        var command = new Command("plan", "Plan the memory map of a guest: each entry with its reason, and what is wrong with it.") { emit, json };
        JsonText.KeepAlone(command, json, emit);
        svg.AddTo(command);
        source.AddTo(command);
        Examples.AddTo(command, console, """

            Examples:
              keyhole plan --host xen.log --guest guest.cfg
              keyhole plan --host xen.log --memory 3072 --e820-host
              keyhole plan --host xen.log --guest guest.cfg --devices lspci-vv.txt    will the device's windows be free?
              keyhole plan --host xen.log --guest guest.xml --emit xl                 the same guest for xl
              keyhole plan --host xen.log --guest guest.cfg --svg plan.svg            host and guest side by side, as a picture
            """);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(emit) is { } named and not ("xl" or "libvirt"))
                return console.Fail(new("--emit", null, $"{InputError.Quote(named)} is no toolstack", "take xl or libvirt"));
            if (!source.Read(parsed, console).TryGet(out Scenario? scenario, out InputError? error))
                return console.Fail(error);
            Plan plan = Planner.Plan(scenario);
            if (svg.Write(parsed, () => Pictures.OfPlan(plan)) is { } unwritten)
                return console.Fail(unwritten);
            if (parsed.GetValue(emit) is { } toolstack)
                return Emit(console, plan.Guest, toolstack);
            if (parsed.GetValue(json))
                JsonText.Write(console, writer => WriteJson(writer, plan));
            else
                Print(console, plan);
            return plan.HasErrors ? ExitStatus.No : ExitStatus.Yes;
        });
        return command;
    }

    /// <summary>The members of the plan's JSON; verbs that say more add theirs behind.</summary>
    public static void WriteJson(Utf8JsonWriter writer, Plan plan)
    {
        writer.WriteString("policy", plan.Policy);
        writer.WriteStartObject("guest");
        if (plan.Guest.Name is { } name)
            writer.WriteString("name", name);
        writer.WriteNumber("memoryKiB", plan.Guest.MemoryKiB);
        writer.WriteNumber("maxmemKiB", plan.Guest.MaxmemKiB);
        writer.WriteStartArray("pci");
        foreach (PciAssignment assignment in plan.Guest.Pci)
            writer.WriteStringValue(assignment.ToString());
        writer.WriteEndArray();
        writer.WriteEndObject();
        if (plan.IsMapKnown)
            LiveMap.WriteEntries(writer, "e820", plan.Entries);
        if (plan.RamBelow4GiBKiB is { } low)
            writer.WriteNumber("ramBelow4GiBKiB", low);
        writer.WriteProblems(plan.Problems);
    }

    public static void Print(CommandConsole console, Plan plan)
    {
        GuestSpec guest = plan.Guest;
        string balloon = guest.MaxmemKiB == guest.MemoryKiB ? "" : string.Create(CultureInfo.InvariantCulture, $", balloons up to {guest.MaxmemKiB >> 10} MiB");
        string devices = guest.Pci.IsEmpty ? "" : $", with {string.Join(' ', guest.Pci.Select(static assignment => assignment.ToString()))}";
        console.Ansi.WriteLine($"host:   {plan.Host.Description}");
        console.Ansi.WriteLine(string.Create(CultureInfo.InvariantCulture, $"guest:  {guest.Name ?? "(no name)"}, {guest.MemoryKiB >> 10} MiB{balloon}{devices}"));
        console.Ansi.WriteLine($"policy: {plan.Policy}");
        if (!plan.Entries.IsEmpty)
        {
            MapView.WriteEntries(console, plan.Entries);
            if (plan.RamBelow4GiBKiB is { } low)
                console.Ansi.WriteLine($"RAM below 4 GiB: {ByteSize.ToText(low << 10)}");
            console.Ansi.WriteLine();
            MapView.Draw(console, [new("host", plan.MachineMap), new("guest", plan.Map)]);
            console.Ansi.WriteLine();
        }

        MapView.WriteProblems(console, plan.Problems);
    }

    private static int Emit(CommandConsole console, GuestSpec guest, string toolstack)
    {
        Parsed<GuestText> written = toolstack == "xl" ? XlConfig.Write(guest) : LibvirtDomain.Write(guest);
        if (!written.TryGet(out GuestText? text, out InputError? error))
            return console.Fail(error);
        foreach (string remark in text.Remarks)
            console.Remark(remark);
        console.Out.Write(text.Text);
        return ExitStatus.Yes;
    }
}
