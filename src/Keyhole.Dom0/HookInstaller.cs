// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;

namespace Keyhole.Dom0;

/// <summary>What making a map stay comes to, before it is done.</summary>
/// <param name="File">The guest's configuration as it is.</param>
/// <param name="Change">What becomes of it.</param>
/// <param name="Folder">Where scripts, copy and record go.</param>
/// <param name="Scripts">Each script with its text.</param>
public sealed record HookPlan(ConfigurationFile File, HotplugChange Change, InstallRecord Record, string Folder,
    ImmutableArray<(string Path, string Text)> Scripts)
{
    /// <summary>The configuration as it was.</summary>
    public string Copy => HookInstaller.CopyIn(Folder);
}

/// <summary>What taking it back comes to, before it is done.</summary>
/// <param name="IsWhole">Whether the configuration is what <c>install</c> left, and so becomes what it was before, byte for byte, or what it was
/// before already; else what was changed since stays.</param>
public sealed record HookUndo(ConfigurationFile File, HotplugChange Change, byte[] Restored, InstallRecord Record, string Folder, bool IsWhole);

/// <summary>
/// Makes a guest's map last: scripts in a folder of their own, and a configuration in which xl finds them. Everything is in place before the
/// configuration names it, and nothing is taken away before it does not any more.
/// </summary>
public sealed class HookInstaller(LiveMachine machine)
{
    private const string RecordName = "installed.json";
    private const int MaxFolders = 4096;
    private const int MaxRecordBytes = 1024 * 1024;
    private const UnixFileMode Executable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead
        | UnixFileMode.GroupExecute | UnixFileMode.OtherRead
        | UnixFileMode.OtherExecute;

    private const UnixFileMode Own = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private string Folder => At("etc/xen/keyhole");

    internal static string CopyIn(string folder) => Path.Combine(folder, "before.cfg");

    private static string AfterIn(string folder) => Path.Combine(folder, "after.cfg");

    /// <summary>Whether a configuration names a script of Keyhole's, so that xl gives its guest the map at every start.</summary>
    public bool IsInstalled(string path) => ConfigurationFile.Read(path).TryGet(out ConfigurationFile? file, out _)
        && HotplugEdit.Scripts(file.Text, "").TryGet(out ScriptList? names, out _) && names.Scripts.Any(IsOurs);

    /// <summary>What has to be done for a guest; a problem says why it cannot be.</summary>
    /// <param name="path">The guest's xl.cfg.</param>
    /// <param name="guest">Its name.</param>
    /// <param name="policy">What answers call the map's policy.</param>
    /// <param name="call">What Keyhole's program is told before the guest's file.</param>
    /// <param name="options">What it is told behind the guest's file.</param>
    public XenResult<HookPlan> Plan(string path, string guest, string policy, ImmutableArray<string> call, ImmutableArray<string> options,
        OrElse orElse)
    {
        ArgumentNullException.ThrowIfNull(guest);
        if (!ConfigurationFile.Read(path).TryGet(out ConfigurationFile? file, out XenProblem? problem))
            return problem;
        string shown = InputError.PathText(file.Path);
        if (IsPassing(machine.Program))
            return new XenProblem(XenProblemKind.Here, InputError.PathText(machine.Program),
                "this build goes when the sources change, and the guest would start on libxl's map from then on",
                "install a package, or make a build that stays with eng/publish, and install with that");
        if (Known(file.Path) is { } known && !known.Record.IsUndone && !IsIn(AfterIn(known.Folder), file.Bytes)
            && !IsIn(CopyIn(known.Folder), file.Bytes))
            return new XenProblem(XenProblemKind.Guest, shown, "Keyhole's script is installed already, and the file was changed since",
                $"take it out first: {Setting.InstallUndo}");
        if (!ReadDefaults().TryGet(out ScriptDefaults? defaults, out problem))
            return problem;
        string folder = Path.Combine(Folder, FolderNameOf(guest));
        if (RecordIn(folder) is { } other && !IsOf(other, file.Path) && !other.IsUndone)
            return new XenProblem(XenProblemKind.Guest, shown,
                $"Keyhole's script is installed already for a guest of that name, in {InputError.PathText(other.Configuration)}",
                "undo that first, or give this one another name");
        List<InstalledScript> scripts = [];
        Parsed<HotplugChange> inserted = HotplugEdit.Insert(file.Text, shown, ScriptFor, target => IsBlockDevice(At(target.TrimStart('/'))));
        if (!inserted.TryGet(out HotplugChange? change, out InputError? error))
            return new XenProblem(XenProblemKind.Here, error.Where, error.What, error.Remedy);
        if (change.WhyNone is { } why)
            return new XenProblem(XenProblemKind.Guest, shown, why, $"give it a vif (vif=['']), or start it with {Setting.Start} each time");
        if (change.Entries.Any(entry => entry.Script is { } script && IsOurs(script)))
            return new XenProblem(XenProblemKind.Guest, shown, "Keyhole's script is installed already", $"{Setting.InstallUndo} takes it out");
        foreach (InstalledScript script in scripts)
        {
            // The guest could not start either way; and only what can be seen goes into a script.
            if (!HotplugScript.CanName(script.Own) || script.Own.Any(static c => c > '~') || !File.Exists(script.Own))
                return new XenProblem(XenProblemKind.Guest, shown, $"the script that it names, {InputError.Quote(script.Own)}, is not there",
                    "correct script= in it, or install the package that has the script");
            if (script.Path.Any(static c => !char.IsAsciiLetterOrDigit(c) && c is not ('/' or '.' or '_' or '-')))
                return new XenProblem(XenProblemKind.Here, InputError.PathText(script.Path), "a path that no xl.cfg can hold as it is",
                    "use folders with plain names");
        }

        string copy = CopyIn(folder);
        var record = new InstallRecord
        {
            Guest = guest,
            Configuration = file.Path,
            Policy = policy,
            Scripts = [.. scripts],
        };
        return new HookPlan(file, change, record, folder, [.. scripts.Select(Written)]);

        string ScriptFor(HotplugEntry entry)
        {
            if (scripts.Find(script => script.Before == entry.Script) is { } made)
                return made.Path;
            string own = Path.Combine(At("etc/xen/scripts"), entry.Script ?? (entry.IsDisk ? "block" : defaults.Vif));
            string name = string.Create(CultureInfo.InvariantCulture, $"{(entry.IsDisk ? "disk" : "vif")}-{scripts.Count + 1}");
            scripts.Add(new(Path.Combine(folder, name), entry.Script, own));
            return scripts[^1].Path;
        }

        (string, string) Written(InstalledScript script) => (script.Path, new HotplugScript
        {
            Own = script.Own,
            Configuration = file.Path,
            Copy = copy,
            Program = machine.Program,
            Call = call,
            Options = options,
            OrElse = orElse,
        }.Write());
    }

    /// <summary>Keeps others from installing or undoing meanwhile, until it is disposed.</summary>
    public XenResult<FileStream> Lock(string path) => GuestLock.AwaitInstall(machine.StateFolder, InputError.PathText(path));

    /// <summary>Does it. Null when it is done; otherwise why not, with the configuration and what is in the folder as it was.</summary>
    public XenProblem? Install(HookPlan plan)
    {
        ArgumentNullException.ThrowIfNull(plan);
        List<(string Path, byte[] Content, UnixFileMode Mode)> files =
        [
            (plan.Copy, plan.File.Bytes, Own),
            // What is still as it was left is put back whole.
            (AfterIn(plan.Folder), Encoding.Latin1.GetBytes(plan.Change.Text), Own),
            .. plan.Scripts.Select(static script => (script.Path, Encoding.UTF8.GetBytes(script.Text), Executable)),
            (Path.Combine(plan.Folder, RecordName), plan.Record.ToJson(), Own),
        ];
        bool isNew = !Directory.Exists(plan.Folder);
        bool isFirst = !Directory.Exists(Folder);
        Stack<(string Path, byte[]? Content, UnixFileMode Mode)> before = [];
        XenProblem? problem;
        try
        {
            Directory.CreateDirectory(plan.Folder);
            foreach ((string path, byte[] content, UnixFileMode mode) in files)
            {
                before.Push((path, File.Exists(path) ? File.ReadAllBytes(path) : null, mode));
                WholeFile.Write(path, content, mode);
            }

            problem = plan.File.Replace(Encoding.Latin1.GetBytes(plan.Change.Text));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            problem = FileProblem.Of(plan.Folder, exception);
        }

        if (problem is not null)
            PutBack(before, isFirst ? Folder : isNew ? plan.Folder : null);
        return problem;
    }

    /// <summary>The folder as it was: a script of a guest that runs is in it, or nothing. What cannot be put back does no harm: no file names
    /// it.</summary>
    /// <param name="made">The folder that was not there; null where all were.</param>
    private static void PutBack(Stack<(string Path, byte[]? Content, UnixFileMode Mode)> before, string? made)
    {
        try
        {
            if (made is not null)
            {
                Directory.Delete(made, recursive: true);
                return;
            }

            foreach ((string path, byte[]? content, UnixFileMode mode) in before)
            {
                if (content is null)
                    File.Delete(path);
                else
                    WholeFile.Write(path, content, mode);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // See above.
        }
    }

    /// <summary>What has to be done to take it back.</summary>
    public XenResult<HookUndo> PlanUndo(string path)
    {
        if (!ConfigurationFile.Read(path).TryGet(out ConfigurationFile? file, out XenProblem? problem))
            return problem;
        string shown = InputError.PathText(file.Path);
        if (Known(file.Path) is not { } known || known.Record.IsUndone)
        {
            bool isNamed = HotplugEdit.Scripts(file.Text, shown).TryGet(out ScriptList? names, out _) && names.Scripts.Any(IsOurs);
            return isNamed
                ? new XenProblem(XenProblemKind.Guest, shown, "it names a script of Keyhole's that was made for another file",
                    "is it a copy? take script=… out by hand, then install again")
                : new XenProblem(XenProblemKind.Guest, shown, "Keyhole has installed nothing there", "there is nothing to undo");
        }

        (InstallRecord record, string folder) = known;
        Dictionary<string, string?> before = record.Scripts.ToDictionary(static script => script.Path, static script => script.Before);
        if (!HotplugEdit.Remove(file.Text, shown, before.ContainsKey, script => before[script])
            .TryGet(out HotplugChange? change, out InputError? error))
            return new XenProblem(XenProblemKind.Here, error.Where, error.What, error.Remedy);
        byte[] restored = Encoding.Latin1.GetBytes(change.Text);
        bool isAsLeft = IsIn(AfterIn(folder), file.Bytes);
        // An undo that was killed behind the file's change has left it so, and somebody may have put the copy back.
        bool isWhole = isAsLeft || IsIn(CopyIn(folder), file.Bytes);
        try
        {
            if (isAsLeft)
                restored = File.ReadAllBytes(CopyIn(folder));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Without its copy the change is taken out of what there is, which comes to the same.
        }

        return new HookUndo(file, change, restored, record, folder, isWhole);
    }

    /// <summary>Takes it back. Null when it is done.</summary>
    /// <param name="isRunning">Whether the guest is there: xl remembers the scripts that it was made with, and runs them at its next reboot. They
    /// stay then, and do nothing of their own.</param>
    public XenProblem? Undo(HookUndo undo, bool isRunning)
    {
        ArgumentNullException.ThrowIfNull(undo);
        if (!undo.Restored.AsSpan().SequenceEqual(undo.File.Bytes) && undo.File.Replace(undo.Restored) is { } problem)
            return problem;
        try
        {
            if (!isRunning)
            {
                // Without its record nothing is installed, however far the rest comes.
                File.Delete(Path.Combine(undo.Folder, RecordName));
                Directory.Delete(undo.Folder, recursive: true);
                return null;
            }

            foreach (InstalledScript script in undo.Record.Scripts)
                WholeFile.Write(script.Path,
                    Encoding.UTF8.GetBytes(
                        $"#!/bin/sh\n# Left by Keyhole for a guest that was made with its script, which was taken out since; it may go when that "
                            + $"guest is shut down.\nexec {HotplugScript.Quote(script.Own)} \"$@\"\n"), Executable);
            WholeFile.Write(Path.Combine(undo.Folder, RecordName), (undo.Record with { IsUndone = true }).ToJson(), UnixFileMode.UserRead
                | UnixFileMode.UserWrite);
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return FileProblem.Of(undo.Folder, exception);
        }
    }

    /// <summary>A folder's name for a guest: its own where that is a plain word.</summary>
    private static string FolderNameOf(string guest) =>
        guest is [not ('.' or '-'), ..] && guest.Length <= 64 && guest.All(static c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-')
            ? guest
            : "guest-" + Convert.ToHexStringLower([.. Encoding.UTF8.GetBytes(guest).Take(96)]);

    /// <summary>Whether a record is of that file, by whatever path it was written.</summary>
    private static bool IsOf(InstallRecord record, string configuration)
    {
        try
        {
            return record.Configuration == configuration || ConfigurationFile.WithoutLinks(record.Configuration) == configuration;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return false;
        }
    }

    /// <summary>Whether the program is a build that the source tree's own script (keyhole) makes, and takes away again.</summary>
    private static bool IsPassing(string program) => Path.GetDirectoryName(program) is { } folder
        && Path.GetFileName(folder).StartsWith("build-", StringComparison.Ordinal)
        && Path.GetDirectoryName(folder) is { } parent && parent.EndsWith("/artifacts/keyhole", StringComparison.Ordinal);

    private bool IsOurs(string script) => script.StartsWith(Folder + "/", StringComparison.Ordinal);

    private string At(string path) => Path.Combine(machine.Root, path);

    /// <summary>What has no length of its own and can be sought in, as a disk or a volume can.</summary>
    private static bool IsBlockDevice(string path)
    {
        try
        {
            FileAttributes attributes = File.GetAttributes(path);
            if (attributes.HasFlag(FileAttributes.Directory))
                return false;
            string full = File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;
            return Directory.Exists($"/sys/class/block/{Path.GetFileName(full)}") && full.StartsWith("/dev/", StringComparison.Ordinal);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return false;
        }
    }

    private (InstallRecord Record, string Folder)? Known(string configuration)
    {
        try
        {
            foreach (string folder in Directory.Exists(Folder) ? Directory.EnumerateDirectories(Folder).Take(MaxFolders) : [])
            {
                if (RecordIn(folder) is { } record && IsOf(record, configuration))
                    return (record, folder);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // A folder that cannot be read holds nothing of ours.
        }

        return null;
    }

    private static InstallRecord? RecordIn(string folder)
    {
        string path = Path.Combine(folder, RecordName);
        try
        {
            return new FileInfo(path) is { Exists: true, Length: <= MaxRecordBytes } ? InstallRecord.Parse(File.ReadAllBytes(path)) : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static bool IsIn(string path, byte[] content)
    {
        try
        {
            return new FileInfo(path) is { Exists: true } info && info.Length == content.Length
                && File.ReadAllBytes(path).AsSpan().SequenceEqual(content);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <summary>What xl.conf says of hotplug scripts.</summary>
    private XenResult<ScriptDefaults> ReadDefaults()
    {
        string path = At("etc/xen/xl.conf");
        string shown = InputError.PathText(path);
        if (!File.Exists(path))
            return new ScriptDefaults("vif-bridge");
        try
        {
            using FileStream stream = File.OpenRead(path);
            if (!XlConfig.Read(stream, shown).TryGet(out XlConfig? config, out InputError? error))
                return new XenProblem(XenProblemKind.Here, error.Where, error.What, error.Remedy);
            string? Text(string key) => (config.EffectiveSettings.FirstOrDefault(setting => setting.Key == key)?.Value as XlText)?.Text;
            return Text("run_hotplug_scripts") == "0"
                ? new XenProblem(XenProblemKind.Guest, shown, "run_hotplug_scripts=0: udev runs the scripts, and xl does not wait for them",
                    "set it to 1")
                : new ScriptDefaults(Text("vif.default.script") ?? Text("vifscript") ?? "vif-bridge");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return FileProblem.Of(path, exception);
        }
    }

    private sealed record ScriptDefaults(string Vif);
}
