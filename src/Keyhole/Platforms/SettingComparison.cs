// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Platforms;

/// <summary>A setting of a guest's machine that was tried, or several together.</summary>
/// <param name="Setting">As users write it; "as it is" for none.</param>
/// <param name="Unplaced">BARs without an address of use under it.</param>
public sealed record TriedSetting(string Setting, int Unplaced, GuestOutcome Outcome);

/// <summary>A setting, ready to be pasted; null for a form that the guest has not.</summary>
public sealed record PastedSetting(string? Libvirt, string? Qemu, string? Proxmox, string? Xl);

/// <summary>Which settings of its machine help a guest whose firmware places the BARs.</summary>
/// <param name="Settings">As it is first.</param>
/// <param name="Best">One of them: the lightest under which every BAR has its place; null where none of those tried does.</param>
/// <param name="Why">One sentence.</param>
public sealed record SettingComparison(ImmutableArray<TriedSetting> Settings, string? Best, string Why, PastedSetting? Paste);
