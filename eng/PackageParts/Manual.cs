// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Keyhole.Cli.Terminal;

namespace Keyhole.PackageParts;

/// <summary>
/// The manual: keyhole(1), a page for each verb, and in section 7 a page for each document that is about no verb. Nothing is written twice: options
/// and examples come from the help, the rest from docs/.
/// </summary>
internal static class Manual
{
    /// <summary>Documents for those who work on Keyhole.</summary>
    private static readonly string[] s_internal = ["index", "real-xen-tests", "real-qemu-tests", "simulated-xen"];

    /// <summary>File names and texts.</summary>
    public static IEnumerable<(string Name, string Text)> Pages(string docs, DateOnly date)
    {
        RootCommand root = Keyhole.Cli.Program.BuildRoot(new CommandConsole(StreamWriter.Null, TextWriter.Null, static () => Stream.Null,
            hasColours: false));
        Command[] verbs = [.. root.Subcommands.Where(static verb => !verb.Hidden)];
        string[] topics = [.. Directory.GetFiles(docs, "*.md").Select(static path => Path.GetFileNameWithoutExtension(path)).Where(IsTopic)
            .Order(StringComparer.Ordinal)];
        var roff = new RoffWriter(name => verbs.Any(verb => verb.Name == name) ? $"keyhole-{name}(1)"
            : topics.Contains(name) ? $"keyhole-{name}(7)" : null);

        yield return ("keyhole.1", Overview());
        foreach (Command verb in verbs)
            yield return ($"keyhole-{verb.Name}.1", OfVerb(verb));
        foreach (string topic in topics)
            yield return ($"keyhole-{topic}.7", OfTopic(topic));

        bool IsTopic(string name) => !verbs.Any(verb => verb.Name == name) && !s_internal.Contains(name);

        string Overview()
        {
            roff.Begin("keyhole", 1, date, Version(root));
            Name("keyhole", root.Description!);
            roff.Section("SYNOPSIS");
            roff.Paragraph("**keyhole** *VERB* … [**--json**]");
            roff.Section("VERBS");
            foreach (Command verb in verbs)
                roff.Item($"[{verb.Name}]({verb.Name}.md)", verb.Description!);
            Options(root);
            Examples(root);
            roff.Section("SEE ALSO");
            roff.Paragraph(string.Join(", ", verbs.Select(static verb => verb.Name).Concat(topics).Select(static name => $"[{name}]({name}.md)")));
            return roff.End();
        }

        string OfVerb(Command verb)
        {
            roff.Begin($"keyhole-{verb.Name}", 1, date, Version(root));
            Name($"keyhole-{verb.Name}", verb.Description!);
            string path = Path.Combine(docs, verb.Name + ".md");
            Document document = File.Exists(path) ? Document.Parse(File.ReadAllText(path)) : new([], [], []);
            roff.Section("SYNOPSIS");
            if (document.Synopsis.Length > 0)
                roff.Code(document.Synopsis);
            else
                roff.Paragraph(
                    $"**keyhole {verb.Name}** "
                        + $"{string.Join(' ', verb.Arguments.Select(static argument => $"[*{argument.HelpName ?? argument.Name}*]"))}");
            if (document.Lead.Length > 0)
            {
                roff.Section("DESCRIPTION");
                roff.Markdown(document.Lead);
            }

            Options(verb);
            foreach ((string title, string[] lines) in document.Sections)
            {
                roff.Section(title.ToUpperInvariant());
                roff.Markdown(lines);
            }

            Examples(verb);
            roff.Section("SEE ALSO");
            roff.Paragraph(string.Join(", ", document.Links.Where(name => name != verb.Name).Select(static name => $"[{name}]({name}.md)")
                .Where(link => roff.IsKnown(link)).Prepend("**keyhole**(1)")));
            return roff.End();
        }

        string OfTopic(string topic)
        {
            Document document = Document.Parse(File.ReadAllText(Path.Combine(docs, topic + ".md")));
            roff.Begin($"keyhole-{topic}", 7, date, Version(root));
            Name($"keyhole-{topic}", document.Title);
            roff.Section("DESCRIPTION");
            if (document.Synopsis.Length > 0)
                roff.Code(document.Synopsis);
            roff.Markdown(document.Lead);
            foreach ((string title, string[] lines) in document.Sections)
            {
                roff.Section(title.ToUpperInvariant());
                roff.Markdown(lines);
            }

            return roff.End();
        }

        void Name(string name, string description)
        {
            roff.Section("NAME");
            roff.NameLine(name, description.TrimEnd('.'));
        }

        void Options(Command verb)
        {
            Option[] options = [.. verb.Options.Where(static option => !option.Hidden)];
            if (options.Length == 0 && verb.Arguments.Count == 0)
                return;
            roff.Section("OPTIONS");
            foreach (Argument argument in verb.Arguments.Where(static argument => argument.Description is not null))
                roff.Item($"*{argument.HelpName ?? argument.Name}*", argument.Description!);
            foreach (Option option in options)
            {
                // System.CommandLine's own words for its own option.
                string[] names = [.. option.Aliases.Where(static alias => Regex.IsMatch(alias, "^-([a-z]|-[a-z-]+)$")), option.Name];
                string value = option.HelpName is { } help && option.ValueType != typeof(bool) ? $" *{help}*" : "";
                roff.Item(string.Join(", ", names.Select(static name => $"**{name}**")) + value, option.Description
                    ?? "Show help and usage information");
            }
        }

        void Examples(Command command)
        {
            if (Cli.Help.Examples.TextOf(command) is not { } text)
                return;
            string[] lines = [.. text.Trim('\n', '\r').Split('\n').Select(static line => line.TrimEnd('\r'))];
            // After the examples stand the exit statuses, in the program's help alone.
            int end = Array.FindIndex(lines, static line => line.StartsWith("Exit status:", StringComparison.Ordinal));
            roff.Section("EXAMPLES");
            roff.Code([.. lines[..(end < 0 ? lines.Length : end)].Where(static line => line != "Examples:")
                .Select(static line => line.Length > 2 ? line[2..] : line)]);
            if (end >= 0)
            {
                roff.Section("EXIT STATUS");
                foreach (string status in lines[end]["Exit status:".Length..].Trim().TrimEnd('.').Split(", "))
                    roff.Item($"**{status[..1]}**", status[1..].Trim());
            }
        }
    }

    private static string Version(RootCommand root)
    {
        _ = root;
        return typeof(Keyhole.Cli.Program).Assembly.GetName().Version!.ToString(3);
    }
}
