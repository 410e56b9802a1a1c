// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Frozen;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;

namespace Keyhole.Guests;

/// <summary>Which properties each device model of QEMU 7.2 and 10.0 has: any other one QEMU refuses. Of other releases, and of models that are not in
/// the table, nothing is said.</summary>
/// <remarks>
/// Source: what those releases answer to <c>device-list-properties</c>, as Debian builds them. Properties that the same models have stand together
/// (+, a dot where the line goes on), numbered from 0; behind each model (@, with its releases) stand the numbers that it has.
/// </remarks>
internal static partial class QemuDeviceProperties
{
    /// <summary>The releases that the table tells of, the oldest first.</summary>
    public static readonly ImmutableArray<QemuVersion> Releases = [new(7, 2), new(10, 0)];

    /// <summary>Which group each property is in: the models that have it are the same for all in one group.</summary>
    private static readonly FrozenDictionary<string, int> s_groups;
    private static readonly FrozenDictionary<(string Driver, QemuVersion Release), ImmutableArray<int>> s_models;

    static QemuDeviceProperties()
    {
        var groups = new Dictionary<string, int>(StringComparer.Ordinal);
        var models = new Dictionary<(string, QemuVersion), ImmutableArray<int>>();
        var current = new List<(string, QemuVersion)>();
        int group = -1;
        foreach (ReadOnlySpan<char> line in Table.AsSpan().EnumerateLines())
        {
            string[] words = line.ToString().Split(' ', StringSplitOptions.RemoveEmptyEntries);
            int first = 1;
            if (words[0] == "+")
                group++;
            if (words[0] == "@")
            {
                current.Clear();
                var releases = new List<QemuVersion>();
                while (QemuVersion.TryParseLeading(words[first], out QemuVersion release))
                {
                    releases.Add(release);
                    first++;
                }

                string driver = words[first++];
                current.AddRange(releases.Select(release => (driver, release)));
            }

            ReadOnlySpan<string> rest = words.AsSpan(first);
            if (current.Count == 0)
            {
                foreach (string property in rest)
                    groups.Add(property, group);
                continue;
            }

            ImmutableArray<int> numbers = [.. rest.ToArray().Select(static number => int.Parse(number, CultureInfo.InvariantCulture))];
            foreach ((string, QemuVersion) model in current)
                models[model] = models.TryGetValue(model, out ImmutableArray<int> before) ? before.AddRange(numbers) : numbers;
        }

        s_groups = groups.ToFrozenDictionary(StringComparer.Ordinal);
        s_models = models.ToFrozenDictionary();
    }

    /// <summary>The models of the table.</summary>
    public static IEnumerable<string> Drivers => s_models.Keys.Select(static model => model.Driver).Distinct();

    /// <summary>Whether a model has a property; null where the table does not tell.</summary>
    /// <param name="driver">The model's full name.</param>
    /// <param name="release">Two numbers.</param>
    public static bool? Has(string driver, QemuVersion release, string property) =>
        s_models.TryGetValue((driver, release), out ImmutableArray<int> groups)
            ? s_groups.TryGetValue(property, out int group) && groups.BinarySearch(group) >= 0 : null;

    /// <summary>The words in which QEMU refuses a device for a property that it has not; null where it does not, or nobody knows.</summary>
    public static string? Refusal(QemuMachine machine, QemuDevice device)
    {
        string driver = QemuDevices.FullName(device.Driver);
        foreach (QemuProperty property in device.Properties)
        {
            // What -device itself takes; and elements of lists, which have a property behind them that is none of the model's own.
            if (property.Name is "id" or "bus" or "driver" || property.Name.AsSpan().ContainsAny('.', '[')
                || !IsMissing(machine, driver, property.Name))
                continue;
            return $"Property '{driver}.{property.Name}' not found";
        }

        return null;
    }

    /// <summary>Where the release is only assumed, none of those in the table may have it.</summary>
    private static bool IsMissing(QemuMachine machine, string driver, string property)
    {
        if (!machine.IsEmulatorAssumed)
            return Has(driver, machine.Emulator, property) == false;
        return machine.Emulator >= Releases[0] && machine.Emulator <= Releases[^1]
            && Releases.All(release => Has(driver, release, property) == false);
    }
}
