// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Serialization;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Keyhole.Hosts;
using Keyhole.Hypercalls;
using Keyhole.Reading;

namespace Keyhole.Dom0;

/// <summary>
/// Where applied maps are remembered: a small JSON file for each domain in a folder that does not outlive a reboot. Written whole or not at all.
/// </summary>
public sealed class AppliedMapStore(string folder)
{
    private const int MaxSizeBytes = 1024 * 1024;

    /// <summary>The folder of this machine: /run/keyhole, or the user's own runtime folder where that cannot be written.</summary>
    public static string DefaultFolder(bool isRoot, string? userRuntimeFolder) =>
        isRoot || string.IsNullOrEmpty(userRuntimeFolder) ? "/run/keyhole" : Path.Combine(userRuntimeFolder, "keyhole");

    /// <summary>What is remembered of a domain; null where nothing is, or only something of an earlier domain of that number.</summary>
    public XenResult<AppliedMapState> Load(DomainId domain, Guid uuid)
    {
        string path = PathOf(domain);
        try
        {
            using FileStream file = File.OpenRead(path);
            if (!SmallInput.Read(file, path, MaxSizeBytes, "a remembered map").TryGet(out SmallInput? input, out InputError? error))
                return new XenProblem(XenProblemKind.Here, path, error.What, error.Remedy);
            if (Parse(input.Bytes, domain) is not { } applied)
                return new XenProblem(XenProblemKind.Here, path, "this is not a remembered map",
                    "remove the file; the map that was there before is then forgotten");
            return new AppliedMapState(applied.Uuid == uuid ? applied : null);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return new AppliedMapState(null);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return FileProblem.Of(path, exception);
        }
    }

    /// <summary>Remembers a map; null, or why it could not.</summary>
    public XenProblem? Save(AppliedMap applied)
    {
        string path = PathOf(applied.Domain);
        string temporary = $"{path}.{Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}.new";
        try
        {
            Directory.CreateDirectory(folder);
            using (var file = new FileStream(temporary, FileMode.Create, FileAccess.Write, FileShare.None))
            {
                Write(applied, file);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            WholeFile.DeleteLeftover(temporary);
            return FileProblem.Of(path, exception);
        }
    }

    /// <summary>Forgets a domain; null, or why it could not.</summary>
    public XenProblem? Remove(DomainId domain)
    {
        string path = PathOf(domain);
        try
        {
            File.Delete(path);
            return null;
        }
        catch (DirectoryNotFoundException)
        {
            return null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return FileProblem.Of(path, exception);
        }
    }

    /// <summary>Forgets the domains that are not there any more. What cannot be removed stays: it does no harm.</summary>
    public void ForgetDead(IXenControl xen)
    {
        ArgumentNullException.ThrowIfNull(xen);
        try
        {
            // The files first: a domain that is made meanwhile is then in the list, and keeps its own.
            string[] files = Directory.GetFiles(folder, "domain-*.json");
            if (files.Length == 0 || !xen.Domains().TryGet(out IReadOnlyList<DomainInfo>? domains, out _))
                return;
            HashSet<string> kept = [.. domains.Select(domain => PathOf(domain.Id))];
            foreach (string path in files)
            {
                if (!kept.Contains(path))
                    File.Delete(path);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // See above.
        }
    }

    private static void Write(AppliedMap applied, Stream file) => JsonSerializer.Serialize(
        file,
        new RememberedMap(applied.Domain.Value, applied.Uuid, applied.Policy, Remembered(applied.Installed), Remembered(applied.Before)),
        RememberedMapContext.Default.RememberedMap);

    private static ImmutableArray<RememberedEntry> Remembered(ImmutableArray<E820Entry> map) =>
        [.. map.Select(static entry => new RememberedEntry(Hex(entry.Address), Hex(entry.Size), E820TypeNames.NameOf(entry.Type)))];

    private static string Hex(ulong value) => string.Create(CultureInfo.InvariantCulture, $"0x{value:x}");

    private static AppliedMap? Parse(byte[] bytes, DomainId domain)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(bytes, new JsonDocumentOptions { MaxDepth = 8 });
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("uuid", out JsonElement uuid) || uuid.ValueKind != JsonValueKind.String
                || !uuid.TryGetGuid(out Guid known) || !root.TryGetProperty("policy", out JsonElement policy)
                || policy.ValueKind != JsonValueKind.String)
            {
                return null;
            }

            ImmutableArray<E820Entry>? installed = ParseMap(root, "installed");
            ImmutableArray<E820Entry>? before = ParseMap(root, "before");
            if (installed is not { } now || before is not { } then)
                return null;
            return new() { Domain = domain, Uuid = known, Policy = InputError.OneLine(policy.GetString(), 64), Installed = now, Before = then };
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Malformed, or text that is no Unicode.
            return null;
        }
    }

    private static ImmutableArray<E820Entry>? ParseMap(JsonElement root, string name)
    {
        if (!root.TryGetProperty(name, out JsonElement list) || list.ValueKind != JsonValueKind.Array
            || list.GetArrayLength() > MemoryOp.MaxSetMapEntries)
            return null;
        var map = ImmutableArray.CreateBuilder<E820Entry>(list.GetArrayLength());
        foreach (JsonElement item in list.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Object || ParseHex(item, "address") is not { } address || ParseHex(item, "size") is not { } size
                || !item.TryGetProperty("type", out JsonElement type) || type.ValueKind != JsonValueKind.String
                || !E820TypeNames.TryParse(type.GetString()!, out E820Type named))
            {
                return null;
            }

            map.Add(E820Entry.FromSize(address, size, named));
        }

        return map.ToImmutable();
    }

    private static ulong? ParseHex(JsonElement item, string name) =>
        item.TryGetProperty(name, out JsonElement text) && text.ValueKind == JsonValueKind.String && text.GetString() is ['0', 'x', .. string digits]
        && ulong.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong value)
            ? value
            : null;

    private string PathOf(DomainId domain) => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"domain-{domain.Value}.json"));
}

/// <summary>What is remembered, or that nothing is.</summary>
public sealed record AppliedMapState(AppliedMap? Applied);

/// <summary>The file of a map: what <see cref="AppliedMapStore"/> writes. It reads it by hand: a file of anybody's may lie there.</summary>
internal sealed record RememberedMap(
    ushort Domain, Guid Uuid, string Policy, ImmutableArray<RememberedEntry> Installed, ImmutableArray<RememberedEntry> Before);

/// <summary>Address and size, not ends: libxl's own maps may wrap.</summary>
internal sealed record RememberedEntry(string Address, string Size, string Type);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(RememberedMap))]
internal sealed partial class RememberedMapContext : JsonSerializerContext;
