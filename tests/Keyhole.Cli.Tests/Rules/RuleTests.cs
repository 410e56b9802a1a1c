// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using Keyhole.Hosts;
using Keyhole.Tests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Each rule by which Keyhole names a problem or explains a boot speaks where what it needs is proven, and is silent where it is not.</summary>
[TestClass]
public sealed class RuleTests
{
    /// <summary>What is shorter is a piece of a sentence that others share.</summary>
    private const int ShortestSentence = 24;

    private static IEnumerable<object[]> Pairs => RulePairs.All.Select(static pair => new object[] { pair.Place });

    [TestMethod]
    [DynamicData(nameof(Pairs))]
    public void A_rule_speaks_where_it_is_proven_and_only_there(string place)
    {
        RulePair pair = RulePairs.All.First(pair => pair.Place == place);

        Assert.IsTrue(pair.IsIn(pair.Said), $"{pair} is not said:\n{pair.Said}");
        Assert.IsFalse(pair.IsIn(pair.Silent), $"{pair} is said all the same:\n{pair.Silent}");
    }

    [TestMethod]
    public void Each_problem_has_a_case_where_it_must_not_be_told()
    {
        var missing = RulePair.Codes.Except(RulePairs.All.Select(static pair => pair.Rule)).Order(StringComparer.Ordinal).ToList();

        CollectionAssert.AreEqual(RulePairs.ProblemsWithoutPair.ToArray(), missing);
    }

    [TestMethod]
    public void Each_sentence_of_a_verification_has_a_case_where_it_must_not_be_said()
    {
        string[] missing = [.. Sentences().Where(static sentence => !RulePairs.All.Any(pair =>
            pair.Said.Contains(sentence.Text, StringComparison.Ordinal) && !pair.Silent.Contains(sentence.Text, StringComparison.Ordinal)))
            .Select(static sentence => $"{sentence.Type}: {sentence.Text}").Distinct().Order(StringComparer.Ordinal)];

        Assert.AreEqual("", string.Join('\n', missing.Except(RulePairs.SentencesWithoutPair)), "have no pair");
        Assert.AreEqual("", string.Join('\n', RulePairs.SentencesWithoutPair.Except(missing)), "have one, or are no sentences any more");
    }

    private static IEnumerable<(string Type, string Text)> Sentences() =>
        LibraryTexts.InNamespace(typeof(Host), "Keyhole.Verification")
            .Select(static text => (text.Type, Text: RulePair.Flat(text.Text)))
            .Where(static text => text.Text.Length >= ShortestSentence && text.Text.Count(static letter => letter == ' ') >= 3);
}
