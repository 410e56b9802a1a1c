// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Platforms;
using Keyhole.Platforms.XenPv;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Diagnostics;

[TestClass]
public sealed class InputErrorTests
{
    [TestMethod]
    public void An_error_has_its_kind_its_place_and_what_stands_in_its_text_as_data()
    {
        InputError error = XlConfig.Read(Stream("type = \"pv\"\nmemory = \"much\"\n"), "guest.cfg").Value!.ToGuest().Error!;

        Assert.AreEqual(InputErrorCode.Malformed, error.Code);
        Assert.AreEqual("guest.cfg", error.Source);
        Assert.AreEqual(2, error.Line);
        CollectionAssert.AreEqual(new[] { "memory", "much" }, error.Parameters.ToArray());
        Assert.AreEqual("memory \"much\" is not a number", error.What);
    }

    [TestMethod]
    [DataRow("", InputErrorCode.NothingInIt, "")]
    [DataRow("{\"entries\":[{\"start\":\"0x0\",\"end\":\"0x1000\",\"type\":\"rem\"}]}", InputErrorCode.UnknownWord, "rem")]
    [DataRow("{\"entries\":[{\"start\":\"0x0\",\"end\":\"0x1000\"}]}", InputErrorCode.Missing, "")]
    [DataRow("{\"entries\":[{\"start\":\"0x0\",\"start\":\"0x0\"}]}", InputErrorCode.Repeated, "start")]
    [DataRow("{\"entries\":[{\"start\":\"0x20000000000000\",\"end\":\"0x20000000001000\",\"type\":\"ram\"}]}", InputErrorCode.OutOfRange, "[0x20000000000000, 0x20000000001000)")]
    [DataRow("{\"entries\":[", InputErrorCode.Malformed, "")]
    public void What_is_wrong_with_a_capture_can_be_told_by_a_program(string text, InputErrorCode code, string parameters)
    {
        InputError error = HostMapReader.Read(Stream(text), "host.json", HostMapOptions.Default).Error!;

        Assert.AreEqual(code, error.Code, error.ToString());
        Assert.AreEqual(parameters, string.Join(' ', error.Parameters));
    }

    [TestMethod]
    public void A_map_that_a_log_does_not_have_and_a_policy_that_nobody_knows_are_two_kinds()
    {
        InputError noMap = HostMapReader.Read(Stream("0x0 0x80000000 ram\n"), "host", new HostMapOptions { MapNumber = 7 }).Error!;
        InputError noPolicy = Policies.Parse("mirrored", null, out IHolePolicy? _)!;

        Assert.AreEqual(InputErrorCode.NoSuchItem, noMap.Code, noMap.ToString());
        Assert.AreEqual("7", noMap.Parameters[0]);
        Assert.AreEqual(InputErrorCode.UnknownWord, noPolicy.Code);
        CollectionAssert.AreEqual(new[] { "mirrored" }, noPolicy.Parameters.ToArray());
    }

    [TestMethod]
    public void Parameters_are_in_the_order_of_the_text_and_figures_are_written_as_in_every_culture()
    {
        ErrorText inner = $"line {12345}";
        ErrorText text = $"{InputError.Quote("a\u0007b")} is {0.5:0.00}, {inner}, {"\""}";

        Assert.AreEqual("\"a?b\" is 0.50, line 12345, \"", text.ToString().Replace("\\u0007", "?", StringComparison.Ordinal));
        Assert.AreEqual(4, text.Parameters.Length);
        CollectionAssert.AreEqual(new[] { "0.50", "12345", "\"" }, text.Parameters.ToArray()[1..]);
    }

    [TestMethod]
    public void Every_kind_of_error_is_one_that_something_answers()
    {
        string sources = Path.Combine(AppContext.BaseDirectory, "sources");
        string all = string.Concat(Directory.GetFiles(sources, "*.cs", SearchOption.AllDirectories)
            .Where(static file => !Path.GetFileName(file).StartsWith("InputError", StringComparison.Ordinal)).Select(File.ReadAllText));

        string[] unused = [.. Enum.GetNames<InputErrorCode>()
            .Where(code => !Regex.IsMatch(all, $@"\bInputError(Code)?\.{code}\b"))];

        Assert.AreEqual("", string.Join(' ', unused));
        Assert.Throws<ArgumentOutOfRangeException>(static () => InputErrorCodes.NameOf((InputErrorCode)99));
    }

    private static MemoryStream Stream(string text) => new(Encoding.UTF8.GetBytes(text));

    [TestMethod]
    public void No_text_of_an_error_loses_the_words_in_its_holes() =>
        Assert.AreEqual("", string.Join('\n', LibraryTexts.PlacesWhereParametersAreLost(typeof(InputError), nameof(ErrorText))));
}
