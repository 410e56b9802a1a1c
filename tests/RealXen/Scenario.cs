// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Keyhole.E820;
using Keyhole.RealMachine;

namespace Keyhole.RealXen;

/// <summary>The machine that QEMU plays.</summary>
public enum Machine
{
    /// <summary>i440FX, PCI hole from 3 GiB on.</summary>
    Pc,

    /// <summary>Q35 with a VT-d IOMMU and an e1000 at 00:02.0 that can be passed through; MMCONFIG at b0000000.</summary>
    Q35Passthrough,

    /// <summary>The same with an AMD IOMMU.</summary>
    Q35AmdPassthrough,
}

/// <summary>How a guest is built.</summary>
public enum GuestKind
{
    /// <summary>Knows that it runs on Xen, and lays its memory out itself.</summary>
    Pv,

    /// <summary>A PC with firmware: hvmloader places its BARs and makes its E820. It is waited for until hvmloader has ended.</summary>
    Hvm,

    /// <summary>A kernel in a virtual processor, without firmware or a PC's devices.</summary>
    Pvh,
}

/// <summary>What a guest's initramfs can do.</summary>
public enum GuestImage
{
    /// <summary>Prints /proc/iomem and the head of /proc/meminfo.</summary>
    Plain,

    /// <summary>Loads xen-pcifront and e1000 first, and prints the network interfaces with their addresses.</summary>
    Net,
}

/// <summary>One thing dom0 does.</summary>
public abstract record Step(string Name);

/// <summary>
/// Creates a guest, paused at first; lets it boot if asked to; destroys it. In the record: <c>=== GUEST name</c> with its xl.cfg, <c>=== XL</c>, and
/// where it was booted <c>=== KERNEL</c>.
/// </summary>
/// <param name="Name">Names the section and the configuration file.</param>
/// <param name="Config">Lines of the xl.cfg beyond <see cref="CommonConfig"/>, which replace those of the same name.</param>
public sealed record GuestStep(string Name, ImmutableArray<string> Config) : Step(Name)
{
    /// <summary>What the xl.cfg of every PV guest starts with. The one guest alive is always called g1.</summary>
    public const string CommonConfig = """
        name="g1"
        type="pv"
        kernel="/k/vmlinuz"
        ramdisk="/k/initrd.gz"
        extra="console=hvc0 earlyprintk=xen loglevel=8 "
        vcpus=1
        on_poweroff="preserve"

        """;

    private const string HvmConfig = """
        name="g1"
        type="hvm"
        vcpus=1
        vnc=0
        on_poweroff="preserve"

        """;

    public const string Domain = "g1";

    /// <summary>How it is built.</summary>
    public GuestKind Kind { get; init; }

    /// <summary>Whether the guest is let run, until it says that it is done, dies, or <see cref="Seconds"/> have gone by.</summary>
    public bool Boot { get; init; }

    /// <summary>
    /// Whether the record has the E820 that the guest is handed: of an HVM guest SeaBIOS's, for which it is waited until that boots a system, else
    /// until hvmloader is done; of a PVH guest the first one of its kernel.
    /// </summary>
    public bool Firmware { get; init; }

    /// <summary>
    /// Whether an HVM guest with SeaBIOS goes on behind its firmware and boots the Linux of PV guests, which QEMU hands on. The record then has what
    /// its kernel says, too.
    /// </summary>
    public bool Linux { get; init; }

    /// <summary>A map that is installed between creation and start in place of the toolstack's; empty: none.</summary>
    public ImmutableArray<E820Entry> Map { get; init; } = [];

    /// <summary>Shell commands in dom0 between creation and start, "" for none. Their output is the section <c>=== RUN name</c>.</summary>
    public string BeforeStart { get; init; } = "";

    /// <summary>Seconds that a booted guest is waited for.</summary>
    public int Seconds { get; init; } = 120;

    private static string CommonConfigOf(GuestKind kind) => kind switch
    {
        GuestKind.Pv => CommonConfig,
        GuestKind.Hvm => HvmConfig,
        GuestKind.Pvh => CommonConfig.Replace("\"pv\"", "\"pvh\"", System.StringComparison.Ordinal),
    };

    private const string LinuxConfig = """
        kernel="/k/bzImage"
        ramdisk="/k/initrd.gz"
        extra="console=hvc0 loglevel=8 "

        """;

    public string ConfigText => CommonConfigOf(Kind) + (Linux ? LinuxConfig : "") + string.Concat(Config.Select(line => line + "\n"));
}

/// <summary>Runs shell commands in dom0. In the record: <c>=== RUN name</c>, their output, <c>=== STATUS n</c>.</summary>
public sealed record RunStep(string Name, string Commands) : Step(Name);

/// <summary>One boot of the real Xen: the host, and what dom0 does on it.</summary>
public sealed record Scenario
{
    /// <summary>What Xen is told in every run. bootscrub=0 keeps QEMU from touching all of its memory.</summary>
    public const string XenOptions = "console=com1 com1=115200 loglvl=all guest_loglvl=all noreboot bootscrub=0";

    /// <summary>What dom0's kernel is told.</summary>
    public const string LinuxOptions = "console=hvc0 earlyprintk=xen";

    /// <summary>dom0's initramfs is filled up to this size, so that where the kernel moves it to does not change with every package update.</summary>
    public const long DefaultDom0ImageBytes = 0x2618600;

    /// <summary>The folder of scenarios that each Xen boots with each Linux.</summary>
    public const string Matrix = "matrix";

    public required string Name { get; init; }

    /// <summary>The folder of tests/fixtures with its records: the one that its file is in, "golden" for none.</summary>
    public string Folder { get; init; } = "golden";

    /// <summary>The Xen that is booted, one of <see cref="XenRelease.All"/>.</summary>
    public string XenVersion { get; init; } = XenRelease.Default.Version;

    /// <summary>The Linux that is dom0's and the guests' kernel, one of <see cref="LinuxRelease.All"/>.</summary>
    public string LinuxVersion { get; init; } = LinuxRelease.Default.Version;

    public Machine Machine { get; init; } = Machine.Pc;

    /// <summary>Devices of the machine beyond those it has, as QEMU's -device takes them.</summary>
    public ImmutableArray<string> Devices { get; init; } = [];

    /// <summary>The firmware map Xen is given; empty: the one of QEMU's own firmware. What it calls RAM below 4 GiB must end by 3 GiB.</summary>
    public ImmutableArray<E820Entry> FirmwareMap { get; init; } = [];

    /// <summary>QEMU's memory in MiB; 0: what the firmware map needs.</summary>
    public int MemoryMiB { get; init; }

    /// <summary>Xen's options beyond <see cref="XenOptions"/>: "dom0_mem=1G,max:1G".</summary>
    public string Xen { get; init; } = "";

    public GuestImage GuestImage { get; init; } = GuestImage.Plain;

    /// <summary>Devices made ready for passing through, with spaces between them ("00:02.0"), or "".</summary>
    public string Assign { get; init; } = "";

    /// <summary>Whether guests can have disks and network cards: a bridge xenbr0, Xen's own hotplug scripts in /etc/xen/scripts, their drivers, and a
    /// syslog in /var/log/syslog.</summary>
    public bool Hotplug { get; init; }

    /// <summary>Whether dom0 has libvirtd with its libxl driver, and virsh. Nobody has started it.</summary>
    public bool Libvirt { get; init; }

    public long Dom0ImageBytes { get; init; } = DefaultDom0ImageBytes;

    public ImmutableArray<Step> Steps { get; init; } = [];

    /// <summary>Files placed in dom0, executable: path in dom0 to path here.</summary>
    public ImmutableSortedDictionary<string, string> Files { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>Text files placed in dom0: path to content.</summary>
    public ImmutableSortedDictionary<string, string> Texts { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    /// <summary>A kernel that Xen starts as dom0 in the place of Linux, a path here; "": Linux. It has no initramfs and reports on the serial
    /// console.</summary>
    public string Dom0Kernel { get; init; } = "";

    /// <summary>What <see cref="Dom0Kernel"/> is told.</summary>
    public string Dom0KernelOptions { get; init; } = "";

    /// <summary>
    /// Time in the machine is instructions executed, a nanosecond each, whatever else keeps this computer busy: times of two kernels can be compared.
    /// Slower.
    /// </summary>
    public bool CountsInstructions { get; init; }

    /// <summary>After this many seconds QEMU is ended and the run has failed; 0: enough for its steps on a busy machine.</summary>
    public int DeadlineSeconds { get; init; }

    public IEnumerable<GuestStep> Guests => Steps.OfType<GuestStep>();

    /// <summary>The same host with only the named guests.</summary>
    public Scenario OnlyGuests(params string[] names) =>
        this with { Steps = [.. Steps.Where(step => step is not GuestStep || names.Contains(step.Name))] };

    /// <summary>"xen-4.17-linux-6.1".</summary>
    public string Pair => $"xen-{XenVersion}-linux-{LinuxVersion}";

    /// <summary>The folder of tests/fixtures that its record is in.</summary>
    public string RecordFolder => IsMoved || Folder == Matrix ? $"{Folder}/{Pair}" : Folder;

    // Whether it is on another Xen or with another Linux than its file says.
    private bool IsMoved { get; init; }

    /// <summary>The same scenario on another Xen or with another Linux; its record is then in a folder of theirs:
    /// golden/xen-4.20-linux-6.12.</summary>
    public Scenario On(string xenVersion, string linuxVersion) => this with
    {
        XenVersion = XenRelease.Named(xenVersion).Version,
        LinuxVersion = LinuxRelease.Named(linuxVersion).Version,
        IsMoved = IsMoved || xenVersion != XenVersion || linuxVersion != LinuxVersion,
    };

    /// <summary>Xen and Linux as images, built now if they have not been.</summary>
    /// <exception cref="HarnessException">A version is not among those that can be booted, or a package is missing.</exception>
    public Images PrepareImages() => Images.Prepare(XenRelease.Named(XenVersion), LinuxRelease.Named(LinuxVersion));

    /// <summary>Whether a guest or dom0 needs hardware virtualisation, which QEMU emulates.</summary>
    internal bool Virtualises => Guests.Any(guest => guest.Kind != GuestKind.Pv) || Xen.Contains("dom0=pvh", System.StringComparison.Ordinal);

    internal string XenCommandLine
    {
        get
        {
            // The first word tells in the log that the map is ours; Xen passes over it.
            string line = (FirmwareMap.IsEmpty ? "" : "shim ") + XenOptions + (Xen.Length > 0 ? " " + Xen : "");
            return FirmwareMap.IsEmpty ? line : line + " no-real-mode";
        }
    }

    internal int EffectiveDeadlineSeconds =>
        DeadlineSeconds > 0 ? DeadlineSeconds : 120 + Steps.Sum(step => step is GuestStep { Boot: true } guest ? 60 + guest.Seconds : 60);
}
