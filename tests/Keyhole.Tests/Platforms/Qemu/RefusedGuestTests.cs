// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Platforms;
using Keyhole.Platforms.Qemu;
using Keyhole.RealQemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms.Qemu;

/// <summary>Guests that QEMU does not start, beside the like that it starts.</summary>
[TestClass]
public sealed class RefusedGuestTests
{
    private static IEnumerable<object?[]> All => RefusedGuests.All.Select(static guest => new object?[] { guest.Arguments, guest.Words });

    [TestMethod]
    [DynamicData(nameof(All))]
    public void What_QEMU_7_2_refuses_is_refused_in_its_words_and_what_it_takes_is_not(string arguments, string? words)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes($"qemu-system-x86_64 -nodefaults -accel tcg {arguments}")), "qemu.cmd")
            .TryGet(out GuestDocument? document, out InputError? error), error?.ToString());
        Assert.IsTrue(document.Guest.Qemu!.TryResolve(new QemuSurroundings { Emulator = new QemuVersion(7, 2) }, out QemuMachine machine, out _));
        Assert.IsTrue(QemuForecaster.TryForecast(machine, out QemuForecast forecast, out _));
        Assert.AreEqual(words, forecast.Outcome == GuestOutcome.Refused ? forecast.Message : null);
    }
}
