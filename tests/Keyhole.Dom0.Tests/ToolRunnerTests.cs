// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.Threading;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Dom0.Tests;

[TestClass]
public sealed class ToolRunnerTests
{
    private static readonly TimeSpan s_minute = TimeSpan.FromMinutes(1);

    [TestMethod]
    public void Arguments_arrive_as_they_are()
    {
        ToolResult result = new ToolRunner().Run("printf", ["%s|", "a b", "$HOME", "`id`", "'\"", ""], s_minute);

        Assert.AreEqual("a b|$HOME|`id`|'\"||", result.Output);
        Assert.IsTrue(result.Succeeded);
    }

    [TestMethod]
    public void Exit_status_and_complaint_come_back()
    {
        ToolResult result = new ToolRunner().Run("sh", ["-c", "echo first >&2; echo last >&2; exit 3"], s_minute);

        Assert.AreEqual(3, result.ExitCode);
        Assert.AreEqual("last", result.LastComplaint);
    }

    [TestMethod]
    public void A_program_that_is_not_there_is_said_not_to_be()
    {
        Assert.AreEqual(ToolResult.NotThere, new ToolRunner().Run("keyhole-has-no-such-program", [], s_minute).ExitCode);
    }

    [TestMethod]
    public void A_program_that_takes_too_long_is_ended()
    {
        var clock = Stopwatch.StartNew();
        ToolResult result = new ToolRunner().Run("sleep", ["60"], TimeSpan.FromMilliseconds(200));

        Assert.AreEqual(ToolResult.TookTooLong, result.ExitCode);
        Assert.IsLessThan(30, clock.Elapsed.TotalSeconds);
    }

    [TestMethod]
    public void A_child_that_keeps_the_output_open_does_not_hold_the_answer_back()
    {
        var clock = Stopwatch.StartNew();
        ToolResult result = new ToolRunner().Run("sh", ["-c", "sleep 20 & echo made"], s_minute);

        Assert.AreEqual("made\n", result.Output);
        Assert.IsLessThan(15, clock.Elapsed.TotalSeconds);
    }

    [TestMethod]
    public void A_program_may_end_by_itself_after_the_user_has_given_up()
    {
        using var given = new CancellationTokenSource();
        given.Cancel();

        Assert.AreEqual("done\n", new ToolRunner().Run("sh", ["-c", "sleep 0.2; echo done"], s_minute, given.Token).Output);
    }
}
