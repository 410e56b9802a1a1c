// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Pci;

/// <summary>
/// What a Linux's log says of the windows of PCI functions: what it found in their registers, what it assigned, and for what it had no space. The
/// last word on a window counts.
/// </summary>
internal sealed class KernelLogReader
{
    private readonly SortedDictionary<PciAddress, Function> _functions = [];
    private readonly string _sourceName;
    private bool _isOfXenGuest;

    private KernelLogReader(string sourceName) => _sourceName = sourceName;

    private sealed class Function
    {
        public SortedDictionary<int, Window> Windows { get; } = [];

        public int? VendorId { get; set; }

        public int? DeviceId { get; set; }

        public int? ClassCode { get; set; }

        public int TotalFunctions { get; set; }

        public bool IsBridge { get; set; }
    }

    /// <summary>Start is null where there is no address; size is 0 where it is not told.</summary>
    private readonly record struct Window(ulong? Start, ulong SizeBytes, bool IsPorts, bool Is64Bit, bool IsPrefetchable, string Sign);

    /// <summary>Whether a line of a text tells of a window of a function.</summary>
    public static bool HasDevice(string text)
    {
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            if (KernelPciLine.TryFunction(line, out _, out ReadOnlySpan<char> rest)
                && (rest.Contains("[mem", StringComparison.Ordinal) || rest.Contains("[io", StringComparison.Ordinal)))
                return true;
        }

        return false;
    }

    /// <summary>Of several boots the last one that tells of a window counts, and one of the machine before one of a guest: functions of two boots
    /// are not put together.</summary>
    public static Parsed<PciListing> Read(string text, string sourceName)
    {
        PciListing? taken = null;
        bool isTakenGuests = false;
        int withDevices = 0;
        int lineNumber = 0;
        foreach (Range range in BootsIn(text))
        {
            string boot = text[range];
            var reader = new KernelLogReader(sourceName);
            if (!reader.Read(boot, lineNumber).TryGet(out PciListing? listing, out InputError? error))
                return error;
            lineNumber += boot.AsSpan().Count('\n');
            if (listing.Devices.IsEmpty)
                continue;
            withDevices++;
            if (taken is null || isTakenGuests || !IsGuests(boot))
                (taken, isTakenGuests) = (listing, IsGuests(boot));
        }

        taken ??= new PciListing([], []);
        return withDevices < 2 ? taken
            : taken with { Remarks = taken.Remarks.Insert(0, $"the log has {withDevices} boots that tell of windows: those of one are taken") };
    }

    /// <summary>The parts of a text that begin where a kernel names itself, and what stands before the first.</summary>
    private static List<Range> BootsIn(string text)
    {
        const string mark = "Linux version ";
        List<Range> boots = [];
        int start = 0;
        for (int at = text.IndexOf(mark, StringComparison.Ordinal); at >= 0; at = text.IndexOf(mark, at + 1, StringComparison.Ordinal))
        {
            int line = text.LastIndexOf('\n', at) + 1;
            // "Xen version …, Linux version …" in a sentence is no line of a kernel's.
            if (line <= start || !char.IsAsciiDigit(text.AsSpan(at + mark.Length) is [var digit, ..] ? digit : ' '))
                continue;
            boots.Add(start..line);
            start = line;
        }

        boots.Add(start..);
        return boots;
    }

    private static bool IsXenGuests(string boot) => boot.Contains("pcifront", StringComparison.Ordinal);

    /// <summary>Whether a boot is of a virtual machine.</summary>
    internal static bool IsGuests(string boot) =>
        IsXenGuests(boot) || boot.Contains("DMI: QEMU ", StringComparison.Ordinal)
            || boot.Contains("Hypervisor detected: KVM", StringComparison.Ordinal);

    private Parsed<PciListing> Read(string text, int linesBefore)
    {
        int lineNumber = linesBefore;
        _isOfXenGuest = IsXenGuests(text);
        var wrapped = new WrappedPciLine();
        foreach (ReadOnlySpan<char> line in text.AsSpan().EnumerateLines())
        {
            lineNumber++;
            if (wrapped.IsHeld)
            {
                bool goesOn = wrapped.TryGoOn(line, out bool isWhole);
                if (goesOn && !isWhole)
                    continue;
                if (ReadText(wrapped.Take(), wrapped.Number) is { } tooMany)
                    return tooMany;
                if (goesOn)
                    continue;
            }

            if (!wrapped.TryBegin(line, lineNumber) && ReadText(line, lineNumber) is { } error)
                return error;
        }

        if (wrapped.IsHeld && ReadText(wrapped.Take(), wrapped.Number) is { } last)
            return last;
        var devices = ImmutableArray.CreateBuilder<PciDevice>();
        var remarks = ImmutableArray.CreateBuilder<string>();
        if (_isOfXenGuest)
            remarks.Add("the log is of a PV guest of Xen (pcifront): functions have the guest's own addresses in it, and BARs those of the host");
        else if (IsGuests(text))
            remarks.Add("the log is of a virtual machine: functions and BARs have the addresses in it that the guest gave them, not those of the "
                + "host");
        foreach ((PciAddress address, Function function) in _functions)
        {
            // A bridge is no device to pass through; of old its windows have the numbers of a card's virtual functions.
            if (function.Windows.Count == 0 || function.IsBridge)
                continue;
            PciDevice device = ToDevice(address, function);
            devices.Add(device);
            remarks.AddRange(device.Unplaced.Select(window => BarReader.Describe(address, window)));
        }

        return new PciListing(devices.DrainToImmutable(), remarks.DrainToImmutable());
    }

    private InputError? ReadText(ReadOnlySpan<char> line, int number)
    {
        if (line.Contains("NVRM: BAR", StringComparison.Ordinal))
            ReadNvidia(line);
        if (!KernelPciLine.TryFunction(line, out PciAddress address, out ReadOnlySpan<char> rest))
            return null;
        if (!_functions.TryGetValue(address, out Function? function))
        {
            if (_functions.Count == BarReader.MaxDevices)
                return InputError.TooLarge(_sourceName, number, $"more than {BarReader.MaxDevices} PCI devices", "give the log of one boot");
            _functions.Add(address, function = new());
        }

        ReadLine(function, rest);
        return null;
    }

    private void ReadLine(Function function, ReadOnlySpan<char> text)
    {
        text = text.TrimStart();
        function.IsBridge |= text.StartsWith("PCI bridge to [bus ");
        if (text.StartsWith("[") && ReadIdentity(function, text))
            return;
        if (text.StartsWith("reg "))
        {
            if (KernelPciLine.TryRegister(text["reg ".Length..], out int index, out KernelResource found))
                function.Windows[index] = ToWindow(found);
            return;
        }

        if (text.StartsWith("VF(n) BAR"))
        {
            ReadOldVirtual(function, text["VF(n) BAR".Length..]);
            return;
        }

        if (text.StartsWith("can't claim "))
        {
            // "can't claim BAR 0 [mem 0x…]: no compatible bridge window": it has an address, and the kernel does not let it have it.
            ReadNamed(function, text["can't claim ".Length..], "the kernel cannot claim it");
            return;
        }

        ReadNamed(function, text, null);
    }

    private static bool ReadIdentity(Function function, ReadOnlySpan<char> text)
    {
        if (!KernelPciLine.TryIdentity(text, out int vendor, out int device, out int? classCode))
            return false;
        (function.VendorId, function.DeviceId, function.ClassCode) = (vendor, device, classCode ?? function.ClassCode);
        function.IsBridge |= text.Contains("] type 01 ", StringComparison.Ordinal);
        return true;
    }

    /// <summary><c>0 space: [mem 0x… 64bit pref] (contains BAR0 for 64 VFs)</c></summary>
    private static void ReadOldVirtual(Function function, ReadOnlySpan<char> text)
    {
        const string mark = " space: ";
        if (text.Length < 2 || text[0] is < '0' or > '5' || !text[1..].StartsWith(mark)
            || !KernelPciLine.TryResource(text[(1 + mark.Length)..], out KernelResource found, out ReadOnlySpan<char> rest))
            return;
        function.Windows[Bar.FirstVirtualFunctionIndex + text[0] - '0'] = ToWindow(found);
        ReadCount(function, rest);
    }

    private static void ReadCount(Function function, ReadOnlySpan<char> text)
    {
        int at = text.IndexOf(" for ");
        if (at < 0)
            return;
        var cursor = new TextCursor(text[(at + " for ".Length)..]);
        if (cursor.TryDecimal(out uint count) && cursor.TryText(" VFs") && count is > 0 and <= 0xffff)
            function.TotalFunctions = (int)count;
    }

    private void ReadNamed(Function function, ReadOnlySpan<char> text, string? sign)
    {
        if (!KernelPciLine.TryNamed(text, out int index, out KernelResource found, out ReadOnlySpan<char> word, out ReadOnlySpan<char> behind)
            || index >= Bar.FirstBridgeIndex)
            return;
        ReadCount(function, behind);
        if (_isOfXenGuest && sign is not null)
        {
            // It reads where the host has the window: what is in its way is the guest's own memory.
            sign = null;
            word = default;
        }

        function.Windows[index] = Say(function.Windows.GetValueOrDefault(index), ToWindow(found), word, sign);
    }

    private static Window ToWindow(KernelResource found) =>
        new(found.Start, found.SizeBytes, found.IsPorts, found.Is64Bit, found.IsPrefetchable, found.Start is null
            ? "the kernel's log shows no address" : "");

    private static Window Say(Window before, Window window, ReadOnlySpan<char> word, string? sign)
    {
        // "[mem size 0x…]" has no address; a size that was told once stays.
        if (window.SizeBytes == 0)
            window = window with { SizeBytes = before.SizeBytes };
        if (sign is null && (word.Contains("no space", StringComparison.Ordinal) || word.Contains("can't assign", StringComparison.Ordinal)
            || word.Contains("failed to assign", StringComparison.Ordinal) || word.Contains("can't claim", StringComparison.Ordinal)))
        {
            sign = "the kernel's log says " + (word.Contains("can't claim", StringComparison.Ordinal) ? "that it cannot be claimed"
                : word.Contains("no space", StringComparison.Ordinal) ? "that there is no space for it"
                : "that it cannot be assigned");
            // "failed to assign" follows the reason, which tells more.
            if (before is { Start: null, Sign.Length: > 0 } && !word.Contains("no space", StringComparison.Ordinal))
                sign = before.Sign;
        }

        if (sign is null && word.Contains("releasing", StringComparison.Ordinal))
            sign = "the kernel's log says that it was released";
        return sign is null ? window : window with { Start = null, Sign = sign };
    }

    /// <summary><c>NVRM: BAR1 is 0M @ 0x0 (PCI:0000:01:00.0)</c>: its driver found no address in the register.</summary>
    private void ReadNvidia(ReadOnlySpan<char> line)
    {
        int at = line.IndexOf("NVRM: BAR");
        var cursor = new TextCursor(line[(at + "NVRM: BAR".Length)..]);
        if (!cursor.TryDecimal(out uint index) || index > 5 || !cursor.TryText(" is 0M @ 0x0 (PCI:"))
            return;
        int close = cursor.Rest.IndexOf(')');
        if (close < 0 || !PciAddress.TryParse(cursor.Rest[..close], out PciAddress address) || _functions.Count >= BarReader.MaxDevices)
            return;
        if (!_functions.TryGetValue(address, out Function? function))
            _functions.Add(address, function = new());
        Window before = function.Windows.GetValueOrDefault((int)index, new(null, 0, false, Is64Bit: true, IsPrefetchable: true, ""));
        function.Windows[(int)index] = before with { Start = null, Sign = "NVIDIA's driver found it at address 0" };
    }

    private static PciDevice ToDevice(PciAddress address, Function function)
    {
        var windows = new WindowList { VendorId = function.VendorId, DeviceId = function.DeviceId, ClassCode = function.ClassCode };
        if (function.TotalFunctions > 0)
            windows.Sriov = new(function.TotalFunctions, 0);
        foreach ((int index, Window window) in function.Windows)
        {
            BarKind kind = index == Bar.RomIndex ? BarKind.Rom : index < Bar.RomIndex ? BarKind.Memory : BarKind.VirtualFunction;
            if (window.IsPorts)
            {
                if (kind == BarKind.Memory)
                    windows.AddPorts(index, window.SizeBytes);
            }
            else if (window.Start is not { } start)
            {
                windows.AddUnplaced(new(index, kind, window.SizeBytes, window.Is64Bit, window.IsPrefetchable, window.Sign));
            }
            else if (kind == BarKind.Rom && WindowList.IsShadow(start, start + window.SizeBytes))
            {
                windows.AddShadowRom(window.SizeBytes);
            }
            else
            {
                windows.Add(new Bar(index, kind, start, start + window.SizeBytes, window.Is64Bit, window.IsPrefetchable));
            }
        }

        return windows.ToDevice(address, "");
    }
}
