// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>
/// The device whose hotplug script runs. libxl runs these scripts while it builds a guest, before the guest's first instruction, and waits for them;
/// xenstore tells of the guest then, <c>xl list -l</c> does not yet.
/// </summary>
/// <param name="Guest">The domain that gets the device.</param>
public sealed record HotplugDevice(DomainId Guest)
{
    /// <summary>The variable of its environment in which a script is told its device.</summary>
    public const string PathVariable = "XENBUS_PATH";

    /// <summary>Reads the backend's path in xenstore: "backend/vif/5/0", also with "/local/domain/0/" before it.</summary>
    public static bool TryParse(string? path, [NotNullWhen(true)] out HotplugDevice? device)
    {
        device = null;
        int backend = path?.IndexOf("backend/", StringComparison.Ordinal) ?? -1;
        if (backend < 0 || (backend > 0 && path![backend - 1] != '/'))
            return false;
        string[] parts = path![backend..].Split('/');
        if (parts.Length != 4 || !ushort.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out ushort guest)
            || guest >= DomainId.FirstReserved)
            return false;
        device = new(new DomainId(guest));
        return true;
    }
}
