// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>Values of options that have variables in them which only a shell could fill in: whether the guest's map hangs on those.</summary>
internal static class QemuShellValues
{
    /// <summary>Whether whatever a shell puts in does not change where RAM and BARs are.</summary>
    /// <param name="option">Without its dashes.</param>
    public static bool AreHarmless(ReadOnlySpan<char> option, string text)
    {
        if (option is "bios" or "pflash")
        {
            // The file's name tells which firmware it is.
            return !IsVariable(text[(text.LastIndexOf('/') + 1)..]);
        }

        if (option is not ("device" or "object" or "nic" or "net" or "fw_cfg") || text.StartsWith('{'))
            return false;
        bool isDevice = option is "device";
        ImmutableArray<QemuProperty> properties =
            QemuOptionSyntax.Split(text, isDevice ? "driver" : option is "object" ? "qom-type" : option is "fw_cfg" ? "name" : "type");
        if (option is "object" && !IsOfNoBearing(QemuOptionSyntax.Find(properties, "qom-type")))
            return properties.All(static property => !HasVariable(property) || (property.Name == "mem-path" && IsWhole(property.Value)));
        string what = properties.Length > 0 ? properties[0].Value : "";
        string first = properties.Length > 0 ? properties[0].Name : "";
        if (IsVariable(what) || IsVariable(first))
            return false;
        if (option is "object")
            return true;
        if (option is "fw_cfg")
            return !what.StartsWith("opt/ovmf/", StringComparison.Ordinal) && !what.StartsWith("etc/", StringComparison.Ordinal);
        return properties.All(property => !HasVariable(property) || (!IsVariable(property.Name) && IsOfNoBearing(isDevice, what, property)));
    }

    /// <summary>A whole value alone: what is put in behind something else may have further properties in it.</summary>
    private static bool IsOfNoBearing(bool isDevice, string driver, QemuProperty property) => property.Name switch
    {
        "osk" or "mac" or "macaddr" or "serial" or "wwn" or "netdev" or "drive" or "chardev" or "audiodev" or "display" or "name" or "evdev"
            or "ifname" or "script" or "downscript" or "br" or "helper" or "hostfwd" or "smb" or "tftp" or "bootfile" => IsWhole(property.Value),
        "id" => IsWhole(property.Value) && (!isDevice || QemuDevices.Find(driver) is null or { Bridge: QemuBridge.None }),
        _ => false,
    };

    /// <summary>Objects that hold no memory and do not change the machine.</summary>
    private static bool IsOfNoBearing(string? kind) => kind is "secret" or "iothread" or "input-linux" or "input-barrier" or "rng-random" or "rng-egd"
        or "rng-builtin" or "tls-creds-x509" or "tls-creds-psk" or "tls-creds-anon" or "authz-list" or "authz-simple" or "can-bus" or "filter-dump"
        or "throttle-group";

    private static bool HasVariable(QemuProperty property) => IsVariable(property.Name) || IsVariable(property.Value);

    private static bool IsVariable(string text) => text.AsSpan().ContainsAny('$', '`');

    /// <summary><c>$NAME</c> or <c>${NAME}</c> and nothing else.</summary>
    private static bool IsWhole(string text)
    {
        ReadOnlySpan<char> name = text.StartsWith("${", StringComparison.Ordinal) && text.EndsWith('}') ? text.AsSpan(2, text.Length - 3)
            : text.StartsWith('$') ? text.AsSpan(1) : default;
        return !name.IsEmpty && name.IndexOfAnyExcept(s_name) < 0;
    }

    private static readonly System.Buffers.SearchValues<char> s_name =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
}
