// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Cli.Terminal;
using Keyhole.Diagnostics;
using Keyhole.Tests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

[TestClass]
public sealed class TextsTests
{
    [TestMethod]
    public void No_text_of_an_error_loses_the_words_in_its_holes() =>
        Assert.AreEqual("", string.Join('\n', LibraryTexts.PlacesWhereParametersAreLost(typeof(CommandConsole), nameof(ErrorText))));
}
