// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;

namespace Keyhole.Reading;

/// <summary>
/// The signs that a log line is made of, where word processors, forums, mail programs and East Asian keyboards have written others for them: dashes,
/// blanks, quotation marks, full-width letters, line ends, and marks that nobody sees.
/// </summary>
internal static class PlainSigns
{
    /// <summary>Stands for a sign that is left out.</summary>
    public const char Nothing = '\0';

    /// <summary>What web pages write by name for characters that log lines have.</summary>
    private static readonly (string Name, char Character)[] s_names =
    [
        ("gt", '>'), ("lt", '<'), ("amp", '&'), ("quot", '"'), ("apos", '\''), ("nbsp", ' '), ("ndash", '-'), ("mdash", '-'), ("rsquo", '\''),
        ("lsquo", '\''), ("ldquo", '"'), ("rdquo", '"'), ("lsqb", '['), ("lbrack", '['), ("rsqb", ']'), ("rbrack", ']'), ("lpar", '('), ("rpar", ')'),
        ("colon", ':'), ("equals", '='), ("lowbar", '_'), ("dash", '-'), ("hyphen", '-'), ("minus", '-'), ("plus", '+'), ("sol", '/'), ("num", '#'),
        ("dollar", '$'), ("percnt", '%'), ("excl", '!'), ("commat", '@'), ("ast", '*'), ("comma", ','), ("period", '.'), ("Tab", ' '),
        ("ensp", ' '), ("emsp", ' '), ("thinsp", ' '), ("shy", Nothing), ("zwnj", Nothing), ("zwj", Nothing), ("lrm", Nothing), ("rlm", Nothing),
    ];

    /// <summary>The sign that is meant; the character itself where it means nothing else.</summary>
    public static char Of(char written) => written switch
    {
        < '\u0080' => written,
        // Soft hyphen; zero-width blanks and joiners, marks of direction; byte order mark.
        '\u00ad' or (>= '\u200b' and <= '\u200f') or (>= '\u202a' and <= '\u202e') or (>= '\u2060' and <= '\u2064') or '\ufeff' => Nothing,
        '\u0085' or '\u2028' or '\u2029' => '\n',
        '\u00a0' or (>= '\u2000' and <= '\u200a') or '\u202f' or '\u205f' or '\u3000' => ' ',
        (>= '\u2010' and <= '\u2015') or '\u2212' or '\ufe63' => '-',
        '\u2018' or '\u2019' => '\'',
        '\u201c' or '\u201d' => '"',
        // Full-width forms of all that ASCII prints.
        >= '\uff01' and <= '\uff5e' => (char)(written - 0xfee0),
        _ => written,
    };

    /// <summary>Whether a text begins with a backslash before what Markdown would take for a mark of its own.</summary>
    public static bool IsMarkdownsEscape(ReadOnlySpan<char> text) => text.Length > 1 && text[0] == '\\' && text[1] is '[' or ']' or '(' or ')' or '-';

    /// <summary>What a byte of Windows' own Western set means, where it stands alone and so is no part of UTF-8.</summary>
    public static char OfWindows(char written) => written switch
    {
        '\u0091' or '\u0092' => '\'',
        '\u0093' or '\u0094' => '"',
        '\u0096' or '\u0097' => '-',
        '\u00a0' => ' ',
        '\u00ad' => Nothing,
        _ => written,
    };

    /// <summary>Reads a character that a web page has written by name or number: <c>&amp;lt;</c>, <c>&amp;#91;</c>, <c>&amp;#x5b;</c>.</summary>
    /// <param name="text">From the ampersand on.</param>
    /// <param name="character">What it means; <see cref="Nothing"/> for what is left out.</param>
    /// <param name="length">Of the writing.</param>
    public static bool TryEntity(ReadOnlySpan<char> text, out char character, out int length)
    {
        const int longest = 10;
        character = default;
        length = text[..Math.Min(text.Length, longest)].IndexOf(';') + 1;
        if (length <= 2)
            return false;
        ReadOnlySpan<char> name = text[1..(length - 1)];
        if (name[0] == '#')
        {
            bool isHex = name.Length > 2 && name[1] is 'x' or 'X';
            NumberStyles style = isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None;
            if (!ushort.TryParse(name[(isHex ? 2 : 1)..], style, CultureInfo.InvariantCulture, out ushort number) || number == 0)
                return false;
            character = Of((char)number);
            // A line goes on where the page's own does.
            character = character is '\n' or '\r' or '\t' ? ' ' : character;
            return character <= '\u00ff';
        }

        foreach ((string known, char meant) in s_names)
        {
            if (!name.SequenceEqual(known))
                continue;
            character = meant;
            return true;
        }

        return false;
    }
}
