// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>
/// Reads the memory windows of PCI functions from what <c>lspci -v</c> and <c>lspci -vv</c> print (also from its Region lines alone), from the boot
/// log of a Linux, from devices' <c>resource</c> files in sysfs, or, without their kinds, from what <c>lshw</c> prints; packed by gzip, bzip2, xz or
/// zstd, too.
/// </summary>
/// <remarks>Source: pciutils' lspci.c and ls-ecaps.c; Linux' pci-sysfs.c, setup-res.c and ioport.h.</remarks>
public static class BarReader
{
    /// <summary>The largest listing that is read, in bytes: lspci -vvv of a thousand functions takes about 6 MiB.</summary>
    public const int MaxSizeBytes = 16 * 1024 * 1024;

    /// <summary>More functions than this are no list of one machine: a domain's buses hold 65,536.</summary>
    public const int MaxDevices = 65536;

    /// <param name="address">Whose windows a <c>resource</c> file holds; null to take it from <paramref name="sourceName"/>
    /// (/sys/bus/pci/devices/0000:03:00.0/resource). Not used for lspci's text, which says it itself.</param>
    public static Parsed<PciListing> Read(Stream stream, string sourceName, PciAddress? address = null)
    {
        ArgumentNullException.ThrowIfNull(sourceName);
        ArgumentNullException.ThrowIfNull(stream);
        ReadOnlyMemory<byte> head = StreamHead.Read(stream);
        Stream whole = new PrefixedStream(head, stream);
        if (BundleMembers.Of(head.Span, Stream.Null) is not null)
            return InputError.NotSupported(sourceName, null, "an archive, of which no file is read for devices", "unpack it and give the file in it");
        if (ForeignFile.Of(head.Span) is { } foreign)
            return InputError.NotSupported(sourceName, null, $"the file is {foreign.What}", "give the text that lspci or the kernel printed");
        if (PackedForm.Of(head.Span) is not { } form)
            return ReadText(whole, sourceName, address);
        try
        {
            return ReadText(form.Unpack(whole, 2L * MaxSizeBytes), sourceName, address);
        }
        catch (InvalidDataException damaged)
        {
            return PackedErrors.Unreadable(sourceName, damaged);
        }
    }

    private static Parsed<PciListing> ReadText(Stream stream, string sourceName, PciAddress? address)
    {
        var unread = new UnreadParts();
        Parsed<PciListing> read = ReadDecoded(PastedText.Decoded(stream, unread), sourceName, address);
        return !read.TryGet(out PciListing? listing, out InputError? error) ? unread.On(error)
            : listing with { Remarks = [.. unread.Told, .. listing.Remarks] };
    }

    private static Parsed<PciListing> ReadDecoded(Stream decoded, string sourceName, PciAddress? address)
    {
        if (!SmallInput.Read(decoded, sourceName, MaxSizeBytes, "a list of PCI devices").TryGet(out SmallInput? input, out InputError? error))
            return error;
        string text = PastedText.Plain(input.Decode());
        if (text.AsSpan().TrimStart().StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            return new ResourceReader(sourceName).Read(text, address ?? AddressInPath(sourceName));
        if (!LspciReader.HasHeader(text) && KernelLogReader.HasDevice(text))
            return KernelLogReader.Read(text, sourceName);
        Parsed<PciListing> read = new LspciReader(sourceName, address).Read(text);
        if (read.TryGet(out PciListing? listing, out InputError? unread) ? TellsWindows(listing) : unread.Code != InputErrorCode.NothingInIt)
            return read;
        // What a terminal shows of other commands, in which lspci's own lines may only name the functions.
        if (ResourceReader.HasRow(text))
            return new ResourceReader(sourceName).Read(text, address ?? AddressInPath(sourceName));
        if (listing is not null)
            return listing;
        if (LshwReader.IsOne(text))
            return new LshwReader(sourceName).Read(text);
        return OtherDeviceList.Of(text) is { } other
            ? InputError.NotSupported(sourceName, null, $"{other.Name}, {other.Lacks}", OtherDeviceList.Remedy) : unread!;
    }

    private static bool TellsWindows(PciListing listing) => listing.Devices.Any(static device => !device.Bars.IsEmpty || !device.Unplaced.IsEmpty
        || !device.Requests.IsEmpty);

    /// <summary>One sentence for a window that has no address, for the user.</summary>
    internal static string Describe(PciAddress address, UnplacedWindow window)
    {
        string name = window.Kind switch
        {
            BarKind.Rom => "the ROM",
            BarKind.VirtualFunction => $"BAR {window.Index - Bar.FirstVirtualFunctionIndex} of the virtual functions",
            BarKind.BridgeWindow => "a bridge's window",
            BarKind.Memory => $"BAR {window.Index}",
        };
        string size = window.SizeBytes == 0 ? "its size is not told" : ByteSize.ToText(window.SizeBytes);
        return $"{address}: {name} ({size}, {(window.Is64Bit ? "64-bit" : "32-bit")}{(window.IsPrefetchable ? ", prefetchable" : "")}) "
            + $"has no address on this host: {window.Sign}";
    }

    /// <summary>The address that is a folder of the path, the last one where several are.</summary>
    private static PciAddress? AddressInPath(string path)
    {
        PciAddress? found = null;
        foreach (Range part in path.AsSpan().Split('/'))
        {
            if (PciAddress.TryParse(path.AsSpan(part), out PciAddress address))
                found = address;
        }

        return found;
    }

    /// <summary>The window's row if it can be one, else the error.</summary>
    internal static InputError? Check(string sourceName, int line, ulong start, UInt128 end)
    {
        const string remedy = "give the text as lspci or sysfs printed it";
        if (start > Frames.AddressLimit || end > Frames.AddressLimit)
            return InputError.OutOfRange(sourceName, line, $"a window that reaches beyond 52 address bits: {start:x} to {end:x}", remedy);
        return start >= end ? InputError.OutOfRange(sourceName, line, $"a window that ends before it starts: {start:x} to {end:x}", remedy) : null;
    }
}
