// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
using Keyhole.Cli.Help;
using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;

namespace Keyhole.Cli.Verbs;

/// <summary><c>keyhole completion</c>: what makes a shell complete verbs, options and values.</summary>
internal static class CompletionVerb
{
    // The program itself knows what fits: see CompletionDirective. Where nothing does, a file is wanted.
    private const string Bash = """
        # bash completion for keyhole; put "source <(keyhole completion bash)" into ~/.bashrc
        _keyhole() {
            local IFS=$'\n' suggestions
            suggestions=$("${COMP_WORDS[0]}" "[describe:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null | cut -f 1)
            COMPREPLY=($(compgen -W "${suggestions}" -- "${COMP_WORDS[COMP_CWORD]}"))
            if [ ${#COMPREPLY[@]} -eq 0 ]; then
                COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
            fi
        }
        complete -o filenames -F _keyhole keyhole ./keyhole
        """;

    private const string Zsh = """
        #compdef keyhole
        # zsh completion for keyhole; put "source <(keyhole completion zsh)" into ~/.zshrc, behind compinit
        _keyhole() {
            local typed="${(j: :)words[1,CURRENT]}" line
            local -a found
            for line in ${(f)"$(${(Q)words[1]} "[describe:${#typed}]" "$typed" 2>/dev/null)"}; do
                found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
            done
            if (( ${#found} )); then
                _describe keyhole found
            else
                _files
            fi
        }
        if [ "$funcstack[1]" = _keyhole ]; then
            _keyhole "$@"
        else
            compdef _keyhole keyhole
        fi
        """;

    private const string Fish = """
        # fish completion for keyhole; put "keyhole completion fish | source" into ~/.config/fish/config.fish
        function __keyhole_complete
            set -l typed (commandline -cp)
            set -l program (commandline -po)[1]
            set -l found ($program "[describe:"(string length -- $typed)"]" $typed 2>/dev/null)
            if test (count $found) -gt 0
                printf '%s\n' $found
            else
                __fish_complete_path (commandline -ct)
            end
        end
        complete -c keyhole -f -a '(__keyhole_complete)'
        """;

    private static readonly (string Name, string Script)[] s_shells = [("bash", Bash), ("zsh", Zsh), ("fish", Fish)];

    public static Command Build(CommandConsole console)
    {
        var shell = new Argument<string>("SHELL")
        {
            Description = "bash, zsh or fish.",
            HelpName = "SHELL",
            DefaultValueFactory = static _ => "bash"
        };
        shell.CompletionSources.Add(static _ => s_shells.Select(static known => new System.CommandLine.Completions.CompletionItem(known.Name)));
        var command = new Command("completion", "Print the script that makes a shell complete keyhole's verbs, options and values.") { shell };
        Examples.AddTo(command, console, """

            Examples:
              keyhole completion bash > /etc/bash_completion.d/keyhole
                  For everybody, as root.
              keyhole completion zsh > ~/.zfunc/_keyhole
                  In a folder of fpath.
              keyhole completion fish > ~/.config/fish/completions/keyhole.fish
                  For yourself.
            """);
        command.SetAction(parsed =>
        {
            string name = parsed.GetRequiredValue(shell);
            foreach ((string known, string script) in s_shells)
            {
                if (known == name)
                {
                    console.Out.WriteLine(script);
                    return ExitStatus.Yes;
                }
            }

            IEnumerable<string> names = s_shells.Select(static known => known.Name);
            return console.Fail(InputError.UnknownWord("completion", null, $"{InputError.Quote(name)} is not a shell that it is made for",
                $"take one of {string.Join(' ', names)}"));
        });
        return command;
    }
}
