// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.E820;

namespace Keyhole.Core.Tests.E820;

/// <summary>What the sanitiser is to make of a map, found byte by byte (unit by unit) instead of by a sweep.</summary>
internal static class LinuxSanitizer
{
    /// <summary>The type that rules at an address: the highest of the entries that cover it, 0 where none does.</summary>
    public static E820Type TypeAt(IEnumerable<E820Entry> map, ulong address)
    {
        E820Type highest = E820Type.None;
        foreach (E820Entry entry in map)
        {
            if (entry.Type > highest && entry.Contains(address))
                highest = entry.Type;
        }

        return highest;
    }

    /// <summary>The whole result, uncut: between neighbouring edges the type is one; equal pieces join, but never PRAM.</summary>
    public static List<E820Entry> Of(E820Entry[] map)
    {
        ulong[] edges = [.. map.Where(entry => entry.Size > 0).SelectMany(entry => new[] { entry.Address, entry.End }).Distinct().Order()];
        List<E820Entry> made = [];
        for (int i = 0; i + 1 < edges.Length; i++)
        {
            E820Type type = TypeAt(map, edges[i]);
            if (type == E820Type.None)
                continue;
            if (made.Count > 0 && made[^1].Type == type && made[^1].End == edges[i] && type != E820Type.Pram)
                made[^1] = E820Entry.FromBounds(made[^1].Address, edges[i + 1], type);
            else
                made.Add(E820Entry.FromBounds(edges[i], edges[i + 1], type));
        }

        return made;
    }
}
