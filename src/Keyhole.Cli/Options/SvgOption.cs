// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.Text;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Options;

/// <summary><c>--svg FILE</c>: the answer as a picture, besides the usual output.</summary>
internal sealed class SvgOption(CommandConsole console)
{
    private readonly Option<string?> _file = new("--svg")
    {
        Description = "Draw the answer into this file as well: a picture that browsers, office programs and printers take.",
        HelpName = "FILE",
    };

    public void AddTo(Command command) => command.Options.Add(_file);

    public bool IsGiven(ParseResult parsed) => parsed.GetValue(_file) is not null;

    /// <summary>Writes the picture if there is to be one. The error, or null.</summary>
    public InputError? Write(ParseResult parsed, System.Func<string> picture) =>
        parsed.GetValue(_file) is { } path ? Files.WriteWhole(path, Encoding.UTF8.GetBytes(picture()), console.Patience) : null;
}
