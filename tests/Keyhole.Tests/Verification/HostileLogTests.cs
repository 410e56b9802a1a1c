// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Keyhole.Captures;
using Keyhole.Forecasts;
using Keyhole.Hosts;
using Keyhole.Logs;
using Keyhole.Tests.Golden;
using Keyhole.Verification;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Verification;

/// <summary>Logs cut anywhere and with bytes flipped: an answer or a refusal, never an exception.</summary>
[TestClass]
public sealed class HostileLogTests
{
    private static readonly string[] s_names = [.. GoldenLog.Names];
    private static readonly byte[][] s_texts =
        [.. s_names.Select(static name => Encoding.Latin1.GetBytes(string.Join('\n', GoldenBoots.Lines(name))))];

    [TestMethod]
    public void A_damaged_log_is_compared_or_refused() =>
        Prop.ForAll(
            Gen.Choose(0, int.MaxValue).ToArbitrary(),
            static seed =>
            {
                var random = new Random(seed);
                byte[] text = Damaged(s_texts[random.Next(s_texts.Length)], random);
                LogScan scan = GoldenBoots.Scan(text);
                foreach (ObservedBoot boot in BootLog.Of(scan))
                    CompareWithItsOwnHints(scan, boot);
            }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    [TestMethod]
    public void A_cut_kernels_log_never_differs_but_in_the_last_line()
    {
        GoldenGuest guest = GoldenBoots.Guest("passthrough", "a_pci");
        BootForecast forecast = GoldenBoots.OfGuest("passthrough", guest, GoldenBoots.TextOf(guest)).Forecast;
        byte[] text = Encoding.Latin1.GetBytes(string.Join('\n', guest.Kernel));
        for (int length = 0; length < text.Length; length += 7)
        {
            foreach (ObservedBoot boot in BootLog.Of(GoldenBoots.Scan(text[..length])))
                Assert.IsTrue(Verifier.Compare(forecast, boot).Agrees, $"cut to {length} bytes");
        }
    }

    /// <summary>As the command line does it, with everything taken from the damaged log itself.</summary>
    private static void CompareWithItsOwnHints(LogScan scan, ObservedBoot boot)
    {
        LogMap? firmware = scan.Maps.FirstOrDefault(static map => map.Kind == LogMapKind.XenFirmware);
        if (firmware is null || !HostMapReader.FromLog(scan, firmware, "a test's log").TryGet(out HostDocument? host, out _))
            return;
        const ulong mostPages = (64UL << 40) >> 12;
        ulong pages = boot.Builder?.PageCount is { } built and > 0 and <= mostPages ? built : 1UL << 18;
        BootForecast forecast = Forecaster.Forecast(new()
        {
            Map = MachineMap.Of(BootEvidence.WithPagesReservedIn(host.Host, boot)),
            IsDom0 = true,
            PageCount = pages,
            MaxPages = boot.Builder?.MaxPages,
            Layout = boot.Owner == BootOwner.Guest ? BootEvidence.LayoutOfGuest(boot, pages) : BootEvidence.LayoutOfDom0(boot, null),
            Kernel = boot.Kernel ?? KernelReleases.Default,
        });
        BootVerification verification = Verifier.Compare(forecast, boot);
        Assert.IsTrue(verification.Findings.All(finding => finding.Line is null or >= 1 && finding.Line <= scan.LineCount + 1));
    }

    private static byte[] Damaged(byte[] text, Random random)
    {
        byte[] damaged = text[random.Next(text.Length / 2)..];
        if (random.Next(2) == 0)
            damaged = [.. text];
        damaged = damaged[..random.Next(damaged.Length / 2, damaged.Length + 1)];
        int flips = random.Next(60);
        for (int i = 0; i < flips && damaged.Length > 0; i++)
        {
            int at = random.Next(damaged.Length);
            // Digits are flipped to digits as often as not: what still reads as a number does most harm.
            damaged[at] = char.IsAsciiHexDigit((char)damaged[at]) && random.Next(3) > 0
                ? (byte)"0123456789abcdef"[random.Next(16)]
                : (byte)(damaged[at] ^ (1 << random.Next(8)));
        }

        return damaged;
    }
}
