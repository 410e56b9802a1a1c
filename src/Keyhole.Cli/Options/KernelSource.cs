// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.CommandLine;
using System.IO;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.PvGuest;

namespace Keyhole.Cli.Options;

/// <summary>The kernel that boots.</summary>
/// <param name="Release">Which Linux.</param>
/// <param name="Image">What its image says; null where there is none to read.</param>
/// <param name="IsNamed">Whether the user or the image says which Linux it is.</param>
internal sealed record KernelChoice(KernelRelease Release, KernelImage? Image, bool IsNamed);

/// <summary><c>--kernel</c> and <c>--kernel-image</c>: which Linux boots and how far it reaches. Without them the kernel that the guest's
/// configuration names is read, where it is on this machine.</summary>
internal sealed class KernelSource
{
    private const string WhatItIs = "a kernel's image (vmlinuz, vmlinux)";

    private readonly KernelOption _kernel = new();
    private readonly Option<string?> _image = new("--kernel-image")
    {
        Description =
            "The kernel's image (vmlinuz, vmlinux): says which Linux it is and where it ends. Without it the guest's kernel= is read, if "
                + "it is here and --kernel is not given.",
        HelpName = "FILE",
    };

    /// <param name="withRelease">Whether the verb takes <c>--kernel</c>.</param>
    public void AddTo(Command command, bool withRelease = true)
    {
        if (withRelease)
            command.Options.Add(_kernel.Option);
        command.Options.Add(_image);
    }

    /// <summary>Which of the two is given; null for none.</summary>
    public string? FirstGiven(ParseResult parsed) => parsed.GetValue(_image) is not null ? _image.Name
        : _kernel.IsNamed(parsed) ? _kernel.Option.Name : null;

    /// <summary>What is given of the two, as words of a command line.</summary>
    public ImmutableArray<string> Words(ParseResult parsed) =>
        [.. _kernel.Words(parsed), .. parsed.GetValue(_image) is { } image ? [_image.Name, image] : System.Array.Empty<string>()];

    public bool IsImageGiven(ParseResult parsed) => parsed.GetValue(_image) is not null;

    /// <param name="fallback">The Linux that it is where neither the user nor an image says so.</param>
    /// <param name="guest">Whose configuration may name the image; null for none.</param>
    /// <param name="isSaid">Whether it matters enough to the verb to say that a configuration's kernel is not to be had.</param>
    /// <param name="isHere">Whether the configuration is of this machine and of the folder that this program runs in, so that a relative path leads
    /// where xl's leads.</param>
    /// <param name="remark">What is said where <paramref name="fallback"/> is taken; null for nothing.</param>
    public Parsed<KernelChoice> Read(ParseResult parsed, CommandConsole console, KernelRelease fallback, GuestSpec? guest = null, bool isSaid = true,
        bool isHere = true, string? remark = null)
    {
        bool isReleaseGiven = parsed.CommandResult.Command.Options.Contains(_kernel.Option) && _kernel.IsNamed(parsed);
        KernelRelease release = fallback;
        if (isReleaseGiven && _kernel.Read(parsed, fallback, console, out release) is { } error)
            return error;
        KernelImage? image = null;
        string name = "";
        if (parsed.GetValue(_image) is { } path)
        {
            name = Files.Shown(path);
            if (!Files.Read<KernelImage>(console, path, WhatItIs, KernelImageReader.Read).TryGet(out image, out InputError? unread))
                return unread;
        }
        else if (!isReleaseGiven && guest is not null)
        {
            image = OfGuest(console, guest, isSaid, isHere, out name);
        }

        if (image is { Version: { } its } && isReleaseGiven && KernelReleases.Identify(its) is { } told && told.Release != release)
            console.Remark($"{name}: it is Linux {told.Text}, but {KernelReleases.NameOf(release)} is asked for: what the kernel does is that one's, "
                + "where its image is this one's");
        if (image is null && !isReleaseGiven && remark is not null)
            console.Remark(remark);
        if (image is null || isReleaseGiven)
            return new KernelChoice(release, image, isReleaseGiven);
        KernelIdentity? identity = image.Version is { } version ? KernelReleases.Identify(version) : null;
        if (identity?.Release is { } known)
        {
            if (identity.Guess is { } guess)
                console.Remark($"{name}: a guess: {guess}");
            return new KernelChoice(known, image, IsNamed: true);
        }

        string what = identity is null ? "it does not say which Linux it is"
            : $"it is Linux {identity.Text}, whose memory setup is not known (known are 3.2 to 7.3)";
        console.Remark($"{name}: {what}; it is taken for {KernelReleases.NameOf(fallback)}: --kernel names another");
        return new KernelChoice(fallback, image, IsNamed: false);
    }

    private static KernelImage? OfGuest(CommandConsole console, GuestSpec guest, bool isSaid, bool isHere, out string name)
    {
        name = "";
        const string assumed = "the kernel is taken for a Linux of the size of 6.1; --kernel-image names its image";
        if (guest.Kernel is not { Length: > 0 } path)
        {
            if (isSaid && guest.HasBootloader)
                console.Remark($"the guest's bootloader takes the kernel out of its disk, where it cannot be read from here: {assumed}");
            return null;
        }

        name = Files.Shown(path);
        if (!isHere && !Path.IsPathRooted(path))
        {
            if (isSaid)
                console.Remark($"kernel={name} is relative to the folder that xl was started in, which is not known: {assumed}");
            return null;
        }

        if (Directory.Exists(path))
        {
            if (isSaid)
                console.Remark($"kernel={name} is a folder: {assumed}");
            return null;
        }

        if (!File.Exists(path))
        {
            if (isSaid)
                console.Remark($"kernel={name} is not on this machine{(Path.IsPathRooted(path) ? "" : ", in this folder")}: {assumed}");
            return null;
        }

        // A pipe that a configuration names is never waited for.
        if (new FileInfo(File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path).Length == 0)
        {
            if (isSaid)
                console.Remark($"kernel={name} is a pipe, a device or an empty file: {assumed}");
            return null;
        }

        if (Files.Read<KernelImage>(console, path, WhatItIs, KernelImageReader.Read).TryGet(out KernelImage? image, out InputError? error))
            return image;
        console.Remark($"{error}: {assumed}");
        return null;
    }
}
