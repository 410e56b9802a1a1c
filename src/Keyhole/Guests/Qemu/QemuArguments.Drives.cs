// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <content>Disks, the nodes behind them, and the flash with the firmware: -drive, -blockdev.</content>
internal sealed partial class QemuArguments
{
    /// <summary>A backing chain of flash images longer than this is a loop.</summary>
    private const int MaxNodes = 16;

    private void ReadDrive(string text)
    {
        ImmutableArray<QemuProperty> properties = QemuOptionSyntax.Split(text, "");
        NoteNodes(properties);
        switch (QemuOptionSyntax.Find(properties, "if") ?? "ide")
        {
            case "ide":
                // index counts; bus and unit are two disks a bus.
                int index = Number(properties, "index") ?? ((Number(properties, "bus") * 2) + (Number(properties, "unit") ?? 0))
                    ?? (_hasDiskAtZero ? -1 : 0);
                AddDisk(index, QemuOptionSyntax.Find(properties, "media") == "cdrom");
                break;
            case "virtio":
                _virtioDrives.Add(properties);
                break;
            case "pflash":
                _drives.Add(properties);
                break;
        }
    }

    private static int? Number(ImmutableArray<QemuProperty> properties, string name) =>
        QemuOptionSyntax.Find(properties, name) is { } text && QemuOptionSyntax.TryNumber(text, out int number) && number < 1024 ? number : null;

    private void AddDisk(int index, bool isCdrom)
    {
        _disks++;
        _hasDiskAtZero |= index == 0;
        _hasDiskAtTwo |= index == 2 || isCdrom;
    }

    /// <summary>A word that belongs to no option: QEMU takes it for the image of the first disk, and ends where it cannot open that. Most are a slip,
    /// a dash that got lost or is none.</summary>
    private void AddImage(QemuWord word)
    {
        string text = word.Text;
        if (text[0] is '\u2013' or '\u2014' or '\u2212' or '\u2010' or '\u2011')
        {
            Fail(Malformed, word, $"the dash before {InputError.Quote(text.AsSpan(1))} is a typographic one: QEMU takes the word for a disk's image",
                "write it with a hyphen: -");
        }
        else if (QemuOptionNames.IsUsual(text))
        {
            Fail(Malformed, word, $"{InputError.Quote(text)} has no dash before it: QEMU takes the word for a disk's image "
                + $"(\"Could not open '{InputError.OneLine(text, 20)}'\")", $"write -{InputError.OneLine(text, 20)}");
        }
        else if (text.AsSpan().IndexOfAny('=', '/') is >= 0 and var at && text[at] == '=')
        {
            Fail(Malformed, word,
                $"{InputError.Quote(text)} belongs to no option: QEMU takes it for a disk's image, and ends where it cannot open that",
                "give it to its option: behind a comma without blanks, or with the option's name before it");
        }
        else if (_hasDiskAtZero && !IsLeftOut(text))
        {
            Fail(Malformed, word, $"{InputError.Quote(text)} belongs to no option: QEMU takes it for a disk's image, at the place of another disk "
                + $"(\"drive with bus=0, unit=0 (index=0) exists\")", "give it to its option, or take it out");
        }
        else if (text.AsSpan().IndexOfAny('.', '/', ':') < 0 && !IsLeftOut(text))
        {
            Remark($"{InputError.Quote(text)} belongs to no option: QEMU takes it for a disk's image, and ends where it cannot open that");
        }

        AddDisk(0, isCdrom: false);
    }

    /// <summary>What people write for what they do not show.</summary>
    private static bool IsLeftOut(string text) => text.Contains("...", StringComparison.Ordinal) || text.Contains('…', StringComparison.Ordinal);

    private void ReadNode(string text)
    {
        ImmutableArray<QemuProperty> properties;
        if (!text.StartsWith('{'))
            properties = QemuOptionSyntax.Split(text, "driver");
        else if (!QemuOptionSyntax.TryReadJson(text, out properties))
        {
            _references.LeaveOut();
            return;
        }

        NoteNodes(properties);
        if (QemuOptionSyntax.Find(properties, "node-name") is { } name && _nodes.Count < MaxDevices)
            _nodes[name] = properties;
    }

    /// <summary>A device takes a node by its name as it takes a drive.</summary>
    private void NoteNodes(ImmutableArray<QemuProperty> properties)
    {
        foreach (QemuProperty property in properties)
        {
            if (property.Name.EndsWith("node-name", StringComparison.Ordinal))
                _references.Add("drive", property.Value);
        }
    }

    private string FirmwareFile(out bool isFlash)
    {
        isFlash = true;
        if (MachineProperty("pflash0") is { } node)
        {
            for (int i = 0; i < MaxNodes && _nodes.TryGetValue(node, out ImmutableArray<QemuProperty> properties); i++)
            {
                if ((QemuOptionSyntax.Find(properties, "filename") ?? QemuOptionSyntax.Find(properties, "file.filename")) is { } file)
                    return file;
                node = QemuOptionSyntax.Find(properties, "file") ?? QemuOptionSyntax.Find(properties, "backing") ?? "";
            }

            return node.Length == 0 ? "pflash0" : node;
        }

        // The lower unit is the firmware, the other one its variables.
        string? flash = null;
        int lowest = int.MaxValue;
        for (int i = 0; i < _drives.Count; i++)
        {
            int unit = Number(_drives[i], "unit") ?? Number(_drives[i], "index") ?? i;
            if (unit < lowest && (QemuOptionSyntax.Find(_drives[i], "file") ?? QemuOptionSyntax.Find(_drives[i], "file.filename")) is { } file)
                (lowest, flash) = (unit, file);
        }

        if (flash is not null)
            return flash;
        isFlash = false;
        return _bios ?? MachineProperty("firmware") ?? "";
    }

    /// <summary>Whether the firmware has flash for its variables. One image alone may hold both.</summary>
    private bool? HasVariableFlash(string file, bool isFlash) => !isFlash ? file.Length == 0 ? null : false
        : MachineProperty("pflash1") is not null || _drives.Count > 1 ? true
        : file.Contains("CODE", StringComparison.OrdinalIgnoreCase) ? false : null;
}
