// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Text;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>A value of xl.cfg: an <see cref="XlText"/> or an <see cref="XlList"/>.</summary>
public abstract class XlValue
{
    private protected XlValue(int line) => Line = line;

    /// <summary>The 1-based line on which the value starts.</summary>
    public int Line { get; }

    /// <summary>The value in xl.cfg's syntax.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        AppendTo(text);
        return text.ToString();
    }

    /// <summary>Nesting is bounded by <see cref="XlConfig.MaxNesting"/>, so a recursion over values is too.</summary>
    internal abstract void AppendTo(StringBuilder text);
}

/// <summary>A string or a number. xl keeps both as text and reads a number when it needs one, so <c>memory="512"</c> is as good as
/// <c>memory=512</c>.</summary>
public sealed class XlText : XlValue
{
    /// <summary>A text that stands in that line, counted from 1.</summary>
    public XlText(string text, bool isQuoted, int line)
        : base(line)
    {
        Text = text;
        IsQuoted = isQuoted;
    }

    /// <summary>The text without quotes and escapes.</summary>
    public string Text { get; }

    /// <summary>Whether it stood in quotes; else it is a number's digits.</summary>
    public bool IsQuoted { get; }

    /// <summary>Where what is between the quotes begins in the text that was read; 0 where it was not read.</summary>
    internal int Start { get; init; }

    /// <summary>Where the closing quote is.</summary>
    internal int End { get; init; }

    internal override void AppendTo(StringBuilder text)
    {
        if (IsQuoted)
            Quote(Text, text);
        else
            text.Append(Text);
    }

    /// <summary>
    /// Whether the text can stand in xl.cfg so that it is seen: what <see cref="Keyhole.Diagnostics.ForeignText"/> does not show needs an escape, and
    /// xl has seven of them; its escapes with digits it drops.
    /// </summary>
    public static bool CanQuote(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        foreach (Rune rune in text.EnumerateRunes())
        {
            // An unpaired surrogate comes out of the enumeration as U+FFFD too.
            if (rune.Value is SmallInput.Undecodable || (rune.Value is not (>= '\a' and <= '\r') && Diagnostics.ForeignText.IsHidden(rune)))
                return false;
        }

        return true;
    }

    private static void Quote(string value, StringBuilder text)
    {
        text.Append('"');
        foreach (char c in value)
        {
            switch (c)
            {
                case '"' or '\\':
                    text.Append('\\').Append(c);
                    break;
                case '\a':
                    text.Append("\\a");
                    break;
                case '\b':
                    text.Append("\\b");
                    break;
                case '\f':
                    text.Append("\\f");
                    break;
                case '\n':
                    text.Append("\\n");
                    break;
                case '\r':
                    text.Append("\\r");
                    break;
                case '\t':
                    text.Append("\\t");
                    break;
                case '\v':
                    text.Append("\\v");
                    break;
                default:
                    text.Append(c);
                    break;
            }
        }

        text.Append('"');
    }
}

/// <summary>A list, whose items may be lists.</summary>
public sealed class XlList : XlValue
{
    /// <summary>A list that starts in that line, counted from 1.</summary>
    public XlList(ImmutableArray<XlValue> items, int line)
        : base(line)
    {
        Items = items;
    }

    /// <summary>The items, in their order.</summary>
    public ImmutableArray<XlValue> Items { get; }

    internal override void AppendTo(StringBuilder text)
    {
        text.Append('[');
        for (int i = 0; i < Items.Length; i++)
        {
            text.Append(i == 0 ? " " : ", ");
            Items[i].AppendTo(text);
        }

        text.Append(Items.IsEmpty ? "]" : " ]");
    }
}

/// <summary>One setting as it was written.</summary>
/// <param name="IsAddition">Whether it was written with <c>+=</c>, which appends to a value that the key already has.</param>
/// <param name="Line">The 1-based line of the key.</param>
public sealed record XlSetting(string Key, bool IsAddition, XlValue Value, int Line);
