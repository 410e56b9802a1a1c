// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>What the arguments say of the processor.</summary>
internal sealed partial class QemuArguments
{
    private bool _isHostModel;

    /// <summary>Says that the processor is libvirt's host-model.</summary>
    public void SetHostModel(bool isHostModel) => _isHostModel = isHostModel;

    private QemuCpuChoice ReadCpu()
    {
        string[] parts = _cpu.Split(',');
        var choice = new QemuCpuChoice
        {
            Model = InputError.OneLine(parts[0], 60),
            Text = InputError.OneLine(_cpu, 2000),
            IsHostModel = _isHostModel,
        };
        bool? added = null;
        foreach (string part in parts.AsSpan(1))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            ReadOnlySpan<char> name = (equals < 0 ? part : part[..equals]).AsSpan().Trim();
            string value = equals < 0 ? "on" : part[(equals + 1)..];
            if (name is "+pdpe1gb" or "-pdpe1gb")
            {
                // Signs count more than settings, and minus more than plus.
                added = name[0] == '+' && added != false;
                continue;
            }

            choice = With(choice, name, value);
        }

        foreach (QemuGlobal global in _globals)
        {
            if (global.Driver.EndsWith("x86_64-cpu", StringComparison.Ordinal))
                choice = With(choice, global.Property, global.Value);
        }

        return choice with { GiBPages = added ?? choice.GiBPages };
    }

    private QemuCpuChoice With(QemuCpuChoice choice, ReadOnlySpan<char> name, string value)
    {
        switch (name)
        {
            case "phys-bits" or "phys_bits":
                return choice with { PhysBits = Bits(value, allowsZero: true) is > 0 and int bits ? bits : null };
            case "guest-phys-bits" or "guest_phys_bits":
                return choice with { GuestPhysBits = value == "-1" ? null : Bits(value, allowsZero: true) };
            case "host-phys-bits" or "host_phys_bits":
                return choice with { HostPhysBits = Switch(value) };
            case "host-phys-bits-limit" or "host_phys_bits_limit":
                return choice with { HostPhysBitsLimit = Bits(value, allowsZero: true) };
            case "pdpe1gb":
                return choice with { GiBPages = Switch(value) };
            case "vendor":
                return choice with { Vendor = InputError.OneLine(value, 12) };
            default:
                return choice;
        }
    }

    private bool? Switch(string value)
    {
        if (QemuOptionSyntax.TrySwitch(value, out bool isOn))
            return isOn;
        Fail(InputErrorCode.UnknownWord, _cpuWord, $"{InputError.Quote(value)} in {InputError.Quote(_cpu)} is neither on nor off", "write on or off");
        return null;
    }

    private int Bits(string value, bool allowsZero)
    {
        if (QemuOptionSyntax.TryNumber(value, out int bits) && (bits is >= 32 and <= 57 || (allowsZero && bits == 0)))
            return bits;
        Fail(InputErrorCode.OutOfRange, _cpuWord, $"{InputError.Quote(value)} in {InputError.Quote(_cpu)} is not a valid width of addresses",
            "write 32 to 52");
        return 0;
    }
}
