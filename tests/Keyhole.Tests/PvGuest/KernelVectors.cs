// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text.Json;
using Keyhole.Addresses;
using Keyhole.E820;
using Keyhole.Forecasts;
using Keyhole.Logs;
using Keyhole.PvGuest;
using Keyhole.Tests.Golden;

namespace Keyhole.Tests.PvGuest;

/// <summary>What a release's own setup code made of a vector, or this project's: a text for each thing that is compared; none where it
/// halted.</summary>
/// <param name="IsWhole">The messages go on to the end of the boot.</param>
internal sealed record VectorResult(string Outcome, ImmutableDictionary<string, string> Facts, bool IsWhole = true);

/// <summary>tests/fixtures/kernels: what the setup code of thirty releases made of 113 maps.</summary>
internal static class KernelVectors
{
    /// <summary>What is compared, in the order of reports. "boots" and "bug" are compared as "outcome".</summary>
    public static readonly ImmutableArray<string> Fields =
        ["e820", "extra", "released", "remapped", "populated", "moved", "p2m", "hypercalls", "ignored", "messages"];

    private static readonly Lazy<JsonElement> s_root = new(Load);

    public static IEnumerable<string> Releases =>
        s_root.Value.GetProperty("releases").EnumerateArray().Select(static release => release.GetString()!);

    public static IEnumerable<JsonElement> All => s_root.Value.GetProperty("vectors").EnumerateArray();

    public static KernelRelease ReleaseOf(string text) => KernelReleases.Identify(text)!.Release!.Value;

    public static VectorResult Recorded(JsonElement vector, string release)
    {
        JsonElement result = vector.GetProperty("results").EnumerateArray()
            .Single(result => result.GetProperty("releases").EnumerateArray().Any(name => name.GetString() == release));
        if (result.GetProperty("outcome").GetString() != "boots")
            return new(result.GetProperty("bug").GetString()!, ImmutableDictionary<string, string>.Empty);
        JsonElement calls = result.GetProperty("hypercalls");
        var facts = new Dictionary<string, string>
        {
            ["e820"] = string.Join(' ', GoldenJson.Map(result.GetProperty("e820")).Select(Show)),
            ["extra"] = string.Join(' ', Ranges(result.GetProperty("extra_mem")).OrderBy(static range => range.Start).Select(Show)),
            ["released"] = result.GetProperty("released").GetRawText(),
            ["remapped"] = result.GetProperty("remapped").GetRawText(),
            ["populated"] = result.GetProperty("populated").GetRawText(),
            ["moved"] = string.Join(' ', result.GetProperty("moved").EnumerateArray()
                .Select(static moved => $"{moved[0].GetString()}:{moved[1].GetString()}")),
            ["p2m"] = Joined(result.GetProperty("p2m").EnumerateArray()
                .Select(static run => run.GetString()!.Replace("missing", "invalid", StringComparison.Ordinal).Replace(' ', '_')),
                ReleaseOf(release)),
            ["hypercalls"] = string.Create(
                CultureInfo.InvariantCulture,
                $"release {Number(calls, "decrease_reservation")} populate {Number(calls, "populate_physmap")} m2p {Number(calls, "mmu_update")} "
                    + $"va {Number(calls, "va_identity") + Number(calls, "va_remap") + Number(calls, "set_pte")} map {Number(calls, "memory_map")} "
                    + $"max {Number(calls, "maximum_reservation")}"),
            ["ignored"] = result.GetProperty("entries_ignored").GetRawText(),
            ["messages"] = string.Join('|', result.GetProperty("raw_messages").EnumerateArray().Select(static text => Split(text.GetString()!))),
        };
        return new("boots", facts.ToImmutableDictionary());
    }

    /// <param name="unlike">One behaviour in which the release is to differ from itself.</param>
    public static VectorResult Forecast(JsonElement vector, KernelRelease release, KernelBehaviour? unlike = null)
    {
        bool isDom0 = vector.GetProperty("dom0").GetBoolean();
        ImmutableArray<E820Entry> map = vector.GetProperty("no_map").GetBoolean() ? [] : GoldenJson.Map(vector.GetProperty("map"));
        ByteRange kernel = Range(vector.GetProperty("kernel"));
        JsonElement most = vector.GetProperty("maximum_reservation");
        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map = map,
            IsDom0 = isDom0,
            PageCount = vector.GetProperty("nr_pages").GetUInt64(),
            MaxPages = isDom0 && most.ValueKind == JsonValueKind.Number ? most.GetUInt64() : null,
            Kernel = release,
            Unlike = unlike,
            Layout = new()
            {
                Kernel = kernel,
                StartInfo = ByteRange.FromSize(kernel.Start, Frames.SizeBytes),
                P2mList = Range(vector.GetProperty("p2m_list")),
                PageTables = Range(vector.GetProperty("page_tables")),
                Initrd = Range(vector.GetProperty("initrd")),
            },
        });
        // Up to 4.2 the record ends with the setup: whether the kernel survives what it gave away, it does not say.
        if (!forecast.Boots && forecast.Halt != HaltReason.ReleasesItself)
            return new(BugOf(forecast.Halt, release), ImmutableDictionary<string, string>.Empty);
        ImmutableDictionary<string, ulong> calls = forecast.Hypercalls.ToImmutableDictionary(static call => call.Name, static call => call.Count);
        var facts = new Dictionary<string, string>
        {
            ["e820"] = string.Join(' ', forecast.KernelMap.Select(Show)),
            ["extra"] = string.Join(' ', forecast.Extra.Select(Show)),
            ["released"] = Text(forecast.ReleasedPages),
            ["remapped"] = Text(forecast.RemappedPages),
            ["populated"] = Text(forecast.PopulatedPages),
            ["moved"] = string.Join(' ', forecast.Moved.Where(static moved => moved.What == "p2m list")
                .Select(static moved => $"p2m:0x{moved.To.Start:x}")),
            ["p2m"] = Joined(forecast.P2m.Select(Show), release),
            ["hypercalls"] = string.Create(
                CultureInfo.InvariantCulture,
                $"release {Calls("XENMEM_decrease_reservation")} populate {Calls("XENMEM_populate_physmap")} m2p {Calls("mmu_update")} va "
                    + $"{Calls("update_va_mapping")} map {Calls("XENMEM_memory_map") + Calls("XENMEM_machine_memory_map")} max "
                    + $"{Calls("XENMEM_maximum_reservation")}"),
            ["ignored"] = Text(forecast.IgnoredEntries),
            ["messages"] = string.Join('|',
                forecast.Log.Where(static line => !line.Contains("Xen:", StringComparison.Ordinal)
                    && !line.Contains("BIOS-provided", StringComparison.Ordinal)
                && !line.Contains("ACPI in", StringComparison.Ordinal))),
        };
        return new("boots", facts.ToImmutableDictionary(), forecast.Boots);

        ulong Calls(string name) => calls.GetValueOrDefault(name);
    }

    /// <summary>What the record calls the place where the code stops.</summary>
    private static string BugOf(HaltReason reason, KernelRelease release) => reason switch
    {
        HaltReason.NoMemoryMap => "rc",
        HaltReason.KernelConflict or HaltReason.StartInfoConflict or HaltReason.PageTableConflict
            when KernelProfile.Of(release).Has(KernelBehaviour.MovesNvs) => "xen_chk_is_e820_usable",
        HaltReason.KernelConflict => "xen_memory_setup",
        HaltReason.PageTableConflict => "xen_pt_check_e820",
        HaltReason.NoRoomForP2mList => "xen_relocate_p2m",
        HaltReason.ExtraMemoryMismatch => "n_pfns > size_r",
        HaltReason.NoRoomForNvs => "xen_e820_swap_entry_with_ram",
        HaltReason.NvsTargetUnaligned => "(maddr & ~PAGE_MASK) != (paddr & ~PAGE_MASK)",
        _ => reason.ToString(),
    };

    private static string Show(E820Entry entry) => $"[{entry.Address:x},{entry.End:x})_{(uint)entry.Type}";

    private static string Show(ByteRange range) => $"[{range.Start:x},{range.End:x})";

    private static string Show(P2mRun run) => $"[{run.Range.Start.Value:x},{run.Range.End.Value:x})_" + run.Kind switch
    {
        P2mKind.Ram or P2mKind.Remapped => run.Mfn.Value == P2mRun.UnknownMfn ? "populated" : $"ram_origpfn_{run.Mfn.Value:x}",
        P2mKind.Identity => "identity",
        P2mKind.Invalid => "invalid",
        P2mKind.NonRam => $"mfn_mfn_{run.Mfn.Value:x}",
    };

    /// <summary>Without what lies at the end: behind its last run a list goes on with what its kernel takes for granted, and lists end at different
    /// frames.</summary>
    private static string Joined(IEnumerable<string> runs, KernelRelease release)
    {
        string implied = KernelProfile.Of(release).Has(KernelBehaviour.IdentityBehindMap) ? "_identity" : "_invalid";
        List<string> kept = [.. runs];
        if (kept.Count > 0 && kept[^1].EndsWith(implied, StringComparison.Ordinal))
            kept.RemoveAt(kept.Count - 1);
        return string.Join(' ', kept);
    }

    /// <summary>Two messages that the record has without a break between them.</summary>
    private static string Split(string text) =>
        text.Replace("rangePCI:", "range|PCI:", StringComparison.Ordinal).Replace("rangee820:", "range|e820:", StringComparison.Ordinal);

    private static string Text(ulong number) => number.ToString(CultureInfo.InvariantCulture);

    private static ulong Number(JsonElement calls, string name) => calls.GetProperty(name).GetUInt64();

    private static IEnumerable<ByteRange> Ranges(JsonElement rows) => rows.EnumerateArray().Select(Range);

    private static ByteRange Range(JsonElement row) =>
        row.ValueKind == JsonValueKind.Null ? default : ByteRange.FromSize(Hex(row[0]), unchecked(Hex(row[1]) - Hex(row[0])));

    private static ulong Hex(JsonElement element) =>
        ulong.Parse(element.GetString()!.AsSpan()[2..], NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static JsonElement Load()
    {
        using FileStream file = File.OpenRead(Path.Combine(AppContext.BaseDirectory, "fixtures", "kernels", "vectors.json.gz"));
        using var unpacked = new GZipStream(file, CompressionMode.Decompress);
        using JsonDocument document = JsonDocument.Parse(unpacked);
        return document.RootElement.Clone();
    }
}
