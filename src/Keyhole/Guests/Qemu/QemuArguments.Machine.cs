// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <content>The machine type and its properties: -machine.</content>
internal sealed partial class QemuArguments
{
    private void ReadMachine(QemuWord option, string text)
    {
        foreach (QemuProperty property in QemuOptionSyntax.Split(text, "type"))
        {
            string name = property.Name.Replace('_', '-');
            if (name == "type")
                _lineOfMachine = option.Line > 0 ? option.Line : null;
            if (name.StartsWith("smp.", StringComparison.Ordinal))
                AddProcessors(option, name["smp.".Length..], property.Value);
            else
                _machine.Add(new(name, property.Value));
        }

        _machineWord = option;
    }

    private string? MachineProperty(string name)
    {
        for (int i = _machine.Count - 1; i >= 0; i--)
        {
            if (_machine[i].Name == name)
                return _machine[i].Value;
        }

        return null;
    }

    private bool MachineSwitch(string name) => MachineProperty(name) is { } text && QemuOptionSyntax.TrySwitch(text, out bool isOn) && isOn;

    private ulong MachineSize(string name)
    {
        if (MachineProperty(name) is not { } text)
            return 0;
        if (!QemuOptionSyntax.TrySize(text, 0, out ulong sizeBytes))
            Fail(OutOfRange, _machineWord, $"{name}={InputError.Quote(text)} is not a size", "write a number with K, M, G or T");
        return sizeBytes;
    }

    private string? Accelerator => _accelerators.Count > 0 ? _accelerators[0] : MachineProperty("accel");

    private bool IsKvm()
    {
        string? first = Accelerator?.Split(':')[0];
        // A program whose name ends so prefers KVM where the user says nothing; of options alone the host's model tells as much.
        return first is null ? _program.EndsWith("kvm", StringComparison.Ordinal)
            || (_program.Length == 0 && _cpu.AsSpan().SequenceEqual("host") | _cpu.StartsWith("host,", StringComparison.Ordinal)) : first == "kvm";
    }
}
