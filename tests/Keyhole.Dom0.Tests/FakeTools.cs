// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Threading;

namespace Keyhole.Dom0.Tests;

/// <summary>A toolstack whose answers are given beforehand, by command line; it remembers what it was asked.</summary>
internal sealed class FakeTools : IToolRunner
{
    private readonly SortedDictionary<string, ToolResult> _answers = new(StringComparer.Ordinal);

    public List<ImmutableArray<string>> Asked { get; } = [];

    public FakeTools With(string commandLine, string output)
    {
        _answers[commandLine] = new(0, output, "");
        return this;
    }

    public ToolResult Run(string program, ImmutableArray<string> arguments, TimeSpan limit, CancellationToken cancellation = default)
    {
        Asked.Add([program, .. arguments]);
        return _answers.GetValueOrDefault($"{program} {string.Join(' ', arguments)}") ?? new(1, "", "no");
    }
}
