// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Threading;

namespace Keyhole.Dom0;

/// <summary>What a tool said and how it ended.</summary>
/// <param name="ExitCode">0–255; <see cref="NotThere"/> where there is no such program, <see cref="TookTooLong"/> where it had to be ended.</param>
public sealed record ToolResult(int ExitCode, string Output, string Error)
{
    /// <summary>What stands for an exit code where the program is not there, as in a shell.</summary>
    public const int NotThere = -1;

    /// <summary>What stands for an exit code where the program was ended because it took too long.</summary>
    public const int TookTooLong = -2;

    /// <summary>Whether the program ended with 0.</summary>
    public bool Succeeded => ExitCode == 0;

    /// <summary>The last line that is not empty of what it complained about: the one that says why.</summary>
    public string LastComplaint
    {
        get
        {
            string[] lines = (Error.Length > 0 ? Error : Output).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            return lines.Length == 0 ? "" : lines[^1];
        }
    }
}

/// <summary>Runs the toolstack's programs. Arguments are a list: no shell reads them.</summary>
public interface IToolRunner
{
    /// <param name="limit">After this the program is ended.</param>
    ToolResult Run(string program, ImmutableArray<string> arguments, TimeSpan limit, CancellationToken cancellation = default);
}
