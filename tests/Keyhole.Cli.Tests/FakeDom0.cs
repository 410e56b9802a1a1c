// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Runtime.InteropServices;
using System.Threading;
using Keyhole.Dom0;
using Keyhole.E820;
using Keyhole.Hypercalls;
using Keyhole.Simulation;

namespace Keyhole.Cli.Tests;

/// <summary>A dom0 on the simulated hypervisor: the host with ACPI NVS at 8 MiB, a paused guest g1 (5) of 256 MiB, and a toolstack that knows
/// it.</summary>
internal sealed class FakeDom0 : IToolRunner, IDisposable
{
    public static readonly DomainId Guest = new(5);

    private readonly string _folder = Directory.CreateTempSubdirectory("keyhole-dom0-").FullName;
    private const ulong P2mFrames = 0x110000;
    private const ulong TreeFrame = 0x1000;
    private const ulong ListFrame = 0x2000;

    private readonly SimulatedXen _xen;
    private readonly SimulatedDomain _dom0;
    private readonly SimulatedDomain _guest;

    public FakeDom0()
    {
        _xen = new(MachineSpec.OfFrames(1 << 18) with { MachineMap = HostMap });
        _xen.CreateDomain(new DomainSpec { Id = new(0), NrPages = 1024, Privileged = true }, out SimulatedDomain? dom0);
        _xen.CreateDomain(new DomainSpec { Id = Guest, NrPages = 65536, MaxPages = 65792 }, out SimulatedDomain? guest);
        (_dom0, _guest) = (dom0!, guest!);
        Write(RecordPath("libxl-json"), RecordOf(262144));
        Info = new() { Id = Guest, Uuid = new("11111111-2222-3333-4444-555555555555"), IsPaused = true, TotalPages = 65536, MaxPages = 65792 };
    }

    public static ImmutableArray<E820Entry> HostMap { get; } =
    [
        E820Entry.FromBounds(0, 0x9fc00, E820Type.Ram),
        E820Entry.FromBounds(0x100000, 0x800000, E820Type.Ram),
        E820Entry.FromBounds(0x800000, 0x900000, E820Type.Nvs),
        E820Entry.FromBounds(0x900000, 0xb0000000, E820Type.Ram),
        E820Entry.FromBounds(0xfec00000, 0xfec01000, E820Type.Reserved),
    ];

    /// <summary>What the hypervisor says of the guest.</summary>
    public DomainInfo Info { get; set; }

    public bool IsXen { get; set; } = true;

    /// <summary>What the guest's P2M list has for a frame; null where its kernel has not made one.</summary>
    public Func<ulong, ulong>? P2m { get; set; }

    /// <summary>Whether the hypervisor refuses to change anything.</summary>
    public bool Refuses { get; set; }

    /// <summary>Whether the toolstack tells how the guest was made: not while it builds it.</summary>
    public bool KnowsConfiguration { get; set; } = true;

    /// <summary>What xl list -l says in place of what it says of g1.</summary>
    public string? Listing { get; set; }

    /// <summary>What xl domid says on standard error where it can ask nobody.</summary>
    public string? DomidError { get; set; }

    /// <summary>Where libxl keeps what it remembers of g1.</summary>
    public static string RecordPath(string of) => $"var/lib/xen/userdata-d.5.11111111-2222-3333-4444-555555555555.{of}";

    /// <summary>libxl's record of g1, made with that memory, as it is on disk: with a zero byte behind it.</summary>
    public static string RecordOf(uint memoryKiB) =>
        $$$$"""{"c_info":{"type":"pv","name":"g1"},"b_info":{"max_memkb":{{{{memoryKiB}}}},"target_memkb":{{{{memoryKiB}}}},"""
            + "\"type.pv\":{\"e820_host\":\"True\"}}}\0";

    /// <summary>What xl was asked to do, without the questions.</summary>
    public List<string> Done { get; } = [];

    /// <summary>The configuration files that xl was to create guests from, as they were then.</summary>
    public List<string> Configurations { get; } = [];

    /// <summary>What xl create answers.</summary>
    public ToolResult Creation { get; set; } = new(1, "", "libxl: error: no memory");

    /// <summary>What xl destroy answers.</summary>
    public ToolResult Destruction { get; set; } = new(0, "", "");

    /// <summary>What comes of xl create, told the UUID.</summary>
    public Action<Guid>? Creating { get; set; }

    /// <summary>The guest's console in xenstore.</summary>
    public string Console { get; set; } = "";

    /// <summary>What comes of xl unpause.</summary>
    public Action? Unpausing { get; set; }

    public string Root => _folder;

    public LiveMachine Machine => new() { OpenXen = Open, Tools = this, Root = _folder, StateFolder = Path.Combine(_folder, "state") };

    /// <summary>The guest's map as the guest itself would read it; empty where none is set.</summary>
    public E820Entry[] GuestsMap()
    {
        var map = new E820Entry[128];
        long result = _xen.HypercallsOf(_guest).MemoryMap(map, out int count);
        return result < 0 ? [] : map[..count];
    }

    public void Write(string path, string content)
    {
        string file = Path.Combine(_folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, content);
    }

    public ToolResult Run(string program, ImmutableArray<string> arguments, TimeSpan limit, CancellationToken cancellation = default)
    {
        string commandLine = $"{program} {string.Join(' ', arguments)}";
        if (commandLine.StartsWith("xl -vvv create", StringComparison.Ordinal) || commandLine.StartsWith("xl destroy", StringComparison.Ordinal))
            Done.Add(commandLine);
        if (arguments is ["-vvv", "create", "-p", "-f", string path, string uuid])
        {
            Configurations.Add(File.ReadAllText(path));
            Creating?.Invoke(Guid.Parse(uuid.AsSpan("uuid=".Length).Trim('"')));
        }

        if (commandLine == "xl unpause 5")
            Unpausing?.Invoke();
        return commandLine switch
        {
            "xl unpause 5" => new(0, "", ""),
            "xl destroy 5" => Destruction,
            "xenstore-read /local/domain/5/console/tty" when Console.Length > 0 => new(0, Console + "\n", ""),
            "xl domid g1" when DomidError is null => new(0, "5\n", ""),
            "xl domid dom0" => new(0, "0\n", ""),
            "xenstore-read /local/domain/5/name" => new(0, "g1\n", ""),
            "xenstore-read /local/domain/5/memory/target" => new(0, "262144\n", ""),
            "xl list -l 5" when KnowsConfiguration && Listing is { } listing => new(0, listing, ""),
            "xl list -l 5" when KnowsConfiguration =>
                new(0, """[{"config":{"c_info":{"type":"pv","name":"g1"},"b_info":{"max_memkb":262144,"target_memkb":262144,"type.pv":{"e820_host":"True"}}}}]""", ""),
            "xl dmesg" =>
                new(0, "(XEN) Xen-e820 RAM map:\n(XEN)  [0000000000000000, 000000000009fbff] (usable)\n(XEN)  "
                    + "[0000000000100000, 00000000afffffff] (usable)\n", ""),
            _ when arguments is ["domid", var name] =>
                new(1, "", DomidError ?? $"Can't get domid of domain name '{name}', maybe this domain does not exist.\n"),
            _ => commandLine.StartsWith("xl -vvv create", StringComparison.Ordinal) ? Creation : new(1, "", "no"),
        };
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>The page that the guest shares with Xen says that its P2M list is a tree, of which each entry is made by <see cref="P2m"/>.</summary>
    private long ReadFrames(ReadOnlySpan<ulong> machineFrames, Span<byte> pages)
    {
        const int entriesAPage = 512;
        Span<ulong> words = MemoryMarshal.Cast<byte, ulong>(pages);
        for (int i = 0; i < machineFrames.Length; i++)
        {
            Span<ulong> page = words.Slice(i * entriesAPage, entriesAPage);
            ulong frame = machineFrames[i];
            page.Clear();
            if (frame == 0)
            {
                // max_pfn and pfn_to_mfn_frame_list_list
                page[386] = P2m is null ? 0UL : P2mFrames;
                page[387] = TreeFrame;
                continue;
            }

            for (int j = 0; j < entriesAPage; j++)
            {
                page[j] = frame switch
                {
                    TreeFrame => TreeFrame + 1 + (ulong)j,
                    < ListFrame => ListFrame + ((frame - TreeFrame - 1) * entriesAPage) + (ulong)j,
                    _ => P2m!(((frame - ListFrame) * entriesAPage) + (ulong)j),
                };
            }
        }

        return 0;
    }

    private XenResult<IXenControl> Open() =>
        IsXen ? new Control(this) : new XenProblem(XenProblemKind.Here, "/dev/xen/privcmd", "is not there", "run this in dom0");

    private sealed class Control(FakeDom0 machine) : IXenControl
    {
        public IHypercalls Calls => machine._xen.HypercallsOf(machine.Refuses ? machine._guest : machine._dom0);

        public XenResult<string> Version() => "4.17.0";

        public XenResult<IReadOnlyList<DomainInfo>> Domains() => new List<DomainInfo> { machine.Info };

        public XenResult<DomainInfo> Domain(DomainId id) => id.Value switch
        {
            0 => new DomainInfo { Id = id, CpuTimeNanoseconds = 1 },
            5 => machine.Info,
            _ => new XenProblem(XenProblemKind.Here, $"domain {id.Value}", "there is no such domain", "xl list shows those there are"),
        };

        public long AddressBits(DomainId id) => 64;

        public long ReadFrames(DomainId id, ReadOnlySpan<ulong> machineFrames, Span<byte> pages) => machine.ReadFrames(machineFrames, pages);

        public void Dispose()
        {
        }
    }
}
