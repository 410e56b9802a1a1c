// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;

namespace Keyhole.Diagnostics;

/// <summary>Why an input could not be read: a code for programs, and for people one line that says where, what and the remedy. Exit status 2 of the
/// command line.</summary>
public sealed record InputError
{
    /// <summary>Quoted text is cut here: an error stays one readable line.</summary>
    private const int MaxQuotedLength = 60;

    /// <summary>An error of a kind that is not known where it is made; elsewhere the methods named after the kinds read better.</summary>
    /// <param name="code">The kind of fault.</param>
    /// <param name="source">See <see cref="Source"/>.</param>
    /// <param name="line">See <see cref="Line"/>.</param>
    /// <param name="what">See <see cref="What"/>; what stands in the holes of an interpolated string becomes <see cref="Parameters"/>.</param>
    /// <param name="remedy">See <see cref="Remedy"/>.</param>
    public InputError(InputErrorCode code, string source, int? line, ErrorText what, Phrase remedy)
    {
        System.ArgumentNullException.ThrowIfNull(source);
        System.ArgumentNullException.ThrowIfNull(what);
        System.ArgumentNullException.ThrowIfNull(remedy);
        Code = code;
        Source = source;
        Line = line;
        What = what.ToString();
        Parameters = what.Parameters;
        Remedy = remedy;
    }

    /// <summary>The kind of fault.</summary>
    public InputErrorCode Code { get; }

    /// <summary>The file's name as the user gave it, or what else the input came from: an option, standard input.</summary>
    public string Source { get; }

    /// <summary>The 1-based line, or null where lines mean nothing.</summary>
    public int? Line { get; init; }

    /// <summary>What is wrong, without a full stop at its end. Text quoted from the input has gone through <see cref="Quote"/>.</summary>
    public string What { get; }

    /// <summary>The words and figures in <see cref="What"/>, in its order: foreign words cut and made visible as there, but without quotation marks.
    /// </summary>
    public ImmutableArray<string> Parameters { get; }

    /// <summary>What to do about it, without a full stop at its end.</summary>
    public Phrase Remedy { get; init; }

    /// <summary>An error of the kind <see cref="InputErrorCode.Unreadable"/>.</summary>
    public static InputError Unreadable(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.Unreadable, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.Unwritable"/>.</summary>
    public static InputError Unwritable(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.Unwritable, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.NotFound"/>.</summary>
    public static InputError NotFound(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.NotFound, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.NothingInIt"/>.</summary>
    public static InputError NothingInIt(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.NothingInIt, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.Malformed"/>.</summary>
    public static InputError Malformed(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.Malformed, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.TooLarge"/>.</summary>
    public static InputError TooLarge(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.TooLarge, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.UnknownWord"/>.</summary>
    public static InputError UnknownWord(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.UnknownWord, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.OutOfRange"/>.</summary>
    public static InputError OutOfRange(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.OutOfRange, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.Missing"/>.</summary>
    public static InputError Missing(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.Missing, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.Conflict"/>.</summary>
    public static InputError Conflict(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.Conflict, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.Repeated"/>.</summary>
    public static InputError Repeated(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.Repeated, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.NoSuchItem"/>.</summary>
    public static InputError NoSuchItem(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.NoSuchItem, source, line, what, remedy);

    /// <summary>An error of the kind <see cref="InputErrorCode.NotSupported"/>.</summary>
    public static InputError NotSupported(string source, int? line, ErrorText what, Phrase remedy) =>
        new(InputErrorCode.NotSupported, source, line, what, remedy);

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

    /// <summary>Whether both tell the same fault of the same place.</summary>
    public bool Equals(InputError? other) =>
        other is not null && Code == other.Code && Source == other.Source && Line == other.Line && What == other.What && Remedy.Equals(other.Remedy);

    /// <inheritdoc/>
    public override int GetHashCode() => System.HashCode.Combine(Code, Source, Line, What, Remedy);
}
