// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text;
using Keyhole.Addresses;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.Drawing;

/// <summary>
/// Paints a <see cref="MapDrawing"/> as one SVG document that needs nothing else: no script, no font, no file. Light or dark as the reader's screen
/// is, light on paper; each kind of memory has a pattern as well as a colour.
/// </summary>
/// <remarks>Every column's range is a <c>rect</c> of class <c>cell</c> that carries <c>data-column</c>, <c>data-start</c>, <c>data-end</c> and
/// <c>data-type</c>. Colours are written out in the rules, since not every viewer of SVG knows CSS variables.</remarks>
internal static class SvgPainter
{
    /// <summary>Rows to lay a picture out for: about a sheet of paper.</summary>
    public const int Rows = 44;

    /// <summary>Rows to spare in a picture: see <see cref="DrawnDetails.SpareRows"/>.</summary>
    public const int SpareRows = 20;

    private const int RowHeight = 16;
    private const int ColumnWidth = 172;
    private const int NarrowestBridge = 132;
    private const int WidestBridge = 232;
    private const int GutterWidth = 36;
    private const int AxisWidth = 128;
    private const int Margin = 20;
    private const int LaneWidth = 14;
    private const int MoveLabelWidth = 190;
    private const int LegendWidth = 170;
    private const int MinWidth = 620;

    /// <summary>Width of a letter of 11 pixels, taken generously: text is cut by it.</summary>
    private const double LetterWidth = 6.2;

    /// <summary>The document, with a line feed at its end.</summary>
    public static string Paint(MapDrawing drawing, PictureText text)
    {
        ArgumentNullException.ThrowIfNull(drawing);
        ArgumentNullException.ThrowIfNull(text);
        var page = new Page(drawing, text);
        return page.Paint();
    }

    private sealed class Page
    {
        private readonly MapDrawing _drawing;
        private readonly PictureText _text;
        private readonly StringBuilder _out = new();
        private readonly int[] _tops;
        private readonly int[] _lefts;
        private readonly int _columnsEnd;
        private readonly int _width;
        private readonly int _bodyTop;

        /// <summary>Between the first two columns, or beside the only one: as wide as the windows' names want it.</summary>
        private readonly int _bridgeWidth;

        public Page(MapDrawing drawing, PictureText text)
        {
            _drawing = drawing;
            _text = text;
            _bodyTop = Margin + 22 + (16 * text.Lines.Length) + 34;
            _tops = new int[drawing.Bands.Length + 1];
            _tops[0] = _bodyTop;
            for (int i = 0; i < drawing.Bands.Length; i++)
                _tops[i + 1] = _tops[i] + (drawing.Bands[i].Rows * RowHeight);
            int letters = drawing.Windows.Select(static window => LabelOf(window).Length).DefaultIfEmpty().Max();
            _bridgeWidth = Math.Clamp((int)Math.Ceiling(letters * LetterWidth) + 18, NarrowestBridge, WidestBridge);
            _lefts = new int[drawing.Titles.Length];
            int x = Margin + AxisWidth;
            bool hasBridge = drawing.Windows.Length > 0 || drawing.Joins.Length > 0;
            for (int i = 0; i < _lefts.Length; i++)
            {
                _lefts[i] = x;
                x += ColumnWidth + (i == 0 && hasBridge ? _bridgeWidth : i == _lefts.Length - 1 ? 0 : GutterWidth);
            }

            _columnsEnd = x;
            int moves = drawing.Moves.IsEmpty ? 0 : 16 + (LaneWidth * drawing.Moves.Length) + MoveLabelWidth;
            _width = Math.Max(MinWidth, x + moves + Margin);
        }

        private int LegendColumns => (_width - (2 * Margin)) / LegendWidth;

        public string Paint()
        {
            int height = _tops[^1] + 40 + (16 * Notes().Count) + (18 * ((LegendLooks().Count + LegendColumns - 1) / LegendColumns)) + Margin;
            _out.Append(CultureInfo.InvariantCulture, $"""
                <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_width} {height}" width="{_width}" height="{height}" role="img" aria-labelledby="t d">
                <title id="t">{SvgLooks.Escape(_text.Title, 200)}</title>
                <desc id="d">{_text.InWords(_drawing)}</desc>
                <style>
                {SvgLooks.Style}
                </style>
                <defs>

                """);
            foreach ((string look, _, string? pattern) in SvgLooks.All)
            {
                if (pattern is not null)
                    _out.Append(CultureInfo.InvariantCulture,
                        $"""<pattern id="p-{look}" width="8" height="8" patternUnits="userSpaceOnUse"><rect class="f-{look}" width="8" height="8"/>{pattern}</pattern>""").Append('\n');
            }

            _out.Append("</defs>\n");
            _out.Append(CultureInfo.InvariantCulture, $"""<rect class="paper" width="{_width}" height="{height}"/>""").Append('\n');
            PaintHead();
            PaintAxis();
            PaintJoins();
            PaintCells();
            PaintTears();
            PaintLabels();
            PaintWindows();
            PaintMoves();
            PaintFoot();
            return _out.Append("</svg>\n").ToString();
        }

        private void PaintHead()
        {
            int letters = (int)((_width - (2 * Margin)) / LetterWidth);
            Text("title", Margin, Margin + 14, _text.Title, (int)(letters * 0.68));
            for (int i = 0; i < _text.Lines.Length; i++)
                Text("sub", Margin, Margin + 34 + (16 * i), FileNames.WithoutFolders(_text.Lines[i]), letters);
            for (int i = 0; i < _lefts.Length; i++)
                Text("head", _lefts[i] + (ColumnWidth / 2), _bodyTop - 10, _drawing.Titles[i], (int)(ColumnWidth / LetterWidth) - 4);
        }

        private void PaintAxis()
        {
            for (int i = 0; i < _tops.Length; i++)
            {
                if (_drawing.Bands.IsEmpty)
                    return;
                ulong address = i < _drawing.Bands.Length ? _drawing.Bands[i].Start : _drawing.Bands[^1].End;
                bool isFourGiB = address == Addresses.Frames.FourGiB;
                _out.Append(CultureInfo.InvariantCulture,
                    $"""<path class="{(isFourGiB ? "four" : "tick")}" d="M{Margin + AxisWidth - 6} {_tops[i]}H{_columnsEnd}"/>""").Append('\n');
                Text(isFourGiB ? "axis strong" : "axis", Margin + AxisWidth - 10, _tops[i] + 4,
                    isFourGiB ? $"4 GiB 0x{address:x}" : TextPainter.Address(address), 40);
            }
        }

        private void PaintJoins()
        {
            foreach ((ulong start, ulong end) in _drawing.Joins)
            {
                int top = TopOf(start);
                int bottom = TopOf(end);
                for (int i = 0; i + 1 < _lefts.Length; i++)
                {
                    int left = _lefts[i] + ColumnWidth;
                    Rect("join", left, top, _lefts[i + 1] - left, bottom - top, $"""{RangeOf(start, end)}: the guest's addresses are the machine's""");
                    _out.Append(CultureInfo.InvariantCulture,
                        $"""<path class="edge" d="M{left} {top}H{_lefts[i + 1]}M{left} {bottom}H{_lefts[i + 1]}"/>""").Append('\n');
                }
            }
        }

        private void PaintCells()
        {
            foreach (DrawnStretch cell in DrawnStretch.Of(_drawing))
            {
                string look = SvgLooks.Of(cell.Cell);
                string fill = look switch { "gap" => "cell gap", "ram" => "cell f-ram", _ => "cell" };
                string pattern = look is "gap" or "ram" ? "" : $""" fill="url(#p-{look})" """.TrimEnd();
                ByteRange range = cell.RangeIn(_drawing);
                string name = cell.Cell.IsNotKnown ? "not-known" : TextPainter.NameOf(cell.Cell);
                string size = cell.Cell.IsNotKnown && range.End == Addresses.Frames.AddressLimit ? "" : $" {ByteSize.ToText(range.SizeBytes)}";
                int top = _tops[cell.FirstBand];
                _out.Append(
                    CultureInfo.InvariantCulture,
                    $"""<rect class="{fill}"{pattern} data-column="{cell.Column}" data-start="0x{range.Start:x}" data-end="0x{range.End:x}" data-type="{name}" x="{_lefts[cell.Column]}" y="{top}" width="{ColumnWidth}" height="{_tops[cell.BehindBand] - top}"><title>{SvgLooks.Escape(_drawing.Titles[cell.Column], 80)}: {TextPainter.NameOf(cell.Cell)} {LostLines.Text(range)}{size}</title></rect>""").Append('\n');
            }
        }

        /// <summary>Where the axis is broken, the columns are torn.</summary>
        private void PaintTears()
        {
            const int step = 9;
            for (int i = 0; i < _drawing.Bands.Length; i++)
            {
                if (!_drawing.Bands[i].IsBroken)
                    continue;
                int left = _lefts[0] - 6;
                int steps = (_columnsEnd + 2 - left) / step;
                int y = (_tops[i] + _tops[i + 1]) / 2;
                _out.Append(CultureInfo.InvariantCulture, $"""<path class="tear" d="M{left} {y}""");
                for (int k = 0; k < steps; k++)
                    _out.Append(CultureInfo.InvariantCulture, $"l{step} {(k % 2 == 0 ? -4 : 4)}");
                _out.Append("v7");
                for (int k = steps - 1; k >= 0; k--)
                    _out.Append(CultureInfo.InvariantCulture, $"l-{step} {(k % 2 == 0 ? 4 : -4)}");
                _out.Append("z\"/>\n");
            }
        }

        private void PaintLabels()
        {
            foreach (DrawnStretch cell in DrawnStretch.Of(_drawing))
            {
                Text("label", _lefts[cell.Column] + 7, _tops[cell.FirstBand] + 12, cell.LabelIn(_drawing), (int)(ColumnWidth / LetterWidth));
            }

            if (_lefts.Length < 2)
                return;
            foreach ((ulong start, ulong end) in _drawing.Joins)
            {
                // The first free row tells what joins the columns.
                for (int i = BandAt(start); i < _drawing.Bands.Length && _drawing.Bands[i].Start < end; i++)
                {
                    if (WindowOver(_drawing.Bands[i]) is not null)
                        continue;
                    Text("label mid sub", _lefts[0] + ColumnWidth + (_bridgeWidth / 2), _tops[i] + 12, "identity", 20);
                    break;
                }
            }
        }

        private void PaintWindows()
        {
            foreach (DrawnWindow window in _drawing.Windows)
            {
                int top = TopOf(window.Start);
                int left = _lefts[0] + ColumnWidth + 8;
                string verdict = window.IsReached switch
                {
                    null => "",
                    true => ", which the guest will reach",
                    false =>
                    ", which the guest will not reach"
                };
                Rect(window.IsReached == false ? "window lost" : "window", left, top + 2, _bridgeWidth - 16, TopOf(window.End) - top - 4,
                    $"{SvgLooks.Escape(window.Label, 80)} {window.Range} {ByteSize.ToText(window.End - window.Start)}{verdict}");
                Text("mid", left + (_bridgeWidth / 2) - 8, top + 12, LabelOf(window),
                    (int)((_bridgeWidth - 16) / LetterWidth));
            }
        }

        private static string LabelOf(DrawnWindow window) =>
            $"{window.Label} {ByteSize.ToText(window.End - window.Start)}{window.IsReached switch { null => "", true => " ✓", false => " ✗" }}";

        private void PaintMoves()
        {
            int x = _columnsEnd + 4;
            int labelled = 0;
            ImmutableArray<DrawnMove> moves = _drawing.Moves;
            for (int i = 0; i < moves.Length; i++)
            {
                DrawnMove move = moves[i];
                int fromTop = TopOf(move.From);
                int fromBottom = TopOf(move.From + move.SizeBytes);
                int toTop = TopOf(move.To);
                int toBottom = TopOf(move.To + move.SizeBytes);
                int from = (fromTop + fromBottom) / 2;
                int to = (toTop + toBottom) / 2;
                // The first lane is the outermost: nested moves then do not cross.
                int lane = x + 12 + (LaneWidth * (moves.Length - i));
                int bend = Math.Min(10, Math.Max(1, Math.Abs(to - from) / 2));
                int down = to >= from ? bend : -bend;
                _out.Append(CultureInfo.InvariantCulture,
                    $"""<g class="moved"><title>{SvgLooks.Escape(move.Label, 120)}: from {RangeOf(move.From, move.From + move.SizeBytes)} to {RangeOf(move.To, move.To + move.SizeBytes)}</title><path class="was" d="M{x} {fromTop + 1}V{fromBottom - 1}"/><path class="now" d="M{x} {toTop + 1}V{toBottom - 1}"/><path class="move" d="M{x + 3} {from}H{lane - bend}q{bend} 0 {bend} {down}V{to - down}q0 {down} -{bend} {down}H{x + 9}"/><path class="tip" d="M{x + 3} {to}l9 -4.5v9z"/></g>""").Append('\n');
            }

            foreach (DrawnMove move in moves.Sort(static (left, right) => left.To.CompareTo(right.To)))
            {
                int to = (TopOf(move.To) + TopOf(move.To + move.SizeBytes)) / 2;
                labelled = Math.Max(labelled + 14, to + 4);
                Text("", x + 20 + (LaneWidth * moves.Length), labelled, move.Label, (int)(MoveLabelWidth / LetterWidth));
            }
        }

        private void PaintFoot()
        {
            int y = _tops[^1] + 34;
            foreach (string note in Notes())
            {
                Text("sub", Margin, y, note, (int)((_width - (2 * Margin)) / LetterWidth));
                y += 16;
            }

            int i = 0;
            foreach ((string look, string name) in LegendLooks())
            {
                int x = Margin + (LegendWidth * (i % LegendColumns));
                int top = y + (18 * (i / LegendColumns)) - 6;
                string swatch = look switch
                {
                    "gap" or "join" or "window" => $"""class="{(look == "gap" ? "cell gap" : look)}" """,
                    "move" => "class=\"tip\" ",
                    "ram" => "class=\"cell f-ram\" ",
                    _ => $"""class="cell" fill="url(#p-{look})" """,
                };
                string swatchClass = swatch.Replace("class=\"cell", "class=\"swatch cell", StringComparison.Ordinal).TrimEnd();
                _out.Append(CultureInfo.InvariantCulture, $"""<rect {swatchClass} x="{x}" y="{top}" width="18" height="12"/>""").Append('\n');
                Text("sub", x + 24, top + 10, name, 40);
                i++;
            }
        }

        private List<string> Notes()
        {
            List<string> notes = [];
            if (!_drawing.Bands.IsEmpty)
                notes.Add($"To scale from {ByteSize.ToText(_drawing.RowSizeBytes)} a row; what is smaller takes one too, what is torn is larger.");
            if (_drawing.WindowsLeftOut > 0)
                notes.Add(string.Create(CultureInfo.InvariantCulture, $"{_drawing.WindowsLeftOut} more windows of devices are not drawn."));
            if (_drawing.MovesLeftOut > 0)
                notes.Add(string.Create(CultureInfo.InvariantCulture, $"{_drawing.MovesLeftOut} more moves, smaller ones, are not drawn."));
            return notes;
        }

        private List<(string Look, string Name)> LegendLooks()
        {
            var seen = new SortedSet<string>(StringComparer.Ordinal);
            foreach (DrawnStretch cell in DrawnStretch.Of(_drawing))
                seen.Add(SvgLooks.Of(cell.Cell));

            List<(string, string)> legend = [];
            foreach ((string look, string name, _) in SvgLooks.All)
            {
                if (seen.Contains(look))
                    legend.Add((look, name));
            }

            if (seen.Contains("gap"))
                legend.Add(("gap", "gap"));
            if (!_drawing.Joins.IsEmpty)
                legend.Add(("join", "identity: pfn = mfn"));
            if (!_drawing.Windows.IsEmpty)
                legend.Add(("window", "window of a device"));
            if (!_drawing.Moves.IsEmpty)
                legend.Add(("move", "pages moved"));
            return legend;
        }

        private DrawnWindow? WindowOver(DrawnBand band)
        {
            foreach (DrawnWindow window in _drawing.Windows)
            {
                if (window.Range.Overlaps(band.Range))
                    return window;
            }

            return null;
        }

        private int TopOf(ulong address) => _tops[BandAt(address)];

        /// <summary>The band that starts at an edge; their number for the end.</summary>
        private int BandAt(ulong edge)
        {
            int low = 0;
            int high = _drawing.Bands.Length;
            while (low < high)
            {
                int middle = (low + high) / 2;
                if (_drawing.Bands[middle].Start < edge)
                    low = middle + 1;
                else
                    high = middle;
            }

            return low;
        }

        private void Rect(string look, int x, int y, int width, int height, string escapedTitle) =>
            _out.Append(CultureInfo.InvariantCulture,
                $"""<rect class="{look}" x="{x}" y="{y}" width="{width}" height="{height}"><title>{escapedTitle}</title></rect>""").Append('\n');

        private void Text(string look, int x, int y, string text, int maxLetters)
        {
            string shown = text.Length > maxLetters ? text[..Math.Max(0, maxLetters - 1)] : text;
            string more = text.Length > maxLetters ? "…" : "";
            _out.Append(CultureInfo.InvariantCulture,
                $"""<text{(look.Length == 0 ? "" : $" class=\"{look}\"")} x="{x}" y="{y}">{SvgLooks.Escape(shown, maxLetters)}{more}</text>""").Append('\n');
        }

        private static string RangeOf(ulong start, ulong end) => ByteRange.FromBounds(start, end).ToString();
    }
}
