// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.Runtime.Versioning;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>The supervisor for libvirt's guests run by this machine's shell, with stand-ins for virsh and xl. Guest "up" is domain 7; "off"
/// is shut off.</summary>
[TestClass]
[OSCondition(OperatingSystems.Linux)]
[SupportedOSPlatform("linux")]
public sealed class LibvirtSupervisorTests : IDisposable
{
    private const string Virsh = """
        case "$1 $2 $3 $4" in
            "domid --domain up "|"domid --domain two words ") echo 7; echo ;;
            "domid --domain off ") echo -; echo ;;
            "domid "*) exit 1 ;;
            "domstate --domain off ") echo "shut off"; echo ;;
            "domstate "*) echo running; echo ;;
            list*) ;;
            *) echo "$*" >> "$(dirname "$0")/done" ;;
        esac
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("keyhole supervisor ").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("up", "---sr-", true)]
    [DataRow("two words", "---sr-", true)]
    [DataRow("up", "---s--", false)]
    [DataRow("up", "---sc-", false)]
    [DataRow("up", "-b----", false)]
    [DataRow("up", "r-----", false)]
    [DataRow("off", "---sr-", false)]
    [DataRow("gone", "---sr-", false)]
    public void A_listed_guest_that_rebooted_is_made_again_paused(string name, string state, bool isMadeAgain)
    {
        Run($"stop {name}\n", state);

        Assert.AreEqual(isMadeAgain ? $"destroy --domain {name}\nstart --paused --domain {name}\nresume --domain {name}\n" : "", Done());
    }

    [TestMethod]
    public void A_guest_that_no_line_names_is_left_alone()
    {
        Run("stop up2\nstopup\n# stop up\nautostart up\n", "---sr-");

        Assert.AreEqual("", Done());
    }

    [TestMethod]
    public void Guests_are_started_with_the_host_once_where_they_are_shut_off()
    {
        Run("stop off\nautostart off\nstop up\nautostart up\n", "-b----");
        Run("stop off\nautostart off\nstop up\nautostart up\n", "-b----");

        Assert.AreEqual("start --paused --domain off\nresume --domain off\n", Done());
    }

    [TestMethod]
    public void A_guest_whose_hook_refuses_it_is_not_let_run()
    {
        Run("stop up\n", "---sr-", Virsh.Replace("list*) ;;", "list*) ;; start*) echo 'the hook says no' >&2; exit 1 ;;", StringComparison.Ordinal));

        Assert.AreEqual("destroy --domain up\n", Done());
        StringAssert.Contains(File.ReadAllText(Path.Combine(_folder, "log")), "up: not started: the hook says no", StringComparison.Ordinal);
    }

    private string Done() => File.Exists(Path.Combine(_folder, "done")) ? File.ReadAllText(Path.Combine(_folder, "done")) : "";

    private void Make(string name, string commands)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, $"#!/bin/sh\n{commands}\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private void Run(string list, string state, string virsh = Virsh)
    {
        Make("logger", "echo \"$*\" >> \"$(dirname \"$0\")/log\"");
        Make("virsh", virsh);
        Make("xl", $"[ \"$*\" = 'list 7' ] && printf 'Name ID Mem VCPUs State Time(s)\\nsome name 7 256 1 {state} 1.0\\n'");
        string listed = Path.Combine(_folder, "list");
        File.WriteAllText(listed, list);
        var start = new ProcessStartInfo("/bin/sh");
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "fixtures", "libvirt-supervisor"));
        start.ArgumentList.Add("once");
        start.Environment["KEYHOLE_LIST"] = listed;
        start.Environment["KEYHOLE_RUN"] = _folder;
        start.Environment["PATH"] = $"{_folder}:/usr/bin:/bin";
        using Process process = Process.Start(start)!;
        process.WaitForExit();
        Assert.AreEqual(0, process.ExitCode);
    }
}
