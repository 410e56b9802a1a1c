// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Diagnostics;

namespace Keyhole.Guests;

/// <summary>Settings of HVM guests for tests that make a guest by hand.</summary>
internal static class HvmKeys
{
    /// <summary>What one key of an xl.cfg comes to, the value in its syntax.</summary>
    public static HvmSettings Of(string key, string value)
    {
        using var text = new System.IO.StringReader($"name=\"g\"\ntype=\"hvm\"\nmemory=64\n{key}={value}\n");
        if (!XlConfig.Read(text, "guest").TryGet(out XlConfig? config, out InputError? error)
            || !config.ToGuest().TryGet(out GuestDocument? guest, out error))
            throw new ArgumentException(error.ToString(), nameof(value));
        return guest.Guest.Hvm;
    }
}
