// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests;

/// <summary>The readers against what the real libxlu made of the same texts (fixtures/guests/libxlu.json).</summary>
[TestClass]
public sealed class LibxluRecordTests
{
    /// <summary>libxlu passes over what follows the part of a pci= entry that it could read; here that is an error.</summary>
    private static readonly string[] s_sloppyEntries = ["000:002.0", "00:02.00", "bdf=00:02.0x", "bdf=00:02.0@5", "00:02.0,vslot=5x"];

    [TestMethod]
    public void Every_configuration_reads_as_libxlu_reads_it()
    {
        int accepted = 0;
        var wrong = new List<string>();
        foreach (JsonElement record in Records("configs"))
        {
            string input = record.GetProperty("input").GetString()!;
            JsonElement expected = record.GetProperty("settings");
            Parsed<XlConfig> parsed = XlConfig.Read(new StringReader(input), "x");
            if (expected.ValueKind == JsonValueKind.Null)
            {
                // Where Keyhole reads more than xl does, it has to say so.
                if (parsed.TryGet(out XlConfig? lenient, out _)
                    && !lenient.Remarks.Any(remark => remark.Contains("xl itself", StringComparison.Ordinal)))
                    wrong.Add($"{input}: libxlu refuses this");
                continue;
            }

            accepted++;
            // libxlu loses a single wrong character at the very end of a file without a line end; here that is an error.
            if (!parsed.TryGet(out XlConfig? config, out InputError? error)
                && !XlConfig.Read(new StringReader(input[..^1]), "x").TryGet(out config, out _))
                wrong.Add($"{input}: {error}");
            else if (Show(expected) is var want && Show(config) is var got && want != got)
                wrong.Add($"{input}: {got}, not {want}");
        }

        Assert.IsEmpty(wrong, string.Join("\n", wrong.Take(10)));
        Assert.IsGreaterThan(200, accepted);
    }

    [TestMethod]
    public void Every_number_reads_as_libxlu_reads_it()
    {
        int numbers = 0;
        foreach (JsonElement record in Records("configs"))
        {
            if (record.GetProperty("settings") is not { ValueKind: JsonValueKind.Object } settings
                || !settings.TryGetProperty("memory", out JsonElement memory))
                continue;
            Assert.IsTrue(XlConfig.Read(new StringReader(record.GetProperty("input").GetString()!), "x").TryGet(out XlConfig? config, out _));
            bool isUsable = memory.TryGetProperty("number", out JsonElement number) && number.GetInt64() is > 0 and <= 1L << 32;
            Assert.AreEqual(isUsable, config.ToGuest().TryGet(out GuestDocument? guest, out InputError? error), record.ToString() + error);
            if (guest is not null)
                Assert.AreEqual((ulong)number.GetInt64() * 1024, guest.Guest.MemoryKiB, record.ToString());
            numbers++;
        }

        Assert.IsGreaterThan(40, numbers);
    }

    [TestMethod]
    public void Every_pci_entry_reads_as_libxlu_reads_it()
    {
        foreach (JsonElement record in Records("pci"))
        {
            string input = record.GetProperty("input").GetString()!;
            bool isAccepted = PciAssignment.Parse(input, "x", 1, out _).TryGet(out PciAssignment? entry, out _);
            Assert.AreEqual(!record.TryGetProperty("error", out _) && !s_sloppyEntries.Contains(input), isAccepted, input);
            if (entry is null)
                continue;
            string? name = record.GetProperty("name").GetString();
            Assert.AreEqual(name, entry.Name, input);
            Assert.AreEqual(name is null ? record.GetProperty("address").GetString() : null, entry.Address?.ToString(), input);
            Assert.AreEqual(record.GetProperty("slot").GetInt32(), entry.VirtualSlot ?? 0, input);
            Assert.AreEqual(record.GetProperty("all").GetBoolean(), entry.AllFunctions, input);
            Assert.AreEqual(record.GetProperty("msitranslate").GetInt32() != 0, entry.MsiTranslate ?? false, input);
            Assert.AreEqual(record.GetProperty("power_mgmt").GetInt32() != 0, entry.PowerManagement ?? false, input);
            Assert.AreEqual(record.GetProperty("permissive").GetInt32() != 0, entry.Permissive ?? false, input);
            Assert.AreEqual(record.GetProperty("seize").GetInt32() != 0, entry.Seize ?? false, input);
            Assert.AreEqual(record.GetProperty("rdm").GetInt32() switch { 0 => "strict", 1 => "relaxed", _ => null }, entry.RdmPolicy, input);
        }
    }

    private static List<JsonElement> Records(string name)
    {
        using JsonDocument document =
            JsonDocument.Parse(File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "fixtures", "guests", "libxlu.json")));
        return [.. document.RootElement.GetProperty(name).EnumerateArray().Select(element => element.Clone())];
    }

    private static string Show(JsonElement settings) =>
        string.Join("; ", settings.EnumerateObject().OrderBy(setting => setting.Name, StringComparer.Ordinal).Select(setting =>
        $"{setting.Name}={(setting.Value.TryGetProperty("list", out JsonElement list) ? ShowValue(list) : ShowValue(setting.Value.GetProperty("text")))}"));

    private static string ShowValue(JsonElement value) => value.ValueKind == JsonValueKind.Array
        ? $"[{string.Join(",", value.EnumerateArray().Select(ShowValue))}]"
        : JsonSerializer.Serialize(value.GetString());

    /// <summary>By way of the written form, so that quoting is put to the test as well.</summary>
    private static string Show(XlConfig config) => string.Join("; ", config.EffectiveSettings
        .Where(setting => setting.Key is "a" or "b" or "memory" or "name")
        .OrderBy(setting => setting.Key, StringComparer.Ordinal)
        .Select(setting =>
        {
            Assert.IsTrue(XlConfig.Read(new StringReader($"{setting.Key}={setting.Value}"), "x").TryGet(out XlConfig? again, out InputError? error),
                error?.ToString());
            return $"{setting.Key}={ShowValue(again.Settings[0].Value)}";
        }));

    private static string ShowValue(XlValue value) => value is XlList list
        ? $"[{string.Join(",", list.Items.Select(ShowValue))}]"
        : JsonSerializer.Serialize(((XlText)value).Text);
}
