// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.CommandLine;
using System.CommandLine.Completions;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.PvGuest;

namespace Keyhole.Cli;

/// <summary><c>--kernel</c>: which Linux boots.</summary>
internal sealed class KernelOption
{
    private readonly Option<string?> _kernel = new("--kernel")
    {
        Description = $"Which Linux: {string.Join(", ", KernelVersions.All.Select(KernelVersions.NameOf))} (default {KernelVersions.NameOf(KernelVersions.Default)}), or a release such as 6.12.3.",
        HelpName = "VERSION",
    };

    public KernelOption() => _kernel.CompletionSources.Add(static _ => KernelVersions.All.Select(static version => new CompletionItem(KernelVersions.NameOf(version))));

    public void AddTo(Command command) => command.Options.Add(_kernel);

    /// <summary>Whether the user names a kernel.</summary>
    public bool IsNamed(ParseResult parsed) => parsed.GetValue(_kernel) is not null;

    /// <summary>Null, or why the name is none.</summary>
    public InputError? Read(ParseResult parsed, KernelVersion fallback, out KernelVersion version)
    {
        version = fallback;
        if (parsed.GetValue(_kernel) is not { } name)
            return null;
        // "linux-5.15" is a release as well, written like the names of the others.
        string release = name.StartsWith("linux-", StringComparison.Ordinal) ? name["linux-".Length..] : name;
        return KernelVersions.TryParse(name, out version) || KernelVersions.TryFromRelease(release, out version)
            ? null
            : new("--kernel", null, $"{InputError.Quote(name)} is no Linux that is known", $"take one of {string.Join(' ', KernelVersions.All.Select(KernelVersions.NameOf))}, or a release such as 6.12.3");
    }
}
