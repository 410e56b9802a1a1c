// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Tests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Dom0.Tests;

[TestClass]
public sealed class TextsTests
{
    [TestMethod]
    public void No_setting_becomes_a_bare_name_on_its_way_into_a_phrase() =>
        Assert.AreEqual(0, LibraryTexts.PlacesWhereSettingsBecomeStrings(typeof(MachineCapture), nameof(Diagnostics.Setting)));

    [TestMethod]
    public void No_text_of_an_error_loses_the_words_in_its_holes() =>
        Assert.AreEqual("", string.Join('\n', LibraryTexts.PlacesWhereParametersAreLost(typeof(MachineCapture), nameof(Diagnostics.ErrorText))));

    [TestMethod]
    public void No_text_of_the_library_names_an_option_of_the_command_line()
    {
        string[] named = [.. LibraryTexts.Of(typeof(MachineCapture)).Where(LibraryTexts.NamesTheCommandLine)];

        Assert.IsEmpty(named, string.Join('\n', named));
    }
}
