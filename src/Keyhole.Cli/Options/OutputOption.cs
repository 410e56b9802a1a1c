// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;

namespace Keyhole.Cli.Options;

/// <summary><c>--output FILE</c>: where the answer itself goes, instead of standard output.</summary>
internal static class OutputOption
{
    public static Option<string?> Create(string description) => new("--output", "-o") { Description = description, HelpName = "FILE" };
}
