// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>A guest's configuration that is still in the mail it came with.</summary>
[TestClass]
public sealed class MailedGuestTests
{
    private const string Config = "name = \"san1\"\nmemory = 3072\nmaxmem = 3072\nvcpus = 4\nvif = [ 'mac=00:16:3e:16:10:3d, bridge=bradm' ]\n";

    private const string Xml = "<domain type='xen'><name>win</name><memory unit='MiB'>3072</memory>\n"
        + "<os><type arch='x86_64' machine='xenfv'>hvm</type></os></domain>\n";

    private const string Header = "From: a@example.org\nMIME-Version: 1.0\nSubject: It breaks\n";

    private static string Mail(params (string Coding, string Body)[] parts) => Header + "Content-Type: multipart/mixed; boundary=\"nextPart1377\"\n\n"
        + string.Concat(parts.Select(static part =>
            $"--nextPart1377\nContent-Transfer-Encoding: {part.Coding}\nContent-Type: text/plain\n\n{part.Body}\n"))
        + "--nextPart1377--\n";

    private static CommandRun Plan(string mail) => CommandRun.WithInput(Encoding.UTF8.GetBytes(mail),
        "plan", "--host", CommandRun.Golden("iommu.log"), "--guest", "-");

    [TestMethod]
    public void An_attached_configuration_is_read_where_it_stands()
    {
        CommandRun run = Plan(Mail(("7Bit", "It does not start: see the file.\n"), ("7Bit", Config), ("7Bit", "[ 0.1] memory = nothing\n")));

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.Contains("guest:  san1, 3072 MiB", run.Output);
        Assert.Contains("text around the guest's configuration is passed over (line 1)", run.Errors);
    }

    [TestMethod]
    public void An_attachment_in_base64_is_read() => Assert.Contains("guest:  san1, 3072 MiB",
        Plan(Mail(("7Bit", "See the file.\n"), ("base64", Convert.ToBase64String(Encoding.UTF8.GetBytes(Config))))).Output);

    [TestMethod]
    public void A_mail_of_one_part_is_read() => Assert.Contains("guest:  san1, 3072 MiB", Plan($"{Header}\n{Config}").Output);

    [TestMethod]
    public void A_domain_in_quoted_printable_is_read()
    {
        CommandRun run = Plan(Mail(("quoted-printable", "This is the domain:\n\n" + Xml.Replace("=", "=3D", StringComparison.Ordinal))));

        Assert.Contains("guest:  win, 3072 MiB", run.Output, run.Errors);
    }

    [TestMethod]
    [DataRow("quoted-printable", "qemu-system-x86_64 -M type=3Dq35 -m 3072\n\nIt does not start.\n")]
    [DataRow("7Bit", "qemu-system-x86_64 -M type=q35 -m 3072\n\nIt does not start.\n")]
    public void A_command_in_the_mail_itself_goes_before_what_is_attached(string coding, string command)
    {
        CommandRun run = Plan(Mail((coding, command), ("7Bit", "nothing\n")));

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.Contains("3072 MiB", run.Output);
    }

    [TestMethod]
    public void A_mail_without_a_configuration_is_told_to_have_none()
    {
        CommandRun run = Plan($"{Header}\nIs it not called \"rotational\"?\n\n> shows rotational = 1.\n");

        Assert.AreEqual(2, run.Status, run.Output);
        Assert.Contains("a mail, no part of which is a guest's configuration by itself", run.Errors);
    }

    [TestMethod]
    public void Of_two_configurations_in_a_mail_none_is_taken()
    {
        CommandRun run = Plan(Mail(("7Bit", Config), ("7Bit", Config.Replace("san1", "san2", StringComparison.Ordinal))));

        Assert.AreEqual(2, run.Status, run.Output);
        Assert.Contains("standard input:20: a mail with 2 guests' configurations; give one of them alone", run.Errors);
    }
}
