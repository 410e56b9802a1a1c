// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Keyhole.Diagnostics;

/// <summary>What a caller of the library gives is checked where it comes in, so that a mistake is told there and not deep inside.</summary>
internal static class Given
{
    /// <summary>An array that somebody made; an empty one will do.</summary>
    /// <exception cref="ArgumentException">It is the default.</exception>
    public static ImmutableArray<T> Array<T>(ImmutableArray<T> value, [CallerMemberName] string name = "") =>
        value.IsDefault ? throw new ArgumentException("this is the default of ImmutableArray, which holds nothing, not even no elements: give []",
            name) : value;

    /// <summary>An array of at least one element.</summary>
    /// <exception cref="ArgumentException">It is the default, or empty.</exception>
    public static ImmutableArray<T> Some<T>(ImmutableArray<T> value, [CallerMemberName] string name = "") =>
        Array(value, name).IsEmpty ? throw new ArgumentException("this is empty: give one at least", name) : value;

    /// <exception cref="ArgumentNullException">It is null.</exception>
    public static T NotNull<T>([NotNull] T? value, [CallerMemberName] string name = "")
        where T : class => value ?? throw new ArgumentNullException(name);
}
