// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Pci;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <summary>
/// One entry of xl.cfg's <c>pci=</c> list: <c>[dddd:]bb:dd.f[@vslot][,key=value…]</c>. Null where the entry does not say.
/// Source: xl-pci-configuration(5), and libxlu's parser where the two differ.
/// </summary>
/// <param name="Address">The device on the host, or null where <see cref="Name"/> stands for it.</param>
public sealed record PciAssignment(PciAddress? Address)
{
    /// <summary>The slot in the guest, 0–1f, from <c>@vslot</c> or <c>vslot=</c> (both hex).</summary>
    public int? VirtualSlot { get; init; }

    /// <summary>Whether the guest may write all of the configuration space.</summary>
    public bool? Permissive { get; init; }

    /// <summary>Whether MSIs reach the guest as line interrupts.</summary>
    public bool? MsiTranslate { get; init; }

    /// <summary>Whether the device is taken from its driver on the host by itself.</summary>
    public bool? Seize { get; init; }

    /// <summary>Whether the guest may change the device's power state.</summary>
    public bool? PowerManagement { get; init; }

    /// <summary>"strict" or "relaxed".</summary>
    public string? RdmPolicy { get; init; }

    /// <summary>The name under which the host made the device assignable; there is either a name or an address.</summary>
    public string? Name { get; init; }

    /// <summary>Whether every function of the device was asked for (<c>bb:dd.*</c>); the address then has function 0.</summary>
    public bool AllFunctions { get; init; }

    /// <summary>Whether the entry asks for the function at <paramref name="address"/>; never for an entry that goes by a name.</summary>
    public bool Covers(PciAddress address) =>
        Address is { } own
        && (AllFunctions ? (address.Domain, address.Bus, address.Device) == (own.Domain, own.Bus, own.Device) : address == own);

    /// <summary>Reads an entry. The error says what is wrong with it; where it stands is <paramref name="sourceName"/> and
    /// <paramref name="line"/>.</summary>
    /// <param name="remark">Something that xl takes silently but that hardly was meant, or null.</param>
    public static Parsed<PciAssignment> Parse(string text, string sourceName, int? line, out string? remark)
    {
        ArgumentNullException.ThrowIfNull(text);
        remark = null;
        var entry = new PciAssignment((PciAddress?)null);
        ReadOnlySpan<char> rest = text;
        int comma = rest.IndexOf(',');
        ReadOnlySpan<char> first = comma < 0 ? rest : rest[..comma];
        // libxlu tries the start as a BDF first, and takes all for key=value pairs where that fails.
        if (!first.Contains('='))
        {
            int at = first.IndexOf('@');
            if (!TryAddress(at < 0 ? first : first[..at], ref entry))
                return Bad(Malformed, $"{InputError.Quote(first)} is not a valid PCI address",
                    "write it as [dddd:]bb:dd.f in hex, as lspci shows it");
            if (at >= 0)
            {
                if (!TryVirtualSlot(first[(at + 1)..], out int slot))
                    return Bad(
                        OutOfRange, $"virtual slot {InputError.Quote(first[(at + 1)..])} is not a hex number from 0 to 1f",
                        "write it as @vslot after the address, such as @5");
                entry = entry with { VirtualSlot = slot };
            }

            rest = comma < 0 ? default : rest[(comma + 1)..];
        }

        while (!rest.IsEmpty)
        {
            comma = rest.IndexOf(',');
            ReadOnlySpan<char> pair = comma < 0 ? rest : rest[..comma];
            rest = comma < 0 ? default : rest[(comma + 1)..];
            int equals = pair.IndexOf('=');
            if (equals < 0)
                return Bad(Malformed, $"{InputError.Quote(pair)} is not key=value",
                    "separate the options of a PCI device by single commas, each as key=value");
            ReadOnlySpan<char> key = pair[..equals];
            ReadOnlySpan<char> value = pair[(equals + 1)..];
            switch (key)
            {
                case "bdf":
                    if (!TryAddress(value, ref entry))
                        return Bad(Malformed, $"bdf={InputError.Quote(value)} is not a valid PCI address",
                            "write it as [dddd:]bb:dd.f in hex, as lspci shows it");
                    break;
                case "vslot":
                    if (!TryVirtualSlot(value, out int slot))
                        return Bad(OutOfRange, $"vslot={InputError.Quote(value)} is not a hex number from 0 to 1f",
                            "leave it out, or give the slot in hex");
                    entry = entry with { VirtualSlot = slot };
                    break;
                case "permissive":
                    entry = entry with { Permissive = Flag(key, value, ref remark) };
                    break;
                case "msitranslate":
                    entry = entry with { MsiTranslate = Flag(key, value, ref remark) };
                    break;
                case "seize":
                    entry = entry with { Seize = Flag(key, value, ref remark) };
                    break;
                case "power_mgmt":
                    entry = entry with { PowerManagement = Flag(key, value, ref remark) };
                    break;
                case "rdm_policy":
                    if (value.Equals("strict", StringComparison.OrdinalIgnoreCase))
                        entry = entry with { RdmPolicy = "strict" };
                    else if (value.Equals("relaxed", StringComparison.OrdinalIgnoreCase))
                        entry = entry with { RdmPolicy = "relaxed" };
                    else
                        return Bad(UnknownWord, $"rdm_policy={InputError.Quote(value)} is unknown", "write strict or relaxed");
                    break;
                case "name":
                    entry = entry with { Name = value.ToString() };
                    break;
                default:
                    return Bad(
                        UnknownWord, $"unknown PCI option {InputError.Quote(key)}",
                        "the options are bdf, vslot, permissive, msitranslate, seize, power_mgmt, rdm_policy and name");
            }
        }

        if (entry.Address is null == entry.Name is null)
        {
            return entry.Name is null
                ? Bad(Missing, $"{InputError.Quote(text)} names no device", "give its address ([dddd:]bb:dd.f) or name=")
                : Bad(Conflict, $"{InputError.Quote(text)} gives both an address and name=", "keep one of the two: xl refuses both");
        }

        return entry;

        Parsed<PciAssignment> Bad(InputErrorCode code, ErrorText what, string remedy) => new InputError(code, sourceName, line, what, remedy);
    }

    /// <summary>The device alone, without what is asked of it: its address, with "*" where all functions are meant, or its name.</summary>
    public string DeviceName => (this with { VirtualSlot = null, Permissive = null, MsiTranslate = null, Seize = null, PowerManagement = null,
        RdmPolicy = null }).ToString();

    /// <summary>The entry in xl.cfg's form, without quotes.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        if (Address is { } address)
        {
            text.Append(address.ToString());
            if (AllFunctions)
                text[^1] = '*';
            if (VirtualSlot is { } slot)
                text.Append(CultureInfo.InvariantCulture, $"@{slot:x}");
        }
        else
        {
            text.Append("name=").Append(Name);
            if (VirtualSlot is { } slot)
                text.Append(CultureInfo.InvariantCulture, $",vslot={slot:x}");
        }

        AppendFlag(text, "permissive", Permissive);
        AppendFlag(text, "msitranslate", MsiTranslate);
        AppendFlag(text, "seize", Seize);
        AppendFlag(text, "power_mgmt", PowerManagement);
        if (RdmPolicy is not null)
            text.Append(",rdm_policy=").Append(RdmPolicy);
        return text.ToString();
    }

    private static void AppendFlag(StringBuilder text, string key, bool? value)
    {
        if (value is { } set)
            text.Append(',').Append(key).Append(set ? "=1" : "=0");
    }

    private static bool TryAddress(ReadOnlySpan<char> text, ref PciAssignment entry)
    {
        bool all = text.EndsWith(".*");
        if (!PciAddress.TryParse(all ? $"{text[..^1]}0" : text, out PciAddress address))
            return false;
        entry = entry with { Address = address, AllFunctions = all };
        return true;
    }

    private static bool TryVirtualSlot(ReadOnlySpan<char> text, out int slot) =>
        int.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out slot) && slot is >= 0 and <= 0x1f;

    /// <summary>libxlu reads these with atoi: whatever does not start with a number is 0.</summary>
    private static bool Flag(ReadOnlySpan<char> key, ReadOnlySpan<char> value, ref string? remark)
    {
        ReadOnlySpan<char> digits = value.TrimStart(" \t");
        if (digits is ['-' or '+', ..])
            digits = digits[1..];
        bool anyDigit = false;
        bool anyOther = false;
        bool set = false;
        foreach (char c in digits)
        {
            if (!char.IsAsciiDigit(c))
            {
                anyOther = true;
                break;
            }

            anyDigit = true;
            set |= c != '0';
        }

        if (anyOther || !anyDigit)
            remark = $"{key}={InputError.Quote(value)} of a PCI device is not a valid number; xl takes it for {(set ? "1" : "0")}";
        return set;
    }
}
