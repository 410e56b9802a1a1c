// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using System.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>Whether a host is set up is judged by what that host shows, and by what it was booted with.</summary>
[TestClass]
public sealed class ReserveCheckTests
{
    private const string Asked = "\"memmap=572K$4K\", \"memmap=511M$1M\", \"iomem=relaxed\"";

    private const string KernelInIt = """
        "00000000-0008ffff : Reserved", "00090000-0009fbff : System RAM", "0009fc00-00ffffff : Reserved", "01000000-040fffff : System RAM",
        "04100000-1fffffff : Reserved", "20000000-bfffffff : System RAM"
        """;

    private const string NothingKept = """
        "00000000-00000fff : Reserved", "00001000-0009fbff : System RAM", "0009fc00-000fffff : Reserved", "00100000-bfffffff : System RAM"
        """;

    private const string EndsAt2GiB = """
        "00000000-00000fff : Reserved", "00001000-0009fbff : System RAM", "0009fc00-000fffff : Reserved", "00100000-7fffffff : System RAM"
        """;

    /// <summary>The map alone tells nothing of what the kernel made of it, and this machine's is another's.</summary>
    [TestMethod]
    public void A_host_that_shows_nothing_of_its_kernel_is_not_judged_by_another_machine()
    {
        foreach (string host in (string[])["0 9fc00 ram\n100000 c0000000 ram\n", Capture(Asked, null)])
        {
            CommandRun run = Check(host, "--start", "512M");

            Assert.AreEqual(2, run.Status, run.Output);
            Assert.AreEqual("keyhole: standard input: it does not show what the host's kernel made of the firmware's map; give that host's "
                + "/proc/iomem with --iomem\n", run.Errors);
        }
    }

    [TestMethod]
    [DataRow(KernelInIt, "the host's kernel is in the kept RAM: 49 MiB of it")]
    [DataRow(NothingKept, "511 MiB that should be kept are the kernel's System RAM")]
    public void A_remedy_that_is_in_force_is_not_told_of_a_capture(string iomem, string seen)
    {
        CommandRun run = Check(Capture(Asked, iomem), "--start", "512M");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains(seen, run.Output);
        Assert.DoesNotContain("remedy", run.Output);
        Assert.DoesNotContain("nokaslr", Check(Capture(Asked, iomem), "--start", "512M", "--json").Output);
    }

    [TestMethod]
    public void A_capture_of_which_the_options_are_not_known_has_the_remedies()
    {
        Assert.Contains("remedy: boot without nokaslr", Check(Capture(null, KernelInIt), "--start", "512M").Output);
        Assert.Contains(": boot the host with memmap=572K$4K memmap=511M$1M iomem=relaxed", Check(Capture(null, NothingKept), "--start",
            "512M").Output);
    }

    [TestMethod]
    public void The_option_that_takes_RAM_away_is_named_of_a_capture()
    {
        CommandRun run = Check(Capture("\"memmap=2G\"", EndsAt2GiB), "--range", "2G-2560M");

        Assert.AreEqual(1, run.Status, run.Errors);
        Assert.Contains("PCI may be given what is in no entry; memmap=2G takes it away: no RAM from 2 GiB on", run.Output);
        Assert.Contains("in place of memmap=2G", run.Output);
        Assert.DoesNotContain("another mem=", run.Output);
        Assert.DoesNotContain("line 0", run.Output);
    }

    [TestMethod]
    public void This_machine_is_judged_by_what_it_was_booted_with()
    {
        using var dom0 = new FakeDom0 { IsXen = false };
        string[] firmware = ["0 9fbff System RAM", "9fc00 fffff Reserved", "100000 bfffffff System RAM"];
        foreach ((int i, string entry) in firmware.Index())
        {
            string[] parts = entry.Split(' ', 3);
            dom0.Write($"sys/firmware/memmap/{i}/start", $"0x{parts[0]}\n");
            dom0.Write($"sys/firmware/memmap/{i}/end", $"0x{parts[1]}\n");
            dom0.Write($"sys/firmware/memmap/{i}/type", parts[2] + "\n");
        }

        dom0.Write("proc/iomem", string.Join('\n', KernelInIt.Replace("\"", "").Split(',').Select(static line => line.Trim())) + "\n");
        dom0.Write("proc/cmdline", "root=/dev/vda memmap=572K$4K memmap=511M$1M iomem=relaxed nokaslr\n");
        CommandRun told = CommandRun.InDom0(dom0.Machine, "reserve", "--start", "512M", "--check");
        dom0.Write("proc/cmdline", "root=/dev/vda memmap=572K$4K memmap=511M$1M iomem=relaxed\n");
        CommandRun untold = CommandRun.InDom0(dom0.Machine, "reserve", "--start", "512M", "--check");

        Assert.AreEqual(1, told.Status, told.Errors);
        Assert.Contains("the host's kernel is in the kept RAM: 49 MiB of it", told.Output);
        Assert.Contains("boot without nokaslr", told.Output);
        Assert.Contains("the host's kernel is in the kept RAM: 49 MiB of it", untold.Output);
        Assert.DoesNotContain("nokaslr", untold.Output);
    }

    private static CommandRun Check(string host, params string[] how) =>
        CommandRun.WithInput(Encoding.UTF8.GetBytes(host), ["reserve", "--host", "-", .. how, "--check"]);

    private static string Capture(string? options, string? iomem) => $$"""
        {
          "source": { "dialect": "memmap", "description": "firmware map as Linux kept it" },
          "entries": [
            { "start": "0x0", "end": "0x9fc00", "type": "ram" }, { "start": "0x9fc00", "end": "0x100000", "type": "reserved" },
            { "start": "0x100000", "end": "0xc0000000", "type": "ram" }
          ],
          "traits": { "efi": false{{(options is null ? "" : $", \"kernelOptions\": [{options}]")}} }
          {{(iomem is null ? "" : $", \"iomem\": [{iomem}]")}}
        }
        """;
}
