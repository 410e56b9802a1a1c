// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Text;
using Keyhole.Hosts;

namespace Keyhole.Drawing;

/// <summary>What stands above a picture. Any text, also hostile: it is cut to the width and made fit for XML.</summary>
/// <param name="Title">One line in bold.</param>
/// <param name="Lines">More lines, in smaller letters.</param>
internal sealed record PictureText(string Title, ImmutableArray<string> Lines)
{
    /// <summary>The picture in words, for those who do not see it.</summary>
    public string InWords(MapDrawing drawing)
    {
        var words = new StringBuilder();
        foreach (string line in Lines.Select(FileNames.WithoutFolders))
            words.Append(SvgLooks.Escape(line, 300)).Append(". ");
        int column = -1;
        foreach (DrawnStretch cell in DrawnStretch.Of(drawing))
        {
            if (cell.Cell is { Type: null, IsNotKnown: false })
                continue;
            words.Append(cell.Column != column ? $"{(column < 0 ? "" : ". ")}{SvgLooks.Escape(drawing.Titles[cell.Column], 80)}: " : ", ");
            column = cell.Column;
            words.Append(TextPainter.NameOf(cell.Cell)).Append(' ').Append(LostLines.Text(cell.RangeIn(drawing)));
        }

        foreach (DrawnWindow window in drawing.Windows)
            words.Append(CultureInfo.InvariantCulture, $". {SvgLooks.Escape(window.Label, 80)} at {window.Range}");
        foreach (DrawnMove move in drawing.Moves)
            words.Append(CultureInfo.InvariantCulture, $". {SvgLooks.Escape(move.Label, 120)}: to 0x{move.To:x}");
        return words.Append('.').ToString();
    }
}
