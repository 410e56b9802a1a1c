// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Logs;
using Keyhole.PvGuest;

namespace Keyhole.Tests;

/// <summary>Releases by their short names, as tests speak of them.</summary>
internal static class Kernels
{
    public static KernelRelease Linux33 => Of("linux-3.3");

    public static KernelRelease Linux34 => Of("linux-3.4");

    public static KernelRelease Linux43 => Of("linux-4.3");

    public static KernelRelease Linux44 => Of("linux-4.4");

    public static KernelRelease Linux61 => Of("linux-6.1");

    public static KernelRelease Linux66 => Of("linux-6.6");

    public static KernelRelease Linux72 => Of("linux-7.2");

    public static KernelRelease Of(string name) =>
        KernelReleases.TryParseName(name, out KernelRelease release) ? release
            : throw new ArgumentException($"{name} names no release", nameof(name));
}
