// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Keyhole.Diagnostics;

/// <summary>
/// A sentence for people that may name a <see cref="Setting"/>. The library does not know how its user sets one: whoever shows the sentence says
/// that, a command line with its option, a form with its field. A string is a phrase that names none; an interpolated string may hold settings:
/// <c>Phrase remedy = $"leave out {Setting.Dialect}";</c>.
/// </summary>
[InterpolatedStringHandler]
public sealed class Phrase : IEquatable<Phrase>
{
    /// <summary>Marks the first setting inside the text, the others follow: characters for private use, which no text of others keeps.</summary>
    private const char FirstMark = '\ue000';

    private static readonly int s_marks = Enum.GetValues<Setting>().Length;

    private readonly StringBuilder _text;

    /// <summary>Called by the compiler for an interpolated string.</summary>
    public Phrase(int literalLength, int formattedCount) => _text = new(literalLength + (16 * formattedCount));

    /// <summary>A phrase that names no setting.</summary>
    [return: NotNullIfNotNull(nameof(text))]
    public static implicit operator Phrase?(string? text)
    {
        if (text is null)
            return null;
        var phrase = new Phrase(text.Length, 0);
        phrase.AppendFormatted(text);
        return phrase;
    }

    /// <summary>Phrases one after the other.</summary>
    public static Phrase Join(string separator, IEnumerable<Phrase> phrases)
    {
        ArgumentNullException.ThrowIfNull(phrases);
        var joined = new Phrase(0, 0);
        bool isFirst = true;
        foreach (Phrase phrase in phrases)
        {
            if (!isFirst)
                joined.AppendLiteral(separator);
            isFirst = false;
            joined.AppendFormatted(phrase);
        }

        return joined;
    }

    /// <summary>Called by the compiler for an interpolated string.</summary>
    public void AppendLiteral(string text) => _text.Append(text);

    /// <summary>Called by the compiler for an interpolated string.</summary>
    public void AppendFormatted(Setting setting) => _text.Append((char)(FirstMark + (int)setting));

    /// <summary>Called by the compiler for an interpolated string. The phrase keeps its settings.</summary>
    public void AppendFormatted(Phrase? phrase) => _text.Append(phrase?._text);

    /// <summary>Called by the compiler for an interpolated string.</summary>
    public void AppendFormatted(string? text)
    {
        foreach (char letter in text ?? "")
            _text.Append(IsMark(letter) ? '?' : letter);
    }

    /// <summary>Called by the compiler for an interpolated string.</summary>
    public void AppendFormatted<T>(T value, string? format = null) =>
        AppendFormatted(value is IFormattable formattable ? formattable.ToString(format, CultureInfo.InvariantCulture) : value?.ToString());

    /// <summary>The text, each setting in the words of who shows it.</summary>
    public string Worded(Func<Setting, string> words)
    {
        ArgumentNullException.ThrowIfNull(words);
        var worded = new StringBuilder(_text.Length);
        foreach (ReadOnlyMemory<char> chunk in _text.GetChunks())
        {
            foreach (char letter in chunk.Span)
                _ = IsMark(letter) ? worded.Append(words((Setting)(letter - FirstMark))) : worded.Append(letter);
        }

        return worded.ToString();
    }

    /// <summary>The text, each setting by its name in this library.</summary>
    public override string ToString() => Worded(SettingNames.Of);

    /// <inheritdoc/>
    public bool Equals(Phrase? other) => other is not null && _text.Equals(other._text);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Phrase);

    /// <inheritdoc/>
    public override int GetHashCode() => _text.ToString().GetHashCode(StringComparison.Ordinal);

    private static bool IsMark(char letter) => letter >= FirstMark && letter - FirstMark < s_marks;
}
