// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Dom0;

/// <summary>The machine that the commands for dom0 work on: this one, or a test's.</summary>
public sealed record LiveMachine
{
    /// <summary>Opens its hypervisor.</summary>
    public Func<XenResult<IXenControl>> OpenXen { get; init; } = XenControl.Open;

    /// <summary>Runs its toolstack.</summary>
    public IToolRunner Tools { get; init; } = new ToolRunner();

    /// <summary>Where /proc and /sys hang.</summary>
    public string Root { get; init; } = "/";

    /// <summary>Where applied maps are remembered.</summary>
    public string StateFolder { get; init; } = AppliedMapStore.DefaultFolder(Environment.IsPrivilegedProcess, Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR"));
}
