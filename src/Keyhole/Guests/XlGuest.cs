// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <summary>What xl makes of an xl.cfg's settings.</summary>
internal sealed class XlGuest
{
    /// <summary>A file with more unknown keys than this is no xl.cfg, and the search for what was meant takes its time.</summary>
    private const int MaxUnknownKeysNamed = 50;

    private readonly string _sourceName;
    private readonly XlConfig _config;
    private readonly SortedDictionary<string, XlSetting> _byKey = new(StringComparer.Ordinal);
    private readonly List<string> _remarks;
    private InputError? _error;

    public XlGuest(string sourceName, XlConfig config)
    {
        _sourceName = sourceName;
        _config = config;
        _remarks = [.. config.Remarks];
        foreach (XlSetting setting in config.EffectiveSettings)
            _byKey.Add(setting.Key, setting);
    }

    /// <summary>Whether the key becomes a property of <see cref="GuestSpec"/>; all others are carried along.</summary>
    public static bool IsRead(string key) => key is
        "name" or "type" or "builder" or "memory" or "maxmem" or "vcpus" or "e820_host" or "pci" or "kernel" or "ramdisk" or "cmdline" or "root"
            or "extra";

    public Parsed<GuestDocument> Build()
    {
        ReportUnknownKeys();
        GuestType type = ReadType();
        XlSettings keys = XlSettings.Of(_config.EffectiveSettings);
        (ulong memoryKiB, ulong maxmemKiB) = ReadMemory(XlVnuma.Of(keys));
        string? name = Text("name");
        if (name is null)
            _remarks.Add("the guest has no name, without which xl does not start it");
        bool? e820Host = Flag("e820_host");
        int vcpus = ReadVcpus();
        ImmutableArray<PciAssignment> pci = ReadPci();
        string? commandLine = ReadCommandLine();
        string? kernel = Text("kernel");
        string? ramdisk = Text("ramdisk");
        if (_error is not null)
            return _error;
        var guest = new GuestSpec
        {
            Name = name,
            Type = type,
            MemoryKiB = memoryKiB,
            MaxmemKiB = maxmemKiB,
            E820Host = e820Host,
            Pci = pci,
            Vcpus = vcpus,
            Kernel = kernel,
            Ramdisk = ramdisk,
            CommandLine = commandLine,
            MaxVcpus = MaxVcpusOf(keys),
            HasBootloader = keys.Has("bootloader"),
            Uuid = Guid.TryParse(keys.Text("uuid"), out Guid uuid) ? uuid : null,
            RestartsAfter = RestartsAfter(keys),
            Hvm = HvmSettings.Of(keys),
            Features = GuestFeatures.Of(keys),
            Refusals = XlValues.Of(keys),
            Keys = keys,
            IsTypeAlone = type == GuestType.Hvm && !_byKey.ContainsKey("builder"),
        };
        return new GuestDocument { Guest = guest, OtherSettings = OtherSettings(), Remarks = [.. _remarks] };
    }

    /// <summary>Null where neither maxvcpus nor vnuma says.</summary>
    public static int? MaxVcpusOf(XlSettings keys) =>
        keys.Number("maxvcpus") is { } most ? (int)Math.Clamp(most, 1, XlConfig.MaxVcpus)
        : XlVnuma.Of(keys) is { Refusal: null, Processors: > 0 and var all } ? (int)Math.Min(all, XlConfig.MaxVcpus) : null;

    private void ReportUnknownKeys()
    {
        int unknown = 0;
        foreach ((string key, XlSetting setting) in _byKey)
        {
            if (XlKeys.IsKnown(key) || ++unknown > MaxUnknownKeysNamed)
                continue;
            string? meant = XlKeys.Suggest(key);
            _remarks.Add(
                $"line {setting.Line}: xl has no key {InputError.Quote(key)} and passes over it{(meant is null ? "" : $"; did you mean {meant}?")}");
        }

        if (unknown > MaxUnknownKeysNamed)
            _remarks.Add($"xl has none of {unknown - MaxUnknownKeysNamed} further keys either");
    }

    private GuestType ReadType()
    {
        GuestType? type = null;
        // xl compares only as many characters as the value has, hvm first and pvh last: "p" is pv, and "" is hvm.
        if (Text("type") is { } named)
        {
            type = "hvm".StartsWith(named, StringComparison.Ordinal) ? GuestType.Hvm
                : "pv".StartsWith(named, StringComparison.Ordinal) ? GuestType.Pv
                : named == "pvh" ? GuestType.Pvh
                : Fail<GuestType>(UnknownWord, "type", $"type {InputError.Quote(named)} is unknown", "write \"pv\", \"pvh\" or \"hvm\"");
        }

        if (Text("builder") is { } builder)
        {
            GuestType built = "hvm".StartsWith(builder, StringComparison.Ordinal) ? GuestType.Hvm
                : "generic".StartsWith(builder, StringComparison.Ordinal) ? GuestType.Pv
                : Fail<GuestType>(UnknownWord, "builder", $"builder {InputError.Quote(builder)} is unknown",
                    "write type=\"pv\", \"pvh\" or \"hvm\" in its place");
            if (type is { } other && other != built)
                return Fail<GuestType>(Conflict, "builder", "builder contradicts type", "remove builder: type has taken its place");
            type = built;
        }

        return type ?? GuestType.Pv;
    }

    private (ulong MemoryKiB, ulong MaxmemKiB) ReadMemory(XlVnuma vnuma)
    {
        ulong? memoryKiB = MemoryOf("memory");
        ulong? maxmemKiB = MemoryOf("maxmem");
        if (maxmemKiB is null && vnuma is { Refusal: null, MemoryKiB: > 0 and <= XlConfig.MaxMemoryKiB })
            maxmemKiB = vnuma.MemoryKiB;
        if (memoryKiB is null)
        {
            _remarks.Add(maxmemKiB is null ? "memory is not set: libxl gives the guest 32 MiB" : "memory is not set: libxl takes it to be maxmem");
            memoryKiB = maxmemKiB ?? XlConfig.DefaultMemoryKiB;
        }

        return (memoryKiB.Value, maxmemKiB ?? memoryKiB.Value);
    }

    private ulong? MemoryOf(string key)
    {
        if (!_byKey.TryGetValue(key, out XlSetting? setting))
            return null;
        const string remedy = "give a whole number of MiB";
        if (setting.Value is not XlText { Text: var text })
            return Fail<ulong>(Malformed, key, $"{key} is a list", remedy);
        if (setting.IsAddition)
            return Fail<ulong>(Malformed, key, $"{key} is written with +=, which xl does not take for a number", $"write {key}=");
        switch (XlNumber.Parse(text, out long number))
        {
            case XlNumberKind.NotANumber:
                return Fail<ulong>(Malformed, key, $"{key} {InputError.Quote(text)} is not a number", remedy);
            case XlNumberKind.Valid when number <= 0:
                return Fail<ulong>(OutOfRange, key, $"{key} is {number}", $"{remedy}, 1 or more");
            case XlNumberKind.Valid when (ulong)number <= XlConfig.MaxMemoryKiB / 1024:
                return (ulong)number * 1024;
            case XlNumberKind.Valid or XlNumberKind.TooLarge:
                return Fail<ulong>(
                    OutOfRange, key, $"{key} {InputError.Quote(text)} is more than the {XlConfig.MaxMemoryKiB / 1024} MiB that 52 address bits reach",
                    $"{remedy}; the unit is MiB, not bytes or KiB");
        }

        return null;
    }

    private int ReadVcpus()
    {
        long? vcpus = Number("vcpus");
        if (vcpus is < 1)
            _remarks.Add(vcpus == 0 ? "vcpus is 0: xl makes it 1" : $"vcpus is {vcpus}: xl makes it 1 since Xen 4.22, and stops before");
        if (vcpus > XlConfig.MaxVcpus)
            return Fail<int>(OutOfRange, "vcpus", $"vcpus is {vcpus}", $"Xen gives a guest at most {XlConfig.MaxVcpus}");
        return (int)Math.Max(1, vcpus ?? 1);
    }

    private ImmutableArray<PciAssignment> ReadPci()
    {
        bool? permissive = Flag("pci_permissive");
        bool? msiTranslate = Flag("pci_msitranslate");
        bool? seize = Flag("pci_seize");
        bool? powerManagement = Flag("pci_power_mgmt");
        if (!_byKey.TryGetValue("pci", out XlSetting? setting))
            return [];
        if (setting.Value is not XlList list)
        {
            _remarks.Add(
                $"line {setting.Line}: pci is not a list, so xl passes over it with a warning and hands no device through; write pci=[ \"…\" ]");
            return [];
        }

        var pci = ImmutableArray.CreateBuilder<PciAssignment>();
        foreach (XlValue item in list.Items)
        {
            if (item is not XlText text)
            {
                _remarks.Add($"line {item.Line}: a list stands in pci=[ ], at which xl stops reading the devices");
                break;
            }

            if (!PciAssignment.Parse(text.Text, _sourceName, item.Line, out string? remark).TryGet(out PciAssignment? entry, out InputError? error))
            {
                _error ??= error;
                return [];
            }

            if (remark is not null)
                _remarks.Add($"line {item.Line}: {remark}");
            pci.Add(entry with
            {
                Permissive = entry.Permissive ?? permissive,
                MsiTranslate = entry.MsiTranslate ?? msiTranslate,
                Seize = entry.Seize ?? seize,
                PowerManagement = entry.PowerManagement ?? powerManagement,
            });
        }

        return pci.DrainToImmutable();
    }

    private string? ReadCommandLine()
    {
        string? root = Text("root");
        string? extra = Text("extra");
        if (Text("cmdline") is { } commandLine)
        {
            if (root is not null || extra is not null)
                _remarks.Add("cmdline is set, so xl passes over root and extra");
            return commandLine;
        }

        return root is null ? extra : extra is null ? $"root={root}" : $"root={root} {extra}";
    }

    private static GuestEnds RestartsAfter(XlSettings keys)
    {
        return Of("on_poweroff", GuestEnds.Poweroff) | Of("on_reboot", GuestEnds.Reboot) | Of("on_crash", GuestEnds.Crash)
            | Of("on_watchdog", GuestEnds.Watchdog);

        GuestEnds Of(string key, GuestEnds end)
        {
            string action = keys.Text(key) ?? (end == GuestEnds.Reboot ? "restart" : "");
            return action.Contains("restart", StringComparison.Ordinal) ? end : GuestEnds.None;
        }
    }

    private ImmutableArray<GuestSetting> OtherSettings()
    {
        var others = ImmutableArray.CreateBuilder<GuestSetting>();
        foreach (XlSetting setting in _config.EffectiveSettings)
        {
            if (!IsRead(setting.Key))
                others.Add(new GuestSetting(setting.Key, setting.Value.ToString()));
        }

        return others.DrainToImmutable();
    }

    private string? Text(string key)
    {
        if (!_byKey.TryGetValue(key, out XlSetting? setting))
            return null;
        if (setting.Value is XlText text)
            return text.Text;
        _remarks.Add($"line {setting.Line}: {key} is a list; xl passes over it with a warning");
        return null;
    }

    private long? Number(string key)
    {
        if (!_byKey.TryGetValue(key, out XlSetting? setting) || Text(key) is not { } text)
            return null;
        if (!setting.IsAddition && XlNumber.Parse(text, out long number) == XlNumberKind.Valid)
            return number;
        string why = setting.IsAddition ? "written with +=" : "not a number";
        _remarks.Add($"line {setting.Line}: {key} {InputError.Quote(text)} is {why}; xl passes over it with a warning");
        return null;
    }

    private bool? Flag(string key) => Number(key) is { } number ? number != 0 : null;

    private T Fail<T>(InputErrorCode code, string key, ErrorText what, string remedy)
        where T : struct
    {
        _error ??= new InputError(code, _sourceName, _byKey[key].Line, what, remedy);
        return default;
    }
}
