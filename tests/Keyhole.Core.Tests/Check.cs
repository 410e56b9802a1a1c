// SPDX-License-Identifier: GPL-2.0-only

using System;
using FsCheck;
using FsCheck.Fluent;

namespace Keyhole.Core.Tests;

/// <summary>Properties as assertions over generated values.</summary>
internal static class Check
{
    public static void All<T>(Gen<T> generator, Action<T> holds, int times = 1000) =>
        Prop.ForAll(generator.ToArbitrary(), holds).Check(Config.QuickThrowOnFailure.WithMaxTest(times));

    /// <summary>Numbers in [0, limit), each as likely as another.</summary>
    public static Gen<ulong> Below(int limit) => Gen.Choose(0, limit - 1).Select(static number => (ulong)number);
}
