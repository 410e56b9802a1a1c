// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using Keyhole.Cli.Text;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class TextTableTests
{
    [TestMethod]
    public void Columns_are_as_wide_as_their_texts_and_no_line_ends_in_blanks() =>
        Assert.AreEqual(
            $"|  what     size   why|{new string('─', 32)}|  RAM    10 MiB   for a reason|  gap     8 KiB|",
            string.Join('|', Painted(80, ["RAM", "10 MiB", "for a reason"], ["gap", "8 KiB", ""])));

    [TestMethod]
    public void Prose_is_broken_between_words_where_the_table_is_too_wide() =>
        Assert.AreEqual(
            $"|  what     size   why|{new string('─', 26)}|  RAM    10 MiB   for a|                  reason|",
            string.Join('|', Painted(26, ["RAM", "10 MiB", "for a reason"])));

    [TestMethod]
    public void Rows_are_lines_where_not_even_the_longest_words_fit_beside_each_other() =>
        Assert.AreEqual("what: RAM|  size: 10 MiB|  why: for a reason", string.Join('|', Painted(19, ["RAM", "10 MiB", "for a reason"])));

    [TestMethod]
    public void Texts_of_scripts_that_take_two_columns_a_character_stay_in_their_column()
    {
        string[] lines = Painted(80, ["服务器", "1 KiB", "x"], ["e\u0301", "1 KiB", "x"]);

        CollectionAssert.AreEqual((string[])["  服务器   1 KiB   x", "  e\u0301        1 KiB   x"], lines[3..^1]);
    }

    [TestMethod]
    public void Colours_are_written_only_where_there_are_any()
    {
        var plain = new StringWriter();
        new AnswerWriter(plain, 80, hasColours: false).Write(Table([new TextCell("RAM", TextColour.Green), new TextCell("1"), new TextCell("")]));
        var coloured = new StringWriter();
        new AnswerWriter(coloured, 80, hasColours: true).Write(Table([new TextCell("RAM", TextColour.Green), new TextCell("1"), new TextCell("")]));

        Assert.DoesNotContain('\e', plain.ToString());
        Assert.Contains("  \e[38;5;2mRAM\e[0m       1\n", coloured.ToString());
    }

    [TestMethod]
    public void A_name_cannot_begin_a_line_or_steer_the_terminal() =>
        Assert.AreEqual("  a??[2J   1 KiB   x", Painted(80, ["a\n\e[2J", "1 KiB", "x"])[3]);

    private static string[] Painted(int width, params string[][] rows)
    {
        var output = new StringWriter();
        new AnswerWriter(output, width,
            hasColours: false).Write(Table([.. rows.Select(static row => row.Select(static text => new TextCell(text)).ToArray())]));
        return output.ToString().Split('\n')[..^1];
    }

    private static TextTable Table(params TextCell[][] rows)
    {
        var table = new TextTable("Memory", ["what", "size", "why"], static title => title == "why");
        table.AlignRight(1);
        foreach (TextCell[] row in rows)
            table.AddRow(row);
        return table;
    }
}
