// SPDX-License-Identifier: GPL-2.0-only

using System.Diagnostics.CodeAnalysis;

namespace Keyhole.Diagnostics;

/// <summary>What a reader returns: the value, or the one error that stopped it. Readers do not throw for what is in their input.</summary>
public readonly struct Parsed<T>
    where T : class
{
    private Parsed(T? value, InputError? error)
    {
        Value = value;
        Error = error;
    }

    /// <summary>The value; null where there is an error.</summary>
    public T? Value { get; }

    /// <summary>What is wrong; null where there is a value.</summary>
    public InputError? Error { get; }

    /// <summary>The value that was read.</summary>
    public static implicit operator Parsed<T>(T value) => new(value, null);

    /// <summary>The error that stopped the reader.</summary>
    public static implicit operator Parsed<T>(InputError error) => new(null, error);

    /// <summary>True and the value, or false and the error.</summary>
    public bool TryGet([NotNullWhen(true)] out T? value, [NotNullWhen(false)] out InputError? error)
    {
        value = Value;
        error = Error;
        return value is not null;
    }
}
