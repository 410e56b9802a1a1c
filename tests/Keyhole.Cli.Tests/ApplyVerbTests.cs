// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using Keyhole.Dom0;
using Keyhole.E820;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class ApplyVerbTests : IDisposable
{
    private readonly FakeDom0 _dom0 = new();

    public void Dispose() => _dom0.Dispose();

    [TestMethod]
    public void The_new_map_is_installed_and_shown_beside_the_old()
    {
        JsonElement applied = Run("apply", "g1", "--json").Json();

        Assert.IsTrue(applied.GetProperty("installed").GetBoolean());
        Assert.AreEqual("boots", applied.GetProperty("forecast").GetProperty("outcome").GetString());
        Assert.AreEqual("0x800000", applied.GetProperty("old")[0].GetProperty("end").GetString());
        E820Entry[] map = _dom0.GuestsMap();
        Assert.AreEqual(E820Entry.FromBounds(0x900000, 0x10100000, E820Type.Ram), map[2]);
        Assert.HasCount(map.Length, applied.GetProperty("new").EnumerateArray());
    }

    [TestMethod]
    public void A_dry_run_shows_the_same_and_changes_nothing()
    {
        string dry = Run("apply", "g1", "--dry-run").Output;

        Assert.Contains("nothing was changed (--dry-run)", dry);
        Assert.IsEmpty(_dom0.GuestsMap());
        Assert.IsFalse(Directory.Exists(_dom0.Machine.StateFolder));
        Assert.AreEqual(dry.Replace("nothing was changed (--dry-run)", "installed", StringComparison.Ordinal), Run("apply", "g1").Output);
    }

    [TestMethod]
    public void Undo_puts_libxls_map_back_also_after_two_changes()
    {
        Run("apply", "g1");
        _dom0.Write("map.txt", "0 10000000 1\n");
        Run("apply", "g1", "--map", Path.Combine(_dom0.Root, "map.txt"));
        Assert.HasCount(1, _dom0.GuestsMap());

        CommandRun undo = Run("apply", "g1", "--undo");

        Assert.AreEqual(0, undo.Status, undo.Errors);
        E820Entry[] map = _dom0.GuestsMap();
        Assert.AreEqual(E820Entry.FromBounds(0, 0x800000, E820Type.Ram), map[0]);
        Assert.AreEqual(E820Entry.FromSize(1UL << 32, 248UL << 20, E820Type.Ram), map[^1]);
        Refused(1, "Keyhole has given it no map", "apply", "g1", "--undo");
    }

    [TestMethod]
    [DataRow("--host")]
    [DataRow("--map")]
    public void A_map_of_which_a_part_is_missing_is_not_installed(string option)
    {
        string cut = Path.Combine(_dom0.Root, "cut.log");
        _dom0.Write("cut.log", "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n[...]\n"
            + "(XEN)  [0000000100000000, 00000001ffffffff] (usable)\n");

        Refused(2, "a part of the map is missing: what is installed has to be whole", "apply", "g1", option, cut);
        Assert.IsEmpty(_dom0.GuestsMap());
    }

    [TestMethod]
    public void A_later_guest_of_the_same_number_is_not_given_an_earlier_ones_map_back()
    {
        Run("apply", "g1");
        _dom0.Info = _dom0.Info with { Uuid = Guid.Empty };

        Refused(1, "Keyhole has given it no map", "apply", "g1", "--undo");
    }

    [TestMethod]
    public void A_map_of_ones_own_may_be_too_short_and_the_forecast_says_what_comes_of_it()
    {
        _dom0.Write("map.txt", "0 c000000 1\nc000000 40000000 2\n");

        JsonElement applied = Run("apply", "g1", "--guest-map", Path.Combine(_dom0.Root, "map.txt"), "--json").Json();

        Assert.AreEqual(16384, applied.GetProperty("forecast").GetProperty("releasedPages").GetInt32());
        Assert.HasCount(2, _dom0.GuestsMap());
    }

    [TestMethod]
    public void A_guest_that_does_not_match_its_configuration_is_refused()
    {
        _dom0.Info = _dom0.Info with { TotalPages = 70000 };

        Refused(1, "it has 70000 pages, the map has RAM for 65536", "apply", "g1");
    }

    [TestMethod]
    public void Dom0_running_used_foreign_and_missing_guests_are_refused_in_one_line()
    {
        Refused(1, "dom0 uses the machine's own map", "apply", "dom0");
        Refused(2, "there is no such domain", "apply", "g2");
        Refused(2, "there is no such domain", "apply", "77");
        Refused(2, "this is not a valid name of a domain", "apply", "--", "-x");
        Keyhole.Dom0.DomainInfo paused = _dom0.Info;
        _dom0.Info = paused with { IsPaused = false };
        Refused(1, "it runs, and has read its map already", "apply", "g1");
        _dom0.Info = paused with { CpuTimeNanoseconds = 1 };
        Refused(1, "it is paused but has run before", "apply", "g1", "--undo");
        _dom0.Info = paused with { IsHvm = true };
        Refused(1, "it is not a PV guest", "apply", "g1");
        _dom0.Info = paused with { IsDying = true };
        Refused(1, "it is dying", "apply", "g1");
        _dom0.IsXen = false;
        Refused(2, "/dev/xen/privcmd", "apply", "g1");
        Assert.IsEmpty(_dom0.GuestsMap());
    }

    [TestMethod]
    public void A_hypervisor_that_refuses_is_status_3_with_its_errors_name()
    {
        _dom0.Refuses = true;

        Refused(3, "XENMEM_machine_memory_map failed with EPERM (not permitted)", "apply", "g1");
    }

    [TestMethod]
    public void A_state_folder_that_cannot_be_written_leaves_the_map_as_it_was()
    {
        _dom0.Write("state", "in the way");

        Refused(2, "state", "apply", "g1");
        Assert.IsEmpty(_dom0.GuestsMap());
    }

    [TestMethod]
    public void Inspect_tells_state_pages_and_both_maps()
    {
        Run("apply", "g1");

        JsonElement inspected = Run("inspect", "g1", "--json").Json();

        Assert.AreEqual("paused", inspected.GetProperty("state").GetString());
        Assert.AreEqual(262144, inspected.GetProperty("targetKiB").GetInt32());
        Assert.AreEqual("punch", inspected.GetProperty("applied").GetProperty("policy").GetString());
        Assert.AreEqual("0x800000", inspected.GetProperty("toolstack").GetProperty("e820")[0].GetProperty("end").GetString());
        Assert.Contains("XENMEM_memory_map answers the caller alone", inspected.GetProperty("remark").GetString()!);
        string text = Run("inspect", "g1").Output;
        Assert.Contains("PV, paused; has never run", text);
        Assert.Contains("The map that Keyhole installed (punch; known: ", text);
        Assert.Contains("The map that libxl gave it before (reckoned from ", text);
        Assert.Contains("owns 65536 pages (256 MiB), may own 65792 pages (257 MiB)", text);
    }

    [TestMethod]
    public void Inspect_compares_a_running_guests_P2M_with_the_forecast_for_the_map_that_it_was_given()
    {
        const ulong identity = 1UL << 62;
        Run("apply", "g1");
        Refused(2, "no such file", "inspect", "g1", "--kernel-image", Path.Combine(_dom0.Root, "nothing-here"));
        _dom0.Info = _dom0.Info with { IsPaused = false, CpuTimeNanoseconds = 1 };
        Assert.Contains("its kernel has not said where its P2M list is", Run("inspect", "g1", "--json").Json().GetProperty("p2mRemark").GetString()!);
        Assert.Contains("Its P2M is not shown: its kernel has not said", Run("inspect", "g1").Output);

        // What the kernel has on punch's map: NVS at 8 MiB, the pages under it moved behind the guest's end.
        ulong OnPunch(ulong pfn) => pfn is < 0x800 or (>= 0x900 and < 0x10100) ? pfn + 1 : identity | pfn;
        _dom0.P2m = OnPunch;
        JsonElement p2m = Run("inspect", "g1", "--kernel", "linux-6.1", "--json").Json().GetProperty("p2m");
        JsonElement forecast = p2m.GetProperty("forecast");
        Assert.IsTrue(forecast.GetProperty("agrees").GetBoolean(), p2m.GetRawText());
        Assert.AreEqual("punch", forecast.GetProperty("map").GetString());
        Assert.IsTrue(forecast.GetProperty("kernelIsKnown").GetBoolean());
        Assert.AreEqual(65536, p2m.GetProperty("ramPages").GetInt32());
        Assert.AreEqual("0x800-0x900 identity", Row(p2m.GetProperty("runs")[1]));
        Assert.Contains("It is the forecast for linux-6.1 on punch's map, to the last page.", Run("inspect", "g1", "--kernel", "linux-6.1").Output);
        Assert.IsFalse(Run("inspect", "g1", "--json").Json().GetProperty("p2m").GetProperty("forecast").GetProperty("kernelIsKnown").GetBoolean());

        _dom0.P2m = pfn => pfn is 0x5000 or 0x5001 or 0x6000 ? ulong.MaxValue : OnPunch(pfn);
        forecast = Run("inspect", "g1", "--json").Json().GetProperty("p2m").GetProperty("forecast");
        Assert.IsFalse(forecast.GetProperty("agrees").GetBoolean());
        Assert.AreEqual(3, forecast.GetProperty("differingPages").GetInt32());
        JsonElement first = forecast.GetProperty("firstDifference");
        Assert.AreEqual("0x5000-0x5002 invalid ram", $"{first.GetProperty("start")}-{first.GetProperty("end")} {first.GetProperty("live")} {first.GetProperty("forecast")}");
        Assert.Contains("The first: [0x5000, 0x5002) are nothing, forecast was RAM.", Run("inspect", "g1").Output.ReplaceLineEndings(" ").Replace("   ", " "));

        static string Row(JsonElement run) => $"{run.GetProperty("start")}-{run.GetProperty("end")} {run.GetProperty("kind")}";
    }

    [TestMethod]
    public void Start_does_not_create_a_guest_that_is_forecast_to_die()
    {
        _dom0.Write("guest.cfg", "name=\"g2\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\n");
        string cfg = Path.Combine(_dom0.Root, "guest.cfg");

        CommandRun started = Run("start", cfg, "--policy", "libxl");

        Assert.AreEqual(1, started.Status);
        Assert.Contains("it was not started: the forecast says no", started.Output);
        Assert.IsEmpty(_dom0.Done);
    }

    [TestMethod]
    public void A_guest_whose_UUID_is_taken_is_not_created_and_the_other_is_left_alone()
    {
        _dom0.Write("guest.cfg", "name=\"g2\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\nuuid=\"11111111-2222-3333-4444-555555555555\"\n");

        Refused(1, "domain 5 has its UUID already", "start", Path.Combine(_dom0.Root, "guest.cfg"));
        Assert.IsEmpty(_dom0.Done);
    }

    [TestMethod]
    public void Two_commands_do_not_work_on_one_guest_at_a_time()
    {
        _dom0.Write("guest.cfg", "name=\"g2\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\nuuid=\"11111111-2222-3333-4444-555555555555\"\n");
        _dom0.Write("state/guest-11111111-2222-3333-4444-555555555555.lock", "");
        using var other = new FileStream(Path.Combine(_dom0.Machine.StateFolder, "guest-11111111-2222-3333-4444-555555555555.lock"), FileMode.Open,
            FileAccess.ReadWrite, FileShare.None);

        Refused(1, "another keyhole is at work on it", "start", Path.Combine(_dom0.Root, "guest.cfg"));
        Refused(1, "another keyhole is at work on it", "apply", "g1");
        Assert.IsEmpty(_dom0.Done);
        Assert.IsEmpty(_dom0.GuestsMap());
    }

    [TestMethod]
    public void A_guest_may_be_called_like_the_number_of_another()
    {
        _dom0.Write("guest.cfg", "name=\"5\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\n");

        Run("start", Path.Combine(_dom0.Root, "guest.cfg"));

        Assert.IsNotEmpty(_dom0.Done);
    }

    [TestMethod]
    [DataRow("", true, "died", "it died, though it was forecast to boot")]
    [DataRow("[mem 0xb0000000-0xfebfffff] available for PCI devices\n", true, "died", "it died, though it was forecast to boot")]
    [DataRow("[mem 0xb0000000-0xfebfffff] available for PCI devices\n", false, "stuck", "it set its memory up, but did not get through its start")]
    [DataRow("hello\n", false, "silent", "it said nothing of its memory in the time given")]
    public void A_guest_that_does_not_get_through_its_start_does_not_boot_and_is_destroyed(string said, bool ends, string outcome, string verdict)
    {
        using var console = new FakeConsole();
        _dom0.Console = console.Terminal;
        _dom0.Creation = new(0, "", "");
        _dom0.Creating = uuid => _dom0.Info = _dom0.Info with { Uuid = uuid };
        _dom0.Unpausing = () =>
        {
            console.Say(said);
            _dom0.Info = _dom0.Info with { IsPaused = false, IsShutdown = ends, ShutdownReason = 3 };
        };
        _dom0.Write("guest.cfg", "name=\"g2\"\ntype=\"pv\"\nmemory=256\nkernel=\"/k\"\n");

        CommandRun started = Run("start", Path.Combine(_dom0.Root, "guest.cfg"), "--timeout", "2", "--json");

        Assert.AreEqual(1, started.Status, started.Errors);
        SchemaTests.AssertValid("start", started.Output);
        Assert.Contains($"\"outcome\": \"{outcome}\"", started.Output);
        Assert.Contains(verdict, started.Output);
        Assert.AreEqual("xl destroy 5", _dom0.Done.Last());
        Assert.IsNotEmpty(_dom0.GuestsMap());
    }

    [TestMethod]
    [DataRow("punch", true)]
    [DataRow("libxl", false)]
    public void Start_says_that_the_map_is_gone_at_the_next_reboot_where_it_installed_one(string policy, bool says)
    {
        using var console = new FakeConsole();
        _dom0.Console = console.Terminal;
        _dom0.Creation = new(0, "", "");
        _dom0.Creating = uuid => _dom0.Info = _dom0.Info with { Uuid = uuid };
        _dom0.Unpausing = () =>
        {
            console.Say("hello\n");
            _dom0.Info = _dom0.Info with { IsPaused = false };
        };
        _dom0.Write("guest.cfg", "name=\"g2\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\n");
        string path = Path.Combine(_dom0.Root, "guest.cfg");

        CommandRun started = Run("start", path, "--policy", policy, "--anyway", "--keep", "--timeout", "2", "--json");

        JsonElement answer = started.Json();
        Assert.IsTrue(answer.GetProperty("kept").GetBoolean(), started.Output);
        Assert.AreEqual(says, answer.TryGetProperty("remark", out JsonElement remark));
        if (says)
            Assert.AreEqual($"at its next reboot the guest is on libxl's own map again: keyhole install {path} --policy punch makes this one last", remark.GetString());
    }

    [TestMethod]
    public void A_guest_that_xl_makes_again_after_its_end_is_destroyed_too()
    {
        using var console = new FakeConsole();
        _dom0.Console = console.Terminal;
        _dom0.Creation = new(0, "", "");
        _dom0.Creating = uuid => _dom0.Info = _dom0.Info with { Uuid = uuid };
        _dom0.Unpausing = () =>
        {
            // xl destroys it, and makes it again two seconds after.
            Guid uuid = _dom0.Info.Uuid;
            _dom0.Info = _dom0.Info with { Uuid = Guid.Empty, IsPaused = false, IsShutdown = true };
            _ = System.Threading.Tasks.Task.Delay(TimeSpan.FromSeconds(2.5))
                .ContinueWith(_ => _dom0.Info = _dom0.Info with { Uuid = uuid, IsShutdown = false }, System.Threading.Tasks.TaskScheduler.Default);
        };
        _dom0.Write("guest.cfg", "name=\"g2\"\ntype=\"pv\"\nmemory=256\nkernel=\"/k\"\non_crash=\"restart\"\n");

        CommandRun started = Run("start", Path.Combine(_dom0.Root, "guest.cfg"), "--timeout", "2", "--json");

        Assert.AreEqual(1, started.Status, started.Errors);
        Assert.AreEqual("xl destroy 5", _dom0.Done.Last());
    }

    [TestMethod]
    [DataRow("on_crash=\"restart\"", 3, true)]
    [DataRow("on_crash=\"coredump-restart\"", 3, true)]
    [DataRow("on_crash=\"restart\"", 0, false)]
    [DataRow("", 3, false)]
    [DataRow("", 1, true)]
    [DataRow("", 2, false)]
    [DataRow("on_reboot=\"destroy\"", 1, false)]
    [DataRow("", -1, true)]
    [DataRow("on_reboot=\"destroy\"", -1, false)]
    [DataRow("on_crash=\"destroy\"", 99, false)]
    public void A_guest_that_ended_returns_where_its_configuration_has_xl_make_it_again(string setting, int reason, bool returns)
    {
        using var text = new MemoryStream(System.Text.Encoding.UTF8.GetBytes($"name=\"g\"\ntype=\"pv\"\nmemory=256\n{setting}\n"));
        Assert.IsTrue(Guests.GuestReader.Read(text, "g.cfg").TryGet(out Guests.GuestDocument? guest, out _));
        DomainInfo? last = reason < 0 ? null : new() { Id = new(7), IsShutdown = true, ShutdownReason = reason };

        Assert.AreEqual(returns, GuestLauncher.MayReturn(guest.Guest, last));
    }

    [TestMethod]
    public void A_creation_that_fails_is_said_and_nothing_is_left_of_it()
    {
        // xl makes the domain, and then finds that it cannot go on.
        _dom0.Creating = uuid => _dom0.Info = _dom0.Info with { Uuid = uuid };
        _dom0.Write("guest.cfg", "name=\"g2\"\ntype=\"pv\"\nmemory=256\ne820_host=1\nkernel=\"/k\"\nuuid=\"22222222-2222-3333-4444-555555555555\"\n");

        CommandRun started = Run("start", Path.Combine(_dom0.Root, "guest.cfg"));

        Assert.AreEqual(3, started.Status);
        Assert.Contains("keyhole: xl create: failed: \"libxl: error: no memory\"", started.Errors);
        Assert.AreEqual("xl destroy 5", _dom0.Done.Last());
    }

    [TestMethod]
    public void A_guest_whose_name_is_taken_is_left_alone()
    {
        _dom0.Write("guest.cfg", "name=\"g1\"\ntype=\"pv\"\nmemory=256\nkernel=\"/k\"\n");

        Refused(1, "there is a domain of that name already (5)", "start", Path.Combine(_dom0.Root, "guest.cfg"));
        Assert.IsEmpty(_dom0.Done);
    }

    [TestMethod]
    public void Only_PV_guests_of_an_xl_cfg_are_started()
    {
        _dom0.Write("hvm.cfg", "name=\"h\"\ntype=\"hvm\"\nmemory=256\n");
        Refused(2, "the guest is not a PV guest: hvmloader makes an HVM guest's map from its mmio_hole=, and no installed map reaches "
            + "its firmware; ask 'keyhole compare'", "start", Path.Combine(_dom0.Root, "hvm.cfg"));
        _dom0.Write("pvh.cfg", "name=\"h\"\ntype=\"pvh\"\nmemory=256\nkernel=\"/k\"\n");
        Refused(2, "the guest is not a PV guest: libxl writes a PVH guest's map into its memory", "start", Path.Combine(_dom0.Root, "pvh.cfg"));
        _dom0.Write("anon.cfg", "type=\"pv\"\nmemory=256\n");
        Refused(2, "the guest has no name", "start", Path.Combine(_dom0.Root, "anon.cfg"));
    }

    private CommandRun Run(params string[] args) => CommandRun.InDom0(_dom0.Machine, args);

    private void Refused(int status, string because, params string[] args)
    {
        CommandRun run = Run(args);
        Assert.AreEqual(status, run.Status, run.Errors);
        Assert.Contains(because, run.Errors);
        Assert.HasCount(1, run.Errors.TrimEnd('\n').Split('\n').Where(static line => !line.StartsWith("note: ", StringComparison.Ordinal)));
        Assert.AreEqual("", run.Output);
    }

    [TestMethod]
    public void A_guest_that_stands_amid_sentences_is_left_alone()
    {
        const string domain = "<domain type='xen'>\n  <name>g1</name>\n  <memory unit='MiB'>256</memory>\n  <os><type>linux</type></os>\n</domain>\n";
        string file = Path.Combine(_dom0.Root, "pasted.txt");
        File.WriteAllText(file, $"Hi all, is this right?\n\n{domain}\nThanks\n");

        CommandRun refused = Run("apply", "--guest", file);
        File.WriteAllText(file, domain);
        CommandRun alone = Run("apply", "--guest", file);

        Assert.AreEqual(2, refused.Status);
        Assert.Contains("pasted.txt:1: there is other text around the guest's configuration; give a file with the configuration alone",
            refused.Errors);
        Assert.DoesNotContain("around the guest's configuration", alone.Errors);
    }
}
