// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Logs;
using Keyhole.PvGuest;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Logs;

/// <summary>One table of words: what it holds is searched for, read, and written.</summary>
[TestClass]
public sealed class VocabularyTests
{
    [TestMethod]
    public void Each_saying_has_its_mark_and_is_read_as_what_it_is()
    {
        foreach (Saying saying in Vocabulary.Sayings)
        {
            Assert.Contains(saying.Mark, saying.Example);
            Assert.AreEqual(saying.Kind, KernelMessage.Parse(saying.Example).Kind, saying.Example);
        }
    }

    [TestMethod]
    public void A_log_is_searched_for_each_saying()
    {
        foreach (Saying saying in Vocabulary.Sayings)
        {
            string line = saying.Kind == KernelMessageKind.Other ? $"(XEN) {saying.Example}" : $"[    0.000000] {saying.Example}";
            LogScan scan = LogScanner.Scan(new MemoryStream(Encoding.ASCII.GetBytes($"nothing\n{line}\nnothing\n")), "f");

            Assert.AreEqual(saying.Example.Trim(), scan.Lines.Single().Text, saying.Example);
        }
    }

    [TestMethod]
    public void Each_kind_of_message_has_a_saying()
    {
        KernelMessageKind[] without = [.. Enum.GetValues<KernelMessageKind>().Except(Vocabulary.Sayings.Select(static saying => saying.Kind))];

        Assert.IsEmpty(without, string.Join(", ", without));
    }

    [TestMethod]
    public void Each_panic_message_that_is_written_is_read()
    {
        foreach (HaltReason reason in Enum.GetValues<HaltReason>())
        {
            if (KernelWords.PanicMessage(reason) is { Length: > 0 } words)
                Assert.AreEqual(words, KernelMessage.Parse(words).Text, $"{reason}");
        }
    }

    [TestMethod]
    public void Each_failure_is_in_the_marks() => Assert.IsTrue(Vocabulary.Failures.All(static failure =>
        Vocabulary.Marks.Any(mark => failure.Words.Contains(mark, StringComparison.Ordinal))));
}
