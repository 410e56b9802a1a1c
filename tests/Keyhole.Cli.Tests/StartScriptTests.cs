// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.IO;
using System.Runtime.Versioning;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>The script <c>./keyhole</c> in a tree of its own, with a compiler that is one in name alone: it writes a half program, takes its time,
/// and writes the whole one.</summary>
[TestClass]
[OSCondition(OperatingSystems.Linux)]
[SupportedOSPlatform("linux")]
public sealed class StartScriptTests
{
    private const string Compiler = """
        #!/bin/sh
        echo build >>"$KEYHOLE_TREE/builds"
        case "$2" in *["';%,="]*) echo 'MSB1006: Property is not valid'; exit 1 ;; esac
        while [ "$1" != -o ]; do shift; done
        mkdir -p "$2"
        printf '#!/bin/sh\necho half\n' >"$2/Keyhole.Cli"
        chmod +x "$2/Keyhole.Cli"
        while [ -e "$KEYHOLE_TREE/wait" ]; do sleep 0.02; done
        if [ -e "$KEYHOLE_TREE/broken" ]; then echo 'error CS1002: ; expected'; exit 1; fi
        printf '#!/bin/sh\necho whole "$@"\n' >"$2/Keyhole.Cli"
        """;

    private string _tree = Directory.CreateTempSubdirectory("keyhole start ").FullName;

    [TestInitialize]
    public void Plant()
    {
        File.Copy(Path.Combine(AppContext.BaseDirectory, "fixtures", "keyhole"), At("keyhole"));
        Directory.CreateDirectory(At("src"));
        Directory.CreateDirectory(At("bin"));
        File.WriteAllText(At("src/a.cs"), "");
        File.WriteAllText(At("bin/dotnet"), Compiler);
        File.SetUnixFileMode(At("bin/dotnet"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    [TestCleanup]
    public void Fell() => Directory.Delete(_tree, recursive: true);

    [TestMethod]
    public async Task It_builds_once_and_again_when_something_changed()
    {
        Assert.AreEqual((0, "whole a b\n"), await Run("a", "b"));
        Assert.AreEqual((0, "whole\n"), await Run());
        Assert.AreEqual(1, Builds);

        File.SetLastWriteTimeUtc(At("src/a.cs"), DateTimeOffset.FromUnixTimeSeconds(1L << 33).UtcDateTime);
        Assert.AreEqual((0, "whole\n"), await Run());
        Assert.AreEqual(2, Builds);
    }

    [TestMethod]
    public async Task A_folder_whose_name_says_something_to_the_build_is_built_in_another()
    {
        string odd = Directory.CreateTempSubdirectory("odd;a %b,c=d e's").FullName;
        Directory.Delete(odd);
        Directory.Move(_tree, odd);
        _tree = odd;

        Assert.AreEqual((0, "whole a\n"), await Run("a"));
        Assert.AreEqual((0, "whole\n"), await Run());
        Assert.AreEqual(1, Builds);
    }

    [TestMethod]
    public async Task Of_two_first_starts_one_builds_and_both_run_the_whole_program()
    {
        File.WriteAllText(At("wait"), "");
        Task<(int, string)> first = Run();
        Task<(int, string)> second = Run();
        WaitFor(() => Builds == 1);
        // Long enough for the second to come to the lock; a script without one builds by then.
        await Task.Delay(200);
        File.Delete(At("wait"));

        Assert.AreEqual((0, "whole\n"), await first);
        Assert.AreEqual((0, "whole\n"), await second);
        Assert.AreEqual(1, Builds);
    }

    [TestMethod]
    public async Task A_failed_build_is_not_run_and_is_tried_again()
    {
        File.WriteAllText(At("broken"), "");
        Assert.AreEqual((2, ""), await Run());
        Assert.AreEqual((2, ""), await Run());

        File.Delete(At("broken"));
        Assert.AreEqual((0, "whole\n"), await Run());
        Assert.AreEqual(3, Builds);
    }

    [TestMethod]
    public async Task What_a_killed_start_was_building_is_not_run_and_goes()
    {
        File.WriteAllText(At("wait"), "");
        using Process killed = Start();
        WaitFor(() => Builds == 1);
        killed.Kill();
        await killed.WaitForExitAsync();
        Task<(int, string)> next = Run();
        File.Delete(At("wait"));

        Assert.AreEqual((0, "whole\n"), await next);
        Assert.AreEqual(2, Builds);
        Assert.HasCount(1, Directory.GetDirectories(At("artifacts/keyhole")));
    }

    [TestMethod]
    public async Task The_build_before_is_kept_for_those_who_run_it_and_older_ones_go()
    {
        for (int i = 0; i < 4; i++)
        {
            await Run();
            File.SetLastWriteTimeUtc(At("src/a.cs"), DateTimeOffset.FromUnixTimeSeconds(1L << 33).UtcDateTime);
        }

        Assert.AreEqual(4, Builds);
        Assert.HasCount(2, Directory.GetDirectories(At("artifacts/keyhole")));
    }

    [TestMethod]
    public async Task The_native_file_runs_where_it_was_made_and_nothing_changed_since()
    {
        Directory.CreateDirectory(At("artifacts/publish/dom0"));
        File.WriteAllText(At("artifacts/publish/dom0/keyhole"), "#!/bin/sh\necho native \"$@\"\n");
        File.SetUnixFileMode(At("artifacts/publish/dom0/keyhole"), UnixFileMode.UserRead | UnixFileMode.UserExecute);

        Assert.AreEqual((0, "native a b\n"), await Run("a", "b"));
        Assert.AreEqual(0, Builds);

        File.SetLastWriteTimeUtc(At("src/a.cs"), DateTimeOffset.FromUnixTimeSeconds(1L << 33).UtcDateTime);
        Assert.AreEqual((0, "whole\n"), await Run());
        Assert.AreEqual(1, Builds);
    }

    private int Builds => File.Exists(At("builds")) ? File.ReadAllLines(At("builds")).Length : 0;

    private string At(string path) => Path.Combine(_tree, path);

    private static void WaitFor(Func<bool> happened) => Assert.IsTrue(SpinWait.SpinUntil(happened, TimeSpan.FromSeconds(20)));

    private async Task<(int Status, string Output)> Run(params string[] args)
    {
        using Process script = Start(args);
        string output = await script.StandardOutput.ReadToEndAsync();
        await script.WaitForExitAsync();
        return (script.ExitCode, output);
    }

    private Process Start(params string[] args)
    {
        var start = new ProcessStartInfo("sh") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(At("keyhole"));
        foreach (string arg in args)
            start.ArgumentList.Add(arg);
        start.Environment["PATH"] = $"{At("bin")}:{Environment.GetEnvironmentVariable("PATH")}";
        start.Environment["KEYHOLE_TREE"] = _tree;
        return Process.Start(start)!;
    }
}
