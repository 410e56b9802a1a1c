// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using Keyhole.Diagnostics;
using static Keyhole.Diagnostics.InputErrorCode;

namespace Keyhole.Guests;

/// <content>What is set besides devices: -object, -fw_cfg, -global, -set.</content>
internal sealed partial class QemuArguments
{
    private void ReadObject(QemuWord value)
    {
        ImmutableArray<QemuProperty> properties = Properties(value, "qom-type");
        NoteName("object", QemuOptionSyntax.Find(properties, "id"), value);
        if (QemuOptionSyntax.Find(properties, "qom-type")?.StartsWith("memory-backend", StringComparison.Ordinal) != true
            || QemuOptionSyntax.Find(properties, "id") is not { } id)
            return;
        // QEMU takes a bare number for MiB in -m alone.
        if (QemuOptionSyntax.Find(properties, "size") is not { } text || !QemuOptionSyntax.TrySize(text, 0, out ulong sizeBytes)
            || sizeBytes > MaxMemoryBytes)
        {
            Fail(Missing, value, $"the memory object {InputError.Quote(id)} has no size", "give its size=, with M, G or T");
            return;
        }

        _memoryObjects.Add((id, sizeBytes));
    }

    /// <summary>QEMU takes each name once among devices, objects, networks, drives and channels.</summary>
    /// <param name="kind">As QEMU calls it.</param>
    private void NoteName(string kind, string? name, QemuWord at)
    {
        _references.Add(kind, name);
        if (name is null || at.NeedsShell || _names.Add((kind, name)))
            return;
        bool isJson = at.Text.StartsWith('{');
        _sameName ??= !isJson ? $"Duplicate ID '{name}' for {kind}"
            : kind == "device" ? $"Duplicate device ID '{name}'"
            : kind == "object" ? $"attempt to add duplicate property '{name}' to object (type 'container')" : null;
    }

    private static string? NameIn(string text) => QemuOptionSyntax.Find(
        text.StartsWith('{') && QemuOptionSyntax.TryReadJson(text, out ImmutableArray<QemuProperty> members) ? members
            : QemuOptionSyntax.Split(text, ""), "id");

    /// <summary><c>name=opt/ovmf/X-PciMmio64Mb,string=65536</c>.</summary>
    private void ReadFwCfg(QemuWord value)
    {
        ImmutableArray<QemuProperty> properties = QemuOptionSyntax.Split(value.Text, "name");
        if (QemuOptionSyntax.Find(properties, "name") is not { Length: > 0 } name)
        {
            Fail(Missing, value, $"{InputError.Quote(value.Text)} has no name", "write name=…,string=…");
            return;
        }

        if (QemuOptionSyntax.Find(properties, "string") is { } text)
        {
            _fwCfg.Add(new(name, text));
            return;
        }

        // What it holds decides the map for these.
        if (name is "opt/ovmf/X-PciMmio64Mb" or "opt/org.seabios/pci64")
            Fail(NotSupported, value, $"the value of {name} stands in a file that is not read", "write its content with string=");
    }

    /// <summary><c>q35-pcihost.pci-hole64-size=64G</c>, or <c>driver=…,property=…,value=…</c>.</summary>
    private void ReadGlobal(QemuWord value)
    {
        string text = value.Text;
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        int dot = equals < 0 ? -1 : text.AsSpan(0, equals).IndexOf('.');
        if (dot > 0)
        {
            _globals.Add(new(text[..dot], text[(dot + 1)..equals], text[(equals + 1)..]));
            return;
        }

        ImmutableArray<QemuProperty> properties = QemuOptionSyntax.Split(text, "");
        if (QemuOptionSyntax.Find(properties, "driver") is { } driver && QemuOptionSyntax.Find(properties, "property") is { } property
            && QemuOptionSyntax.Find(properties, "value") is { } setting)
        {
            _globals.Add(new(driver, property, setting));
            return;
        }

        Fail(Malformed, value, $"{InputError.Quote(text)} is not a valid global property", "write DRIVER.PROPERTY=VALUE");
    }

    /// <summary><c>device.ID.PROPERTY=VALUE</c> for a device that stands in front.</summary>
    private void ReadSet(QemuWord value)
    {
        string text = value.Text;
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        string[] parts = equals < 0 ? [] : text[..equals].Split('.', 3);
        if (parts is ["device", var id, var property] && !TrySet(id, property, text[(equals + 1)..]))
            Fail(NoSuchItem, value, $"there is no device {InputError.Quote(id)} in front of it", "name a device by its id");
    }

    /// <summary>Sets a property of a device that is there already; false where none has that identifier.</summary>
    public bool TrySet(string id, string property, string value)
    {
        for (int i = _devices.Count - 1; i >= 0; i--)
        {
            if (_devices[i].Device["id"] != id)
                continue;
            QemuDevice device = _devices[i].Device;
            _devices[i] = (device with { Properties = device.Properties.Add(new(property, value)) }, _devices[i].Line);
            return true;
        }

        return false;
    }
}
