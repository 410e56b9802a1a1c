// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.E820;
using Keyhole.Hosts;

namespace Keyhole.RealXen;

/// <summary>
/// Whether two records say the same. Compared is all that follows from maps and sizes: every E820, pages released and remapped, where an initrd was
/// moved, PCI gaps, resources, hvmloader's messages, libxl's maps and errors, BARs and complaints, who died. Not compared is what depends on time, on
/// free memory, or on the build of a kernel and the size of an initramfs, which change with Debian's security updates.
/// </summary>
public static class RecordComparison
{
    private static readonly string[] s_buildDependent = [" : Kernel code", " : Kernel rodata", " : Kernel data", " : Kernel bss"];

    // Of hvmloader's messages: what this computer's speed and Debian's updates change.
    private static readonly string[] s_passingMessages = ["CPU speed is ", "Detected Xen ", " - CPU"];

    /// <summary>Every difference, a line each; empty where the records agree.</summary>
    public static ImmutableArray<string> Differences(GoldenRecord golden, GoldenRecord remade)
    {
        List<(string What, string Value)> expected = Facts(golden), observed = Facts(remade);
        var differences = ImmutableArray.CreateBuilder<string>();
        ILookup<string, string> expectedOf = expected.ToLookup(fact => fact.What, fact => fact.Value),
            observedOf = observed.ToLookup(fact => fact.What, fact => fact.Value);
        foreach (string what in expected.Concat(observed).Select(fact => fact.What).Distinct())
        {
            string[] wanted = [.. expectedOf[what]], got = [.. observedOf[what]];
            for (int i = 0; i < Math.Max(wanted.Length, got.Length); i++)
            {
                string was = i < wanted.Length ? wanted[i] : "nothing", now = i < got.Length ? got[i] : "nothing";
                if (was != now)
                    differences.Add($"{what}: golden \"{was}\", now \"{now}\"");
            }
        }

        return differences.ToImmutable();
    }

    private static List<(string What, string Value)> Facts(GoldenRecord record)
    {
        var facts = new List<(string What, string Value)>
        {
            ("Xen's command line", record.XenCommandLine),
            ("source of the firmware map", record.MapSource),
            ("system RAM", $"{record.SystemRamKiB} KiB"),
            ("dom0 halted", $"{record.Halted}"),
            ("all done", $"{record.AllDone}"),
        };
        Add("firmware map", record.FirmwareMap);
        foreach ((string name, (ulong start, ulong end)) in record.Dom0Spans)
        {
            // Where these start is Xen's choice; how long the p2m list is follows from dom0's size.
            if (name is "Loaded kernel")
                facts.Add((name, $"{start:x}"));
            if (name is "Phys-Mach map")
                facts.Add((name, $"{start:x}->{end:x}"));
        }

        Kernel("dom0", record.Dom0Kernel);
        Lines("dom0's /proc/iomem", record.Dom0Iomem);
        Lines("BARs", record.Bars);
        foreach (GuestRecord guest in record.Guests)
        {
            facts.Add(($"{guest.Name} done", $"{guest.Done}"));
            facts.Add(($"{guest.Name} died", $"{guest.Died}"));
            Lines($"{guest.Name}'s xl.cfg", guest.Config);
            Lines($"{guest.Name}'s map by libxl", guest.XlMap);
            Lines($"{guest.Name}: libxl", guest.XlMessages.Select(WithoutDomain));
            foreach ((string name, (ulong firstPfn, ulong pages)) in guest.Segments)
            {
                if (name is "kernel")
                    facts.Add(($"{guest.Name}'s kernel", $"pfn {firstPfn:x}"));
                if (name is "phys2mach")
                    facts.Add(($"{guest.Name}'s p2m list", $"{pages:x} pages"));
            }

            Lines($"{guest.Name}: hvmloader",
                guest.HvmLoader.Where(line => !s_passingMessages.Any(message => line.StartsWith(message, StringComparison.Ordinal))));
            if (guest.Kernel is { } kernel)
                Kernel(guest.Name, kernel);
            Lines($"{guest.Name}'s /proc/iomem", guest.Iomem);
            Lines($"{guest.Name}'s network", guest.Net);
        }

        return facts;

        void Add(string what, ImmutableArray<E820Entry> map) =>
            facts.AddRange(map.Select(entry => (what, $"{entry.Address:x}-{entry.End:x} {E820TypeNames.NameOf(entry.Type)}")));

        void Lines(string what, IEnumerable<string> lines) =>
            facts.AddRange(lines.Where(line => !s_buildDependent.Any(ending => line.EndsWith(ending, StringComparison.Ordinal)))
                .Select(line => (what, line)));

        void Kernel(string who, KernelReport report)
        {
            Add($"{who}'s E820", report.E820);
            facts.Add(($"{who}: released", $"{report.ReleasedPages}"));
            facts.Add(($"{who}: remapped", $"{report.RemappedPages}"));
            facts.Add(($"{who}: initrd moved", report.InitrdMoved is var (from, to) ? $"{from:x} to {to:x}" : "no"));
            facts.Add(($"{who}: PCI gap", report.PciGap is var (start, end) ? $"{start:x}-{end:x}" : "none"));
            facts.Add(($"{who}: memory", $"{report.MemoryKiB} KiB"));
            facts.AddRange(report.LastPfns.Select(pfn => ($"{who}: last_pfn", $"{pfn:x}")));
            Lines($"{who}: complaints", report.Complaints);
        }
    }

    // "Domain 3:" counts the guests created before, which a shorter run has fewer of.
    private static string WithoutDomain(string line)
    {
        int at = line.IndexOf(": Domain ", StringComparison.Ordinal);
        int colon = at < 0 ? -1 : line.IndexOf(':', at + 2);
        return colon < 0 ? line : string.Concat(line.AsSpan(0, at + 2), line.AsSpan(colon + 1));
    }
}
