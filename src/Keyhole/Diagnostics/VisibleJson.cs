// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;

namespace Keyhole.Diagnostics;

/// <summary>
/// How text is written in JSON: letters beyond ASCII, quotes and angle brackets stay readable, as the document is no piece of HTML; what
/// <see cref="ForeignText"/> does not show is an escape (<c>\u202e</c>), so that the value is kept and a terminal is not steered by it.
/// </summary>
internal sealed unsafe class VisibleJson : JavaScriptEncoder
{
    private static readonly JavaScriptEncoder s_inner = UnsafeRelaxedJsonEscaping;

    private VisibleJson()
    {
    }

    public static JavaScriptEncoder Encoder { get; } = new VisibleJson();

    public override int MaxOutputCharactersPerInputCharacter => s_inner.MaxOutputCharactersPerInputCharacter;

    public override bool WillEncode(int unicodeScalar) => s_inner.WillEncode(unicodeScalar) || IsHidden(unicodeScalar);

    public override int FindFirstCharacterToEncode(char* text, int textLength)
    {
        int first = s_inner.FindFirstCharacterToEncode(text, textLength);
        var before = new ReadOnlySpan<char>(text, first < 0 ? textLength : first);
        int unusual = before.IndexOfAnyExceptInRange(' ', '~');
        for (int i = unusual < 0 ? before.Length : unusual; i < before.Length; i++)
        {
            if (IsHidden(before[i]))
                return i;
        }

        return first;
    }

    public override bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten)
    {
        if (s_inner.WillEncode(unicodeScalar))
            return s_inner.TryEncodeUnicodeScalar(unicodeScalar, buffer, bufferLength, out numberOfCharactersWritten);
        return new Span<char>(buffer, bufferLength).TryWrite(CultureInfo.InvariantCulture, $"\\u{unicodeScalar:x4}", out numberOfCharactersWritten);
    }

    /// <summary>Characters beyond the first plane are escaped by the inner encoder in any case.</summary>
    private static bool IsHidden(int unicodeScalar) => Rune.TryCreate(unicodeScalar, out Rune rune) && ForeignText.IsHidden(rune);
}
