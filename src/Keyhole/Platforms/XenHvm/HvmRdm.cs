// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Guests;
using Keyhole.Hosts;

namespace Keyhole.Platforms.XenHvm;

/// <summary>What xl makes of rdm=.</summary>
/// <param name="IsGiven">Whether the configuration has it.</param>
/// <param name="IsIgnored">Whether xl passes over it.</param>
/// <param name="IsOfHost">strategy=host: all reserved device memory of the host counts.</param>
/// <param name="Policy">"strict" or "relaxed"; null where xl leaves it open.</param>
internal readonly record struct HvmRdm(bool IsGiven, bool IsIgnored, bool IsOfHost, string? Policy)
{
    public static readonly HvmRdm Unset;

    /// <summary>What it says for devices that say nothing themselves; null where xl reads those first.</summary>
    public string? DevicePolicy { get; init; }

    /// <summary>The policy of a valid value that xl passes over; null of any other.</summary>
    public string? Asked { get; init; }

    public static HvmRdm Of(string? text, XenVersion xen)
    {
        if (text is null)
            return Unset;
        bool isOfHost = false;
        string? policy = null;
        bool isValid = text.Length > 0;
        foreach (string part in text.Split(','))
        {
            switch (part)
            {
                case "strategy=host":
                    isOfHost = true;
                    break;
                case "policy=strict" or "policy=relaxed":
                    policy = part["policy=".Length..];
                    break;
                default:
                    isValid = false;
                    break;
            }
        }

        // Since 4.15 xl takes a valid policy for an error, and then passes over the whole of it.
        bool isIgnored = !isValid || (policy is not null && !xen.IsUpTo(4, 14));
        return isIgnored ? new(true, true, false, null) { Asked = isValid ? policy : null }
            : new(true, false, isOfHost, policy) { DevicePolicy = XlReleases.ReadsDevicesFirst(xen) ? null : policy };
    }
}
