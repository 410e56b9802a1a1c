// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text.Json;
using Keyhole.Dom0;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>What is told of a domain that is there: how it was made, not what it is by now, and nothing that nobody knows.</summary>
[TestClass]
public sealed class LiveDomainTests : IDisposable
{
    private const string Smaller =
        """[{"config":{"c_info":{"type":"pv","name":"g1"},"b_info":{"max_memkb":262144,"target_memkb":131072,"type.pv":{"e820_host":"True"}}}}]""";

    private const string Hvm = """
        [{"config":{"c_info":{"type":"hvm","name":"g1"},"b_info":{"max_memkb":262144,"target_memkb":262144,"video_memkb":8192,
        "type.hvm":{"bios":"ovmf","mmio_hole_memkb":2097152}}}}]
        """;

    private readonly FakeDom0 _dom0 = new();

    public void Dispose() => _dom0.Dispose();

    [TestMethod]
    public void Libxls_map_is_reckoned_from_the_memory_that_the_guest_was_made_with()
    {
        _dom0.Info = _dom0.Info with { IsPaused = false, CpuTimeNanoseconds = 1 };
        string made = Run("inspect", "g1", "--json").Json().GetProperty("toolstack").GetRawText();

        // After xl mem-set g1 128
        _dom0.Listing = Smaller;

        Assert.AreEqual(made, Run("inspect", "g1", "--json").Json().GetProperty("toolstack").GetRawText());
    }

    [TestMethod]
    public void Without_the_memory_that_a_guest_was_made_with_its_map_is_not_known_once_it_has_run()
    {
        File.Delete(Path.Combine(_dom0.Root, FakeDom0.RecordPath("libxl-json")));
        Assert.IsTrue(Run("inspect", "g1", "--json").Json().TryGetProperty("toolstack", out _));
        _dom0.Listing = Smaller;
        foreach (DomainInfo info in (DomainInfo[])[_dom0.Info, _dom0.Info with { IsPaused = false, CpuTimeNanoseconds = 1 }])
        {
            _dom0.Info = info;
            _dom0.P2m = static pfn => pfn;

            CommandRun run = Run("inspect", "g1", "--json");

            SchemaTests.AssertValid("inspect", run.Output);
            Assert.IsFalse(run.Json().TryGetProperty("toolstack", out _), run.Output);
            Assert.Contains("xl list -l tells the memory that the domain has now", run.Json().GetProperty("toolstackRemark").GetString()!);
            Assert.IsFalse(run.Json().TryGetProperty("p2m", out JsonElement p2m) && p2m.TryGetProperty("forecast", out _), run.Output);
            Assert.Contains("which map libxl gave it is not known", Run("inspect", "g1").Errors);
        }
    }

    [TestMethod]
    public void Of_an_HVM_guest_no_map_is_told()
    {
        _dom0.Listing = Hvm;
        _dom0.Info = _dom0.Info with { IsHvm = true };

        CommandRun run = Run("inspect", "g1");

        Assert.AreEqual(0, run.Status, run.Errors);
        Assert.DoesNotContain("0xeffff000", run.Output);
        Assert.DoesNotContain("The map that", run.Output);
        Assert.Contains("hvmloader makes an HVM guest's map in the guest", run.Errors);
    }

    [TestMethod]
    public void What_to_change_is_said_in_the_words_of_who_made_the_guest()
    {
        _dom0.Listing = Hvm;
        _dom0.Info = _dom0.Info with { IsHvm = true };
        string byXl = Run("apply", "g1").Errors;
        _dom0.Write(FakeDom0.RecordPath("libvirt-xml"), "<domain/>");
        string byLibvirt = Run("apply", "g1").Errors;

        Assert.Contains("ask 'keyhole compare' which mmio_hole= places its BARs, or set type=\"pv\"", byXl);
        Assert.Contains("set <os><type>xen</type></os>", byLibvirt);
    }

    /// <summary>It says the same of a domain that is not there and, behind an error, where it could not list the domains.</summary>
    [TestMethod]
    [DataRow("libxl: error: libxl.c:1: cannot open libxc handle: Permission denied\n")]
    [DataRow("libxl: error: libxl_domain.c:335:libxl_list_domain: getting domain info list: Permission denied\n"
        + "Can't get domid of domain name 'g1', maybe this domain does not exist.\n")]
    public void An_xl_that_fails_is_not_taken_for_a_domain_that_is_not_there(string error)
    {
        _dom0.DomidError = error;
        _dom0.Write("g2.cfg", "name=\"g2\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\n");
        foreach (string[] command in (string[][])[["apply", "g1"], ["inspect", "g1"], ["start", Path.Combine(_dom0.Root, "g2.cfg")]])
        {
            CommandRun run = Run(command);

            Assert.AreEqual(3, run.Status, run.Errors);
            Assert.Contains("xl domid: failed: \"libxl: error: ", run.Errors);
            Assert.Contains("Permission denied", run.Errors);
            Assert.DoesNotContain("no such domain", run.Errors);
        }

        Assert.IsEmpty(_dom0.Done);
    }

    private CommandRun Run(params string[] args) => CommandRun.InDom0(_dom0.Machine, args);
}
