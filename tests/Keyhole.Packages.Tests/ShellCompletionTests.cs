// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Packages.Tests;

/// <summary>The completion scripts in the real shells.</summary>
[TestClass]
[TestCategory("Packages")]
public sealed class ShellCompletionTests
{
    private static readonly string s_keyhole = Path.Combine(Tools.Tree, "artifacts", "publish", "dom0", "keyhole");

    private readonly string _home = Directory.CreateTempSubdirectory("keyhole-shell-").FullName;

    [ClassInitialize]
    public static void Make_the_program(TestContext context) => Tools.Output(Path.Combine(Tools.Tree, "eng", "publish"), "--changed");

    [TestInitialize]
    public void Make_a_home()
    {
        Directory.CreateDirectory(Path.Combine(_home, "bin"));
        File.CreateSymbolicLink(Path.Combine(_home, "bin", "keyhole"), s_keyhole);
        File.WriteAllText(Path.Combine(_home, "xen.log"), "");
    }

    [TestCleanup]
    public void Remove_it() => Directory.Delete(_home, recursive: true);

    [TestMethod]
    [DataRow("keyhole pla", "plan")]
    [DataRow("keyhole plan --policy pun", "punch")]
    [DataRow("keyhole plan --type h", "hvm")]
    [DataRow("keyhole show --host xe", "xen.log")]
    public void Bash_completes(string line, string completed)
    {
        string[] words = line.Split(' ');
        string script = $$"""
            cd {{_home}}; PATH={{_home}}/bin:$PATH; source <(keyhole completion bash)
            COMP_LINE='{{line}}' COMP_POINT={{line.Length}} COMP_WORDS=({{line}}) COMP_CWORD={{words.Length - 1}}
            _keyhole; printf '%s\n' "${COMPREPLY[@]}"
            """;

        Assert.AreEqual(completed, Tools.Output("bash", "-c", script).TrimEnd());
    }

    [TestMethod]
    [DataRow("keyhole pla", "plan\tPlan the memory map of a guest")]
    [DataRow("keyhole plan --policy pun", "punch")]
    [DataRow("keyhole show --host xe", "xen.log")]
    public void Fish_completes_and_describes(string line, string completed)
    {
        string script = $"cd {_home}; set -x HOME {_home}; set -x PATH {_home}/bin $PATH; keyhole completion fish | source; complete -C '{line}'";

        string[] found = Tools.Output("fish", "--no-config", "-c", script).Split('\n');

        Assert.StartsWith(completed, found.First(word => word.Length > 0));
    }

    /// <summary>zsh completes only where somebody types: in a pseudo terminal of zpty's.</summary>
    [TestMethod]
    [DataRow("keyhole pla", "keyhole plan ")]
    [DataRow("keyhole plan --policy pun", "keyhole plan --policy punch ")]
    [DataRow("keyhole plan --type h", "keyhole plan --type hvm ")]
    [DataRow("keyhole plan --max", "keyhole plan --maxmem ")]
    [DataRow("keyhole show --host xe", "keyhole show --host xen.log ")]
    public void Zsh_completes(string line, string completed)
    {
        string functions = Directory.CreateDirectory(Path.Combine(_home, "functions")).FullName;
        File.WriteAllText(Path.Combine(functions, "_keyhole"), Tools.Output(s_keyhole, "completion", "zsh"));
        File.WriteAllText(
            Path.Combine(_home, ".zshrc"),
            $"cd {_home}; PATH={_home}/bin:$PATH; fpath=({functions} $fpath); autoload -Uz compinit; compinit -u; PS1='ready> '\n" +
            "show() { print -r -- \"<$BUFFER>\" > " + _home + "/shown; }; zle -N show; bindkey '^X' show\n");
        string script = $"""
            zmodload zsh/zpty
            zpty shell 'TERM=dumb HOME={_home} ZDOTDIR={_home} zsh -i'
            zpty -r -m shell line '*ready>*'
            zpty -w -n shell $'{line}\t\C-x'
            for i in {"{1..200}"}; do [[ -s {_home}/shown ]] && break; sleep 0.1; done
            zpty -d shell
            """;

        Tools.Output("zsh", "-f", "-c", script);

        Assert.AreEqual($"<{completed}>\n", File.ReadAllText(Path.Combine(_home, "shown")));
    }
}
