// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Keyhole.Diagnostics;

/// <summary>
/// What an <see cref="InputError"/> says, and the words and figures in it beside the text: an interpolated string keeps what stood in its holes.
/// A string is a text without parameters.
/// </summary>
[InterpolatedStringHandler]
public sealed class ErrorText
{
    private readonly StringBuilder _text;
    private readonly ImmutableArray<string>.Builder _parameters;

    /// <summary>Called by the compiler for an interpolated string.</summary>
    public ErrorText(int literalLength, int formattedCount)
    {
        _text = new(literalLength + (16 * formattedCount));
        _parameters = ImmutableArray.CreateBuilder<string>(formattedCount);
    }

    /// <summary>What stood in the holes, in their order; without the quotation marks that <see cref="InputError.Quote"/> puts around foreign words.
    /// </summary>
    public ImmutableArray<string> Parameters => _parameters.ToImmutable();

    /// <summary>A text without parameters.</summary>
    public static implicit operator ErrorText(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var made = new ErrorText(text.Length, 0);
        made.AppendLiteral(text);
        return made;
    }

    /// <summary>Called by the compiler for an interpolated string.</summary>
    public void AppendLiteral(string text) => _text.Append(text);

    /// <summary>Called by the compiler for an interpolated string.</summary>
    public void AppendFormatted(string? text)
    {
        _text.Append(text);
        _parameters.Add(text is ['"', .. string word, '"'] ? word : text ?? "");
    }

    /// <summary>Called by the compiler for an interpolated string. The text and parameters of another become this one's.</summary>
    public void AppendFormatted(ErrorText text)
    {
        ArgumentNullException.ThrowIfNull(text);
        _text.Append(text._text);
        _parameters.AddRange(text._parameters);
    }

    /// <summary>Called by the compiler for an interpolated string; numbers are written as in every culture.</summary>
    public void AppendFormatted<T>(T value, string? format = null) =>
        AppendFormatted(value is IFormattable formattable ? formattable.ToString(format, CultureInfo.InvariantCulture) : value?.ToString());

    /// <summary>The text.</summary>
    public override string ToString() => _text.ToString();
}
