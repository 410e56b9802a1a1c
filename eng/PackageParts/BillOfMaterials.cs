// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Text.Json;
using System.Xml.Linq;

namespace Keyhole.PackageParts;

/// <summary>A bill of materials in CycloneDX 1.6's JSON: what is linked into a program, and what built it.</summary>
internal static class BillOfMaterials
{
    private const string Us = "keyhole";

    /// <summary>The runtime that is compiled into a native file: a download of the SDK's, no reference of the project's.</summary>
    private const string RuntimePack = "Microsoft.NETCore.App.Runtime.NativeAOT.";

    /// <summary>Packages that state their licence by an address alone: what is found there.</summary>
    private static readonly Dictionary<string, string> s_licencesByAddress = new() { ["K4os.Compression.LZ4"] = "MIT" };

    /// <param name="output">Where the document goes. The same inputs give the same bytes: it has no time and no random number.</param>
    /// <param name="assetsPath">The project.assets.json of a project built for native AOT.</param>
    /// <param name="files">The program's files, told with their hashes.</param>
    /// <param name="systemLibraries">Libraries of the building machine that are linked in, each NAME=VERSION=LICENCE.</param>
    public static void Write(Stream output, string assetsPath, IReadOnlyList<string> files, IReadOnlyList<string> systemLibraries)
    {
        using JsonDocument assets = JsonDocument.Parse(File.ReadAllBytes(assetsPath));
        JsonElement root = assets.RootElement;
        string version = root.GetProperty("project").GetProperty("version").GetString()!;
        string[] folders = [.. root.GetProperty("packageFolders").EnumerateObject().Select(static folder => folder.Name)];
        List<Component> components = [.. Packages(root, folders), .. systemLibraries.Select(System)];
        components.Sort(static (a, b) => string.CompareOrdinal(a.Reference, b.Reference));

        using var json = new Utf8JsonWriter(output, new() { Indented = true });
        json.WriteStartObject();
        json.WriteString("$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json");
        json.WriteString("bomFormat", "CycloneDX");
        json.WriteString("specVersion", "1.6");
        json.WriteString("serialNumber", $"urn:uuid:{SerialOf(version, components, files)}");
        json.WriteNumber("version", 1);
        json.WriteStartObject("metadata");
        json.WriteStartObject("component");
        json.WriteString("type", "application");
        json.WriteString("bom-ref", Us);
        json.WriteString("name", Us);
        json.WriteString("version", version);
        WriteLicence(json, "GPL-2.0-only");
        json.WriteStartArray("components");
        foreach (string file in files)
        {
            json.WriteStartObject();
            json.WriteString("type", "file");
            json.WriteString("name", Path.GetFileName(file));
            WriteHash(json, "SHA-256", Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file))));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();

        json.WriteStartArray("components");
        foreach (Component component in components)
        {
            json.WriteStartObject();
            json.WriteString("type", component.Name.StartsWith(RuntimePack, StringComparison.Ordinal) ? "framework" : "library");
            json.WriteString("bom-ref", component.Reference);
            json.WriteString("name", component.Name);
            json.WriteString("version", component.Version);
            // Excluded: it took part in the build and is not in the program.
            json.WriteString("scope", component.IsLinked ? "required" : "excluded");
            if (component.Sha512 is { } hash)
                WriteHash(json, "SHA-512", hash);
            WriteLicence(json, component.Licence);
            json.WriteString("purl", component.Reference);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("dependencies");
        json.WriteStartObject();
        json.WriteString("ref", Us);
        json.WriteStartArray("dependsOn");
        foreach (Component component in components.Where(static component => component.IsLinked))
            json.WriteStringValue(component.Reference);
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static IEnumerable<Component> Packages(JsonElement root, string[] folders)
    {
        // The target of a runtime tells which packages have files that end in the program.
        JsonElement target = root.GetProperty("targets").EnumerateObject().Last().Value;
        foreach (JsonProperty library in root.GetProperty("libraries").EnumerateObject())
        {
            if (library.Value.GetProperty("type").GetString() != "package")
                continue;
            string[] parts = library.Name.Split('/');
            bool isLinked = target.TryGetProperty(library.Name, out JsonElement used)
                && used.TryGetProperty("runtime", out JsonElement runtime)
                && runtime.EnumerateObject().Any(static file => !file.Name.EndsWith("_._", StringComparison.Ordinal));
            yield return FromPackage(parts[0], parts[1], folders, isLinked);
        }

        foreach (JsonProperty framework in root.GetProperty("project").GetProperty("frameworks").EnumerateObject())
        {
            foreach (JsonElement download in framework.Value.GetProperty("downloadDependencies").EnumerateArray())
            {
                string name = download.GetProperty("name").GetString()!;
                if (name.StartsWith(RuntimePack, StringComparison.Ordinal))
                    yield return FromPackage(name, download.GetProperty("version").GetString()!.Trim('[', ']').Split(',')[0], folders,
                        isLinked: true);
            }
        }
    }

    private static Component FromPackage(string name, string version, string[] folders, bool isLinked)
    {
        string lower = name.ToLowerInvariant();
        string folder = folders.Select(root => Path.Combine(root, lower, version)).First(Directory.Exists);
        XElement metadata = XDocument.Load(Path.Combine(folder, lower + ".nuspec")).Root!.Elements()
            .First(static element => element.Name.LocalName == "metadata");
        XElement? licence = metadata.Elements()
            .FirstOrDefault(static element => element.Name.LocalName == "license" && (string?)element.Attribute("type") == "expression");
        string hash = File.ReadAllText(Path.Combine(folder, $"{lower}.{version}.nupkg.sha512"));
        return new($"pkg:nuget/{name}@{version}", name, version, licence?.Value ?? s_licencesByAddress.GetValueOrDefault(name),
            Convert.ToHexStringLower(Convert.FromBase64String(hash)), isLinked);
    }

    private static Component System(string text)
    {
        string[] parts = text.Split('=', 3);
        return new($"pkg:generic/{parts[0]}@{Uri.EscapeDataString(parts[1])}", parts[0], parts[1], parts[2], null, IsLinked: true);
    }

    private static void WriteLicence(Utf8JsonWriter json, string? licence)
    {
        if (licence is null)
            return;
        json.WriteStartArray("licenses");
        json.WriteStartObject();
        if (licence.Contains(' ', StringComparison.Ordinal))
        {
            json.WriteString("expression", licence);
        }
        else
        {
            json.WriteStartObject("license");
            json.WriteString("id", licence);
            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void WriteHash(Utf8JsonWriter json, string algorithm, string hash)
    {
        json.WriteStartArray("hashes");
        json.WriteStartObject();
        json.WriteString("alg", algorithm);
        json.WriteString("content", hash);
        json.WriteEndObject();
        json.WriteEndArray();
    }

    /// <summary>A name of the content, in the form of a UUID of version 8.</summary>
    private static Guid SerialOf(string version, IEnumerable<Component> components, IEnumerable<string> files)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(global::System.Text.Encoding.UTF8.GetBytes(version
            + string.Concat(components.Select(static component => component.ToString()))));
        foreach (string file in files)
            hash.AppendData(File.ReadAllBytes(file));
        byte[] bytes = hash.GetHashAndReset()[..16];
        bytes[6] = (byte)((bytes[6] & 0x0f) | 0x80);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        return new(bytes, bigEndian: true);
    }

    private sealed record Component(string Reference, string Name, string Version, string? Licence, string? Sha512, bool IsLinked);
}
