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

    public T? Value { get; }

    public InputError? Error { get; }

    public static implicit operator Parsed<T>(T value) => new(value, null);

    public static implicit operator Parsed<T>(InputError error) => new(null, error);

    public bool TryGet([NotNullWhen(true)] out T? value, [NotNullWhen(false)] out InputError? error)
    {
        value = Value;
        error = Error;
        return value is not null;
    }
}
