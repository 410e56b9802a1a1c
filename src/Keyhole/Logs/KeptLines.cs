// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Text;

namespace Keyhole.Logs;

/// <summary>Lines of a log that are read once it is known of which machine they tell, which its maps decide.</summary>
internal sealed class KeptLines
{
    /// <summary>Far more than what a large server says of its devices, in characters.</summary>
    private const int MostKept = 8 << 20;

    private readonly StringBuilder _text = new();

    /// <summary>Where each line ends in the text, and its number in the log.</summary>
    private readonly List<(int End, int Number)> _lines = [];

    public void Add(ReadOnlySpan<char> line, int number)
    {
        if (_text.Length + line.Length >= MostKept)
            return;
        _text.Append(line).Append('\n');
        _lines.Add((_text.Length, number));
    }

    /// <summary>The lines that tell of a machine, in the log's order, each with a line feed behind it.</summary>
    public string Of(MachineLines machine)
    {
        if (machine.AreAll)
            return _text.ToString();
        var own = new StringBuilder();
        foreach ((string line, _) in LinesOf(machine))
            own.Append(line).Append('\n');
        return own.ToString();
    }

    /// <summary>The same, one by one with their numbers.</summary>
    public IEnumerable<(string Line, int Number)> LinesOf(MachineLines machine)
    {
        int start = 0;
        foreach ((int end, int number) in _lines)
        {
            string line = _text.ToString(start, end - 1 - start);
            start = end;
            if (machine.Holds(line, number))
                yield return (line, number);
        }
    }
}
