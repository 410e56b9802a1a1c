// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;

namespace Keyhole.Cli.Options;

/// <summary><c>--guest FILE</c> and <c>--guest-map FILE</c>: what a guest is made from, and a map that it is to have.</summary>
internal static class GuestFileOption
{
    private const string GuestName = "--guest";

    /// <param name="description">Which dialects the verb takes: all that Keyhole reads, or an xl.cfg alone.</param>
    public static Option<string?> Guest(string description, string helpName) => new(GuestName) { Description = description, HelpName = helpName };

    /// <summary>One guest or more, whatever they are made from.</summary>
    public static Option<string[]> Guests() => new(GuestName)
    {
        Description =
            "A guest that is to move: an xl.cfg, a libvirt domain XML, a command line of QEMU or a Proxmox conf. May be given again.",
        HelpName = "FILE"
    };

    public static Option<string?> Map(string description, string helpName) =>
        new("--guest-map") { Description = description, HelpName = helpName };
}
