// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests;

/// <summary>Every guest that the real xl started for the golden records, against what libxl said it had read.</summary>
[TestClass]
public sealed partial class GoldenGuestTests
{
    private sealed record GoldenGuest(string Name, string Config, string Output);

    [TestMethod]
    public void Memory_and_balloon_are_what_libxl_says_they_are()
    {
        int compared = 0;
        foreach (GoldenGuest golden in Guests())
        {
            GuestDocument document = Read(golden);
            GuestSpec guest = document.Guest;
            Match line = Computed().Match(golden.Output);
            Assert.AreEqual(line.Success, guest.UsesHostMap, golden.Name);
            if (!line.Success)
                continue;
            Assert.AreEqual(line.Groups["memory"].Value, $"{guest.MemoryKiB}", golden.Name);
            // libxl subtracts without a check, so a maxmem below memory wraps.
            Assert.AreEqual(line.Groups["balloon"].Value, $"{unchecked(guest.MaxmemKiB - guest.MemoryKiB)}", golden.Name);
            compared++;
        }

        Assert.IsGreaterThan(50, compared);
    }

    [TestMethod]
    public void The_rest_is_what_the_file_says()
    {
        foreach (GoldenGuest golden in Guests())
        {
            GuestDocument document = Read(golden);
            GuestSpec guest = document.Guest;
            Assert.AreEqual("g1", guest.Name);
            Assert.AreEqual(GuestType.Pv, guest.Type);
            Assert.AreEqual("/k/vmlinuz", guest.Kernel);
            Assert.AreEqual("/k/initrd.gz", guest.Ramdisk);
            Assert.AreEqual("console=hvc0 earlyprintk=xen loglevel=8 ", guest.CommandLine);
            StringAssert.Contains(golden.Config, $"\nvcpus={guest.Vcpus}\n", golden.Name);
            Assert.AreEqual(golden.Config.Contains("e820_host=", StringComparison.Ordinal)
                ? !golden.Config.Contains("e820_host=0", StringComparison.Ordinal) : null, guest.E820Host);
            string[] pci = golden.Config.Contains("pci=['00:02.0']", StringComparison.Ordinal) ? ["0000:00:02.0"] : [];
            CollectionAssert.AreEqual(pci, guest.Pci.Select(entry => entry.ToString()).ToArray());
            CollectionAssert.AreEqual(new[] { new GuestSetting("on_poweroff", "\"preserve\"") }, document.OtherSettings.ToArray());
            bool isSilentOnMemory = !golden.Config.Contains("memory=", StringComparison.Ordinal);
            CollectionAssert.AreEqual(isSilentOnMemory ? ["memory is not set: libxl gives the guest 32 MiB"] : Array.Empty<string>(),
                document.Remarks.ToArray(), golden.Name);
        }
    }

    [TestMethod]
    public void A_pci_device_turns_e820_host_on_against_the_file()
    {
        GuestSpec guest = Read(Guests().Single(golden => golden.Name == "iommu.log pci-noe820")).Guest;
        Assert.IsFalse(guest.E820Host);
        Assert.IsTrue(guest.UsesHostMap);
        Assert.IsTrue(guest.HostMapForcedByPci);
    }

    private static GuestDocument Read(GoldenGuest golden)
    {
        Assert.IsTrue(GuestReader.Read(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(golden.Config)), golden.Name)
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        return guest;
    }

    private static List<GoldenGuest> Guests()
    {
        var guests = new List<GoldenGuest>();
        foreach (string path in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "fixtures", "golden"), "*.log")
            .Order(StringComparer.Ordinal))
        {
            string[] sections = File.ReadAllText(path).Split("=== GUEST ");
            foreach (string section in sections.Skip(1))
            {
                string[] parts = section.Split("=== ");
                int nameEnd = parts[0].IndexOf('\n', StringComparison.Ordinal);
                guests.Add(new GoldenGuest($"{Path.GetFileName(path)} {parts[0][..nameEnd]}", parts[0][(nameEnd + 1)..],
                    string.Concat(parts.Skip(1))));
            }
        }

        Assert.HasCount(60, guests);
        return guests;
    }

    [GeneratedRegex(@"e820_sanitize: Memory: (?<memory>\d+)kB .* Balloon (?<balloon>\d+)kB", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Computed();
}
