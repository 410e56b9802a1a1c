// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>Values of an xl.cfg at which xl or libxl stops, each with the releases that do.</summary>
/// <remarks>Source: parse_config_data in xl_parse.c (xl_cmdimpl.c up to 4.8), in its order, libxl_types.idl, whose names are compared without
/// regard to case, and libxl__domain_build_info_setdefault in libxl_create.c, of the releases 4.5 to 4.22 by their tags.</remarks>
internal sealed partial class XlValues
{
    private const XlTypes Unpaged = XlTypes.Pv | XlTypes.Pvh;
    private const string Model = "device_model_version";

    private readonly XlSettings _keys;
    private readonly ImmutableArray<XlRefusal>.Builder _found = ImmutableArray.CreateBuilder<XlRefusal>();

    private XlValues(XlSettings keys) => _keys = keys;

    /// <summary>All that some release refuses, those of each stage in the order in which they are met.</summary>
    public static ImmutableArray<XlRefusal> Of(XlSettings keys)
    {
        var values = new XlValues(keys);
        values.ReadByXl();
        values.TakenByLibxl();
        return values._found.ToImmutable();
    }

    private void ReadByXl()
    {
        if (_keys.Text("uuid") is { } uuid && !IsUuid(uuid))
            Refuse("uuid", $"Failed to parse UUID: {Bare(uuid)}");
        OfQuotas();
        OfColours();
        OfProcessors();
        OfAffinity("cpus");
        OfAffinity("cpus_soft");
        OfCount("max_grant_frames", 13);
        OfCount("max_maptrack_frames", 13);
        OfCount("max_grant_version", 16);
        foreach (string end in (ReadOnlySpan<string>)["poweroff", "reboot", "watchdog", "crash"])
            OfAction(end, 0);
        OfAction("soft_reset", 7);
        if (_keys.Text("passthrough") is { } mode && !IsOne(mode, "default", "disabled", "enabled", "sync_pt", "share_pt"))
            Refuse("passthrough", $"ERROR: unknown passthrough option '{Bare(mode)}'", since: 13);
        OfEnumeration("tsc_mode", 3, ["default", "always_emulate", "native", "native_paravirt"], XlTypes.All, 0);
        OfTimer();
        OfHvmFirmware();
        OfKernel();
        OfEnumeration("altp2m", 3, ["disabled", "mixed", "external", "limited"], XlTypes.All, 9);
        if (_keys.Number("altp2m_count") is { } count and (< 0 or > ushort.MaxValue))
            Refuse("altp2m_count", Invalid("altp2m_count", count), since: 21);
        OfPorts();
        OfInterrupts();
        OfMemory();
        OfDevices();
        OfDeviceModel();
        OfHvmDevices();
        if (_keys.Text("gic_version") is { } gic && !IsOne(gic, "default", "v2", "v3"))
            Refuse("gic_version", $"Unknown gic_version {Quote(gic)} specified", since: 6);
        if (_keys.Text("tee") is { } tee && !IsOne(tee, "none", "optee"))
            Refuse("tee", $"Unknown tee {Quote(tee)} specified", since: 13, until: IsOne(tee, "ffa") ? 17 : int.MaxValue);
        if (_keys.Text("sve") is { } sve && !IsOne(sve, "hw", "disabled") && !(sve.Length is 3 or 4 && sve[0] != '0'
            && int.TryParse(sve, NumberStyles.None, CultureInfo.InvariantCulture, out int bits) && bits is >= 128 and <= 2048 && bits % 128 == 0))
            Refuse("sve", $"Unknown sve {Quote(sve)} specified", since: 18);
    }

    private void OfProcessors()
    {
        long? processors = _keys.Number("vcpus");
        if (processors < 0)
            Refuse("vcpus", "Unable to allocate cpumap", until: 21);
        if (_keys.Text("vuart") is { } uart && !IsOne(uart, "unknown", "sbsa_uart"))
            Refuse("vuart", $"ERROR: invalid value {Quote(uart)} for \"vuart\"", since: 10);
        XlVnuma vnuma = XlVnuma.Of(_keys);
        if (vnuma.Refusal is { } words)
            Refuse("vnuma", words, since: 6);
        else if (!vnuma.IsSet && (int)Math.Clamp(_keys.Number("maxvcpus") ?? 0, int.MinValue, int.MaxValue) is not 0 and var most
            && most < (processors ?? 0))
            Refuse("maxvcpus", "xl: maxvcpus < vcpus", since: 6);
        else if (vnuma.IsSet && vnuma.Processors < (ulong)Math.Max(processors ?? 0, 0))
            Refuse("vnuma", "xl: maxvcpus < vcpus", since: 6);
    }

    private void OfAction(string end, int since)
    {
        string key = $"on_{end}";
        if (_keys.Text(key) is { } action && action is not ("destroy" or "restart" or "rename-restart" or "preserve" or "coredump-destroy"
            or "coredump-restart"))
            Refuse(key, $"Unknown {key} action {Quote(action)} specified", since: since, until: action == "soft-reset" ? 6 : int.MaxValue);
    }

    /// <summary>xl takes no other number, nor what is none, and ends without saying so.</summary>
    private void OfCount(string key, int since)
    {
        if (_keys.Has(key) && _keys.Number(key) is not (>= 0 and <= int.MaxValue))
        {
            Add(new("xl exits with status 1 and no message", key)
            {
                Why = $" ({key}= is no number from 0 to {int.MaxValue})",
                Since = since,
            });
        }
    }

    private void OfTimer()
    {
        const string key = "timer_mode";
        if (_keys.Text(key) is not null)
            Refuse(key, "ERROR: \"timer_mode\" option is not supported for PV guests.", since: 10, types: XlTypes.Pv);
        string[] names = ["unknown", "delay_for_missed_ticks", "no_delay_for_missed_ticks", "no_missed_ticks_pending", "one_missed_tick_pending"];
        OfEnumeration(key, 3, names, XlTypes.Hvm, 0);
        OfEnumeration(key, 3, names, XlTypes.Pvh, 10);
    }

    /// <summary>A number from 0 to that, or one of the names.</summary>
    private void OfEnumeration(string key, long most, ReadOnlySpan<string> names, XlTypes types, int since)
    {
        if (_keys.Number(key) is { } number)
        {
            if (number < 0 || number > most)
                Refuse(key, Invalid(key, number), types, since);
        }
        else if (_keys.Text(key) is { } text && !IsOne(text, names))
        {
            Refuse(key, $"ERROR: invalid value {Quote(text)} for \"{key}\"", types, since);
        }
    }

    private void OfKernel()
    {
        if (_keys.Text("firmware") is not { } firmware)
            return;
        if (_keys.Text("kernel") is not null)
            Refuse("firmware", "ERROR: both kernel and firmware specified", Unpaged, 10);
        else if (!"pvgrub32".StartsWith(firmware, StringComparison.Ordinal) && !"pvgrub64".StartsWith(firmware, StringComparison.Ordinal))
            Refuse("firmware", "ERROR: only pvgrub{32|64} supported as firmware options", Unpaged, 10);
    }

    private void OfDeviceModel()
    {
        string? model = _keys.Text(Model);
        if (model is not (null or "qemu-xen"))
        {
            string words = $"Unknown device_model_version {Quote(model)} specified";
            if (model == "qemu-xen-traditional")
            {
                Refuse(Model, words, since: 21);
            }
            else if (model == "none")
            {
                Refuse(Model, words, until: 6);
                Refuse(Model, words, since: 10);
            }
            else
            {
                Refuse(Model, words);
            }
        }

        foreach (string key in (ReadOnlySpan<string>)["device_model_args", "device_model_args_pv", "device_model_args_hvm"])
        {
            if (_keys.Has(key) && _keys.Items(key) is null)
                Refuse(key, $"xl: Unable to parse {key}.");
        }
    }

    private void Refuse(string ways, string words, XlTypes types = XlTypes.All, int since = 0, int until = int.MaxValue,
        XlStage stage = XlStage.Xl) => Add(new(words, ways) { Types = types, Since = since, Until = until, Stage = stage });

    private void Add(XlRefusal refusal) => _found.Add(refusal);

    private static string Invalid(string key, long number) =>
        string.Create(CultureInfo.InvariantCulture, $"ERROR: invalid value {number} for \"{key}\"");

    private static string Quote(string text) => InputError.Quote(text);

    /// <summary>The same without its quotes.</summary>
    private static string Bare(string text) => InputError.Quote(text)[1..^1];

    private static bool IsUuid(string text)
    {
        if (text.Length != 36)
            return false;
        for (int i = 0; i < text.Length; i++)
        {
            if (i is 8 or 13 or 18 or 23 ? text[i] != '-' : !char.IsAsciiHexDigit(text[i]))
                return false;
        }

        return true;
    }

    /// <summary>Whether it is one of libxl's names, in any case.</summary>
    public static bool IsOne(string value, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (value.Equals(name, StringComparison.OrdinalIgnoreCase))
                return true;
        }

        return false;
    }
}
