// SPDX-License-Identifier: GPL-2.0-only

using System.CommandLine;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole completion</c>: what makes bash complete verbs, options and values.</summary>
internal static class CompletionVerb
{
    // The program itself knows what fits: System.CommandLine answers its [suggest] directive.
    private const string Bash = """
        # bash completion for keyhole; put "source <(keyhole completion)" into ~/.bashrc
        _keyhole() {
            local IFS=$'\n' suggestions
            suggestions=$("${COMP_WORDS[0]}" "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)
            COMPREPLY=($(compgen -W "${suggestions}" -- "${COMP_WORDS[COMP_CWORD]}"))
            if [ ${#COMPREPLY[@]} -eq 0 ]; then
                COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
            fi
        }
        complete -o filenames -F _keyhole keyhole ./keyhole
        """;

    public static Command Build(CommandConsole console)
    {
        var command = new Command("completion", "Print the completion script for bash.");
        Examples.AddTo(command, console, """

            Examples:
              keyhole completion > /etc/bash_completion.d/keyhole
                  For everybody, as root.
            """);
        command.SetAction(_ =>
        {
            console.Out.WriteLine(Bash);
            return ExitStatus.Yes;
        });
        return command;
    }
}
