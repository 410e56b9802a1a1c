// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Text.Json;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.PvGuest;

/// <summary>The forecast against what the setup code of thirty releases made of the same maps.</summary>
[TestClass]
public sealed class KernelVectorTests
{
    private const int MostShown = 4000;

    public required TestContext TestContext { get; init; }

    private static IEnumerable<object[]> Releases => KernelVectors.Releases.Select(static release => new object[] { release });

    [TestMethod]
    [DynamicData(nameof(Releases))]
    public void A_release_makes_of_every_map_what_its_own_code_made(string release)
    {
        KernelRelease kernel = KernelVectors.ReleaseOf(release);
        var agree = new SortedDictionary<string, (int Agree, int Of)>(StringComparer.Ordinal);
        var report = new StringBuilder();
        int index = 0;
        foreach (JsonElement vector in KernelVectors.All)
        {
            VectorResult recorded = KernelVectors.Recorded(vector, release);
            VectorResult forecast = KernelVectors.Forecast(vector, kernel);
            Count("outcome", recorded.Outcome, forecast.Outcome);
            if (recorded.Outcome == "boots" && forecast.Outcome == "boots")
            {
                foreach (string field in KernelVectors.Fields)
                {
                    string expected = recorded.Facts[field];
                    string actual = forecast.Facts[field];
                    // A kernel that gives itself away says nothing any more; the record goes on.
                    Count(field, field == "messages" && !forecast.IsWhole && expected.StartsWith(actual, StringComparison.Ordinal) ? actual : expected, actual);
                }
            }

            index++;

            void Count(string field, string expected, string actual)
            {
                (int agreed, int of) = agree.GetValueOrDefault(field);
                agree[field] = (agreed + (expected == actual ? 1 : 0), of + 1);
                if (expected != actual)
                    report.AppendLine(CultureInfo.InvariantCulture, $"{release} {index} {vector.GetProperty("name").GetString()}: {field}\n  {Shorten(expected, actual)}\n  {Shorten(actual, expected)}");
            }
        }

        string figures = string.Join(", ", agree.Select(static pair => $"{pair.Key} {pair.Value.Agree}/{pair.Value.Of}"));
        TestContext.WriteLine($"{release}: {figures}");
        string differences = report.ToString();
        Assert.AreEqual(0, differences.Length, $"{figures}\n{differences.AsSpan(0, Math.Min(differences.Length, MostShown))}");
    }

    /// <summary>What differs, with a little before it.</summary>
    private static string Shorten(string text, string other)
    {
        const int before = 60;
        const int most = 300;
        int same = 0;
        while (same < text.Length && same < other.Length && text[same] == other[same])
            same++;
        int start = Math.Max(0, same - before);
        return text.Substring(start, Math.Min(most, text.Length - start));
    }
}
