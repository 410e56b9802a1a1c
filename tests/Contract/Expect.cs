// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Runtime.CompilerServices;
using Keyhole.Hypercalls;

namespace Keyhole.Contract;

/// <summary>What a check says of a result.</summary>
internal static class Expect
{
    public static void Error(XenError expected, long actual, [CallerArgumentExpression(nameof(actual))] string call = "") =>
        That(actual == -(long)expected, $"{call} gave {Text(actual)}, not {Text(-(long)expected)}");

    public static void Equal(long expected, long actual, [CallerArgumentExpression(nameof(actual))] string call = "") =>
        That(actual == expected, $"{call} gave {Text(actual)}, not {Text(expected)}");

    public static void Equal(ulong expected, ulong actual, [CallerArgumentExpression(nameof(actual))] string call = "") =>
        That(actual == expected, $"{call} gave 0x{actual:x}, not 0x{expected:x}");

    public static void That(bool holds, string otherwise)
    {
        if (!holds)
            throw new ContractException(otherwise);
    }

    public static void Applies(bool holds, string otherwise)
    {
        if (!holds)
            throw new NotApplicableException(otherwise);
    }

    private static string Text(long result) => result < 0 && Enum.IsDefined((XenError)(-result)) ? $"-{(XenError)(-result)}" : $"{result}";
}
