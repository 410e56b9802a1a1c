// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;
using System.CommandLine.Invocation;
using System.Reflection;
using Keyhole.Cli.Terminal;

namespace Keyhole.Cli.Help;

/// <summary><c>--version</c>: the name and the version, as other tools print it.</summary>
internal sealed class VersionOptionAction(CommandConsole console) : SynchronousCommandLineAction
{
    public override int Invoke(ParseResult parseResult)
    {
        console.Out.WriteLine(
            $"keyhole {typeof(Program).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion}");
        return ExitStatus.Yes;
    }
}
