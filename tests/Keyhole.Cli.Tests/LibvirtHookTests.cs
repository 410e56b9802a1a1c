// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.Runtime.Versioning;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>The hook for libvirt run by this machine's shell as libvirt runs it, with a stand-in for Keyhole.</summary>
[TestClass]
[OSCondition(OperatingSystems.Linux)]
[SupportedOSPlatform("linux")]
public sealed class LibvirtHookTests : IDisposable
{
    private const string Xml = "<domain type='xen' id='7'>\n  <name>guest</name>\n  <on_reboot>destroy</on_reboot>\n</domain>\n";

    private readonly string _folder = Directory.CreateTempSubdirectory("keyhole hook ").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("stop guest", "guest started begin -", 0, 0, "apply 7")]
    [DataRow("libxl guest", "guest started begin -", 0, 0, "apply 7")]
    [DataRow("stop guest", "guest started begin -", 1, 1, "apply 7")]
    [DataRow("libxl guest", "guest started begin -", 1, 0, "apply 7")]
    [DataRow("stop guest2", "guest started begin -", 1, 0, "")]
    [DataRow("stop guest", "guest start begin -", 1, 0, "")]
    [DataRow("stop guest", "guest stopped end -", 1, 0, "")]
    [DataRow("stop g.*", "guest started begin -", 1, 0, "")]
    public void A_listed_guest_gets_its_map_as_it_is_started_and_what_was_chosen_where_it_cannot(string list, string arguments, int keyholeEndsWith,
        int status, string done)
    {
        Make("keyhole", $"echo \"$*\" > \"$(dirname \"$0\")/done\"; exit {keyholeEndsWith}");

        Assert.AreEqual(status, Run(list, arguments, Xml));
        Assert.AreEqual(done, Done());
    }

    [TestMethod]
    public void Without_Keyhole_and_for_XML_without_a_number_nothing_is_done()
    {
        Assert.AreEqual(0, Run("stop guest", "guest started begin -", Xml));
        Make("keyhole", "echo \"$*\" > \"$(dirname \"$0\")/done\"");

        Assert.AreEqual(1, Run("stop guest", "guest started begin -", "<domain type='xen'>\n<name>id='7'</name></domain>\n"));
        Assert.AreEqual("", Done());
    }

    private string Done() => File.Exists(Path.Combine(_folder, "done")) ? File.ReadAllText(Path.Combine(_folder, "done")).TrimEnd() : "";

    private void Make(string name, string commands)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, $"#!/bin/sh\n{commands}\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private int Run(string list, string arguments, string xml)
    {
        Make("logger", "exit 0");
        string listed = Path.Combine(_folder, "list");
        File.WriteAllText(listed, list + "\n");
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardInput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "fixtures", "libvirt-libxl"));
        foreach (string argument in arguments.Split(' '))
            start.ArgumentList.Add(argument);
        start.Environment["KEYHOLE_LIST"] = listed;
        start.Environment["PATH"] = $"{_folder}:/usr/bin:/bin";
        using Process process = Process.Start(start)!;
        try
        {
            process.StandardInput.Write(xml);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // A hook that has nothing to do does not read it.
        }

        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }
}
