// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Platforms.Qemu.Board;

namespace Keyhole.Platforms.Qemu;

/// <summary>Devices that a guest has and never sees: those in, or behind, a slot without function 0.</summary>
internal static class QemuUnseen
{
    /// <param name="remedy">What was tried and works; null for nothing.</param>
    public static void Report(QemuForecast forecast, string? remedy, List<Problem> problems)
    {
        foreach (UnseenSlot slot in forecast.Unseen)
        {
            string[] names = [.. slot.Lost.Select(function => NameOf(forecast.Machine, function)).Distinct()];
            bool isOne = names.Length == 1;
            problems.Add(new(
                Severity.Error,
                ProblemCodes.DeviceUnseen,
                string.Create(CultureInfo.InvariantCulture,
                    $"{Listed.Of(names)} {(isOne ? "is" : "are")} not seen in the guest: slot {slot.Slot:x} of bus "
                        + $"{InputError.OneLine(slot.Bus, 100)}, in which {(isOne ? "it is" : "they are")} plugged in"
                        + $"{(slot.IsDirect ? "" : " by a port")}, has no function 0, and neither firmware nor operating system looks at the "
                        + $"others then"),
                Remedy: remedy));
        }
    }

    /// <summary>How the change is called that mends all of them.</summary>
    public static string CureName(ImmutableArray<UnseenSlot> slots) => slots.Length == 1
        ? string.Create(CultureInfo.InvariantCulture, $"slot {slots[0].Slot:x} from function 0 on")
        : $"slots {Listed.Of([.. slots.Select(static slot => slot.Slot.ToString("x", CultureInfo.InvariantCulture))])} from function 0 on";

    private static string NameOf(QemuMachine machine, PciFunction function)
    {
        string model = function.IsPassedThrough ? "" : function.Model;
        string? host = function.Plug >= 0 ? machine.Devices[function.Plug]["host"] : null;
        string name = InputError.OneLine(host ?? function.Name, 100);
        return name.Length == 0 ? model : model.Length == 0 ? name : $"{model} {name}";
    }
}
