// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Guests;

namespace Keyhole.Platforms.Firmware;

/// <summary>
/// The E820 map that an operating system makes of OVMF's memory map. Most of it follows from the machine: where RAM ends, what the first phases keep
/// for a resume from suspend, and one block of the firmware's tables and code whose place depends on how large the page tables are. What OVMF's
/// drivers allocate beyond that block is not settled before they run.
/// </summary>
/// <remarks>
/// Source: edk2 from stable202011 to 202605 (OvmfPkg's PlatformPei, PlatformInitLib and memory layout of the flash description, MdeModulePkg's
/// DxeIpl and DXE core), and the maps of Linux that tests/fixtures/qemu/linux-maps.jsonl holds.
/// </remarks>
internal sealed class OvmfMap
{
    private const ulong Page = 0x1000;
    private const ulong LargePage = 0x200000;
    private const int PagesInLargePage = 512;

    /// <summary>What the image of the first phases in RAM begins with.</summary>
    private const ulong Base = 0x800000;
    private const ulong LockBox = Base + 0x6000;
    private const ulong SectionHandlers = Base + 0x7000;
    private const ulong WorkArea = Base + 0xb000;
    private const ulong DriversVolume = Base + 0x100000;

    /// <summary>For parameters in the format that describes a confidential guest (IGVM), whether there are any or not.</summary>
    private const ulong Parameters = Base + 0x12000;

    /// <summary>Where a build with system management mode keeps that mode's first RAM.</summary>
    private static readonly ByteRange s_defaultSmram = ByteRange.FromBounds(0x30000, 0x50000);

    /// <summary>Beyond where a build that guards a resume unpacks its drivers in any release.</summary>
    private const ulong UnpackedEnd = 0x2000000;

    // A block of five parts, from the top: each is there whole, whether it is used or not.
    private const ulong NvsBytes = 0x80 * Page;
    private const ulong ReservedBytes = 0x80 * Page;
    private const ulong RuntimeBytes = 0x200 * Page;

    /// <summary>What a resume from suspend runs in, and each processor's stack.</summary>
    private const ulong ResumeBytes = 512 << 10;
    private const ulong StackBytes = 0x8000;

    /// <summary>What a processor has beside its stack, at most: two pages more with 32 processors than with one, none with 8.</summary>
    private const ulong MostBesideStack = 0x111;

    private readonly FirmwareInput _input;
    private readonly OvmfWindows _windows;
    private readonly OvmfBuild _build;
    private readonly List<(ByteRange Range, E820Type Type)> _kept = [];
    private readonly List<UnsettledRange> _unsettled = [];

    private OvmfMap(FirmwareInput input, OvmfWindows windows)
    {
        _input = input;
        _windows = windows;
        _build = OvmfBuild.Of(input.Machine);
    }

    private QemuFirmware Release => _input.Machine.Firmware;

    /// <summary>From where on the drivers may take what they need.</summary>
    private ulong FirstFree => _build.HasSmm && HasResume ? UnpackedEnd : DriversVolume;

    /// <summary>Whether low RAM holds all that is kept at its end, and as much again: system management mode takes up to half of it.</summary>
    private bool HasRoom => _input.Memory.LowEnd / 2
        >= (32ul << 20) + ((ulong)Math.Max(_input.Machine.MaxCpus, _input.Machine.Cpus) * 2 * (StackBytes + Page));

    private bool HasResume => _input.Machine.Global(_input.IsQ35 ? "ICH9-LPC" : "PIIX4_PM", "disable_s3") is not ("1" or "on" or "true" or "yes");

    /// <summary>The map, and the parts of it that are not settled; there the map says what is likely, or RAM.</summary>
    public static ImmutableArray<E820Entry> Make(FirmwareInput input, OvmfWindows windows, out ImmutableArray<UnsettledRange> unsettled)
    {
        var map = new OvmfMap(input, windows);
        if (map.HasRoom)
        {
            map.KeepFirstPhases();
            map.KeepEndOfLowRam();
        }
        else
        {
            map.Unsettle(0, input.Memory.LowEnd, "what OVMF keeps of so little RAM was not looked at");
        }

        map.KeepBoard();
        map._unsettled.Sort(static (a, b) => a.Range.Start.CompareTo(b.Range.Start));
        unsettled = [.. map._unsettled];
        return map.Join();
    }

    /// <summary>What lies from 8 MiB on: the first phases themselves, kept for a resume from suspend.</summary>
    private void KeepFirstPhases()
    {
        if (_build.HasSmm)
        {
            // QEMU has that RAM since the machine types of 5.0.
            if (_input.Machine.Type.Version >= new QemuVersion(5, 0)
                && _input.Machine.Global("mch", "smbase-smram") is not ("off" or "no" or "false"))
                _kept.Add((s_defaultSmram, E820Type.Reserved));
            Unsettle(s_defaultSmram.End, X86Layout.IsaStart, "what OVMF keeps there to start processors from depends on its build");
        }

        if (Release.IsSince(2026, 2))
            Keep(Parameters, Parameters + Page, E820Type.Reserved);
        if (!HasResume)
            return;
        if (_build.IsWide is not { } isWide)
        {
            Unsettle(Base, _build.HasSmm ? UnpackedEnd : DriversVolume, "what OVMF keeps there for a resume from suspend depends on its build");
            return;
        }

        ulong stack = Release.IsSince(2025, 11) ? 0x14000ul : Release.IsSince(2024, 5) ? 0x11000ul : 0x10000;
        if (isWide)
            Keep(Base, LockBox, E820Type.Nvs);
        // System management mode has a place of its own for what is locked.
        Keep(_build.HasSmm ? SectionHandlers : LockBox, SectionHandlers + Page, E820Type.Nvs);
        if (isWide && Release.IsSince(2021, 11))
            Keep(WorkArea, WorkArea + Page, E820Type.Nvs);
        Keep(Base + stack, DriversVolume, E820Type.Nvs);
        if (!_build.HasSmm)
            return;
        // Nor may anybody change what the drivers are unpacked to, nor the room in which they are.
        if (Release.IsSince(2023, 2) && !Release.IsSince(2023, 11))
            Unsettle(DriversVolume, UnpackedEnd, "what a build with system management mode keeps there for a resume from suspend");
        else
            Keep(DriversVolume, Release.IsSince(2023, 11) ? 0x1a10000ul : 0x1710000, E820Type.Nvs);
    }

    private void KeepEndOfLowRam()
    {
        ulong top = _input.Memory.LowEnd;
        if (_build.HasSmm)
        {
            ulong management = ManagementBytes();
            Keep(top - management, top, E820Type.Reserved);
            top -= management;
        }

        int processors = Math.Max(_input.Machine.MaxCpus, _input.Machine.Cpus);
        if (HasResume)
        {
            ulong resume = ResumeBytes + ((ulong)processors * StackBytes);
            Keep(top - resume, top, E820Type.Nvs);
            top -= resume;
        }

        if (!_build.HasSmm)
        {
            if (_build.IsLarge is not { } isLarge)
            {
                Unsettle(DriversVolume, top, "what OVMF keeps at the end of low RAM depends on its build: of which size its flash is, is not told");
                return;
            }

            // Where the variables are kept that no flash keeps.
            ulong variables = isLarge ? 0x84000ul : 0x20000ul;
            Keep(top - variables, top, E820Type.Reserved);
            top -= variables;
        }

        KeepBlock(top, processors);
    }

    /// <summary>The block of the firmware's tables and code: it lies right below the page tables, which begin at a multiple of 2 MiB.</summary>
    private void KeepBlock(ulong top, int processors)
    {
        if (IsBlockFirst)
        {
            // Since 2026.08 the block comes first of all, right below the early code.
            if (_build.LeastEarlyBytes == _build.MostEarlyBytes)
                KeepBlock(top - _build.LeastEarlyBytes, true);
            else
                Unsettle(FirstFree, top, "where OVMF keeps its tables and code there depends on its build");
            return;
        }

        ulong others = (ulong)(processors - 1);
        ulong? least = EndOfBlock(top, _build.LeastEarlyBytes + (others * StackBytes));
        ulong? most = EndOfBlock(top, _build.MostEarlyBytes + (others * StackBytes) + Align.Up(others * MostBesideStack, Page));
        if (least is not { } end || end != most)
        {
            Unsettle(FirstFree, top, "where OVMF keeps its tables and code there depends on its build");
            return;
        }

        KeepBlock(end, HasResume || processors > 1);
        if (Release.IsSince(2024, 8))
            KeepProcessorsStart(end, top, processors);
    }

    private bool IsBlockFirst => Release.IsSince(2026, 8);

    /// <summary>Since 2024.08 other processors wait for their start in RAM that the first phases keep.</summary>
    private void KeepProcessorsStart(ulong block, ulong top, int processors)
    {
        // Beside its stack each processor has a little more, together in whole pages: seen up to 25. Of 40 more is kept here.
        ulong? more = processors <= 8 ? 0 : processors <= 25 ? Page : null;
        if (_build.LeastEarlyBytes != _build.MostEarlyBytes || more is null)
        {
            Unsettle(block, top, "OVMF keeps 24 KiB there for the start of processors: where depends on its build and on their number");
            return;
        }

        ulong at = top - 0x2c000 - ((ulong)(processors - 1) * StackBytes) - more.Value;
        Keep(at - (2 * Page), at, E820Type.Nvs);
        Keep(at - (6 * Page), at - (2 * Page), E820Type.Reserved);
    }

    private void KeepBlock(ulong end, bool usesReserved)
    {
        ulong acpi = end - NvsBytes - AcpiBytes;
        ulong reserved = acpi - ReservedBytes;
        Keep(end - NvsBytes, end, E820Type.Nvs);
        Keep(acpi, end - NvsBytes, E820Type.Acpi);
        if (usesReserved)
            Keep(reserved, acpi, E820Type.Reserved);
        else
            Unsettle(reserved, end - NvsBytes, "how much OVMF keeps there of its ACPI tables depends on how many QEMU makes");
        ulong runtime = reserved - RuntimeBytes;
        Keep(runtime, reserved, E820Type.Reserved);
        if (_build.HasSmm)
            Unsettle(runtime, reserved, "how much OVMF keeps there for its services depends on what its variables tell of the boots before");
        Unsettle(
            FirstFree, runtime, "OVMF keeps one more reserved range there, of about 1 MiB: where depends on what its drivers took before");
    }

    private ulong AcpiBytes => (Release.IsSince(2022, 11) ? 0x12ul : 0x10ul) * Page;

    /// <summary>Null where that is not known, or there is no room.</summary>
    private ulong? EndOfBlock(ulong top, ulong early)
    {
        if (_build.IsWide is not { } isWide)
            return null;
        bool hasGiBPages = _input.Machine.Cpu.HasGiBPages && (isWide ? Release.IsSince(2022, 5) : Release.IsSince(2023, 8));
        int width = _windows.Width;
        ulong second = 1UL << Math.Max(0, width - 39);
        ulong third = 1UL << (Math.Min(width, 39) - 30);
        ulong tables = hasGiBPages ? second + 1 : ((third + 1) * second) + 1;
        // One page in front tells how many are left of them.
        ulong bytes = Align.Up(tables + 1, PagesInLargePage) * Page;
        if (top < early + bytes + (64ul << 20))
            return null;
        return Align.Down(top - early, LargePage) - bytes - (isWide ? Page : 2 * Page);
    }

    private ulong ManagementBytes()
    {
        string? asked = _input.Machine.Global("mch", "extended-tseg-mbytes");
        // Machine types before 2.10 have no more than 8 MiB.
        ulong size = ulong.TryParse(asked, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out ulong told)
            && told is > 0 and < 0xfff ? told : _input.Machine.Type.Version < new QemuVersion(2, 10) ? 8ul : 16ul;
        return Math.Min(size << 20, _input.Memory.LowEnd >> 1);
    }

    private void KeepBoard()
    {
        if (!_windows.Mmconfig.IsEmpty)
            _kept.Add((_windows.Mmconfig, E820Type.Reserved));
        // The flash with the variables is there for the operating system's calls.
        if (!_build.HasSmm && _input.Machine.HasVariableFlash != false)
        {
            ulong start = Frames.FourGiB - (_build.IsLarge == false ? LargePage : 2 * LargePage);
            _kept.Add((ByteRange.FromBounds(start, Frames.FourGiB), E820Type.Reserved));
            if (_input.Machine.HasVariableFlash is null || _build.IsLarge is null)
            {
                Unsettle(Frames.FourGiB - (2 * LargePage), Frames.FourGiB,
                    "whether OVMF keeps its flash there depends on whether it has one with variables, and of which size");
            }
        }

        foreach (ByteRange range in _windows.Reserved)
            _kept.Add((range, E820Type.Reserved));
    }

    private void Keep(ulong start, ulong end, E820Type type) => _kept.Add((ByteRange.FromBounds(start, end), type));

    private void Unsettle(ulong start, ulong end, string why)
    {
        if (start < end)
            _unsettled.Add(new(ByteRange.FromBounds(start, end), why));
    }

    /// <summary>RAM, with what is kept cut out of it; neighbours of one type are one entry, as Linux' EFI stub joins them.</summary>
    private ImmutableArray<E820Entry> Join()
    {
        _kept.Sort(static (a, b) => a.Range.Start.CompareTo(b.Range.Start));
        var map = ImmutableArray.CreateBuilder<E820Entry>();
        ReadOnlySpan<ByteRange> rams =
            [ByteRange.FromBounds(0, X86Layout.IsaStart), ByteRange.FromBounds(X86Layout.OneMiB, _input.Memory.LowEnd), _input.Memory.High];
        foreach (ByteRange ram in rams)
        {
            ulong at = ram.Start;
            foreach ((ByteRange range, _) in _kept)
            {
                if (!range.Overlaps(ram))
                    continue;
                if (range.Start > at)
                    map.Add(E820Entry.FromBounds(at, range.Start, E820Type.Ram));
                at = Math.Max(at, range.End);
            }

            if (at < ram.End)
                map.Add(E820Entry.FromBounds(at, ram.End, E820Type.Ram));
        }

        foreach ((ByteRange range, E820Type type) in _kept)
            map.Add(E820Entry.FromBounds(range.Start, range.End, type));
        map.Sort(static (a, b) => a.Address.CompareTo(b.Address));
        for (int i = map.Count - 1; i > 0; i--)
        {
            if (map[i - 1].End != map[i].Address || map[i - 1].Type != map[i].Type)
                continue;
            map[i - 1] = E820Entry.FromBounds(map[i - 1].Address, map[i].End, map[i].Type);
            map.RemoveAt(i);
        }

        return map.ToImmutable();
    }
}
