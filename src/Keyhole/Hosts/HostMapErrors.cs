// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Diagnostics;

namespace Keyhole.Hosts;

/// <summary>Errors that several dialects share, worded once.</summary>
internal static class HostMapErrors
{
    public static InputError TooManyEntries(string source, int? line) =>
        InputError.TooLarge(source, line, $"the memory map has more than {Host.MaxEntries} entries",
            "no firmware has so many and Xen keeps no more; check the capture");

    public static InputError Empty(string source) =>
        InputError.NothingInIt(source, null, "the input is empty", "give the output of 'xl dmesg', 'dmesg' or 'sudo cat /proc/iomem'");
}
