// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>An xl.cfg: its settings in order, and the guest that xl would make of them.</summary>
/// <remarks>Source: libxlu's lexer, grammar and accessors, xl's parse_config_data, xl.cfg(5).</remarks>
public sealed class XlConfig
{
    /// <summary>Lists may be nested so deep. xl's own settings nest to three.</summary>
    public const int MaxNesting = 64;

    /// <summary>The largest configuration that is read, in bytes.</summary>
    public const int MaxSizeBytes = 1024 * 1024;

    /// <summary>Most memory a guest can be given: the physical addresses of x86 have at most 52 bits. In KiB.</summary>
    internal const ulong MaxMemoryKiB = Frames.AddressLimit / 1024;

    /// <summary>Most virtual processors that Xen gives a guest (MAX_VIRT_CPUS).</summary>
    internal const int MaxVcpus = 8192;

    internal const string Kind = "a guest's configuration";

    /// <summary>What libxl takes where neither memory nor maxmem is set, in KiB.</summary>
    internal const ulong DefaultMemoryKiB = 32 * 1024;

    private readonly string _sourceName;

    private XlConfig(string sourceName, ImmutableArray<XlSetting> settings, ImmutableArray<XlSetting> effective, ImmutableArray<string> remarks)
    {
        _sourceName = sourceName;
        Settings = settings;
        EffectiveSettings = effective;
        Remarks = remarks;
    }

    /// <summary>Every setting as written, repeated ones too.</summary>
    public ImmutableArray<XlSetting> Settings { get; }

    /// <summary>One setting a key: the last assignment wins, and each += appends to what is there. At the place and with the operator of the
    /// last.</summary>
    public ImmutableArray<XlSetting> EffectiveSettings { get; }

    /// <summary>Where xl would not have read what Keyhole did.</summary>
    public ImmutableArray<string> Remarks { get; }

    /// <summary>The file's settings, or what is wrong with it. UTF-8, or UTF-16 with a byte order mark.</summary>
    public static Parsed<XlConfig> Read(Stream stream, string sourceName)
    {
        if (!SmallInput.Read(stream, sourceName, MaxSizeBytes, Kind).TryGet(out SmallInput? input, out InputError? error))
            return error;
        return Read(input, sourceName);
    }

    /// <summary>The text's settings, or what is wrong with it.</summary>
    public static Parsed<XlConfig> Read(TextReader reader, string sourceName)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var text = new StringBuilder();
        char[] chunk = new char[4096];
        int count;
        while ((count = reader.Read(chunk, 0, chunk.Length)) > 0)
        {
            if (text.Length + count > MaxSizeBytes)
                return SmallInput.TooLong(sourceName, MaxSizeBytes, Kind);
            text.Append(chunk, 0, count);
        }

        return Read(text.ToString(), sourceName, []);
    }

    internal static Parsed<XlConfig> Read(SmallInput input, string sourceName) => Read(
        input.Decode(),
        sourceName,
        input.HasByteOrderMark ? ["the file starts with a byte order mark; xl itself reads only plain text without one"] : []);

    private static Parsed<XlConfig> Read(string text, string sourceName, ImmutableArray<string> remarks)
    {
        if (XlParser.Parse(text, sourceName, out ImmutableArray<XlSetting> settings, out ImmutableArray<string> found) is { } error)
            return error;
        if (Fold(settings, sourceName, out ImmutableArray<XlSetting> effective) is { } foldError)
            return foldError;
        return new XlConfig(sourceName, settings, effective, [.. remarks, .. found]);
    }

    private static InputError? Fold(ImmutableArray<XlSetting> settings, string sourceName, out ImmutableArray<XlSetting> effective)
    {
        effective = [];
        var byKey = new SortedDictionary<string, Accumulated>(StringComparer.Ordinal);
        for (int i = 0; i < settings.Length; i++)
        {
            XlSetting setting = settings[i];
            if (!setting.IsAddition || !byKey.TryGetValue(setting.Key, out Accumulated? value))
                byKey[setting.Key] = value = new Accumulated();
            value.LastIndex = i;
            if (!value.TryAppend(setting.Value))
                return InputError.Malformed(
                    sourceName, setting.Line, $"{InputError.Quote(setting.Key)} += mixes a list with a text",
                    "append a list to a list, or a text to a text");
        }

        var folded = ImmutableArray.CreateBuilder<XlSetting>();
        for (int i = 0; i < settings.Length; i++)
        {
            Accumulated value = byKey[settings[i].Key];
            if (value.LastIndex == i)
                folded.Add(settings[i] with { Value = value.ToValue() });
        }

        effective = folded.DrainToImmutable();
        return null;
    }

    /// <summary>The guest that xl would make of the settings. What xl passes over with a warning is passed over with a remark.</summary>
    public Parsed<GuestDocument> ToGuest() => new XlGuest(_sourceName, this).Build();

    /// <summary>The guest as an xl.cfg. The error says what xl.cfg cannot say.</summary>
    public static Parsed<GuestText> Write(GuestDocument document)
    {
        ArgumentNullException.ThrowIfNull(document);
        GuestSpec guest = document.Guest;
        const string sourceName = "xl.cfg";
        if (guest.Type == GuestType.Kvm)
            return InputError.NotSupported(sourceName, null, "the guest is one of KVM's, which xl has no form for", "write it for libvirt");
        var text = new StringBuilder();
        var remarks = new List<string>();
        if (guest.Name is null)
            remarks.Add("the guest has no name, which xl insists on: \"guest\" was put in");
        if (Setting("name", guest.Name ?? "guest") is { } nameError)
            return nameError;
        text.Append("type=\"").Append(guest.Type switch { GuestType.Pv => "pv", GuestType.Pvh => "pvh", GuestType.Hvm or GuestType.Kvm => "hvm" })
            .Append("\"\n");
        if ((Setting("kernel", guest.Kernel) ?? Setting("ramdisk", guest.Ramdisk) ?? Setting("cmdline", guest.CommandLine)) is { } textError)
            return textError;
        if ((Memory("memory", guest.MemoryKiB) ?? (guest.MaxmemKiB == guest.MemoryKiB ? null : Memory("maxmem", guest.MaxmemKiB))) is { } memoryError)
            return memoryError;
        text.Append(CultureInfo.InvariantCulture, $"vcpus={guest.Vcpus}\n");
        if (guest.E820Host is { } e820Host)
            text.Append(e820Host ? "e820_host=1\n" : "e820_host=0\n");
        if (guest.Toolstack == Toolstack.Libvirt && !guest.UsesHostMap && (guest with { Toolstack = Toolstack.Xl }).UsesHostMap)
            remarks.Add("xl turns e820_host on for a PV guest with PCI devices, which libvirt did not: the guest gets another memory map");
        if (!guest.Pci.IsEmpty)
        {
            text.Append("pci=[");
            for (int i = 0; i < guest.Pci.Length; i++)
            {
                string entry = guest.Pci[i].ToString();
                if (guest.Pci[i].Name is { } name && name.Contains(',', StringComparison.Ordinal))
                    return InputError.NotSupported(
                        sourceName, null, $"the name {InputError.Quote(name)} of a PCI device has a comma, which no pci= entry can hold",
                        "use the device's address");
                if (!XlText.CanQuote(entry))
                    return CannotQuote("pci", entry);
                text.Append(i == 0 ? " " : ", ").Append(new XlText(entry, isQuoted: true, 0));
            }

            text.Append(" ]\n");
        }

        foreach (GuestSetting other in document.OtherSettings)
        {
            string line = $"{other.Key}={other.Value}";
            if (line.EnumerateRunes().Any(ForeignText.IsHidden))
                return CannotQuote(other.Key, other.Value);
            // A value is carried as text; only what reads as this one setting may go into the file.
            if (XlParser.Parse(line, sourceName, out ImmutableArray<XlSetting> read, out _) is not null ||
                read.Length != 1 || read[0].Key != other.Key || read[0].IsAddition || XlGuest.IsRead(other.Key))
            {
                return InputError.NotSupported(
                    sourceName, null, $"{InputError.Quote(line)} is not a setting that can be carried over",
                    "remove it from the guest");
            }

            text.Append(line).Append('\n');
        }

        if (document.LibvirtXml is { } xml && LibvirtDomain.Unread(xml) is { Length: > 0 } unread)
            remarks.Add($"left out, as they are libvirt's: {unread}");
        return new GuestText(text.ToString(), [.. remarks]);

        InputError? Setting(string key, string? value)
        {
            if (value is null)
                return null;
            if (!XlText.CanQuote(value))
                return CannotQuote(key, value);
            text.Append(key).Append('=').Append(new XlText(value, isQuoted: true, 0)).Append('\n');
            return null;
        }

        InputError? Memory(string key, ulong sizeKiB)
        {
            if (sizeKiB is 0 or > MaxMemoryKiB || sizeKiB % 1024 != 0)
                return InputError.NotSupported(
                    sourceName, null, $"{key} of {sizeKiB} KiB cannot be written: xl.cfg counts in whole MiB",
                    "round it to a multiple of 1024 KiB");
            text.Append(CultureInfo.InvariantCulture, $"{key}={sizeKiB / 1024}\n");
            return null;
        }

        static InputError CannotQuote(string key, string value) =>
            InputError.NotSupported(sourceName, null,
                $"{key} {InputError.Quote(value)} has a character that cannot be seen, and xl.cfg has no escape for it",
                "remove control characters, marks without width and broken Unicode");
    }

    /// <summary>Appends in place: a file of nothing but += must not cost the square of its length.</summary>
    private sealed class Accumulated
    {
        private XlValue? _only;
        private ImmutableArray<XlValue>.Builder? _items;
        private StringBuilder? _text;

        public int LastIndex { get; set; }

        public bool TryAppend(XlValue value)
        {
            switch (_only, value)
            {
                case (null, _):
                    _only = value;
                    return true;
                case (XlList first, XlList more):
                    if (_items is null)
                    {
                        _items = ImmutableArray.CreateBuilder<XlValue>();
                        _items.AddRange(first.Items);
                    }

                    _items.AddRange(more.Items);
                    return true;
                case (XlText first, XlText more):
                    (_text ??= new StringBuilder(first.Text)).Append(more.Text);
                    return true;
                default:
                    return false;
            }
        }

        public XlValue ToValue() => _items is not null ? new XlList(_items.DrainToImmutable(), _only!.Line)
            : _text is not null ? new XlText(_text.ToString(), isQuoted: true, _only!.Line)
            : _only!;
    }
}
