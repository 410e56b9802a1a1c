// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;

namespace Keyhole.Cli.Options;

/// <summary>What the verbs that change something have in common: <c>--dry-run</c> and <c>--undo</c>.</summary>
internal static class ChangeOption
{
    public static Option<bool> DryRun() => new("--dry-run") { Description = "Show what would be done, and do nothing; in dom0, too." };

    /// <param name="description">What is there again afterwards.</param>
    public static Option<bool> Undo(string description) => new("--undo") { Description = description };
}
