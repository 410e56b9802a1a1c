// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.ReservedRam;
using Keyhole.Tests.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.ReservedRam;

/// <summary>What stands on the host's command line already is not advised again, and what is against the plan is told.</summary>
[TestClass]
public sealed class HostOptionsTests
{
    private const ulong GiB = 1UL << 30;

    /// <summary>2 GiB below 4 GiB, 6 GiB above.</summary>
    private static readonly ImmutableArray<E820Entry> s_map =
    [
        E820Entry.FromBounds(0, 0x9fc00, E820Type.Ram), E820Entry.FromBounds(0x9fc00, 0xa0000, E820Type.Reserved),
        E820Entry.FromBounds(0xf0000, 0x100000, E820Type.Reserved), E820Entry.FromBounds(0x100000, 2 * GiB, E820Type.Ram),
        E820Entry.FromBounds(4 * GiB, 10 * GiB, E820Type.Ram),
    ];

    [TestMethod]
    [DataRow("quiet", "", "memmap=1G$4G")]
    [DataRow("memmap=1G$4G quiet", "memmap=1G$4G", "")]
    [DataRow("memmap=2G$0x100000000", "memmap=2G$0x100000000", "")]
    [DataRow("quiet -- memmap=1G$4G", "", "memmap=1G$4G")]
    [DataRow("memmap=512M$4G", "", "memmap=1G$4G")]
    public void Parameters_that_stand_there_are_not_to_be_added_again(string options, string there, string missing)
    {
        StandingOptions standing = Above(options).Standing!;

        Assert.AreEqual((there, missing), (string.Join(' ', standing.There), standing.Missing));
    }

    [TestMethod]
    public void One_of_several_parameters_that_stands_there_is_left_out()
    {
        StandingOptions standing = Below("memmap=572K$4K iomem=relaxed").Standing!;

        Assert.AreEqual("memmap=572K$4K iomem=relaxed", string.Join(' ', standing.There));
        Assert.AreEqual("memmap=511M$1M", standing.Missing);
    }

    [TestMethod]
    [DataRow("mem=4608M", "error", "512 MiB of RAM: mem=4608M takes it away: no RAM from 4.5 GiB on; what is to be kept is out of",
        "boot without mem=4608M")]
    [DataRow("memmap=1G4G", "error", "1 GiB of RAM: memmap=1G4G takes it away: Linux reads 1 GiB of it and stops",
        "boot without memmap=1G4G")]
    [DataRow("mem=6G", "warning", "4 GiB of RAM: mem=6G takes it away: no RAM from 6 GiB on; the plan leaves it to the host",
        "boot without mem=6G")]
    [DataRow("memmap=1G%4G-1", "error", "1 GiB of RAM: memmap=1G%4G-1 takes it out of the map", "boot without memmap=1G%4G-1")]
    [DataRow("memmap=exactmap", "warning", "memmap=exactmap among the host's options drops the firmware's map",
        "or put the parameters behind it")]
    [DataRow("memmap=512M$4G", "info", "memmap=512M$4G among the host's options lies in what the parameters keep", "take it off the command line")]
    [DataRow("hugepagesz=1G hugepages=8", "warning", "hugepages= among the host's options asks for 8 GiB; the plan leaves the host 7 GiB",
        "ask for fewer")]
    [DataRow("hugepagesz=1G hugepages=0:4,1:4", "warning", "asks for 8 GiB", "ask for fewer")]
    public void An_option_that_is_against_the_plan_is_told(string options, string severity, string message, string remedy)
    {
        // A limit may take of both, what is kept and what is left: what is kept comes first.
        Problem problem = Above(options).Problems.First(static problem => problem.Code == ReserveProblemCodes.CommandLineConflict);

        Assert.AreEqual(severity, problem.Severity.ToString().ToLowerInvariant());
        Assert.Contains(message, problem.Message);
        Assert.Contains(remedy, problem.Remedy!.ToString());
    }

    [TestMethod]
    public void Options_that_are_not_against_it_are_not_told() => Assert.IsFalse(
        Above("mem=20G hugepages=64 nokaslr movable_node memmap=1M#3G efi=runtime -- mem=1G").Problems.Any(
            static problem => problem.Code == ReserveProblemCodes.CommandLineConflict));

    [TestMethod]
    public void A_kernel_that_may_not_choose_its_place_is_in_the_kept_RAM()
    {
        ReservePlan with = Below("nokaslr");
        ReservePlan without = Below("quiet");

        Problem problem = with.Problems.Single(static problem => problem.Code == ReserveProblemCodes.CommandLineConflict);
        Assert.AreEqual((Severity.Error, "boot without nokaslr"), (problem.Severity, problem.Remedy!.ToString()));
        Assert.IsFalse(with.Problems.Any(static problem => problem.Code == ReserveProblemCodes.KernelMustMove));
        Assert.IsNull(without.Problems.Single(static problem => problem.Code == ReserveProblemCodes.KernelMustMove).Remedy);
    }

    [TestMethod]
    public void Ranges_that_stand_there_count_among_the_four_that_the_kernels_choice_minds()
    {
        Problem problem = Above("memmap=1M$6G memmap=1M$7G memmap=1M!8G memmap=1M#9G").Problems.Single(
            static problem => problem.Code == ReserveProblemCodes.TooManyRanges);

        Assert.Contains("with those that stand there 5 memmap= are on the command line", problem.Message);
        Assert.IsFalse(Above("memmap=1G$4G memmap=1M$6G memmap=1M$7G memmap=1M!8G memmap=1M#9G").Problems.Any(
            static problem => problem.Code == ReserveProblemCodes.TooManyRanges));
    }

    /// <summary>memmap=1G!4G, by the option and by what the kernel shows then: type 12 is stronger than reserved.</summary>
    [TestMethod]
    public void RAM_that_is_a_block_device_of_the_hosts_is_no_RAM_of_its_kernels_but_is_warned_of()
    {
        Problem planned = Above("memmap=1G!4G").Problems.Single(static problem => problem.Code == ReserveProblemCodes.KeptAsPersistentMemory);
        Host shown = new()
        {
            Entries = [.. s_map[..^1], E820Entry.FromBounds(4 * GiB, 5 * GiB, E820Type.Pram), E820Entry.FromBounds(5 * GiB, 10 * GiB, E820Type.Ram)],
        };

        Problem seen = HostCheck.Compare(Above(null), shown).Single();

        foreach (Problem problem in new[] { planned, seen })
        {
            Assert.AreEqual((Severity.Warning, ReserveProblemCodes.KeptAsPersistentMemory, (ulong?)(4 * GiB), (ulong?)(5 * GiB)),
                (problem.Severity, problem.Code, problem.Start, problem.End));
            Assert.Contains("/dev/pmem0", problem.Message);
            Assert.Contains("memmap=SIZE$START", problem.Remedy!.ToString());
        }
    }

    [TestMethod]
    [DataRow("memmap=511M$1M", true, true)]
    [DataRow("memmap=256M$512M", true, true)]
    [DataRow("memmap=511M$1M", false, false)]
    [DataRow("memmap=1G$4G", true, false)]
    [DataRow("memmap=256M$2G", true, false)]
    [DataRow("memmap=511M#1M", true, false)]
    public void Low_RAM_that_a_host_with_EFI_keeps_already_is_to_be_given_back(string options, bool isEfi, bool isTold)
    {
        Host host = Booted(options);

        ReservePlan plan = ReservePlanner.Plan(new() { Host = host with { Traits = host.Traits with { IsEfi = isEfi } }, Start = 512 << 20 });

        Problem? problem = plan.Problems.SingleOrDefault(static problem => problem.Message.Contains("boots by EFI: its kernel does not avoid",
            System.StringComparison.Ordinal));
        Assert.AreEqual(isTold, problem is not null);
        if (problem is null)
            return;
        Assert.AreEqual((Severity.Error, ReserveProblemCodes.CommandLineConflict), (problem.Severity, problem.Code));
        Assert.StartsWith(options, problem.Message);
        Assert.AreEqual("take it off the command line", problem.Remedy!.ToString());
    }

    [TestMethod]
    public void The_command_line_is_that_of_the_Linux_that_printed_the_map()
    {
        const string log = "[    0.000000] Linux version 6.1.0 (a)\n[    0.000000] Command line: ro memmap=1G$4G\n"
            + "[    0.000000] BIOS-e820: [mem 0x0000000000000000-0x00000000bfffffff] usable\n";

        Assert.AreEqual("memmap=1G$4G", string.Join(' ', MapFixtures.Expect(MapFixtures.ReadText(log)).Host.Traits.KernelOptions!.Value));
    }

    private static ReservePlan Above(string? options) => ReservePlanner.Plan(new()
    {
        Host = Booted(options),
        Start = 0,
        Ranges = [ByteRange.FromBounds(4 * GiB, 5 * GiB)],
    });

    private static ReservePlan Below(string options) => ReservePlanner.Plan(new() { Host = Booted(options), Start = 512 << 20 });

    private static Host Booted(string? options) =>
        new() { Entries = s_map, Traits = new() { KernelOptions = options is null ? null : KernelOptions.Of(options) } };
}
