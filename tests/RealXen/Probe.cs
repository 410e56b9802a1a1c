// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>Boots of src/Keyhole.Probe: the kernel that tries its map from inside.</summary>
public static class Probe
{
    /// <summary>The image as built beside this program, in the same configuration.</summary>
    /// <exception cref="HarnessException">It is not built.</exception>
    public static string Image
    {
        get
        {
            string path = Path.Combine(Workshop.Root, "artifacts", "bin", "Keyhole.Probe", "release", "keyhole-probe.elf");
            return File.Exists(path)
                ? path
                : throw new HarnessException($"{path}: not there; build it with: dotnet build -c Release src/Keyhole.Probe");
        }
    }

    /// <summary>The same host with the probe as dom0 and nothing else.</summary>
    public static Scenario AsDom0(this Scenario scenario, string options = "") => scenario with
    {
        Name = scenario.Name + "-probe",
        Dom0Kernel = Image,
        Dom0KernelOptions = options,
        Steps = [],
        Assign = "",
    };

    /// <summary>A guest with the probe as its kernel: its report is what its console shows.</summary>
    /// <param name="name">Names the guest.</param>
    /// <param name="options">The probe's words.</param>
    /// <param name="config">Lines of the xl.cfg.</param>
    public static GuestStep AsGuest(string name, string options, params string[] config) => new(
        name,
        [
            .. config,
            $"kernel=\"/{InDom0}\"",
            "ramdisk=\"\"",
            $"extra=\"{options}\"",
        ])
    {
        Boot = true,
        Seconds = 60,
    };

    /// <summary>Where the image lies in dom0.</summary>
    public const string InDom0 = "k/probe.elf";

    /// <summary>The same scenario with the probe's image in dom0.</summary>
    public static Scenario WithProbe(this Scenario scenario) => scenario with { Files = scenario.Files.SetItem(InDom0, Image) };
}
