// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Guests;
using Keyhole.Platforms.Qemu;
using Microsoft.VisualStudio.TestTools.UnitTesting;
using QemuUnknown = Keyhole.Platforms.Qemu.QemuUnknown;

namespace Keyhole.RealQemu.Tests;

/// <summary>What the harness does without starting anything.</summary>
[TestClass]
public sealed class RandomGuestsTests
{
    [TestMethod]
    public void The_same_seed_makes_the_same_guests()
    {
        string[] first = Guests(7, 20), again = Guests(7, 20), other = Guests(8, 20);
        Assert.IsTrue(first.SequenceEqual(again));
        Assert.IsFalse(first.SequenceEqual(other));

        static string[] Guests(int seed, int count)
        {
            var guests = new RandomGuests(seed, ["7.2"], ["seabios-1.16.2", "ovmf-2022.11"]);
            return [.. Enumerable.Range(0, count).Select(_ => guests.Next().ToString())];
        }
    }

    [TestMethod]
    public void Every_guest_made_at_random_can_be_forecast()
    {
        var guests = new RandomGuests(3, ["5.2", "7.2", "10.0"], [.. FirmwareRelease.All.Select(static release => release.Name)]);
        var unknown = new List<string>();
        for (int i = 0; i < 500; i++)
        {
            QemuConfig config = guests.Next();
            if (!QemuForecaster.TryForecast(config.ToMachine(), out _, out QemuUnknown why))
                unknown.Add($"{why}: {config}");
        }

        Assert.IsEmpty(unknown, string.Join('\n', unknown.Take(5)));
    }

    [TestMethod]
    public void A_remedy_is_the_record_s_guest_with_what_is_recommended_and_nothing_else()
    {
        foreach (Remedy remedy in Remedy.OfAll(QemuRecord.All.Where(static record => record.Line % 5 == 0)))
        {
            QemuMachine changed = remedy.Trial.Changes.Aggregate(remedy.Of.Machine, static (machine, change) => change.ApplyTo(machine));
            Assert.AreEqual(changed, remedy.Config.ToMachine(), remedy.Of.Name);
        }
    }
}
