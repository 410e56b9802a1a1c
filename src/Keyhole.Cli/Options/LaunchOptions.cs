// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.CommandLine;
using System.IO;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Dom0;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Planning;
using Keyhole.Platforms;

namespace Keyhole.Cli.Options;

/// <summary>The options of a command that creates a guest on this machine, and what they come to.</summary>
internal sealed class LaunchOptions(CommandConsole console)
{
    private const int DefaultTimeoutSeconds = 120;
    private const int MaxTimeoutSeconds = 86400;

    private readonly Argument<string?> _path = new("GUEST.cfg") { Description = "The guest's xl.cfg.", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<string?> _guest = GuestFileOption.Guest("The guest's xl.cfg, as for the other verbs.", "GUEST.cfg");
    private readonly PolicyOption _policy = new("punch");
    private readonly KernelSource _kernel = new();
    private readonly Option<int> _timeout = new("--timeout")
    {
        Description = "Seconds to wait for what it says.",
        HelpName = "S",
        DefaultValueFactory = static _ => DefaultTimeoutSeconds,
    };

    /// <param name="isWaiting">Whether the command waits for what the guest says.</param>
    public void AddTo(Command command, bool isWaiting = true)
    {
        command.Arguments.Add(_path);
        command.Options.Add(_guest);
        _policy.AddTo(command);
        _kernel.AddTo(command);
        if (isWaiting)
            command.Options.Add(_timeout);
    }

    public bool IsPolicyNamed(ParseResult parsed) => _policy.IsNamed(parsed);

    /// <summary>The policy as words of a command line.</summary>
    public ImmutableArray<string> PolicyWords(ParseResult parsed) => _policy.Words(parsed);

    /// <summary>The options that say which map it is, where they are given, as words of a command line.</summary>
    public ImmutableArray<string> MapWords(ParseResult parsed) =>
        [.. IsPolicyNamed(parsed) ? PolicyWords(parsed) : [], .. _kernel.Words(parsed)];

    /// <summary>The guest's file, or the error that none is named.</summary>
    public InputError? ReadPath(ParseResult parsed, out string path)
    {
        path = parsed.GetValue(_path) ?? parsed.GetValue(_guest) ?? "";
        if (parsed.GetValue(_path) is not null && parsed.GetValue(_guest) is not null)
            return InputError.Repeated(_guest.Name, null, "the guest's file is named twice", "name it once");
        return path.Length == 0 ? InputError.Missing("the guest", null, "no file is named", "give the guest's xl.cfg") : null;
    }

    /// <summary>What the options say, the guest's file read. Null when that was refused; <paramref name="status"/> is then the command's.</summary>
    public GuestRequest? Read(ParseResult parsed, out int status)
    {
        InputError? error = Read(parsed, out GuestRequest? request);
        status = error is null ? ExitStatus.Yes : console.Fail(error);
        return request;
    }

    private InputError? Read(ParseResult parsed, out GuestRequest? request)
    {
        request = null;
        if (ReadPath(parsed, out string path) is { } unnamed)
            return unnamed;
        if (!_policy.Read(parsed).TryGet(out PolicyChoice? choice, out InputError? error))
            return error;
        int timeout = parsed.CommandResult.Command.Options.Contains(_timeout) ? parsed.GetValue(_timeout) : DefaultTimeoutSeconds;
        if (timeout is <= 0 or > MaxTimeoutSeconds)
            return InputError.OutOfRange("--timeout", null, "this is not a valid time to wait", $"give 1 to {MaxTimeoutSeconds} seconds");
        if (!Files.Read(console, path, "an xl.cfg", Reader(path)).TryGet(out GuestDocument? document, out error))
            return error;
        GuestSpec spec = document.Guest;
        if (document.WhyNotActedOn(Files.Shown(path)) is { } amidText)
            return amidText;
        if (WhyUnfit(path, document) is { } refusal)
            return refusal;
        foreach (string remark in document.Remarks)
            console.Remark(remark);
        if (!_kernel.Read(parsed, console, KernelReleases.Default, spec).TryGet(out KernelChoice? kernel, out error))
            return error;
        request = new()
        {
            Path = path,
            Guest = spec,
            Policy = choice.Policy,
            Kernel = kernel.Release,
            Image = kernel.Image,
            IsKernelNamed = kernel.IsNamed,
            Timeout = TimeSpan.FromSeconds(timeout),
        };
        return null;
    }

    private static Func<Stream, string, Parsed<GuestDocument>> Reader(string path) =>
        (stream, name) => path != "-" && stream is LimitedStream { IsRepeatable: false }
        ? InputError.NotSupported(name, null, "this is a pipe, and xl reads it again", "give a file")
        : GuestReader.Read(stream, name);

    private static InputError? WhyUnfit(string path, GuestDocument document)
    {
        GuestSpec spec = document.Guest;
        string source = Files.Shown(path);
        if (path == "-" || document.LibvirtXml is not null)
            return InputError.NotSupported(source, null, "xl starts guests from an xl.cfg in a file",
                "write one: keyhole plan --guest FILE --emit xl");
        if (!Planner.PlatformOf(spec).Traits.TakesPolicies)
            return InputError.NotSupported(source, null,
                $"the guest is not a PV guest: {GuestReview.WhyNoOtherMap(spec.Type)}",
                GuestReview.InsteadOfAnotherMap(spec.Type, spec.Toolstack));
        return spec.VisibleName is null ? InputError.Missing(source, null, "the guest has no name", "set name=\"…\"") : null;
    }
}
