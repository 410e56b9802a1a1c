// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>A device of a guest for which xl runs a hotplug script.</summary>
/// <param name="IsDisk">A disk; else a network card.</param>
/// <param name="Line">The 1-based line of its entry.</param>
/// <param name="Script">The script that its entry names, as it is written there; null where xl takes its default.</param>
public sealed record HotplugEntry(bool IsDisk, int Line, string? Script);

/// <summary>A line before and after a change, without its line end.</summary>
public readonly record struct LineChange(int Line, string Before, string After);

/// <summary>A changed configuration.</summary>
/// <param name="Text">The whole of it.</param>
/// <param name="Entries">The entries that were changed, as they were before.</param>
/// <param name="Lines">The lines that differ.</param>
public sealed record HotplugChange(string Text, ImmutableArray<HotplugEntry> Entries, ImmutableArray<LineChange> Lines)
{
    /// <summary>Why there is no entry to change, as a clause about the guest; null where there is one.</summary>
    public string? WhyNone { get; init; }
}

/// <summary>
/// Puts a script of Keyhole's before the hotplug scripts of a guest's network cards or disks, in the text of its xl.cfg, and takes it out again.
/// Nothing else of the text is touched.
/// </summary>
/// <remarks>
/// Texts are read a byte a character (Latin-1), so that what is written again is the same whatever encoding remarks are in. Sources: xl's
/// parse_nic_config, xl-network-configuration(5), libxlu's disk syntax, xl-disk-configuration(5).
/// </remarks>
public static class HotplugEdit
{
    private const string Key = "script=";
    private const string DiskTarget = "target=";

    /// <summary>Changes the entries of the network cards; where there are none, of those disks that can have a script.</summary>
    /// <param name="text">The xl.cfg.</param>
    /// <param name="scriptFor">Path of the script to put in, told the one that is there (null for xl's default). Of letters, digits and the
    /// characters / . _ and -.</param>
    /// <param name="isBlockDevice">Whether a disk's target is a block device: only for these has libxl a script that leaves them as they are.</param>
    /// <returns>Without entries where the guest has none for which xl runs a script; the error says where the text cannot be changed.</returns>
    public static Parsed<HotplugChange> Insert(string text, string sourceName, Func<HotplugEntry, string> scriptFor, Func<string, bool> isBlockDevice)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(sourceName);
        ArgumentNullException.ThrowIfNull(scriptFor);
        ArgumentNullException.ThrowIfNull(isBlockDevice);
        if (XlParser.Parse(text, sourceName, out ImmutableArray<XlSetting> settings, out _) is { } error)
            return error;
        var edits = new List<Edit>();
        if (Collect(settings, "vif", sourceName, text, edits, static parts => !parts.IsElsewhere) is { } vifError)
            return vifError;
        string? noDisk = null;
        if (edits.Count == 0)
        {
            if (settings.Any(static setting => setting.Key == "bootloader"))
                noDisk = "its disks are read by a bootloader in dom0, which a script would keep from them";
            else if (Collect(settings, "disk", sourceName, text, edits, parts => HasScript(parts, isBlockDevice)) is { } diskError)
                return diskError;
        }

        if (edits.Count == 0)
        {
            string what =
                $"it has no vif that dom0 serves, and {noDisk ?? "no disk on a block device"}: there is no script "
                    + $"that xl runs before it starts the guest";
            return new HotplugChange(text, [], []) { WhyNone = what };
        }

        return Apply(text, edits, edit => edit.Parts.WithScript(scriptFor(edit.Entry)));
    }

    /// <summary>Takes scripts out again that <see cref="Insert"/> has put in, and leaves every other change where it is.</summary>
    /// <param name="isOurs">Whether a script is one that was put in.</param>
    /// <param name="scriptBefore">What was there before, told the script that was put in; null for nothing.</param>
    public static Parsed<HotplugChange> Remove(string text, string sourceName, Func<string, bool> isOurs, Func<string, string?> scriptBefore)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(sourceName);
        ArgumentNullException.ThrowIfNull(isOurs);
        ArgumentNullException.ThrowIfNull(scriptBefore);
        if (XlParser.Parse(text, sourceName, out ImmutableArray<XlSetting> settings, out _) is { } error)
            return error;
        var edits = new List<Edit>();
        // Whatever a later setting replaces may be used again by hand: it is freed of the script too.
        foreach (XlText literal in settings.Where(static setting => setting.Key is "vif" or "disk")
            .SelectMany(static setting => Literals(setting.Value)))
        {
            var parts = EntryParts.Of(text, literal, isDisk: false);
            if (parts.Script is { } script && isOurs(script))
                edits.Add(new Edit(parts, new(IsDisk: false, literal.Line, script)));
        }

        return Apply(text, edits, edit => edit.Parts.WithScript(scriptBefore(edit.Parts.Script!)));
    }

    /// <summary>The scripts that the entries of a configuration name.</summary>
    public static Parsed<ScriptList> Scripts(string text, string sourceName)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (XlParser.Parse(text, sourceName, out ImmutableArray<XlSetting> settings, out _) is { } error)
            return error;
        return new ScriptList(
        [
            .. settings.Where(static setting => setting.Key is "vif" or "disk").SelectMany(static setting => Literals(setting.Value))
                .Select(literal => EntryParts.Of(text, literal, isDisk: false).Script).OfType<string>(),
        ]);
    }

    private static HotplugChange Apply(string text, List<Edit> edits, Func<Edit, string> after)
    {
        var changed = new StringBuilder();
        int position = 0;
        foreach (Edit edit in edits.OrderBy(static edit => edit.Parts.Start))
        {
            changed.Append(text, position, edit.Parts.Start - position).Append(after(edit));
            position = edit.Parts.End;
        }

        changed.Append(text, position, text.Length - position);
        string result = changed.ToString();
        return new HotplugChange(result, [.. edits.Select(static edit => edit.Entry)], Differences(text, result));
    }

    /// <summary>Strings do not span lines, so both texts have the same lines.</summary>
    private static ImmutableArray<LineChange> Differences(string before, string after)
    {
        string[] old = before.Split('\n'), now = after.Split('\n');
        var lines = ImmutableArray.CreateBuilder<LineChange>();
        for (int i = 0; i < old.Length; i++)
        {
            if (old[i] != now[i])
                lines.Add(new(i + 1, old[i].TrimEnd('\r'), now[i].TrimEnd('\r')));
        }

        return lines.ToImmutable();
    }

    /// <summary>The entries of a list as it stands in the end: what the last = sets, and each += behind it.</summary>
    private static InputError? Collect(ImmutableArray<XlSetting> settings, string key, string sourceName, string text, List<Edit> edits,
        Func<EntryParts, bool> isWanted)
    {
        var literals = new List<XlText>();
        foreach (XlSetting setting in settings.Where(setting => setting.Key == key))
        {
            if (setting.Value is not XlList)
                return InputError.Malformed(sourceName, setting.Line, $"{key} is not a list", $"write {key} = [ '…' ]");
            if (!setting.IsAddition)
                literals.Clear();
            literals.AddRange(Literals(setting.Value));
        }

        foreach (XlText literal in literals)
        {
            var parts = EntryParts.Of(text, literal, key == "disk");
            if (!isWanted(parts))
                continue;
            if (parts.Raw.Contains('\\', StringComparison.Ordinal))
                return InputError.NotSupported(sourceName, literal.Line, $"the {key} entry has an escape (\\) in it", "write it without one");
            if (parts.ScriptCount > 1)
                return InputError.Repeated(sourceName, literal.Line, $"the {key} entry names more than one script",
                    "leave the one that is to be run");
            edits.Add(new(parts, new(key == "disk", literal.Line, parts.Script)));
        }

        return null;
    }

    private static IEnumerable<XlText> Literals(XlValue value) =>
        value is XlList list ? list.Items.OfType<XlText>().Where(static item => item.IsQuoted) : [];

    /// <summary>Whether libxl runs a script for the disk in dom0 and would serve it in the same way with another one.</summary>
    private static bool HasScript(EntryParts disk, Func<string, bool> isBlockDevice)
    {
        if (disk.IsElsewhere || disk.IsRemovable)
            return false;
        if (disk.Script is not null || disk.Value("backendtype=") == "phy")
            return true;
        string target = disk.Target;
        if (target.StartsWith("phy:", StringComparison.Ordinal))
            return true;
        return disk.Value("backendtype=") is null && disk.IsRaw && target.StartsWith('/') && isBlockDevice(target);
    }

    private sealed record Edit(EntryParts Parts, HotplugEntry Entry);

    /// <summary>The words of an entry, between its commas. A disk's target= takes all the rest.</summary>
    private sealed record EntryParts(int Start, int End, string Raw, ImmutableArray<string> Words)
    {
        public static EntryParts Of(string text, XlText literal, bool isDisk)
        {
            string raw = text[literal.Start..literal.End];
            var words = ImmutableArray.CreateBuilder<string>();
            int position = 0;
            while (true)
            {
                int comma = raw.IndexOf(',', position);
                bool takesRest = isDisk && raw.AsSpan(position).TrimStart(' ').StartsWith(DiskTarget, StringComparison.Ordinal);
                if (comma < 0 || takesRest)
                {
                    words.Add(raw[position..]);
                    return new(literal.Start, literal.End, raw, words.ToImmutable());
                }

                words.Add(raw[position..comma]);
                position = comma + 1;
            }
        }

        public string? Script => Value(Key);

        public int ScriptCount => Words.Count(static word => IsKey(word, Key));

        /// <summary>Whether another domain than dom0 serves it, where its script runs then.</summary>
        public bool IsElsewhere => Value("backend=") is { } backend && backend is not ("0" or "Domain-0");

        /// <summary>A CD drive may be empty.</summary>
        public bool IsRemovable =>
            Words.Any(static word => word.Trim() is "cdrom" or "devtype=cdrom" || word.TrimEnd().EndsWith(":cdrom", StringComparison.Ordinal));

        /// <summary>Whether a disk's format is the default or said to be raw.</summary>
        public bool IsRaw => (Value("format=") ?? (Words.Length > 1 && !Words[1].Contains('=', StringComparison.Ordinal) ? Words[1].Trim() : ""))
            is "" or "raw";

        /// <summary>A disk's target: the value of target=, or the first word.</summary>
        public string Target => Value(DiskTarget) ?? (Words[0].Contains('=', StringComparison.Ordinal) ? "" : Words[0].Trim());

        /// <summary>The value of a key, the last one's where it stands twice; null where it does not.</summary>
        public string? Value(string key) => Words.LastOrDefault(word => IsKey(word, key)) is { } word ? word.TrimStart(' ')[key.Length..] : null;

        /// <summary>The entry with another script; null for none.</summary>
        public string WithScript(string? script)
        {
            var words = Words.ToList();
            int at = words.FindLastIndex(static word => IsKey(word, Key));
            if (at >= 0 && script is null)
                words.RemoveAt(at);
            else if (at >= 0)
                words[at] = words[at][..words[at].IndexOf(Key, StringComparison.Ordinal)] + Key + script;
            else if (script is not null && words is [""])
                words[0] = Key + script;
            else if (script is not null)
                words.Insert(words.FindIndex(static word => IsKey(word, DiskTarget)) is var target and >= 0 ? target : words.Count, Key + script);
            return string.Join(',', words);
        }

        private static bool IsKey(string word, string key) => word.TrimStart(' ').StartsWith(key, StringComparison.Ordinal);
    }
}

/// <summary>Scripts that a configuration names.</summary>
public sealed record ScriptList(ImmutableArray<string> Scripts);
