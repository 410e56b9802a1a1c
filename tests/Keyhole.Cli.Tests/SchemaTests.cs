// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Json.Schema;
using Keyhole.Answers;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.E820;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>docs/schema has a schema for what each verb answers: it is made from the answer's record, and holds for real output.</summary>
[TestClass]
public sealed class SchemaTests
{
    /// <summary>Where to write the schemas; without it they are compared with those that are there.</summary>
    private const string WriteTo = "KEYHOLE_WRITE_SCHEMAS";

    private static readonly string s_schemas = Path.Combine(AppContext.BaseDirectory, "fixtures", "schema");

    private static readonly string s_host = CommandRun.Golden("seed8g.log");

    private static readonly Dictionary<string, Type> s_answers = new(StringComparer.Ordinal)
    {
        ["plan"] = typeof(PlanAnswer),
        ["boot"] = typeof(BootAnswer),
        ["compare"] = typeof(ComparisonAnswer),
        ["fleet"] = typeof(FleetAnswer),
        ["verify"] = typeof(VerificationAnswer),
        ["reserve"] = typeof(ReserveAnswer),
        ["apply"] = typeof(ApplyAnswer),
        ["start"] = typeof(StartAnswer),
        ["inspect"] = typeof(InspectAnswer),
        ["probe"] = typeof(ProbeAnswer),
        ["install"] = typeof(InstallAnswer),
    };

    private static string Field(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "kvm", name);

    private static IEnumerable<object[]> Verbs => s_answers.Keys.Select(static verb => new object[] { verb });

    private static IEnumerable<object[]> Commands =>
    [
        ["show", "--host", s_host],
        ["show", "--host", s_host, "--with-xen"],
        ["show", "--host", Path.Combine(AppContext.BaseDirectory, "fixtures", "field", "xen", "elided.txt")],
        ["show", "--host", Path.Combine(AppContext.BaseDirectory, "fixtures", "hvm", "rmrr.log")],
        ["show", "--host", Field("full-capture.json")],
        ["plan", "--host", s_host, "--memory", "3072", "--e820-host"],
        ["plan", "--host", s_host, "--memory", "3072", "--pci", "0000:03:00.0", "--bar", "febc0000-febe0000"],
        ["plan", "--host", s_host, "--memory", "3072", "--type", "hvm"],
        ["plan", "--host", s_host, "--memory", "3072", "--type", "kvm"],
        ["plan", "--host", s_host, "--memory", "3072", "--type", "kvm", "--firmware", "ovmf-2024.05", "--phys-bits", "40", "--cpu-vendor", "intel",
            "--bar-size", "128G,64bit"],
        ["plan", "--host", s_host, "--memory", "3072", "--type", "kvm", "--devices", Field("ignored.lspci")],
        ["compare", "--host", s_host, "--memory", "3072", "--type", "kvm", "--firmware", "ovmf-2024.05", "--phys-bits", "40", "--cpu-vendor", "intel",
            "--bar-size", "128G,64bit"],
        ["boot", "--host", s_host, "--memory", "3072", "--e820-host", "--policy", "punch", "--bar", "febc0000-febe0000", "--mem-set", "4096"],
        ["boot", "--host", s_host, "--memory", "3072", "--e820-host", "--mem-set", "1024"],
        ["boot", "--host", s_host, "--dom0"],
        ["compare", "--host", s_host, "--memory", "3072", "--bar", "febc0000-febe0000", "--bar", "20000000-20100000", "--migrate-to", s_host],
        ["compare", "--host", s_host, "--memory", "3072", "--type", "hvm"],
        ["compare", "--host", s_host, "--memory", "6000", "--type", "hvm", "--bar-size", "512M,32bit"],
        ["plan", "--host", s_host, "--memory", "3072", "--type", "pvh"],
        ["boot", "--host", s_host, "--memory", "6000", "--type", "hvm", "--bar-size", "8G,64bit"],
        ["fleet", s_host, CommandRun.Golden("plain4g.log"), "--memory", "3072"],
        ["fleet", s_host, CommandRun.Golden("plain4g.log"), "--guest", Field("libvirt-gpu.xml")],
        ["fleet", s_host, Path.Combine(AppContext.BaseDirectory, "fixtures", "golden", "README.md")],
        ["verify", "--dom0", "--host", s_host],
        ["verify", "--dom0", "--host", CommandRun.Golden("nvskernel.log")],
        ["reserve", "--host", CommandRun.Golden("plain4g.log"), "--start", "512M"],
        ["reserve", "--host", CommandRun.Golden("plain4g.log"), "--range", "1G-2G"],
        ["reserve", "--host", CommandRun.Golden("plain4g.log"), "--start", "3"],
    ];

    [TestMethod]
    [DynamicData(nameof(Verbs))]
    public void Each_schema_is_what_its_record_says(string verb)
    {
        string made = SchemaOf(verb);
        if (Environment.GetEnvironmentVariable(WriteTo) is { Length: > 0 } folder)
            File.WriteAllText(Path.Combine(folder, $"{verb}.json"), made);
        else
            Assert.AreEqual(File.ReadAllText(Path.Combine(s_schemas, $"{verb}.json")), made,
                $"docs/schema/{verb}.json is out of date: run the tests of this class once with {WriteTo}=docs/schema");
    }

    [TestMethod]
    [DynamicData(nameof(Commands))]
    public void What_a_verb_answers_is_valid_against_its_schema(string verb, params string[] options)
    {
        CommandRun run = CommandRun.Of([verb, .. options, "--json"]);

        Assert.AreNotEqual(2, run.Status, run.Errors);
        AssertValid(verb, run.Output);
    }

    [TestMethod]
    public void What_is_told_of_a_live_guest_is_valid_against_its_schema()
    {
        using var dom0 = new FakeDom0();

        foreach (string[] command in new string[][] { ["inspect", "g1"], ["apply", "g1", "--dry-run"], ["apply", "g1"], ["inspect", "g1"],
            ["apply", "g1", "--undo"] })
        {
            CommandRun run = CommandRun.InDom0(dom0.Machine, [.. command, "--json"]);

            Assert.AreEqual(0, run.Status, run.Errors);
            AssertValid(command[0], run.Output);
        }
    }

    [TestMethod]
    public void A_member_that_the_schema_does_not_name_is_found()
    {
        JsonNode answer = JsonNode.Parse(CommandRun.Of("plan", "--host", s_host, "--memory", "3072", "--json").Output)!;
        answer["guest"]!["colour"] = "red";

        Assert.IsFalse(IsValid("plan", answer.ToJsonString(), out _));
    }

    [TestMethod]
    [DataRow("capture")]
    [DataRow("show")]
    public void The_schema_of_a_capture_names_every_member_of_one(string verb)
    {
        JsonNode schema = JsonNode.Parse(File.ReadAllText(Path.Combine(s_schemas, $"{verb}.json")))!;

        Assert.AreEqual(NamesIn(CaptureForm.Info.GetJsonSchemaAsNode()), NamesIn(schema));
    }

    /// <summary>The names of a schema's members, of all levels.</summary>
    private static string NamesIn(JsonNode schema)
    {
        var names = new SortedSet<string>(StringComparer.Ordinal);
        Gather(schema, schema, "", names);
        return string.Join('\n', names);
    }

    private static void Gather(JsonNode whole, JsonNode? schema, string at, SortedSet<string> names)
    {
        // A part that is there twice: "#/properties/devices/items".
        while (schema is JsonObject { } part && part["$ref"]?.GetValue<string>() is { } path)
            schema = path.Split('/').Skip(1).Aggregate(whole, static (node, name) => node[name]!);
        if (schema is not JsonObject found)
            return;
        foreach ((string name, JsonNode? member) in found["properties"] as JsonObject ?? [])
        {
            names.Add($"{at}/{name}");
            Gather(whole, member, $"{at}/{name}", names);
        }

        Gather(whole, found["items"], at, names);
    }

    internal static void AssertValid(string verb, string output) => Assert.IsTrue(IsValid(verb, output, out string why), $"{why}\n{output}");

    private static bool IsValid(string verb, string output, out string why)
    {
        JsonSchema schema = JsonSchema.FromText(File.ReadAllText(Path.Combine(s_schemas, $"{verb}.json")));
        using JsonDocument document = JsonDocument.Parse(output);
        EvaluationResults results = schema.Evaluate(document.RootElement, new EvaluationOptions { OutputFormat = OutputFormat.List });
        why = string.Join('\n', (results.Details ?? []).Where(static detail => detail.Errors is not null)
            .Select(static detail => $"{detail.InstanceLocation}: {string.Join("; ", detail.Errors!.Values)}"));
        return results.IsValid;
    }

    private static string SchemaOf(string verb)
    {
        var form = new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Transform };
        JsonNode made = AnswerForm.Options.GetJsonSchemaAsNode(s_answers[verb], form);
        var schema = new JsonObject { ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = $"What keyhole {verb} --json answers" };
        foreach ((string name, JsonNode? value) in made.AsObject())
            schema[name] = value?.DeepClone();
        return schema.ToJsonString(new JsonSerializerOptions { WriteIndented = true,
            Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }) + "\n";
    }

    private static JsonNode Transform(JsonSchemaExporterContext context, JsonNode node)
    {
        Type type = context.TypeInfo.Type;
        Type plain = Nullable.GetUnderlyingType(type) ?? type;
        JsonObject schema = plain == typeof(Hex) ? Text("^0x[0-9a-f]+$")
            : plain == typeof(E820Type) ? Text("^(ram|reserved|acpi|nvs|unusable|pmem|pram|type-[0-9]+)$")
            : plain == typeof(Severity) ? new JsonObject { ["enum"] = new JsonArray("info", "warning", "error") }
            : node as JsonObject ?? [];
        if (context.TypeInfo.Kind == JsonTypeInfoKind.Object && schema["properties"] is JsonObject properties)
        {
            schema["additionalProperties"] = false;
            string[] required = [.. context.TypeInfo.Properties
                .Where(property => properties.ContainsKey(property.Name) && (!CanBeNull(property) || IsNullWritten(property)))
                .Select(static property => property.Name)];
            schema.Remove("required");
            if (required.Length > 0)
                schema["required"] = new JsonArray([.. required.Select(static name => JsonValue.Create(name))]);
        }

        if (context.PropertyInfo is not { } owner)
            return schema;
        bool isNull = CanBeNull(owner) && IsNullWritten(owner);
        if (plain == typeof(Hex) || plain == typeof(E820Type))
            schema["type"] = isNull ? new JsonArray("string", "null") : "string";
        else if (schema["type"] is JsonArray types && !isNull)
            schema["type"] = types.First(static one => one!.GetValue<string>() != "null")!.DeepClone();
        return schema;
    }

    private static JsonObject Text(string pattern) => new() { ["type"] = "string", ["pattern"] = pattern };

    private static bool CanBeNull(JsonPropertyInfo property) =>
        property.PropertyType.IsValueType ? Nullable.GetUnderlyingType(property.PropertyType) is not null : property.IsGetNullable;

    /// <summary>Whether null is written as null; else the member is left out.</summary>
    private static bool IsNullWritten(JsonPropertyInfo property) =>
        property.AttributeProvider?.GetCustomAttributes(typeof(JsonIgnoreAttribute), inherit: true)
            is [JsonIgnoreAttribute { Condition: JsonIgnoreCondition.Never }];
}
