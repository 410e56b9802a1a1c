// SPDX-License-Identifier: GPL-2.0-only


namespace Keyhole.Diagnostics;

/// <summary>Why an input could not be read: one line that says where, what and the remedy. Exit status 2 of the command line.</summary>
/// <param name="Source">The file's name as the user gave it, or what else the input came from.</param>
/// <param name="Line">The 1-based line, or null where lines mean nothing.</param>
/// <param name="What">What is wrong, without a full stop at its end. Text quoted from the input has gone through <see cref="Quote"/>.</param>
/// <param name="Remedy">What to do about it, without a full stop at its end.</param>
public sealed record InputError(string Source, int? Line, string What, Phrase Remedy)
{
    /// <summary>Quoted text is cut here: an error stays one readable line.</summary>
    private const int MaxQuotedLength = 60;

    /// <summary>A piece of hostile input made fit for one line: cut, and gone through <see cref="ForeignText"/>.</summary>
    public static string Quote(System.ReadOnlySpan<char> text) => $"\"{OneLine(text, MaxQuotedLength)}{(text.Length > MaxQuotedLength ? "…" : "")}\"";

    /// <summary>The first <paramref name="maxLength"/> characters of hostile input, without quotes, made fit for one line as <see cref="Quote"/>
    /// does.</summary>
    public static string OneLine(System.ReadOnlySpan<char> text, int maxLength) =>
        ForeignText.OneLine(text[..System.Math.Min(text.Length, maxLength)]);

    /// <summary>A path fit for one line: as it is, or quoted where it holds what <see cref="ForeignText"/> does not show.</summary>
    public static string PathText(string path) => ForeignText.OneLine(path) == path ? path : Quote(path);

    /// <summary>The whole line: where, what and the remedy.</summary>
    public Phrase ToPhrase() => $"{Where}: {What}; {Remedy}";

    /// <summary>The source, and the line where there is one.</summary>
    public string Where => Line is { } line ? $"{Source}:{line}" : Source;

    /// <inheritdoc/>
    public override string ToString() => ToPhrase().ToString();
}
