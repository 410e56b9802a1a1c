// SPDX-License-Identifier: GPL-2.0-only

using System.Diagnostics;
using System.IO;
using Keyhole.RealMachine;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.RealXen.Tests;

/// <summary>The probe's image as a build makes it.</summary>
[TestClass]
[TestCategory("RealXen")]
[DoNotParallelize]
public sealed class ProbeImageTests
{
    private const int MaxSizeBytes = 200 * 1024;

    [TestMethod]
    public void The_image_has_at_most_200_KiB() => Assert.IsLessThanOrEqualTo(MaxSizeBytes, (int)new FileInfo(Probe.Image).Length);

    [TestMethod]
    public void Two_builds_are_the_same_byte_for_byte()
    {
        string folder = Scratch("again");
        (int status, string output) = Build(folder);

        Assert.AreEqual(0, status, output);
        CollectionAssert.AreEqual(File.ReadAllBytes(Probe.Image), File.ReadAllBytes(Path.Combine(folder, "out", "keyhole-probe.elf")));
    }

    [TestMethod]
    public void A_stray_allocation_fails_the_link()
    {
        string folder = Scratch("stray");
        string source = Path.Combine(folder, "Stray.cs");
        File.WriteAllText(source, """
            namespace Keyhole.Probe;

            internal sealed class Stray
            {
                [System.Runtime.RuntimeExport("stray")]
                private static object Make() => new Stray();
            }
            """);
        (int status, string output) = Build(folder, $"-p:ProbeExtraSource={source}");

        Assert.AreNotEqual(0, status);
        Assert.Contains("undefined reference to `RhpNewFast'", output);
    }

    private static string Scratch(string name)
    {
        string folder = Path.Combine(Workshop.Root, "artifacts", "probe-tests", name);
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        return folder;
    }

    private static (int Status, string Output) Build(string folder, params string[] more)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            WorkingDirectory = Workshop.Root,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // Folders of its own: the build under test must not change what other tests use.
        string[] arguments =
        [
            "build", Path.Combine("src", "Keyhole.Probe"), "-c", "Release", "--nologo", "-v", "minimal", "-p:RunAnalyzers=false",
            "-p:EnforceCodeStyleInBuild=false",
            $"-p:IntermediateOutputPath={folder}/obj/", $"-p:OutDir={folder}/out/", .. more,
        ];
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        System.Threading.Tasks.Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output + errors.Result);
    }
}
