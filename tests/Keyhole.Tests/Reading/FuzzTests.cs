// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Captures;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Pci;
using Keyhole.Platforms;
using Keyhole.Tests.Hosts;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Reading;

/// <summary>
/// Every reader on inputs that are made from the fixtures by cutting, doubling and changing: each ends in a value or in one line, soon. KEYHOLE_FUZZ
/// is the number of inputs (eng/fuzz takes a million), KEYHOLE_FUZZ_SEED the seed; a failure names the seed that makes its input again.
/// </summary>
[TestClass]
[DoNotParallelize]
public sealed class FuzzTests
{
    private const int UsualCount = 20_000;
    private const int LongestSeed = 24 * 1024;

    /// <summary>Words of the readers' own, put in where chance alone would not get to.</summary>
    private static readonly string[] s_words =
    [
        "(XEN) ", "BIOS-e820: ", "Xen: [mem 0x", "RAM map:", "Command line: ", "dom0_mem=", "memmap=1G$2G", "Kernel panic - not syncing: ",
        "Panic on CPU 0:", "=\n", "=3D", "Content-Transfer-Encoding: base64\n\n", "...", "0xffffffffffffffff",
        "00000000-ffffffff : System RAM", "RMRR: [0x1 ,0x2]", "IVMD Block: type 1 phys 0x1 len 0x",
        "can't claim BAR 0 [mem 0x1-0x2]: address conflict with System RAM [mem 0x", "e820: remove [mem 0x", "pci=[", "<domain>", "\0",
        "\x1f\u008b\b", "070701", "\u00c2\u00a0",
        "Linux version 6.1\n", "Remapped 9999999999 page(s)", "Memory: 1K/2K available", "bootconsole [x0] enabled", "-device pci-testdev,membar=",
        "Region 0: Memory at ",
    ];

    private static readonly (string Name, Func<byte[], string?> Read)[] s_readers =
    [
        ("host", static input => HostMapReader.Read(new MemoryStream(input), "f", HostMapOptions.Default).TryGet(out _, out InputError? error) ? null
            : error.ToString()),
        ("log", ReadLog),
        ("verify", Verify),
        ("guest", static input => GuestReader.Read(new MemoryStream(input), "f").TryGet(out _, out InputError? error) ? null : error.ToString()),
        ("devices", static input => BarReader.Read(new MemoryStream(input), "f").TryGet(out _, out InputError? error) ? null : error.ToString()),
    ];

    public TestContext TestContext { get; set; } = null!;

    [TestMethod]
    public void Every_reader_ends_in_a_value_or_in_one_line()
    {
        int count = Setting("KEYHOLE_FUZZ", UsualCount);
        int seed = Setting("KEYHOLE_FUZZ_SEED", Environment.TickCount & 0xff_ffff);
        byte[][] seeds = [.. Seeds()];
        TestContext.WriteLine($"{count} inputs from {seeds.Length} seeds, seed {seed}");
        for (int i = 0; i < count; i++)
        {
            int own = unchecked(seed + i);
            byte[] input = Mutated(seeds, new Random(own));
            (string name, Func<byte[], string?> read) = s_readers[i % s_readers.Length];
            string? told;
            TimeSpan started = Environment.CpuUsage.TotalTime;
            try
            {
                told = read(input);
            }
            catch (Exception exception) when (exception is not AssertFailedException)
            {
                throw new AssertFailedException(
                    $"{name} throws {exception.GetType().Name} ({exception.Message}) with KEYHOLE_FUZZ_SEED={own - (i % s_readers.Length)} "
                        + $"KEYHOLE_FUZZ={s_readers.Length}\n{exception.StackTrace}\n{Shown(input)}", exception);
            }

            Assert.IsTrue(told is null || !told.Any(char.IsControl), $"{name}, seed {own}: {told}");
            // Processor time: others may use the machine, too.
            Assert.IsLessThan(20.0, (Environment.CpuUsage.TotalTime - started).TotalSeconds, $"{name}, seed {own}");
        }
    }

    private static string? ReadLog(byte[] input)
    {
        try
        {
            LogScan scan = LogScanner.Scan(new MemoryStream(input), "f");
            foreach (ObservedBoot boot in BootLog.Of(scan))
                Assert.IsLessThanOrEqualTo(boot.LastLine, boot.FirstLine);
            return null;
        }
        catch (InvalidDataException)
        {
            // What is packed is damaged: its callers tell so.
            return null;
        }
    }

    private static string? Verify(byte[] input)
    {
        if (!HostMapReader.Read(new MemoryStream(input), "f", HostMapOptions.Default).TryGet(out HostDocument? host, out InputError? error))
            return error.ToString();
        if (host.Log is not { } log || !BootLog.Choose(BootLog.Of(log), wantsDom0: true, null, "f").TryGet(out ObservedBoot? boot, out _))
            return null;
        const ulong largest = 1UL << 28;
        Dom0Log? builder = boot.Builder ?? Dom0Log.Of(log, host.LogMap);
        if (builder is not { Pvh: null, PageCount: > 0 and <= largest and { } pages })
            return null;
        var dom0 = new GuestSpec { Name = "dom0", MemoryKiB = pages << 2, MaxmemKiB = (builder.MaxPages ?? pages) << 2, Is32Bit = builder.Is32Bit };
        var made = Boot.Of(new Scenario
        {
            Host = BootEvidence.WithPagesReservedIn(host.Host, boot), Guest = dom0, Dom0 = new(builder.MaxPages), PageCount = pages,
            Kernel = boot.Kernel ?? KernelReleases.UsualOf(builder.Is32Bit), Layout = BootEvidence.LayoutOfDom0(boot, builder),
        });
        // There is no 32-bit PV kernel of such a release.
        if (made.Forecast is not { } forecast)
            return null;
        ImmutableArray<Phrase> told = Verifier.Compare(forecast, boot, made.Plan, log).Explanations;
        return string.Concat(told);
    }

    private static IEnumerable<byte[]> Seeds()
    {
        foreach (string path in Directory.GetFiles(MapFixtures.Folder("."), "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            if (Path.GetExtension(path) is ".md" or ".xz")
                continue;
            using FileStream file = File.OpenRead(path);
            byte[] head = new byte[Math.Min(file.Length, LongestSeed)];
            file.ReadExactly(head);
            if (head.Length > 0)
                yield return head;
        }

        foreach ((_, byte[] text) in MapCorpusTests.Maps().Take(20))
            yield return text;
    }

    private static byte[] Mutated(byte[][] seeds, Random random)
    {
        List<byte> input = [.. seeds[random.Next(seeds.Length)]];
        for (int change = random.Next(1, 8); change > 0 && input.Count > 0; change--)
        {
            int at = random.Next(input.Count);
            int length = Math.Min(input.Count - at, random.Next(1, 200));
            switch (random.Next(8))
            {
                case 0:
                    input[at] = (byte)random.Next(256);
                    break;
                case 1:
                    input.RemoveRange(at, length);
                    break;
                case 2:
                    input.InsertRange(at, input.GetRange(at, length));
                    break;
                case 3:
                    input.InsertRange(at, Encoding.Latin1.GetBytes(s_words[random.Next(s_words.Length)]));
                    break;
                case 4:
                    input.RemoveRange(at, input.Count - at);
                    break;
                case 5:
                    byte[] other = seeds[random.Next(seeds.Length)];
                    int from = random.Next(other.Length);
                    input.InsertRange(at, other.AsSpan(from, Math.Min(other.Length - from, 400)).ToArray());
                    break;
                case 6:
                    // Digits are what most of all decides.
                    for (int i = at; i < at + length; i++)
                        input[i] = char.IsAsciiHexDigit((char)input[i]) ? (byte)"0123456789abcdef"[random.Next(16)] : input[i];
                    break;
                default:
                    input[at] = (byte)"\n\r \t\0>=,[]()0f"[random.Next(14)];
                    break;
            }
        }

        return [.. input];
    }

    private static int Setting(string name, int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), NumberStyles.None, CultureInfo.InvariantCulture, out int value) ? value : usual;

    private static string Shown(byte[] input)
    {
        const int longest = 2000;
        return Convert.ToBase64String(input.AsSpan(0, Math.Min(input.Length, longest)));
    }
}
