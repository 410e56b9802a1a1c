// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Platforms.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>BARs that OVMF left out, and what Linux 6.1 then did with them: each guest was started in QEMU 7.2 with OVMF 2022.11, its kernel given to
/// QEMU (<c>-kernel</c>).</summary>
[TestClass]
public sealed class QemuLinuxRoomTests
{
    private static string[] Messages(string options, bool isStartedByQemu = true)
    {
        string text = $"qemu-system-x86_64 -nodefaults -accel tcg -m 4096 {options}";
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "qemu.cmd")
            .TryGet(out GuestDocument? document, out InputError? error), error?.ToString());
        Assert.IsTrue(QemuFirmware.TryParse("ovmf-2022.11", out QemuFirmware release));
        var around = new QemuSurroundings { Firmware = release, Emulator = new QemuVersion(7, 2) };
        Assert.IsTrue(document.Guest.Qemu!.TryResolve(around, out QemuMachine machine, out _));
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _));
        List<Problem> problems = [];
        QemuLinuxRoom.Report(forecast, isStartedByQemu, problems);
        Assert.IsTrue(problems.All(static problem => problem is { Code: ProblemCodes.LeftToLinux, Severity: Severity.Info }));
        return [.. problems.Select(static problem => problem.Message)];
    }

    private const string Ports2 = "-device pcie-root-port,id=p,chassis=1,slot=1 -device pcie-root-port,id=q,chassis=2,slot=2 ";

    [TestMethod]
    [DataRow("-machine pc-q35-7.2 -cpu qemu64,phys-bits=38 -global q35-pcihost.pci-hole64-size=128G -device pcie-root-port,id=p,slot=1 "
        + "-device pci-testdev,membar=64G,bus=p", "BAR 2 of 0000:01:00.0 (64 GiB", "[0x180000000, 0x2180000000)")]
    [DataRow("-machine pc-q35-7.2 -cpu qemu64,phys-bits=38 -global q35-pcihost.pci-hole64-size=128G " + Ports2
        + "-device pci-testdev,membar=64G,bus=p -device pci-testdev,membar=16G,bus=q",
        "BAR 2 of 0000:01:00.0 (64 GiB", "[0x800000000, 0x2800000000)")]
    [DataRow("-machine pc-q35-7.2 -cpu qemu64,phys-bits=38 -global q35-pcihost.pci-hole64-size=200G " + Ports2
        + "-device pci-testdev,membar=16G,bus=p -device pci-testdev,membar=32G,bus=q",
        "BAR 2 of 0000:02:00.0 (32 GiB", "[0x800000000, 0x3a00000000)")]
    [DataRow("-machine pc-i440fx-7.2 -cpu qemu64,phys-bits=38 -global i440FX-pcihost.pci-hole64-size=128G -device pci-testdev,membar=64G",
        "BAR 2 of 0000:00:02.0 (64 GiB", "[0x140000000, 0x2140000000)")]
    public void A_BAR_that_Linux_placed_itself_has_room_in_ACPIs_window(string options, string bar, string window)
    {
        string message = Messages(options).Single();

        Assert.StartsWith("a Linux guest looks for a place itself", message);
        Assert.Contains(bar, message);
        Assert.Contains(window, message);
        Assert.DoesNotContain("not for all at once", message);
    }

    [TestMethod]
    [DataRow("-machine pc-q35-7.2 -cpu qemu64,phys-bits=38 -device pci-testdev,membar=128G", "0000:00:01.0 (128 GiB")]
    [DataRow("-machine pc-q35-7.2 -cpu qemu64,phys-bits=40 -device pcie-root-port,id=p,slot=1 -device pci-testdev,membar=1T,bus=pcie.0",
        "0000:00:02.0 (1 TiB")]
    [DataRow("-machine pc-q35-7.2 -cpu qemu64,phys-bits=40 -device pcie-root-port,id=p,slot=1 -device pci-testdev,membar=1T,bus=p",
        "0000:01:00.0 (1 TiB")]
    public void A_BAR_larger_than_ACPIs_window_finds_no_place_in_Linux_either(string options, string bar)
    {
        string message = Messages(options).Single();

        Assert.StartsWith("a Linux guest finds no place either", message);
        Assert.Contains(bar, message);
    }

    [TestMethod]
    public void Of_two_BARs_that_each_have_room_Linux_placed_one()
    {
        string message = Messages("-machine pc-q35-7.2 -cpu qemu64,phys-bits=39 -global q35-pcihost.pci-hole64-size=128G " + Ports2
            + "-device pcie-root-port,id=r,chassis=3,slot=3 -device pci-testdev,membar=64G,bus=p -device pci-testdev,membar=64G,bus=q "
            + "-device pci-testdev,membar=16G,bus=r").Single();

        Assert.Contains("0000:01:00.0 (64 GiB) and BAR 2 of 0000:02:00.0 (64 GiB), but not for all at once", message);
    }

    [TestMethod]
    public void One_BAR_is_placed_by_Linux_and_one_is_not()
    {
        string[] messages = Messages("-machine pc-q35-7.2 -cpu qemu64,phys-bits=40 " + Ports2
            + "-device nvme,serial=a,bus=p,cmb_size_mb=1024 -device pci-testdev,membar=1T,bus=pcie.0");

        Assert.HasCount(2, messages);
        Assert.Contains("has room for BAR 2 of 0000:01:00.0 (1 GiB", messages[0]);
        Assert.Contains("no place either for BAR 2 of 0000:00:03.0 (1 TiB", messages[1]);
    }

    [TestMethod]
    public void Where_the_windows_of_bridges_are_in_the_way_Linux_found_no_place_by_itself()
    {
        string message = Messages("-machine pc-q35-7.2 -cpu qemu64,phys-bits=38 " + Ports2
            + "-device pci-testdev,membar=32G,bus=p -device pci-testdev,membar=16G,bus=q").Single();

        Assert.StartsWith("a Linux guest finds no place by itself for BAR 2 of 0000:01:00.0 (32 GiB", message);
        Assert.EndsWith("is not known", message);
    }

    [TestMethod]
    [DataRow("-machine pc-q35-7.2 -cpu qemu64,phys-bits=40 -device pci-testdev,membar=64G", true, DisplayName = "all is placed")]
    [DataRow("-machine pc-q35-7.2 -cpu qemu64,phys-bits=38 -device pci-testdev,membar=128G", false, DisplayName = "no disk, no kernel")]
    [DataRow("-machine pc-q35-7.2 -cpu qemu64,phys-bits=38 -device pxb-pcie,id=x,bus_nr=64 -device pcie-root-port,id=p,slot=1,bus=x "
        + "-device pci-testdev,membar=64G,bus=p", true, DisplayName = "an expander")]
    public void Nothing_is_said_where_no_Linux_runs_or_its_windows_are_not_known(string options, bool isStartedByQemu) =>
        Assert.IsEmpty(Messages(options, isStartedByQemu));
}
