// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Platforms;

/// <summary>A setting of a guest's machine that was tried, or several together.</summary>
/// <param name="Setting">As users write it; "as it is" for none.</param>
/// <param name="Unplaced">BARs without an address of use under it: all of a guest that is not started. Null where it is not told what the devices ask
/// for.</param>
public sealed record TriedSetting(string Setting, int? Unplaced, GuestOutcome Outcome)
{
    /// <summary>RAM below 4 GiB under it, in KiB; null where it does not depend on the setting, or there is no guest.</summary>
    public ulong? RamBelow4GiBKiB { get; init; }

    /// <summary>Memory BARs that lie above 4 GiB under it; null where nobody counts them.</summary>
    public int? AboveFourGiB { get; init; }
}

/// <summary>A setting, ready to be pasted; null for a form that the guest has not.</summary>
public sealed record PastedSetting(string? Libvirt, string? Qemu, string? Proxmox, string? Xl)
{
    /// <summary>What it takes the place of, and what is to be done beside it, for no file says that; null for nothing.</summary>
    public string? Beside { get; init; }

    /// <summary>A command of XCP-ng's and XenServer's <c>xe</c>.</summary>
    public string? XcpNg { get; init; }
}

/// <summary>Which settings of its machine help a guest whose firmware places the BARs.</summary>
/// <param name="Settings">As it is first.</param>
/// <param name="Best">One of them: the lightest under which every BAR has its place; null where none of those tried does.</param>
/// <param name="Why">One sentence.</param>
public sealed record SettingComparison(ImmutableArray<TriedSetting> Settings, string? Best, string Why, PastedSetting? Paste);
