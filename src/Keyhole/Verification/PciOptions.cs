// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;
using Keyhole.Logs;

namespace Keyhole.Verification;

/// <summary>What a guest's own command line has Linux do with its PCI devices: what comes of that is none of the firmware's doing.</summary>
/// <remarks>Source: Linux' Documentation/admin-guide/kernel-parameters.txt; arch/x86/pci/common.c (pcibios_setup), arch/x86/pci/acpi.c, drivers/pci/
/// pci.c (pci_setup).</remarks>
internal sealed class PciOptions
{
    private PciOptions()
    {
    }

    /// <summary>The option with which Linux passes over the windows that ACPI tells of the host bridge; null without one.</summary>
    public string? PassesOverWindows { get; private set; }

    /// <summary>The option with which Linux numbers buses itself; null without one.</summary>
    public string? NumbersBuses { get; private set; }

    /// <summary>The option with which Linux places BARs and windows anew; null without one.</summary>
    public string? PlacesAnew { get; private set; }

    /// <summary>The command line's; 0 where the log has none.</summary>
    public int Line { get; private set; }

    public static PciOptions Of(ObservedBoot boot)
    {
        var options = new PciOptions();
        if (boot.Facts.CommandLine is not { } commandLine)
            return options;
        options.Line = commandLine.Line;
        foreach (string word in commandLine.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            // What follows "--" is init's.
            if (word == "--")
                break;
            if (word == "acpi=off")
                options.PassesOverWindows ??= word;
            if (!word.StartsWith("pci=", StringComparison.Ordinal))
                continue;
            foreach (string one in word["pci=".Length..].Split(','))
                options.Add(one);
        }

        return options;
    }

    private void Add(string one)
    {
        string shown = $"pci={InputError.OneLine(one, 40)}";
        // pci=use_crs takes none of the first three back, wherever it stands.
        switch (one)
        {
            case "nocrs" or "noacpi" or "off":
                PassesOverWindows = shown;
                break;
            case "assign-busses":
                NumbersBuses = shown;
                break;
            case "realloc" or "realloc=on":
                PlacesAnew = shown;
                break;
            case "realloc=off":
                PlacesAnew = null;
                break;
        }
    }
}
