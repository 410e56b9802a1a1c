// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>Lists of which xl takes each item apart.</summary>
internal sealed partial class XlValues
{
    private const NumberStyles HexDigits = NumberStyles.AllowHexSpecifier;

    private void OfQuotas()
    {
        int number = -1;
        foreach (XlValue item in _keys.Items("xenstore_quota") ?? [])
        {
            number++;
            if (item is not XlText { Text: var quota })
                Refuse("xenstore_quota", $"xl: Can't get element {number} in Xenstore quota list", since: 22);
            else if (!quota.Contains('=', StringComparison.Ordinal))
                Refuse("xenstore_quota", $"Quota specification {Quote(quota)} lacks \"=\".", since: 22);
        }
    }

    private void OfColours()
    {
        int number = -1;
        foreach (XlValue item in _keys.Items("llc_colors") ?? [])
        {
            number++;
            if (item is not XlText { Text: var range })
                Refuse("llc_colors", $"xl: Can't get element {number} in LLC color list", since: 20);
            else if (!StartsWithNumber(range))
                Refuse("llc_colors", $"xl: Invalid LLC color range: {Bare(range)}", since: 20);
        }
    }

    /// <summary>Of a list xl reads as many as the guest has processors.</summary>
    private void OfAffinity(string key)
    {
        long most = _keys.Number("maxvcpus") is { } told and not 0 ? told : _keys.Number("vcpus") ?? 0;
        IEnumerable<string> items = _keys.Items(key) is { } list ? list.TakeWhile(static item => item is XlText)
            .Take((int)Math.Clamp(most, 0, list.Length)).Select(static item => ((XlText)item).Text)
            : _keys.Text(key) is { } text ? [text] : [];
        foreach (string part in items.SelectMany(static item => item.Split(',', StringSplitOptions.RemoveEmptyEntries)))
        {
            bool isNot = part.StartsWith('^');
            string rest = isNot ? part[1..] : part;
            rest = rest.StartsWith("node:", StringComparison.Ordinal) ? rest["node:".Length..]
                : rest.StartsWith("nodes:", StringComparison.Ordinal) ? rest["nodes:".Length..] : rest;
            if (rest == "all")
            {
                if (isNot)
                    Refuse(key, "Can't combine \"^\" and \"all\".");
            }
            else if (!IsRange(rest))
            {
                Refuse(key, $"Invalid pcpu range: {Bare(rest)}.");
            }
        }
    }

    private void OfPorts()
    {
        int number = -1;
        foreach (XlValue item in _keys.Items("ioports") ?? [])
        {
            number++;
            if (item is not XlText { Text: var text })
            {
                Refuse("ioports", $"xl: Unable to get element #{number} in ioport list");
                continue;
            }

            int dash = text.IndexOf('-', 1);
            string first = dash < 0 ? text : text[..dash];
            string last = dash < 0 ? first : text[(dash + 1)..];
            if (!StartsWithHex(first) || (dash >= 0 && !IsHex(last)))
                Refuse("ioports", $"xl: Invalid argument parsing ioport: {Bare(text)}");
            else if (TooLarge(first) is { } large || (large = TooLarge(last)) is not null)
                Refuse("ioports", $"xl: ioport {large} too big");
        }

        static string? TooLarge(string hex) => ulong.TryParse(hex.Trim(), HexDigits, CultureInfo.InvariantCulture, out ulong value)
            && value >= uint.MaxValue ? value.ToString("x", CultureInfo.InvariantCulture) : null;
    }

    private void OfInterrupts()
    {
        int number = -1;
        foreach (XlValue item in _keys.Items("irqs") ?? [])
        {
            number++;
            string? text = (item as XlText)?.Text;
            if (text is null)
                Refuse("irqs", $"xl: Unable to get element {number} in irq list");
            else if (!StartsWithNumber(text))
                Refuse("irqs", $"xl: Invalid argument parsing irq: {Bare(text)}");
            else if (!text.TrimStart().TrimStart('+', '-').All(char.IsAsciiDigit))
                Refuse("irqs", $"xl: Invalid argument parsing irq: {Bare(text)}", since: 7);
            else if (ulong.TryParse(text.TrimStart(), NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) && value >= uint.MaxValue)
                Refuse("irqs", string.Create(CultureInfo.InvariantCulture, $"xl: irq {value:x} too big"));
        }
    }

    /// <summary>START,NUMBER and, where it is to be elsewhere in the guest, @GFN, all hex.</summary>
    private void OfMemory()
    {
        int number = -1;
        foreach (XlValue item in _keys.Items("iomem") ?? [])
        {
            number++;
            if (item is not XlText { Text: var text })
            {
                Refuse("iomem", $"xl: Unable to get element {number} in iomem list");
                continue;
            }

            string words = $"xl: Invalid argument parsing iomem: {Bare(text)}";
            string[] parts = text.Split(',', 2);
            if (parts.Length < 2 || !IsHex(parts[0]) || !StartsWithHex(parts[1]))
                Refuse("iomem", words);
            else if (parts[1].Split('@') is var rest && (rest.Length > 2 || !rest.All(IsHex)))
                Refuse("iomem", words, since: 7);
        }
    }

    private void OfDevices()
    {
        foreach (string spec in _keys.List("vtpm"))
        {
            string[][] pairs = [.. spec.Split(',', StringSplitOptions.RemoveEmptyEntries)
                .TakeWhile(static part => part.Contains('=', StringComparison.Ordinal)).Select(static part => part.TrimStart(' ').Split('=', 2))];
            if (_keys.Items("vtpm") is null)
                break;
            string? words = pairs.FirstOrDefault(static pair => pair[0] is not ("backend" or "uuid")) is [var unknown, ..]
                ? $"Unknown string `{Bare(unknown)}' in vtpm spec"
                : pairs.FirstOrDefault(static pair => pair[0] == "uuid" && !IsUuid(pair[1])) is [_, var uuid]
                ? $"Failed to parse vtpm UUID: {Bare(uuid)}"
                : pairs.Any(static pair => pair[0] == "backend") ? null : "vtpm spec missing required backend field!";
            if (words is not null)
                Refuse("vtpm", words);
        }

        OfUsb("usbctrl", ["type=", "version=", "ports="], ["auto", "pv", "devicemodel", "qusb"], "Invalid usb controller type '", "'");
        OfUsb("usbdev", ["type=", "hostbus=", "hostaddr=", "controller=", "port="], ["hostdev"], "Invalid usb device type: ", "");
    }

    private void OfUsb(string key, string[] options, string[] types, string invalid, string end)
    {
        if (_keys.Items(key) is null)
            return;
        foreach (string token in _keys.List(key).SelectMany(static spec => spec.Split(',', StringSplitOptions.RemoveEmptyEntries)))
        {
            string part = token.TrimStart(' ');
            string? option = Array.Find(options, known => part.StartsWith(known, StringComparison.Ordinal));
            if (option is null)
                Refuse(key, $"Unknown string `{Bare(part)}' in {key} spec", since: 7);
            else if (option == "type=" && !IsOne(part[option.Length..], types))
                Refuse(key, $"{invalid}{Bare(part[option.Length..])}{end}", since: 7);
        }
    }

    /// <summary>As C's strtoul has it with base 10: what follows the number does not count.</summary>
    private static bool StartsWithNumber(string text)
    {
        string rest = text.TrimStart();
        if (rest is ['+' or '-', ..])
            rest = rest[1..];
        return rest is [>= '0' and <= '9', ..];
    }

    /// <summary>The same with base 16.</summary>
    private static bool StartsWithHex(string text)
    {
        string rest = text.TrimStart();
        if (rest is ['+' or '-', ..])
            rest = rest[1..];
        return rest.Length > 0 && char.IsAsciiHexDigit(rest[0]);
    }

    private static bool IsHex(string text)
    {
        string rest = text.TrimStart();
        if (rest is ['+' or '-', ..])
            rest = rest[1..];
        if (rest is ['0', 'x' or 'X', _, ..])
            rest = rest[2..];
        return rest.Length > 0 && rest.All(char.IsAsciiHexDigit);
    }

    /// <summary>A number, or two with - between them that go upwards.</summary>
    private static bool IsRange(string text)
    {
        int dash = text.IndexOf('-', Math.Min(1, text.Length));
        string first = dash < 0 ? text : text[..dash];
        string last = dash < 0 ? first : text[(dash + 1)..];
        if (!StartsWithNumber(first) || !StartsWithNumber(last) || !Digits(first).All(char.IsAsciiDigit) || !Digits(last).All(char.IsAsciiDigit))
            return false;
        return !ulong.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out ulong from)
            || !ulong.TryParse(last, NumberStyles.None, CultureInfo.InvariantCulture, out ulong to) || from <= to;

        static string Digits(string number) => number.TrimStart().TrimStart('+', '-');
    }
}
