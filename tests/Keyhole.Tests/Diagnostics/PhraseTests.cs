// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Diagnostics;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Diagnostics;

[TestClass]
public sealed class PhraseTests
{
    [TestMethod]
    public void A_setting_is_named_by_who_shows_the_phrase()
    {
        Phrase remedy = $"choose {Setting.MapNumber} 1 to {3}";

        Assert.AreEqual("choose HostMapOptions.MapNumber 1 to 3", remedy.ToString());
        Assert.AreEqual("choose --map 1 to 3", remedy.Worded(static _ => "--map"));
    }

    [TestMethod]
    public void A_phrase_within_a_phrase_keeps_its_settings()
    {
        Phrase inner = $"leave out {Setting.Dialect}";
        Phrase outer = $"{inner}; or {Phrase.Join(", ", [inner, "give more"])}";

        Assert.AreEqual("leave out X; or leave out X, give more", outer.Worded(static _ => "X"));
    }

    [TestMethod]
    public void Text_of_others_cannot_name_a_setting()
    {
        Phrase plain = "\ue000";
        Phrase held = $"{"\ue001"}{'\ue002'}";

        Assert.AreEqual("?", plain.Worded(static _ => "X"));
        Assert.AreEqual("??", held.Worded(static _ => "X"));
    }

    [TestMethod]
    public void Phrases_of_the_same_text_and_settings_are_equal()
    {
        Phrase one = $"give {Setting.Kernel}";
        Phrase same = $"give {Setting.Kernel}";
        Phrase other = $"give {Setting.Policy}";

        Assert.AreEqual(one, same);
        Assert.AreEqual(one.GetHashCode(), same.GetHashCode());
        Assert.AreNotEqual(one, other);
    }

    [TestMethod]
    public void Every_setting_has_a_name_of_its_own()
    {
        Setting[] all = Enum.GetValues<Setting>();

        Assert.HasCount(all.Length, all.Select(SettingNames.Of).Distinct().ToArray());
    }

    [TestMethod]
    public void No_setting_becomes_a_bare_name_on_its_way_into_a_phrase() =>
        Assert.AreEqual(0, LibraryTexts.PlacesWhereSettingsBecomeStrings(typeof(Phrase), nameof(Setting)));

    [TestMethod]
    public void No_text_of_the_library_names_an_option_of_the_command_line()
    {
        string[] named = [.. LibraryTexts.Of(typeof(Phrase)).Where(LibraryTexts.NamesTheCommandLine)];

        Assert.IsEmpty(named, string.Join('\n', named));
    }
}
