// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Pci;
using Keyhole.Platforms;

namespace Keyhole.Tests.Platforms.XenHvm;

/// <summary>A guest of a record of tests/fixtures/hvm, taken apart with simple means of its own: the judge must not depend on the code it
/// judges.</summary>
internal sealed partial class HvmRecord
{
    private HvmRecord(string name, Host host, string[] config, string[] xl, string[] said, string[] kernel)
    {
        Name = name;
        Host = host;
        Config = config;
        Xl = xl;
        Said = said;
        Kernel = kernel;
    }

    /// <summary>RECORD/GUEST.</summary>
    public string Name { get; }

    /// <summary>The record's host with the devices that were made assignable.</summary>
    public Host Host { get; }

    public string[] Config { get; }

    /// <summary>What xl and libxl said.</summary>
    public string[] Xl { get; }

    /// <summary>What hvmloader and the firmware said, without the domain's number.</summary>
    public string[] Said { get; }

    /// <summary>What a PVH guest's kernel said: its first map, where the record has it.</summary>
    public string[] Kernel { get; }

    /// <summary>A PVH guest's /proc/iomem.</summary>
    public string[] Iomem { get; private init; } = [];

    /// <summary>Whether the guest was created.</summary>
    public bool IsCreated => Said.Length > 0 || Iomem.Length > 0;

    /// <summary>hvmloader's E820: bounds and type.</summary>
    public IEnumerable<string> Map =>
        Said.Select(line => HvmloaderEntry().Match(line)).Where(match => match.Success)
            .Select(match =>
                $"{match.Groups[1].Value}{match.Groups[2].Value}-{match.Groups[3].Value}{match.Groups[4].Value} {match.Groups[5].Value}");

    /// <summary>The E820 that SeaBIOS hands over; empty where the record does not reach that far.</summary>
    public IEnumerable<string> FirmwareMap =>
        Said.Select(line => SeaBiosEntry().Match(line)).Where(match => match.Success)
            .Select(match => $"{match.Groups[1].Value}-{match.Groups[2].Value} {match.Groups[3].Value}");

    /// <summary>hvmloader's lines of BARs, whole.</summary>
    public IEnumerable<string> Bars =>
        Said.Where(line => line.StartsWith("pci dev ", StringComparison.Ordinal) && line.Contains(" bar ", StringComparison.Ordinal));

    /// <summary>RAM as libxl lays it: "start-end".</summary>
    public IEnumerable<string> Ranges =>
        Xl.Select(line => Range().Match(line)).Where(match => match.Success).Select(match => $"{match.Groups[1].Value}-{match.Groups[2].Value}");

    /// <summary>Whether the toolstack left it to hvmloader to move RAM, as it does for a guest with a stubdomain before Xen 4.17.4.</summary>
    public bool MayMoveRam => Said.Contains("Relocating guest memory for lowmem MMIO space enabled");

    public Scenario Scenario => new()
    {
        Host = Host,
        // The records' hvmloader sets BARs of more than 1 GiB apart: it is that of 4.17.4 or later, whose libxl does not leave it that.
        Guest = MayMoveRam ? Guest with { Hvm = Guest.Hvm with { LeavesRamToHvmloader = true } } : Guest,
    };

    public GuestSpec Guest
    {
        get
        {
            Assert(XlConfig.Read(new StringReader(string.Join('\n', Config) + "\n"), Name).TryGet(out XlConfig? config, out InputError? error),
                error);
            Assert(config!.ToGuest().TryGet(out GuestDocument? guest, out error), error);
            return guest!.Guest;
        }
    }

    /// <summary>Folders of records: hvm and those below it, one for each other Xen.</summary>
    public static IEnumerable<string> Files
    {
        get
        {
            string folder = Path.Combine(AppContext.BaseDirectory, "fixtures", "hvm");
            return Directory.GetFiles(folder, "*.log", SearchOption.AllDirectories)
                .Select(path => Path.GetRelativePath(folder, path)).Where(path => !path.Contains("dom0", StringComparison.Ordinal))
                .Order(StringComparer.Ordinal);
        }
    }

    /// <summary>The lines <c>BIOS-e820: [mem 0x…-0x…] usable</c> of a kernel, as "start-end type" with the end exclusive.</summary>
    public static IEnumerable<string> KernelMap(IEnumerable<string> lines) =>
        lines.Select(line => KernelEntry().Match(line)).Where(match => match.Success)
            .Select(match => string.Create(CultureInfo.InvariantCulture,
                $"{Hex("0x" + match.Groups[1].Value):x}-{Hex("0x" + match.Groups[2].Value) + 1:x} {match.Groups[3].Value}"));

    /// <summary>An entry in the same form.</summary>
    public static string KernelText(E820Entry entry)
    {
        string type = entry.Type switch { E820Type.Ram => "usable", E820Type.Reserved => "reserved", E820Type.Acpi => "ACPI data", E820Type.Nvs =>
            "ACPI NVS", _ => "unusable" };
        return string.Create(CultureInfo.InvariantCulture, $"{entry.Address:x}-{entry.End:x} {type}");
    }

    public static string TextOf(string file) => File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "fixtures", "hvm", file));

    public static ImmutableArray<HvmRecord> Load(string file)
    {
        string text = TextOf(file);
        Assert(
            HostMapReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text[..text.IndexOf("=== GUEST", StringComparison.Ordinal)])), file,
                HostMapOptions.Default)
                .TryGet(out HostDocument? document, out InputError? error),
            error);
        // The lines of a record do not tell Xen's release; the folder does.
        string release = file.StartsWith("xen-", StringComparison.Ordinal) ? file["xen-".Length..file.IndexOf("-linux", StringComparison.Ordinal)]
            : "4.17";
        Assert(XenVersion.TryParse(release, out XenVersion xen), null);
        Host host = document!.Host with { Traits = document.Host.Traits with { XenVersion = xen }, Devices = [.. Devices(text)] };
        return [.. Guests(text)
            .Select(guest => new HvmRecord($"{file}/{guest.Name}", host, guest.Config, guest.Xl, guest.Said, guest.Kernel) { Iomem = guest.Iomem })];
    }

    private static IEnumerable<(string Name, string[] Config, string[] Xl, string[] Said, string[] Kernel, string[] Iomem)> Guests(string text)
    {
        foreach (string part in text.Split("=== GUEST ")[1..])
        {
            string[] lines = part.Split('\n');
            yield return (lines[0], Section(lines, 1), Section(lines, Index(lines, "=== XL")),
                [.. Section(lines, Index(lines, "=== HVMLOADER")).Select(line => DomainNumber().Replace(line, ""))],
                Section(lines, Index(lines, "=== KERNEL")),
                Section(lines, Index(lines, "=== IOMEM")));
        }
    }

    private static int Index(string[] lines, string heading)
    {
        int at = Array.IndexOf(lines, heading);
        return at < 0 ? lines.Length : at + 1;
    }

    private static string[] Section(string[] lines, int from) =>
        [.. lines.Skip(from).TakeWhile(line => !line.StartsWith("=== ", StringComparison.Ordinal)).Where(line => line.Length > 0)];

    /// <summary>Lines of sysfs' "resource" files: start, end, flags.</summary>
    private static IEnumerable<PciDevice> Devices(string text)
    {
        string[] lines = text.Split('\n');
        string only = Guests(text).SelectMany(guest => guest.Config).Select(line => PciAddressText().Match(line))
            .FirstOrDefault(match => match.Success)?.Value ?? "00:04.0";
        for (int i = 0; i < lines.Length; i++)
        {
            if (!lines[i].StartsWith("=== BARS", StringComparison.Ordinal))
                continue;
            string name = lines[i].Length > 9 ? lines[i][9..] : only;
            Assert(PciAddress.TryParse(name, out PciAddress address), null);
            var requests = ImmutableArray.CreateBuilder<BarRequest>();
            for (int index = 0; index < 7; index++)
            {
                string[] words = lines[i + 1 + index].Split(' ');
                ulong start = Hex(words[0]), end = Hex(words[1]), flags = Hex(words[2]);
                if (flags == 0)
                    continue;
                bool is64 = (flags & 0x100000) != 0;
                bool isPrefetchable = (flags & 0x2000) != 0;
                BarType type = (flags & 0x100) != 0 ? BarType.Io : BarTypes.Of(index == 6 ? BarKind.Rom : BarKind.Memory, is64, isPrefetchable);
                requests.Add(BarRequest.Create(index, end - start + 1, type));
            }

            yield return new PciDevice(address, "", []) { Requests = requests.ToImmutable() };
        }
    }

    private static ulong Hex(string text) => ulong.Parse(text[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private static void Assert(bool isTrue, InputError? error)
    {
        if (!isTrue)
            throw new FormatException(error?.ToString());
    }

    [GeneratedRegex(@"^ \[\d+\]: ([0-9a-f]{8}):([0-9a-f]{8}) - ([0-9a-f]{8}):([0-9a-f]{8}): (\w+)$")]
    private static partial Regex HvmloaderEntry();

    [GeneratedRegex(@"^ +\d+: ([0-9a-f]{16}) - ([0-9a-f]{16}) = \d+ (\w+)")]
    private static partial Regex SeaBiosEntry();

    [GeneratedRegex(@"range: start=0x([0-9a-f]+) end=0x([0-9a-f]+)")]
    private static partial Regex Range();

    [GeneratedRegex(@"BIOS-e820: \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] (.+)$")]
    private static partial Regex KernelEntry();

    [GeneratedRegex(@"^\(d\d+\) ")]
    private static partial Regex DomainNumber();

    [GeneratedRegex(@"\d\d:\d\d\.\d")]
    private static partial Regex PciAddressText();
}
