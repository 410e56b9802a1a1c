// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>Settings of an xl.cfg as xl reads them.</summary>
internal sealed class XlSettings
{
    private readonly Dictionary<string, XlValue> _values = new(StringComparer.Ordinal);

    public static readonly XlSettings None = new();

    private XlSettings()
    {
    }

    public static XlSettings Of(IEnumerable<XlSetting> effective)
    {
        var settings = new XlSettings();
        foreach (XlSetting setting in effective)
            settings._values[setting.Key] = setting.Value;
        return settings;
    }

    public bool Has(string key) => _values.ContainsKey(key);

    /// <summary>Null where the key is not set, or to a list.</summary>
    public string? Text(string key) => _values.GetValueOrDefault(key) is XlText text ? text.Text : null;

    /// <summary>Null where the key is not set, or to something that xl does not take for a number.</summary>
    public long? Number(string key) => Text(key) is { } text && XlNumber.Parse(text, out long value) == XlNumberKind.Valid ? value : null;

    public bool Flag(string key, bool whenUnset) => Number(key) is { } value ? value != 0 : whenUnset;

    /// <summary>The items of a list; null where the key is not set, or to a text.</summary>
    public ImmutableArray<XlValue>? Items(string key) => _values.GetValueOrDefault(key) is XlList list ? list.Items : null;

    /// <summary>The same without some of the keys.</summary>
    public XlSettings Without(ReadOnlySpan<string> keys)
    {
        var settings = new XlSettings();
        foreach ((string key, XlValue value) in _values)
        {
            if (!keys.Contains(key))
                settings._values[key] = value;
        }

        return settings;
    }

    /// <summary>Whether the key is set to a list that is not empty.</summary>
    public bool HasItems(string key) => _values.GetValueOrDefault(key) is XlList { Items.IsEmpty: false };

    /// <summary>The texts of a list; a text alone counts as a list of one.</summary>
    public ImmutableArray<string> List(string key) => _values.GetValueOrDefault(key) switch
    {
        XlList list => [.. list.Items.OfType<XlText>().Select(static item => item.Text)],
        XlText text => [text.Text],
        _ => [],
    };
}
