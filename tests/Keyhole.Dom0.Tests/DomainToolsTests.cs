// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;
using System.Threading;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Dom0.Tests;

[TestClass]
public sealed class DomainToolsTests
{
    [TestMethod]
    [DataRow("0", 0)]
    [DataRow("7", 7)]
    [DataRow("32751", 32751)]
    public void A_number_is_taken_without_asking_anyone(string text, int number)
    {
        var tools = new FakeTools();

        Assert.IsTrue(new DomainTools(tools).Find(text).TryGet(out DomainNumber? found, out _));
        Assert.AreEqual((ushort)number, found.Id.Value);
        Assert.IsEmpty(tools.Asked);
    }

    [TestMethod]
    [DataRow("-v")]
    [DataRow("--help")]
    [DataRow("")]
    public void What_xl_would_take_for_an_option_never_reaches_it(string name)
    {
        var tools = new FakeTools();

        Assert.IsFalse(new DomainTools(tools).Find(name).TryGet(out _, out XenProblem? problem));
        Assert.AreEqual(XenProblemKind.Here, problem.Kind);
        Assert.IsEmpty(tools.Asked);
    }

    [TestMethod]
    [DataRow("guest")]
    [DataRow("a b; rm -rf $HOME `x` 'y' \"z\"")]
    [DataRow("32752")]
    public void A_name_is_one_argument_whatever_is_in_it(string name)
    {
        var tools = new FakeTools();

        Assert.IsFalse(new DomainTools(tools).Find(name).TryGet(out _, out XenProblem? problem));
        CollectionAssert.AreEqual((string[])["xl", "domid", name], tools.Asked.Single().ToArray());
        Assert.DoesNotContain("\n", problem.ToString());
    }

    [TestMethod]
    public void A_name_is_found_by_its_number()
    {
        Assert.IsTrue(new DomainTools(new FakeTools().With("xl domid guest", "12\n")).Find("guest").TryGet(out DomainNumber? found, out _));
        Assert.AreEqual((ushort)12, found.Id.Value);
    }

    [TestMethod]
    public void A_toolstack_that_is_not_there_is_said_to_be_missing()
    {
        Assert.IsFalse(new DomainTools(new NoTools()).Find("guest").TryGet(out _, out XenProblem? problem));
        Assert.AreEqual("xl: this program is not there; run this in dom0, with the Xen tools installed and on the PATH", problem.ToString());
    }

    [TestMethod]
    public void Xenstore_tells_name_target_maximum_and_console()
    {
        var tools = new DomainTools(new FakeTools()
            .With("xenstore-read /local/domain/3/name", "guest\n")
            .With("xenstore-read /local/domain/3/memory/target", "262144\n")
            .With("xenstore-read /local/domain/3/memory/static-max", "many\n")
            .With("xenstore-read /local/domain/3/console/tty", "/dev/pts/4\n")
            .With("xenstore-read /local/domain/4/console/tty", "/etc/passwd\n"));

        Assert.AreEqual("guest", tools.NameOf(new(3)));
        Assert.AreEqual(262144UL, tools.TargetKiB(new(3)));
        Assert.IsNull(tools.StaticMaxKiB(new(3)));
        Assert.AreEqual("/dev/pts/4", tools.ConsoleOf(new(3)));
        Assert.IsNull(tools.ConsoleOf(new(4)));
        Assert.IsNull(tools.NameOf(new(4)));
    }

    [TestMethod]
    public void A_failed_creation_says_what_xl_first_called_an_error()
    {
        const string complaints = """
            libxl: debug: libxl_create.c:1: all is well
            libxl: error: libxl_dom.c:2: not enough memory
            libxl: error: libxl_create.c:3: cannot (re-)build domain: -3
            """;
        Assert.IsFalse(new DomainTools(new Complaining(complaints)).CreatePaused("g.cfg", Guid.Empty, CancellationToken.None)
            .TryGet(out _, out XenProblem? problem));
        Assert.AreEqual(XenProblemKind.Refused, problem.Kind);
        Assert.Contains("libxl: error: libxl_dom.c:2: not enough memory", problem.What);
    }

    private sealed class NoTools : IToolRunner
    {
        public ToolResult Run(string program, ImmutableArray<string> arguments, TimeSpan limit, CancellationToken cancellation = default) =>
            new(ToolResult.NotThere, "", "");
    }

    private sealed class Complaining(string error) : IToolRunner
    {
        public ToolResult Run(string program, ImmutableArray<string> arguments, TimeSpan limit, CancellationToken cancellation = default) =>
            new(1, "", error);
    }
}
