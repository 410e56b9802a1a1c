// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests;

/// <summary>The script run by this machine's shell, with stand-ins for Keyhole, logger and the guest's own script.</summary>
[TestClass]
public sealed class HotplugScriptTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("keyhole's $hook `-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow(OrElse.Stop, "online type_if=vif", 0, "apply --guest CFG --policy hole-at:$(x) --kernel 6.1|own online type_if=vif", "daemon.info")]
    [DataRow(OrElse.Stop, "add", 0, "apply --guest CFG --policy hole-at:$(x) --kernel 6.1|own add", "daemon.info")]
    [DataRow(OrElse.Stop, "offline type_if=vif", 0, "own offline type_if=vif", "")]
    [DataRow(OrElse.Stop, "remove", 0, "own remove", "")]
    [DataRow(OrElse.Stop, "online type_if=vif", 1, "apply --guest CFG --policy hole-at:$(x) --kernel 6.1", "daemon.err")]
    [DataRow(OrElse.Libxl, "online type_if=vif", 1, "apply --guest CFG --policy hole-at:$(x) --kernel 6.1|own online type_if=vif", "daemon.err")]
    public void It_gives_the_map_and_then_runs_the_guests_own_script_or_does_what_was_chosen(OrElse orElse, string arguments, int keyholeEndsWith,
        string done, string level)
    {
        MakeProgram("keyhole", $"echo \"$*\" >> \"{{0}}/done\"; echo table; echo 'keyhole: no $(date)' >&2; exit {keyholeEndsWith}");

        int status = Run(orElse, arguments, "backend/vif/5/0");

        Assert.AreEqual(keyholeEndsWith == 0 || orElse == OrElse.Libxl ? 7 : 1, status);
        Assert.AreEqual(done.Replace("CFG", Configuration, StringComparison.Ordinal), string.Join('|', Lines("done")));
        Assert.AreEqual(level, string.Join('|', Lines("log").Select(static line => line.Split(' ')[3])));
        if (keyholeEndsWith != 0)
            Assert.Contains("keyhole: no $(date)", string.Join('\n', Lines("log")));
        Assert.AreEqual(keyholeEndsWith != 0 && orElse == OrElse.Stop,
            Lines("xenstore").Any(static line => line.StartsWith("backend/vif/5/0/hotplug-error keyhole: ", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow(OrElse.Stop)]
    [DataRow(OrElse.Libxl)]
    public void Without_Keyhole_the_guest_starts_with_its_own_script_alone_and_the_log_says_so(OrElse orElse)
    {
        Assert.AreEqual(7, Run(orElse, "online", "backend/vif/5/0"));
        Assert.AreEqual("own online", string.Join('|', Lines("done")));
        Assert.Contains("keyhole is not there any more", string.Join('\n', Lines("log")));
    }

    [TestMethod]
    public void Where_dom0_itself_is_given_the_disk_nothing_is_done_to_a_guest()
    {
        MakeProgram("keyhole", "echo \"$*\" >> \"{0}/done\"; exit 1");

        Assert.AreEqual(7, Run(OrElse.Stop, "add", "backend/vbd/0/51712"));
        Assert.AreEqual("own add", string.Join('|', Lines("done")));
    }

    [TestMethod]
    public void Where_the_guests_file_is_gone_its_copy_counts()
    {
        MakeProgram("keyhole", "echo \"$3\" >> \"{0}/done\"");

        Run(OrElse.Stop, "online", "backend/vif/5/0", hasConfiguration: false);

        Assert.AreEqual(Path.Combine(_folder, "copy's"), Lines("done")[0]);
    }

    [TestMethod]
    public void A_Keyhole_that_is_killed_is_one_that_failed()
    {
        MakeProgram("keyhole", "kill -KILL $$");

        Assert.AreEqual(1, Run(OrElse.Stop, "online", "backend/vif/5/0"));
        Assert.AreEqual(7, Run(OrElse.Libxl, "online", "backend/vif/5/0"));
    }

    private string Configuration => Path.Combine(_folder, "guest's.cfg");

    private int Run(OrElse orElse, string arguments, string device, bool hasConfiguration = true)
    {
        MakeProgram("own's", "echo \"own $*\" >> \"{0}/done\"; exit 7");
        MakeProgram("logger", "echo \"$*\" >> \"{0}/log\"");
        MakeProgram("xenstore-write", "echo \"$*\" >> \"{0}/xenstore\"");
        File.WriteAllText(Path.Combine(_folder, "copy's"), "memory=1\n");
        if (hasConfiguration)
            File.WriteAllText(Configuration, "memory=1\n");
        var script = new HotplugScript
        {
            Own = Path.Combine(_folder, "own's"),
            Configuration = Configuration,
            Copy = Path.Combine(_folder, "copy's"),
            Program = Path.Combine(_folder, "keyhole"),
            Call = ["apply", "--guest"],
            Options = ["--policy", "hole-at:$(x)", "--kernel", "6.1"],
            OrElse = orElse,
        };
        string path = Path.Combine(_folder, "script");
        File.WriteAllText(path, script.Write());
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardError = true };
        start.ArgumentList.Add(path);
        foreach (string argument in arguments.Split(' '))
            start.ArgumentList.Add(argument);
        start.Environment["XENBUS_PATH"] = device;
        start.Environment["PATH"] = $"{_folder}:/usr/bin:/bin";
        using Process process = Process.Start(start)!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }

    private void MakeProgram(string name, string commands)
    {
        string path = Path.Combine(_folder, name);
        // The folder's name has what a shell would take for more than a name.
        File.WriteAllText(path, "#!/bin/sh\n" + commands.Replace("\"{0}", "\"$(dirname \"$0\")", StringComparison.Ordinal) + "\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private string[] Lines(string name) => File.Exists(Path.Combine(_folder, name)) ? File.ReadAllLines(Path.Combine(_folder, name)) : [];
}
