// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Keyhole.Answers;

/// <summary>
/// What a verb answers, as a value: JSON, text and pictures are painted from the same one. The members are those of the JSON, in its order;
/// docs/schema has a schema for each verb. What is marked to be left out of the JSON is what painters take more from than the members tell.
/// </summary>
public abstract record Answer
{
    /// <summary>Whether the answer is yes, or was given; false where it is no.</summary>
    [JsonIgnore]
    public abstract bool IsYes { get; }

    /// <summary>Writes one JSON document (UTF-8, indented, a line feed at the end).</summary>
    /// <exception cref="IOException">The stream cannot take it.</exception>
    public void WriteJson(Stream destination)
    {
        JsonSerializer.Serialize(destination, this, AnswerForm.Options.GetTypeInfo(GetType()));
        destination.WriteByte((byte)'\n');
    }
}
