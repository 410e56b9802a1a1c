// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Threading;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>What the hypervisor does not know of a domain, asked of xl and xenstore; and what xl does with one.</summary>
public sealed class DomainTools(IToolRunner runner)
{
    private static readonly TimeSpan s_question = TimeSpan.FromSeconds(60);

    /// <summary>Building a guest takes long where memory is large or the machine is emulated.</summary>
    private static readonly TimeSpan s_creation = TimeSpan.FromMinutes(10);

    /// <summary>The number of the domain that a user names, by its name or number.</summary>
    public XenResult<DomainNumber> Find(string nameOrNumber)
    {
        ArgumentNullException.ThrowIfNull(nameOrNumber);
        return ushort.TryParse(nameOrNumber, NumberStyles.None, CultureInfo.InvariantCulture, out ushort number) && number < DomainId.FirstReserved
            ? new DomainNumber(new(number))
            : Named(nameOrNumber);
    }

    /// <summary>The number of the domain of that name, which may consist of digits.</summary>
    public XenResult<DomainNumber> Named(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        string shown = InputError.Quote(name);
        // A name that starts with a dash would be an option to xl.
        if (name.Length == 0 || name[0] == '-')
            return new XenProblem(XenProblemKind.Here, $"domain {shown}", "this is not a valid name of a domain",
                "give a name or a number of xl list");
        ToolResult result = runner.Run("xl", ["domid", name], s_question);
        if (Missing(result, "xl") is { } missing)
            return missing;
        if (result.Succeeded && ushort.TryParse(result.Output.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out ushort number))
            return new DomainNumber(new(number));
        return new XenProblem(XenProblemKind.Here, $"domain {shown}", "there is no such domain", "xl list shows those there are");
    }

    /// <summary>The domain's name, or null.</summary>
    public string? NameOf(DomainId id) => Read(Path(id, "name"));

    /// <summary>xenstore's memory/target in KiB: what the balloon is asked to be, or null.</summary>
    public ulong? TargetKiB(DomainId id) => Number(Path(id, "memory/target"));

    /// <summary>xenstore's memory/static-max in KiB, or null.</summary>
    public ulong? StaticMaxKiB(DomainId id) => Number(Path(id, "memory/static-max"));

    /// <summary>The pseudo terminal that xenconsoled gives the domain's console, or null while there is none.</summary>
    public string? ConsoleOf(DomainId id) => Read(Path(id, "console/tty")) is { } tty && tty.StartsWith("/dev/pts/", StringComparison.Ordinal) ? tty
        : null;

    /// <summary>How the domain was made, or null where the toolstack does not say.</summary>
    public GuestSpec? ConfigOf(DomainId id)
    {
        ToolResult result = runner.Run("xl", ["list", "-l", Text(id)], s_question);
        return result.Succeeded ? DomainConfig.Parse(result.Output) : null;
    }

    /// <summary>Xen's log.</summary>
    public XenResult<string> Log()
    {
        ToolResult result = runner.Run("xl", ["dmesg"], s_question);
        if (Missing(result, "xl") is { } missing)
            return missing;
        return result.Succeeded ? result.Output : Failed("xl dmesg", result);
    }

    /// <summary>Creates a guest and leaves it paused. What xl said on the way, its domain builder included.</summary>
    /// <remarks>-f, because xl takes a path with a = in it for a setting, and one with a - in front for an option.</remarks>
    public XenResult<string> CreatePaused(string configurationPath, Guid uuid, CancellationToken cancellation)
    {
        ToolResult result = runner.Run("xl", ["-vvv", "create", "-p", "-f", configurationPath, $"uuid=\"{uuid}\""], s_creation, cancellation);
        if (Missing(result, "xl") is { } missing)
            return missing;
        return result.Succeeded ? result.Error + result.Output : Failed("xl create", result);
    }

    /// <summary>Lets a paused domain run (<c>xl unpause</c>). Null where that was done.</summary>
    public XenProblem? Unpause(DomainId id) => Do("unpause", id);

    /// <summary>Ends a domain at once (<c>xl destroy</c>). Null where that was done.</summary>
    public XenProblem? Destroy(DomainId id) => Do("destroy", id);

    private static string Text(DomainId id) => id.Value.ToString(CultureInfo.InvariantCulture);

    private static string Path(DomainId id, string key) => $"/local/domain/{Text(id)}/{key}";

    private static XenProblem? Missing(ToolResult result, string program) => result.ExitCode == ToolResult.NotThere
        ? new(XenProblemKind.Here, program, "this program is not there", "run this in dom0, with the Xen tools installed and on the PATH")
        : null;

    private static XenProblem Failed(string what, ToolResult result) => new(
        XenProblemKind.Refused,
        what,
        result.ExitCode == ToolResult.TookTooLong ? "did not end in time, or was interrupted" : $"failed: {Complaint(result)}",
        "see what it says when run by hand");

    /// <summary>The first line in which xl says that something is an error: the later ones are consequences.</summary>
    private static string Complaint(ToolResult result)
    {
        foreach (string line in result.Error.Split('\n'))
        {
            if (line.Contains(" error: ", StringComparison.Ordinal))
                return InputError.Quote(line.Trim());
        }

        return InputError.Quote(result.LastComplaint);
    }

    private XenProblem? Do(string verb, DomainId id)
    {
        ToolResult result = runner.Run("xl", [verb, Text(id)], s_question);
        return Missing(result, "xl") ?? (result.Succeeded ? null : Failed($"xl {verb}", result));
    }

    private string? Read(string path)
    {
        ToolResult result = runner.Run("xenstore-read", [path], s_question);
        string text = result.Output.TrimEnd('\n');
        return result.Succeeded && text.Length > 0 ? InputError.OneLine(text, 256) : null;
    }

    private ulong? Number(string path) => ulong.TryParse(Read(path), NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) ? value : null;
}

/// <summary>A domain's number as a result.</summary>
public sealed record DomainNumber(DomainId Id);
