// SPDX-License-Identifier: GPL-2.0-only

using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Keyhole.Diagnostics;
using Keyhole.Hosts;

namespace Keyhole.Answers;

/// <summary>How answers become JSON: made at compile time, without reflection.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata,
    Converters = [typeof(HexConverter), typeof(E820TypeConverter), typeof(SeverityConverter)])]
[JsonSerializable(typeof(PlanAnswer))]
[JsonSerializable(typeof(BootAnswer))]
[JsonSerializable(typeof(ComparisonAnswer))]
[JsonSerializable(typeof(FleetAnswer))]
[JsonSerializable(typeof(ReserveAnswer))]
[JsonSerializable(typeof(VerificationAnswer))]
[JsonSerializable(typeof(ApplyAnswer))]
[JsonSerializable(typeof(StartAnswer))]
[JsonSerializable(typeof(InspectAnswer))]
[JsonSerializable(typeof(ProbeAnswer))]
[JsonSerializable(typeof(InstallAnswer))]
internal sealed partial class AnswerContext : JsonSerializerContext;

/// <summary>How answers are written.</summary>
internal static class AnswerForm
{
    public static readonly JsonSerializerOptions Options = new(AnswerContext.Default.Options)
    {
        // The output is a document, not a piece of HTML: quotes and letters beyond ASCII stay readable.
        Encoder = VisibleJson.Encoder,
        TypeInfoResolver = AnswerContext.Default.WithAddedModifier(DemandNothing),
    };

    /// <summary>Members that C# requires need not be in a document that is read, and none is: a required one that is left out would be
    /// refused.</summary>
    private static void DemandNothing(JsonTypeInfo type)
    {
        foreach (JsonPropertyInfo property in type.Properties)
            property.IsRequired = false;
    }
}

/// <summary>Where members stand that an answer inherits: a serialiser would put them behind its own.</summary>
internal static class MemberOrder
{
    public const int Plan = 0;
    public const int Platform = 1;
    public const int Needs = 2;
    public const int Kernel = 3;
    public const int KernelImage = 4;
    public const int Outcome = 5;
    public const int KernelMap = 6;
    public const int Pages = 7;
    public const int Memory = 8;
    public const int Devices = 9;
    public const int Rest = 10;
}
