// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.IO;
using System.Text;
using System.Threading;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>What the hypervisor does not know of a domain, asked of xl and xenstore; and what xl does with one.</summary>
/// <param name="root">Where /var hangs, in which libxl keeps what it remembers of its domains.</param>
public sealed class DomainTools(IToolRunner runner, string root = "/")
{
    private const int MaxRecordBytes = 4 * 1024 * 1024;

    /// <summary>Characters of what xl says: libxl names file, line and function before the reason.</summary>
    private const int MaxComplaint = 240;

    /// <summary>What xl domid says of a name that no domain has (xl_info.c). It says so as well where it could not ask, behind an error of
    /// libxl's.</summary>
    private const string NoDomain = "Can't get domid of domain name ";

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
        if (!Look(name).TryGet(out NamedDomain? found, out XenProblem? problem))
            return problem;
        return found.Number is { } number ? number
            : new XenProblem(XenProblemKind.Here, $"domain {InputError.Quote(name)}", "there is no such domain", "xl list shows those there are");
    }

    /// <summary>The domain of that name, or that there is none; a problem where xl does not tell.</summary>
    internal XenResult<NamedDomain> Look(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        // A name that starts with a dash would be an option to xl.
        if (name.Length == 0 || name[0] == '-')
            return new XenProblem(XenProblemKind.Here, $"domain {InputError.Quote(name)}", "this is not a valid name of a domain",
                "give a name or a number of xl list");
        ToolResult result = runner.Run("xl", ["domid", name], s_question);
        if (Missing(result, "xl") is { } missing)
            return missing;
        if (result.Succeeded && ushort.TryParse(result.Output.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out ushort number))
            return new NamedDomain(new(new(number)));
        return !result.Succeeded && result.Error.Contains(NoDomain, StringComparison.Ordinal) && FirstError(result) is null
            ? new NamedDomain(null) : Failed("xl domid", result);
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

    /// <summary>
    /// How a domain was made, by libxl's own record (libxl-json, from Xen 4.5 on): <c>xl list -l</c> tells its memory as it is now. Null where the
    /// record is not there or not usable.
    /// </summary>
    internal GuestSpec? RecordOf(DomainInfo info) => RecordIn(RecordPath(info, "libxl-json")) is { } text ? DomainConfig.Parse(text) : null;

    /// <summary>Whether libvirt made it, which leaves its XML with libxl.</summary>
    internal bool IsLibvirts(DomainInfo info) => File.Exists(RecordPath(info, "libvirt-xml"));

    /// <summary>Whether libxl remembers of a domain that is there, whatever its name is now, that it runs a script.</summary>
    internal bool IsRemembered(string script)
    {
        try
        {
            foreach (string path in Directory.EnumerateFiles(RecordFolder, "userdata-d.*.libxl-json"))
            {
                if (RecordIn(path)?.Replace("\\/", "/", StringComparison.Ordinal).Contains($"\"{script}\"", StringComparison.Ordinal) == true)
                    return true;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // No libxl has made a domain here.
        }

        return false;
    }

    private string RecordFolder => System.IO.Path.Combine(root, "var/lib/xen");

    private string RecordPath(DomainInfo info, string of) => System.IO.Path.Combine(RecordFolder, $"userdata-d.{Text(info.Id)}.{info.Uuid}.{of}");

    private static string? RecordIn(string path)
    {
        try
        {
            // It ends in a zero byte.
            return new FileInfo(path) is { Exists: true, Length: <= MaxRecordBytes } ? File.ReadAllText(path, Encoding.Latin1).TrimEnd('\0') : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
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
    private static string Complaint(ToolResult result) => $"\"{InputError.OneLine(FirstError(result) ?? result.LastComplaint, MaxComplaint)}\"";

    private static string? FirstError(ToolResult result)
    {
        foreach (string line in result.Error.Split('\n'))
        {
            if (line.Contains(" error: ", StringComparison.Ordinal))
                return line.Trim();
        }

        return null;
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

/// <summary>The domain that has a name; null where none has.</summary>
internal sealed record NamedDomain(DomainNumber? Number);

/// <summary>A domain's number as a result.</summary>
public sealed record DomainNumber(DomainId Id);
