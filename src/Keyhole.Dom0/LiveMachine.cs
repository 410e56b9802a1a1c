// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;

namespace Keyhole.Dom0;

/// <summary>The machine that the commands for dom0 work on: this one, or a test's.</summary>
public sealed record LiveMachine
{
    /// <summary>Opens its hypervisor.</summary>
    public Func<XenResult<IXenControl>> OpenXen { get; init; } = XenControl.Open;

    /// <summary>Runs its toolstack.</summary>
    public IToolRunner Tools { get; init; } = new ToolRunner();

    /// <summary>Where /proc, /sys and /etc hang.</summary>
    public string Root { get; init; } = "/";

    /// <summary>The device whose hotplug script this program was started by; null where it was not.</summary>
    public HotplugDevice? Hotplug { get; init; } = HotplugDevice.TryParse(Environment.GetEnvironmentVariable(HotplugDevice.PathVariable),
        out HotplugDevice? device) ? device : null;

    /// <summary>Keyhole's program, which the scripts that <c>install</c> makes run.</summary>
    public string Program { get; init; } =
        Environment.ProcessPath is { } path && Path.GetFileName(path).StartsWith("keyhole", StringComparison.OrdinalIgnoreCase) ? path
            : "/usr/bin/keyhole";

    /// <summary>Where applied maps are remembered.</summary>
    public string StateFolder { get; init; } =
        AppliedMapStore.DefaultFolder(Environment.IsPrivilegedProcess, Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR"));
}
