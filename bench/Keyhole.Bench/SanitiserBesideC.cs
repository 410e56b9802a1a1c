// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using Keyhole.E820;

namespace Keyhole.Bench;

/// <summary>The sanitiser of 128 entries beside the same algorithm in C (sanitiser.c), in turns: the fastest of each.</summary>
internal static class SanitiserBesideC
{
    private const int Turns = 10;
    private const int RunsInTurn = 2000;

    public static int Measure(string program, TextWriter output)
    {
        E820Entry[] map = Workloads.MessyMap();
        var made = new E820Entry[Sanitizer.MaxInPlace];
        int[] scratch = new int[Sanitizer.ScratchLength(map.Length)];
        double ours = double.MaxValue;
        double theirs = double.MaxValue;
        for (int turn = 0; turn < Turns; turn++)
        {
            int count = 0;
            for (int run = 0; run < RunsInTurn; run++)
            {
                long begun = Stopwatch.GetTimestamp();
                _ = Sanitizer.TrySanitize(map, made, scratch, out count);
                ours = Math.Min(ours, Stopwatch.GetElapsedTime(begun).TotalNanoseconds);
            }

            (double nanoseconds, int others) = RunC(program, map);
            theirs = Math.Min(theirs, nanoseconds);
            if (others != count)
            {
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"the program in C makes {others} entries, the sanitiser {count}"));
                return 1;
            }
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"sanitiser, {map.Length} entries: {ours / 1000:F1} µs; the same in C at -O2: {theirs / 1000:F1} µs; {ours / theirs:F2} times its time"));
        return 0;
    }

    private static (double Nanoseconds, int Count) RunC(string program, E820Entry[] map)
    {
        using Process process = Process.Start(new ProcessStartInfo(program) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        foreach (E820Entry entry in map)
            process.StandardInput.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{entry.Address} {entry.Size} {(uint)entry.Type}"));
        process.StandardInput.Close();
        string[] told = process.StandardOutput.ReadToEnd().Split(' ');
        process.WaitForExit();
        return (double.Parse(told[0], CultureInfo.InvariantCulture), int.Parse(told[1], CultureInfo.InvariantCulture));
    }
}
