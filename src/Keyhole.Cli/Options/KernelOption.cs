// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.CommandLine.Completions;
using System.Linq;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Logs;
using Keyhole.PvGuest;

namespace Keyhole.Cli.Options;

/// <summary><c>--kernel</c>: which Linux boots.</summary>
internal sealed class KernelOption
{
    private readonly Option<string?> _kernel = new("--kernel")
    {
        Description =
            $"Which Linux: any release from 3.2 to 7.3, written 6.1.192, linux-4.19.304 or as it calls itself (6.1.0-50-amd64, its whole version "
                + $"line, what uname -a prints). Default {KernelReleases.NameOf(KernelReleases.Default)}.",
        HelpName = "RELEASE",
    };

    /// <summary>Behind the name of a kernel that nobody named.</summary>
    public const string Assumed = ", which is assumed: --kernel names another";

    public KernelOption() =>
        _kernel.CompletionSources.Add(static _ => KernelReleases.Named.Select(static version => new CompletionItem(KernelReleases.NameOf(version))));

    public Option Option => _kernel;

    public void AddTo(Command command) => command.Options.Add(_kernel);

    /// <summary>Whether the user names a kernel.</summary>
    public bool IsNamed(ParseResult parsed) => parsed.GetValue(_kernel) is not null;

    /// <summary>What is given, as words of a command line.</summary>
    public string[] Words(ParseResult parsed) => parsed.GetValue(_kernel) is { } text ? [_kernel.Name, text] : [];

    /// <summary>Null, or why the text is no release that is known. What is taken for granted is remarked.</summary>
    public InputError? Read(ParseResult parsed, KernelRelease fallback, CommandConsole console, out KernelRelease release)
    {
        release = fallback;
        return parsed.GetValue(_kernel) is { } text ? Read(text, console, out release) : null;
    }

    /// <summary>Null, or why the text is no release that is known.</summary>
    public static InputError? Read(string text, CommandConsole console, out KernelRelease release)
    {
        release = default;
        KernelIdentity? identity = KernelReleases.Identify(text);
        if (identity is null)
            return InputError.UnknownWord("--kernel", null, $"{InputError.Quote(text)} is not a release of Linux",
                "write it as 6.1.192, linux-4.19.304 or 6.1.0-50-amd64");
        if (identity.Release is not { } known)
            return InputError.NotSupported("--kernel", null, $"the memory setup of Linux {InputError.Quote(identity.Text)} is not known",
                "give a release from 3.2 to 7.3");
        release = known;
        if (identity.Guess is { } guess)
            console.Remark($"--kernel: a guess: {guess}");
        if (known == KernelRelease.July2015)
            console.Remark("--kernel: linux-4.3 names a state of July 2015, before the release; for that, write 4.3.0");
        if (known == KernelRelease.April2012)
            console.Remark("--kernel: linux-3.4 names a state of April 2012, with a change that went into 3.5; for the release, write 3.4.0");
        return null;
    }
}
