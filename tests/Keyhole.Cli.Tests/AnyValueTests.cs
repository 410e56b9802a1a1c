// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;
using Keyhole.Cli.Terminal;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Cli.Tests;

/// <summary>
/// Every option of every verb with values at the edges of 32 and 64 bits, files of every kind behind every option that takes a file, and files whose
/// numbers are such values: an answer or one line, never a defect. KEYHOLE_FUZZ=N takes N times as many.
/// </summary>
[TestClass]
public sealed partial class AnyValueTests
{
    private static readonly string[] s_values =
    [
        "0", "1", "-1", "4095", "4096", "2147483647", "2147483648", "4294967295", "4294967296", "4398046511104", "4503599627370495",
        "4503599627370496", "9007199254740993", "9223372036854775807", "9223372036854775808",
        "18446744073709551615", "18446744073709551616", "340282366920938463463374607431768211456", "1K", "1M", "4G", "1T", "4P", "4E", "16E",
        "4194304G", "8388608T", "0x0", "0x1", "0xffffffff", "0x100000000", "0xfffffffffffff", "0x10000000000000",
        "0x7fffffffffffffff", "0xffffffffffffffff", "0-0", "0-1", "0-ffffffffffffffff", "ffffffff-100000000", "fffffffffffff000-ffffffffffffffff",
        "0-10000000000000", "ffffffffff000-10000000000000", "4G-16E", "7fffffffffffffff-8000000000000000", "", " ", "1.5G", "1e9", "NaN",
        "00:00.0", "ffff:ff:1f.7", "00:00.0@ffffffff", "hole-at:0", "hole-at:0xffffffffffffffff", "hole-at:0xfffff000", "pc", "pc-q35-4294967296.0",
        "qemu-99999999999.9", "seabios-4294967296.0", "ovmf-999999", "linux-4294967296.0", "6.4294967295", "99.99.99",
        "128G,64bit", "8E,64bit,prefetchable", "16E", "0,32bit", "\u001b[31m", "\u202e", "a=b", "../../etc/passwd", "-", "--", "[suggest:0]",
    ];

    /// <summary>Options whose value is a file to write, or which write as much as is asked for.</summary>
    private static readonly string[] s_outputs = ["--output", "--svg", "--html", "--generate"];

    /// <summary>Commands to which one option more is given, or another value of one that they have.</summary>
    private static readonly string[] s_commands =
    [
        "show --host LOG", "plan --host LOG --memory 1024 --e820-host", "plan --host LOG --memory 1024 --type hvm --pci 01:00.0 --devices BARS",
        "plan --host LOG --memory 1024 --type kvm --pci 01:00.0 --devices BARS", "plan --host LOG --memory 1024 --type pvh",
        "boot --host LOG --memory 1024 --e820-host", "boot --dom0 --host LOG", "boot --guest-map MAP --memory 512",
        "boot --host LOG --memory 4G --type kvm --firmware ovmf --bar-size 1G", "compare --host LOG --memory 1024 --e820-host",
        "compare --host LOG --memory 1024 --type kvm --bar-size 1G",
        "verify --dom0 --host LOG", "verify --host LOG --memory 512 --dmesg LOG", "reserve --host LOG --start 512M", "fleet LOG --memory 512",
        "capture --host LOG", "completion bash",
    ];

    public TestContext TestContext { get; set; } = null!;

    private static int Times => int.TryParse(Environment.GetEnvironmentVariable("KEYHOLE_FUZZ"), NumberStyles.None, CultureInfo.InvariantCulture,
        out int times) ? times : 1;

    private static string PathOf(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", name);

    private static List<string> Arguments(string command) => [.. command.Split(' ').Select(static word => word switch
    {
        "LOG" => PathOf("golden/plain4g.log"),
        "BARS" => PathOf("kvm/bar32.lspci"),
        "MAP" => PathOf("field/hostile/plain.lines"),
        _ => word,
    })];

    private int Seed()
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("KEYHOLE_FUZZ_SEED"), NumberStyles.None, CultureInfo.InvariantCulture,
            out int given) ? given : Environment.TickCount & 0xff_ffff;
        TestContext.WriteLine($"KEYHOLE_FUZZ_SEED={seed}");
        return seed;
    }

    private static IEnumerable<Option> OptionsOf(string verb)
    {
        using var console = new CommandConsole(new StreamWriter(Stream.Null), TextWriter.Null, static () => Stream.Null, hasColours: false);
        return [.. Program.BuildRoot(console).Subcommands
            .Single(command => command.Name == verb).Options.Where(static option => option.Arity.MaximumNumberOfValues > 0
                && option.ValueType != typeof(bool) && !s_outputs.Contains(option.Name))];
    }

    private static void AssertAnswer(CommandRun run, IEnumerable<string> arguments)
    {
        string told = $"keyhole {string.Join(' ', arguments.Select(static word => $"'{word}'"))}\n{run.Errors}";
        Assert.IsTrue(run.Status is 0 or 1 or 2 or 3, told);
        if (run.Status == 2)
            Assert.HasCount(1, run.Errors.Split('\n').Where(static line => line.StartsWith("keyhole: ", StringComparison.Ordinal)), told);
        Assert.IsFalse((run.Output + run.Errors).Any(static c => char.IsControl(c) && c != '\n'), told);
    }

    [TestMethod]
    public void Any_value_of_any_option_is_answered_or_refused()
    {
        var random = new Random(Seed());
        int perOption = Math.Min(s_values.Length, 3 * Times);
        foreach (string command in s_commands)
        {
            foreach (Option option in OptionsOf(command.Split(' ')[0]))
            {
                string[] values = [.. s_values];
                random.Shuffle(values);
                foreach (string value in values.Take(perOption).Append("").Distinct())
                {
                    List<string> arguments = Arguments(command);
                    int known = arguments.IndexOf(option.Name);
                    if (known >= 0)
                        arguments[known + 1] = value;
                    else
                        arguments.AddRange([option.Name, value]);
                    AssertAnswer(CommandRun.In80Columns([.. arguments]), arguments);
                }
            }
        }
    }

    /// <summary>The verbs that work on a live Xen, on one that is made up: what they refuse they refuse in one line.</summary>
    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void Any_value_of_any_option_of_a_live_verb_is_answered_or_refused()
    {
        var random = new Random(Seed());
        int perOption = Math.Min(s_values.Length, 4 * Times);
        string[] commands = ["apply g1", "apply g1 --dry-run", "apply g1 --guest-map MAP", "inspect g1", "inspect g1 --json", "start CFG", "probe CFG",
            "install CFG --dry-run", "apply VALUE", "inspect VALUE", "start VALUE", "probe VALUE", "install VALUE"];
        foreach (string command in commands)
        {
            bool isWord = command.EndsWith("VALUE", StringComparison.Ordinal);
            foreach (Option? option in isWord ? [null] : OptionsOf(command.Split(' ')[0]).Cast<Option?>())
            {
                string[] values = [.. s_values];
                random.Shuffle(values);
                foreach (string value in values.Take(isWord ? values.Length : perOption).Append("").Distinct())
                {
                    using var dom0 = new FakeDom0();
                    dom0.Write("g.cfg", "name='g'\nmemory=256\nkernel='k'\nvif=['']\n");
                    List<string> arguments = [.. Arguments(command).Select(word => word switch
                    {
                        "CFG" => Path.Combine(dom0.Root, "g.cfg"),
                        "VALUE" => value,
                        _ => word,
                    })];
                    if (option is not null)
                        arguments.AddRange([option.Name, value]);
                    AssertAnswer(CommandRun.InDom0(dom0.Machine, [.. arguments]), arguments);
                }
            }
        }
    }

    /// <summary>Numbers in files: those of guests, devices, captures and logs.</summary>
    [TestMethod]
    public void Any_number_in_any_file_is_answered_or_refused()
    {
        var random = new Random(Seed());
        string[] numbers = [.. s_values.Where(static value => value.Length > 0 && value.All(char.IsAsciiLetterOrDigit))];
        (string Option, string[] Files, string[] Commands)[] kinds =
        [
            ("--guest", Files("kvm/102.conf", "kvm/qemu.cmd", "kvm/xen-q35-noromfile.cfg", "field/xen/hvm.cfg"),
                ["plan --host LOG", "boot --host LOG", "plan --host LOG --emit libvirt", "plan --host LOG --emit xl"]),
            ("--devices", Files("kvm/bar32.lspci", "kvm/p100.lspci", "kvm/sysfs-unset/resource"),
                ["plan --host LOG --memory 1024 --pci 01:00.0", "plan --host LOG --memory 8G --type kvm --pci 01:00.0",
                    "plan --host LOG --memory 8G --type hvm --pci 01:00.0"]),
            ("--host", Files("golden/plain4g.log", "golden/iommu.log", "kvm/h39.json", "field/xen", "field/hostile/plain.lines", "hosts"),
                ["show", "boot --dom0", "verify --dom0", "plan --memory 3G --e820-host", "plan --memory 3G --type kvm --bar-size 1G",
                    "reserve --start 512M"]),
        ];
        for (int i = 0; i < 150 * Times; i++)
        {
            (string option, string[] files, string[] commands) = kinds[i % kinds.Length];
            string file = files[random.Next(files.Length)];
            string text = Encoding.Latin1.GetString(File.ReadAllBytes(file));
            MatchCollection found = Numbers().Matches(text);
            for (int k = 0; k < 1 + (i & 1) && found.Count > 0; k++)
            {
                Match number = found[random.Next(found.Count)];
                text = $"{text[..number.Index]}{numbers[random.Next(numbers.Length)]}{text[(number.Index + number.Length)..]}";
                found = Numbers().Matches(text);
            }

            string made = Path.GetTempFileName();
            try
            {
                File.WriteAllBytes(made, Encoding.Latin1.GetBytes(text));
                List<string> arguments = [.. Arguments(commands[random.Next(commands.Length)]), option, made];
                CommandRun run = CommandRun.In80Columns([.. arguments]);
                if (run.Status is not (0 or 1 or 2))
                    File.Copy(made, made + ".kept", overwrite: true);
                AssertAnswer(run, [.. arguments, $"(from {file})"]);
            }
            finally
            {
                File.Delete(made);
            }
        }
    }

    /// <summary>What is no guest, no host and no device is said to be none, in one line.</summary>
    [TestMethod]
    public void A_file_of_another_kind_is_one_line_and_status_2()
    {
        var random = new Random(Seed());
        Dictionary<string, string[]> kinds = new()
        {
            ["log"] = Files("golden/plain4g.log", "golden/seed8g.log", "field/xen/dom0-memparam.txt"),
            ["lspci"] = Files("kvm/bar32.lspci", "kvm/p100.lspci", "kvm/ignored.lspci"),
            ["guest"] = Files("field/xen/hvm.cfg", "field/hostile/mm.cfg", "kvm/102.conf", "kvm/qemu.cmd", "field/hostile/lv.xml"),
            ["capture"] = Files("kvm/h39.json"),
            ["iomem"] = Files("kvm/efi-iomem.txt"),
            ["binary"] = Files("qemu/guests.jsonl.br"),
            ["nothing"] = ["/dev/null"],
            ["folder"] = [AppContext.BaseDirectory],
        };
        (string Command, string[] Right)[] commands =
        [
            ("plan --host LOG --guest", ["guest"]), ("boot --host LOG --guest", ["guest"]), ("compare --host LOG --guest", ["guest"]),
            ("show --host", ["log", "capture", "iomem"]), ("plan --memory 512 --host", ["log", "capture", "iomem"]),
            ("plan --host LOG --memory 512 --pci 01:00.0 --devices", ["lspci", "capture"]), ("boot --host LOG --memory 512 --kernel-image", []),
            ("boot --memory 512 --guest-map", ["log", "capture", "iomem"]), ("fleet", ["log", "capture", "iomem", "folder"]),
            ("verify --host LOG --memory 512 --dmesg", ["log"]), ("reserve --host LOG --start 512M --check --iomem", ["iomem", "log", "capture"]),
            ("compare --host LOG --memory 512 --e820-host --migrate-to", ["log", "capture", "iomem"]),
        ];
        foreach ((string command, string[] right) in commands)
        {
            foreach ((string kind, string[] files) in kinds)
            {
                if (right.Contains(kind))
                    continue;
                string file = files[random.Next(files.Length)];
                List<string> arguments = [.. Arguments(command), file];
                CommandRun run = CommandRun.In80Columns([.. arguments]);
                AssertAnswer(run, arguments);
                Assert.AreEqual(2, run.Status, $"{string.Join(' ', arguments)}\n{run.Output}{run.Errors}");
                Assert.AreEqual("", run.Output, string.Join(' ', arguments));
            }
        }
    }

    private static string[] Files(params string[] names) =>
        [.. names.SelectMany(static name => Directory.Exists(PathOf(name)) ? Directory.GetFiles(PathOf(name), "*", SearchOption.AllDirectories)
            .Where(static file => new FileInfo(file).Length is > 0 and < 200_000 && !file.EndsWith(".md", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal) : (IEnumerable<string>)[PathOf(name)])];

    [GeneratedRegex("(?:0x)?[0-9a-f]*[0-9][0-9a-f]*", RegexOptions.NonBacktracking)]
    private static partial Regex Numbers();
}
