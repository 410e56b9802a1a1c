// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.CommandLine;
using System.Linq;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;
using Keyhole.Planning;
using Keyhole.Platforms.XenPv;

namespace Keyhole.Cli.Options;

/// <summary>The options that say which guest, and where its devices' windows lie: the same for every verb.</summary>
internal sealed class GuestSource
{
    private readonly Option<string?> _guest = GuestFileOption.Guest(
        "The guest: an xl.cfg, a libvirt domain XML, a command line of QEMU or a Proxmox conf; - reads standard input.", "FILE|-");

    private readonly SizeOption _memory = SizeOption.Memory();

    private readonly SizeOption _maxmem = SizeOption.Maxmem();

    private readonly Option<bool> _hostMap = new("--e820-host")
    {
        Description = "The guest gets a map made from the host's (xl's e820_host=1).",
    };

    private readonly Option<string?> _type = new("--type")
    {
        Description = "How the guest is virtualised (default pv, or what --guest says).",
        HelpName = "pv|pvh|hvm|kvm",
    };

    private readonly Option<int?> _bits = new("--bits")
    {
        Description = "Whether the guest's kernel is a 32-bit or a 64-bit one (default 64).",
        HelpName = "32|64",
    };

    private readonly Option<string[]> _pci = new("--pci")
    {
        Description = "A device to pass through, as in xl's pci= list. May be given again.",
        HelpName = "BDF",
    };

    private readonly WindowsOption _bar = new("--bar", "A memory window of a device, as A-B (hex, B exclusive). May be given again.");

    private readonly Option<string[]> _barSize = new("--bar-size")
    {
        Description =
            "KVM, HVM: what a passed-through device asks for, one BAR each time, where nothing else tells: "
                + "SIZE[,64bit|32bit] [,prefetchable|non-prefetchable] [,io], in one word.",
        HelpName = "128G,64bit",
    };

    private readonly Option<string[]> _devices = new("--devices")
    {
        Description =
            "Where to read the devices' windows: the text of lspci -vv, a device's resource file or folder of sysfs (/sys/bus/pci/devices/…), "
                + "or that of all. May be given again.",
        HelpName = "FILE",
    };

    public void AddTo(Command command)
    {
        command.Options.Add(_guest);
        command.Options.Add(_memory);
        command.Options.Add(_maxmem);
        command.Options.Add(_hostMap);
        command.Options.Add(_type);
        command.Options.Add(_bits);
        command.Options.Add(_pci);
        command.Options.Add(_bar);
        command.Options.Add(_barSize);
        command.Options.Add(_devices);
    }

    /// <summary>The first of these options that is given; null when none is.</summary>
    public string? FirstGiven(ParseResult parsed)
    {
        Option[] all = [_guest, _memory, _maxmem, _hostMap, _type, _bits, _pci, _bar, _barSize, _devices];
        return Array.Find(all, option => parsed.GetResult(option) is { Implicit: false })?.Name;
    }

    /// <param name="otherwiseKiB">The guest's memory where neither <c>--guest</c> nor <c>--memory</c> is given; null: one of them has to be.</param>
    public Parsed<GuestDocument> Read(ParseResult parsed, CommandConsole console, ulong? otherwiseKiB = null)
    {
        InputError? error;
        GuestDocument? document;
        if (parsed.GetValue(_guest) is { } path)
        {
            // Else the guest is looked for in what was meant for the other.
            if (path == "-" && Files.ReadsInputTwice(parsed))
                return Files.InputReadTwice;
            if (!Files.Read(console, path, "an xl.cfg, a libvirt domain XML, a command line of QEMU or a Proxmox conf", GuestReader.Read)
                .TryGet(out document, out error))
                return error;
            foreach (string remark in document.Remarks)
                console.Remark(remark);
        }
        else if (!_memory.IsGiven(parsed) && otherwiseKiB is { } memoryKiB)
        {
            document = GuestDocument.Of(new() { MemoryKiB = memoryKiB, MaxmemKiB = memoryKiB });
        }
        else if (!_memory.IsGiven(parsed))
        {
            return InputError.Missing("the guest", null, "neither --guest nor --memory is given",
                "name a configuration with --guest, or give --memory in MiB");
        }
        else
        {
            document = GuestDocument.Of(new() { MemoryKiB = 0, MaxmemKiB = 0 });
        }

        GuestSpec guest = document.Guest;

        if (_memory.Read(parsed, out ulong? memoryBytes) is { } memoryError)
            return memoryError;
        if (_maxmem.Read(parsed, out ulong? maxmemBytes) is { } maxmemError)
            return maxmemError;
        if (memoryBytes is { } memory)
            guest = guest.WithMemory(memory >> 10);

        if (maxmemBytes is { } maxmem)
            guest = guest with { MaxmemKiB = maxmem >> 10 };
        if (parsed.GetValue(_type) is { } typeName)
        {
            GuestType? type = typeName switch
            {
                "pv" => GuestType.Pv,
                "pvh" => GuestType.Pvh,
                "hvm" => GuestType.Hvm,
                "kvm" => GuestType.Kvm,
                _ => null,
            };
            if (type is not { } known)
                return InputError.UnknownWord("--type", null, $"{InputError.Quote(typeName)} is not a type of guest", "take pv, pvh, hvm or kvm");
            guest = guest with { Type = known };
        }

        if (parsed.GetValue(_bits) is { } bits)
        {
            if (bits is not (32 or 64))
                return InputError.OutOfRange("--bits", null, $"there is no kernel of {bits} bits",
                    "give 32 or 64");
            guest = guest with { Is32Bit = bits == 32 };
        }

        if (parsed.GetValue(_hostMap))
            guest = guest with { E820Host = true };
        foreach (string text in parsed.GetValue(_pci) ?? [])
        {
            if (!PciAssignment.Parse(text, "--pci", null, out string? remark).TryGet(out PciAssignment? assignment, out error))
                return error;
            if (remark is not null)
                console.Remark(remark);
            if (assignment.Address is { } address && guest.Pci.Any(other => other.Address == address))
                return InputError.Repeated("--pci", null, $"{address} is there already", "give each device once");
            guest = guest with { Pci = guest.Pci.Add(assignment) };
        }

        return document with { Guest = guest };
    }

    /// <summary>The windows given by hand, and those of the listed devices that the guest gets (<see cref="ListedDevices"/>).</summary>
    public Parsed<BarList> ReadBars(ParseResult parsed, CommandConsole console, GuestSpec guest)
    {
        if (_bar.Read(parsed, out ImmutableArray<Bar> windows) is { } windowError)
            return windowError;
        List<Bar> bars = [.. windows];
        List<PciDevice> listed = [];
        SortedSet<PciAddress> told = [];
        string[] paths = parsed.GetValue(_devices) ?? [];
        PciAddress? only = guest.Pci.Length == 1 ? guest.Pci[0].Address : null;
        List<DeviceFiles.DeviceFile> files = [];
        foreach (string path in paths)
        {
            if (!DeviceFiles.Of(path, only).TryGet(out DeviceFiles.DeviceFile[]? found, out InputError? unknown))
                return unknown;
            files.AddRange(found);
        }

        foreach (DeviceFiles.DeviceFile file in files)
        {
            Parsed<PciListing> read = Files.Read(console, file.Path, "the text of lspci -vv, or a resource file of sysfs",
                (stream, name) => BarReader.Read(stream, name, file.Address));
            if (!read.TryGet(out PciListing? listing, out InputError? error))
                return error;
            if (listing.HasOnlyRanges && Planner.PlatformOf(guest).Traits.ForecastsFirmware)
            {
                return InputError.NotSupported(Files.Shown(file.Path), null,
                    "a list of lshw, which does not tell what a firmware needs to place BARs: their kinds (64-bit, prefetchable, ROM)",
                    "give what lspci -vv prints, as root");
            }

            foreach (string remark in listing.Remarks)
                console.Remark(remark);
            listed.AddRange(listing.Devices);
        }

        PciDevice[] devices = ListedDevices.Of(guest, listed, isConfigured: parsed.GetValue(_guest) is not null, out string? unnamed);
        if (unnamed is not null)
            console.Remark(unnamed);
        foreach (PciDevice device in devices)
        {
            bars.AddRange(device.Bars);
            if (!device.Bars.IsEmpty)
                told.Add(device.Address);
            if (Planner.PlatformOf(guest).Traits.KeepsHostAddresses && MsixAdvice.For(device) is { } advice)
                console.Remark(advice.Message);
        }

        // A slip in the address, or the listing of another machine, would else pass for a device that fits.
        foreach (PciAssignment assignment in paths.Length == 0 ? [] : guest.Pci)
        {
            if (!told.Any(assignment.Covers))
                console.Remark(listed.Any(device => assignment.Covers(device.Address))
                    ? $"--devices names {assignment.DeviceName} and tells no window of it (lspci prints none without -v): give lspci -vv"
                    : $"--devices tells no window of {assignment.DeviceName}: is it another machine's listing, or a slip in the address?");
        }

        if (ReadSizes(parsed, out ImmutableArray<BarRequest> sizes) is { } unread)
            return unread;
        if (!sizes.IsEmpty && !Planner.PlatformOf(guest).Traits.ForecastsFirmware)
            console.Remark(
                "--bar-size has no effect: it is for guests whose firmware places the BARs (--type kvm or hvm); where a "
                    + "device is on this host --bar says");
        return new BarList([.. bars], [.. devices], sizes);
    }

    private InputError? ReadSizes(ParseResult parsed, out ImmutableArray<BarRequest> sizes)
    {
        var found = ImmutableArray.CreateBuilder<BarRequest>();
        sizes = [];
        int index = 0;
        foreach (string text in parsed.GetValue(_barSize) ?? [])
        {
            if (!BarRequest.TryParse(text, index, out BarRequest request))
            {
                string full = index > 5 ? "; a device has six registers, and one of 64 bits takes two" : "";
                return InputError.OutOfRange("--bar-size", null, $"{InputError.Quote(text)} is not what a BAR can ask for{full}",
                    "give a power of two such as 128G,64bit or 16M,32bit, each word once");
            }

            found.Add(request);
            index += request.Type.Is64Bit() ? 2 : 1;
        }

        sizes = found.DrainToImmutable();
        return null;
    }
}

/// <summary>Memory windows of the devices that a guest gets, and those of the devices that were listed.</summary>
/// <param name="Sizes">What a device asks for that nothing else tells of.</param>
internal sealed record BarList(ImmutableArray<Bar> Bars, ImmutableArray<PciDevice> Devices, ImmutableArray<BarRequest> Sizes);
