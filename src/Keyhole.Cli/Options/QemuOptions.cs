// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using Keyhole.Diagnostics;
using Keyhole.Guests;

namespace Keyhole.Cli.Options;

/// <summary>What a guest of QEMU runs on, said beside its configuration or against it.</summary>
internal sealed class QemuOptions
{
    private readonly Option<string?> _machine = new("--machine")
    {
        Description = "KVM: the machine type, instead of the guest's own.",
        HelpName = "pc|q35|pc-q35-7.2|…",
    };

    private readonly Option<string?> _firmware = new("--firmware")
    {
        Description = "KVM: the firmware and its release.",
        HelpName = "seabios[-1.16.3]|ovmf[-2025.02]",
    };

    private readonly Option<string?> _qemu = new("--qemu")
    {
        Description = "KVM: the release of QEMU.",
        HelpName = "VERSION",
    };

    private readonly Option<int?> _physBits = new("--phys-bits")
    {
        Description = "KVM: the guest's address width, 32 to 52.",
        HelpName = "N",
    };

    private readonly Option<string?> _vendor = new("--cpu-vendor")
    {
        Description = "KVM: who made the processor that the guest sees.",
        HelpName = "intel|amd",
    };

    public void AddTo(Command command)
    {
        command.Options.Add(_machine);
        command.Options.Add(_firmware);
        command.Options.Add(_qemu);
        command.Options.Add(_physBits);
        command.Options.Add(_vendor);
    }

    public Parsed<QemuSurroundings> Read(ParseResult parsed)
    {
        QemuVersion? emulator = null;
        if (parsed.GetValue(_qemu) is { } qemu)
        {
            if (!QemuVersion.TryParse(qemu, out QemuVersion version))
                return InputError.UnknownWord("--qemu", null, $"{InputError.Quote(qemu)} is not a release of QEMU", "give one such as 7.2 or 10.0");
            emulator = version;
        }

        if (parsed.GetValue(_machine) is { } machine && !QemuMachineType.TryParse(machine, emulator ?? QemuVersion.Usual, out _))
            return InputError.UnknownWord("--machine", null, $"{InputError.Quote(machine)} is not a machine type that is known",
                "give pc, q35, or one with its version such as pc-q35-7.2");
        QemuFirmware? firmware = null;
        FirmwareName? name = null;
        if (parsed.GetValue(_firmware) is { } text)
        {
            if (text is "seabios" or "ovmf")
                name = text == "ovmf" ? FirmwareName.Ovmf : FirmwareName.SeaBios;
            else if (QemuFirmware.TryParse(text, out QemuFirmware release))
                firmware = release;
            else
                return InputError.UnknownWord("--firmware", null, $"{InputError.Quote(text)} is not a firmware that is known",
                    "give seabios, ovmf, or one with its release: seabios-1.16.3, ovmf-2025.02, edk2-stable202505, pve-edk2-2025.02");
        }

        if (parsed.GetValue(_physBits) is { } bits and (< 32 or > 52))
            return InputError.OutOfRange("--phys-bits", null, $"no processor has {bits} address bits",
                "give 32 to 52");
        CpuVendor? vendor = parsed.GetValue(_vendor) switch
        {
            "intel" => CpuVendor.Intel,
            "amd" => CpuVendor.Amd,
            _ => null,
        };
        if (vendor is null && parsed.GetValue(_vendor) is { } other)
            return InputError.UnknownWord("--cpu-vendor", null, $"{InputError.Quote(other)} is not a vendor that is known", "give intel or amd");
        return new QemuSurroundings
        {
            Emulator = emulator,
            Firmware = firmware,
            FirmwareName = name,
            MachineName = parsed.GetValue(_machine),
            PhysBits = parsed.GetValue(_physBits),
            Vendor = vendor,
        };
    }
}
