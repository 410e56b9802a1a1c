// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Probe;

/// <summary>One check: how many pages it held for, and the first for which it did not.</summary>
internal struct Check
{
    public ulong Passed;
    public ulong Failed;

    /// <summary>The first failure; frames are in pages.</summary>
    public ulong Pfn;
    public ulong Mfn;
    public ulong Found;

    /// <summary>Checks that failed so far, in this run.</summary>
    public static ulong FailedChecks { get; private set; }

    /// <summary>Checks made so far.</summary>
    public static ulong Checks { get; private set; }

    public void Fail(ulong pfn, ulong mfn, ulong found)
    {
        if (Failed == 0)
        {
            Pfn = pfn;
            Mfn = mfn;
            Found = found;
        }

        Failed++;
    }

    public readonly void Report(ReadOnlySpan<byte> name)
    {
        Begin(name, Failed == 0);
        Json.Number("pages"u8, Passed + Failed);
        if (Failed > 0)
        {
            Json.Number("failed"u8, Failed);
            Json.Hex("pfn"u8, Pfn);
            Json.Hex("mfn"u8, Mfn);
            Json.Hex("found"u8, Found);
        }

        Json.End();
    }

    /// <summary>Begins a check's line; the caller adds to it and ends it.</summary>
    public static void Begin(ReadOnlySpan<byte> name, bool passed)
    {
        Checks++;
        if (!passed)
            FailedChecks++;
        Json.Begin("check"u8);
        Json.Text("name"u8, name);
        Json.Flag("passed"u8, passed);
    }
}
