// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Cli.Tests.Rules;

/// <summary>Guests that the toolstack did not create, or was to refuse.</summary>
internal static partial class EndPairs
{
    private const string NotRebuilt = "libxl: error: libxl_create.c:1420:domcreate_rebuild_done: Domain 1:cannot (re-)build domain: -3\n";
    private const string LayOut = "xc: error: panic: xg_dom_boot.c:121: xc_dom_boot_mem_init: can't allocate low memory for domain: Out of memory\n";
    private const string Conflict = "libxl: error: libxl_dm.c:467:libxl__domain_device_construct_rdm: Domain 1:RDM conflict at 0x6ccfe000\n"
        + NotRebuilt;
    private const string Shared = "libxl: error: libxl_pci.c:1365:libxl__add_pcidevs: libxl_device_pci_add failed: -1\n" + NotRebuilt
        + "(XEN) [VT-D] It's disallowed to assign 0000:00:1a.0 with shared RMRR at 6ccfe000 for d1.\n";

    private const string NoRoom = "xc: error: panic: xc_dom_core.c:621: xc_dom_alloc_segment: segment ramdisk too large (0x8000 > 0x4000 - 0x2000 "
        + "pages): Out of memory\n" + NotRebuilt;

    private const string TooLargeFile =
        "xc: error: panic: xg_dom_core.c:223: xc_dom_malloc_filemap: tried to map file which is too large: Out of memory\n" + NotRebuilt;

    private const string NoFork = "libxl: error: libxl_fork.c:613:libxl__ev_child_fork: fork failed: Cannot allocate memory\n" + NotRebuilt;
    private const string NoMemory = "libxl: error: libxl_dom.c:593:libxl__build_dom: xc_dom_boot_mem_init failed: Cannot allocate memory\n";
    private const string NoPassthrough =
        "libxl: error: libxl_create.c:1164:libxl__domain_config_setdefault: Domain 4294967295:passthrough not supported on this platform\n";

    private const string GuestsKernel = "[    0.000000] Linux version 6.1.90 (a@b) #1 SMP\n[    0.000000] Released 0 page(s)\n"
        + "[    0.200000] Memory: 500000K/524288K available\n";

    /// <summary>With a hole below 2 GiB, in which memory for devices may be.</summary>
    private static readonly string s_creator = RulePair.Written("host.log", """
        (XEN) Xen version 4.17.5 (a@b) debug=n
        (XEN) Command line: placeholder dom0_mem=1024M,max:1024M
        (XEN) Xen-e820 RAM map:
        (XEN)  [0000000000000000, 000000000009fbff] (usable)
        (XEN)  [000000000009fc00, 00000000000fffff] (reserved)
        (XEN)  [0000000000100000, 000000006cbfffff] (usable)
        (XEN)  [000000006cc00000, 000000006fffffff] (reserved)
        (XEN)  [0000000100000000, 000000023fffffff] (usable)
        (XEN) System RAM: 6859MB (7023612kB)

        """);

    private static readonly string s_creatorWithoutIommu = RulePair.Written("host.log", System.IO.File.ReadAllText(s_creator)
        .With("(XEN) System RAM", "(XEN) I/O virtualisation disabled\n(XEN) System RAM"));

    private static RulePair[] OfCreation =>
    [
        RulePair.Of("The guest was not created (line 1: \"libxl: error: libxl_dom.c:593:libxl__build_dom: xc_dom_boot_mem_init failed: Cannot "
                + "allocate memory\"): no kernel of it ran, so there is nothing of its memory to compare.", "a kernel of it spoke behind that",
            static () => Created(NoMemory + NotRebuilt),
            static () => Created(NoMemory + NotRebuilt + GuestsKernel)),
        RulePair.Of("no kernel of it ran", "the words are of a guest that is shut down",
            static () => Created("libxl: error: a.c:1:f: Domain 7:unable to add vif devices\n"
                + "libxl: error: a.c:2:f: Domain 7:Destruction of domain failed\n"),
            static () => Created("libxl: error: a.c:1:f: Domain 7:Unable to destroy guest\n"
                + "libxl: error: a.c:2:f: Domain 7:Destruction of domain failed\n")),
        RulePair.Of("everything after the outcome", "a kernel of it spoke behind that",
            static () => Created(NoMemory + NotRebuilt),
            static () => Created(NoMemory + NotRebuilt + GuestsKernel)),
        RulePair.Of("Memory has a part in it: Xen did not give what the toolstack asked for, and the guest has 4 GiB; what Xen has left 'xl info' "
                + "tells (free_memory).", "it was another error",
            static () => Created(LayOut + NoMemory + NotRebuilt),
            static () => Created(LayOut + NoMemory.With("Cannot allocate memory", "Operation not supported") + NotRebuilt)),
        RulePair.Of("Xen did not give what the toolstack asked for", "libxl's line on the reason is not there",
            static () => Created(LayOut + NoMemory + NotRebuilt),
            static () => Created(LayOut + NotRebuilt)),
        RulePair.Of("libxc says \"Out of memory\" of whatever kept it from laying the guest's memory out: libxl's line on it, "
                + "\"xc_dom_boot_mem_init failed: …\", has the reason, and the log lacks it.", "the log has it",
            static () => Created(LayOut + NotRebuilt),
            static () => Created(LayOut + NoMemory + NotRebuilt)),
        RulePair.Of("can't allocate low memory for domain", "libxl's line on the reason is nearer",
            static () => Created(LayOut + NotRebuilt),
            static () => Created(LayOut + NoMemory + NotRebuilt)),
        RulePair.Of("free memory for the domain", "it was the mapping of a frame of the guest's",
            static () => Created("failed to free memory for the domain\n"),
            static () => Created("xc: error: panic: a.c:1: f: [mmap, errno=12 (12 = Cannot allocate memory)]: Internal error\n" + NotRebuilt)),
        RulePair.Of("Memory has a part in it: what is loaded at the guest's start has no room in the 64 MiB that it starts with. What to change: "
                + "give the guest more memory, or a smaller kernel or ramdisk.", "it is the file's own size",
            static () => Created(NoRoom, "--memory", "64"),
            static () => Created(TooLargeFile, "--memory", "64")),
        RulePair.Of("No memory ran out: the file of the kernel or the ramdisk is larger than the toolstack takes, which says \"Out of memory\" of "
                + "that. What to change: give a smaller file, and see that it is the right one.", "it is larger than the guest",
            static () => Created(TooLargeFile, "--memory", "64"),
            static () => Created(NoRoom, "--memory", "64")),
        RulePair.Of("Memory has a part in it, but dom0's: the toolstack itself got none from its own system ('free' in dom0 tells what is left). "
                + "What to change: stop what takes dom0's memory, or give dom0 more (dom0_mem= on Xen's command line).", "what failed is not a fork",
            static () => Created(NoFork),
            static () => Created(NoMemory + NotRebuilt)),
        RulePair.Of("Memory has a part in it, but dom0's", "the fork failed for want of processes",
            static () => Created(NoFork),
            static () => Created(NoFork.With("Cannot allocate memory", "Resource temporarily unavailable"))),
        RulePair.Of("By the forecast nothing keeps it from being created. What 'xl dmesg' says of it at that time may tell more.",
            "by the forecast it has more memory than the host",
            static () => Created(NoMemory + NotRebuilt),
            static () => Created(NoMemory + NotRebuilt, "--memory", "65536")),
        RulePair.Of("Whether it would be created is not known:", "its QEMU is the usual one",
            static () => Created(NoMemory + NotRebuilt, "--guest", HvmWith("device_model_version=\"qemu-xen-traditional\"\n")),
            static () => Created(NoMemory + NotRebuilt, "--guest", HvmWith("device_model_version=\"qemu-xen\"\n"))),
        RulePair.Of("A device of the guest has reserved memory (RMRR) at 0x6ccfe000, where its RAM would be; the host's source does not tell it. "
                + "Say it to keyhole plan with --rmrr 0x6ccfe000-END: its end stands in the host's ACPI tables (DMAR).", "the host's source tells it",
            static () => Created(Conflict, "--type", "hvm", "--pci", "00:14.0"),
            static () => Created(Conflict, "--type", "hvm", "--pci", "00:14.0", "--rmrr", "0x6ccfe000-0x6cd1e000")),
        RulePair.Of("With it the forecast is the same. What to change: put rdm_mem_boundary=1740", "the guest's RAM does not reach that far",
            static () => Created(Conflict, "--type", "hvm", "--pci", "00:14.0"),
            static () => Created(Conflict, "--type", "hvm", "--pci", "00:14.0", "--memory", "1024")),
        RulePair.Of("With it the forecast is the same.", "the guest has no device",
            static () => Created(Conflict, "--type", "hvm", "--pci", "00:14.0"),
            static () => Created(Conflict, "--type", "hvm")),
        RulePair.Of("The host's source has that reserved memory of devices (RMRR) at 0x6ccfe000, and by the forecast it is in nobody's way: the "
                + "guest, or its devices, are others than were told.", "it has one at another address",
            static () => Created(Conflict, "--type", "hvm", "--pci", "00:14.0", "--memory", "1024", "--rmrr", "0x6ccfe000-0x6cd1e000"),
            static () => Created(Conflict, "--type", "hvm", "--pci", "00:14.0", "--memory", "1024", "--rmrr", "0x6ccff000-0x6cd1e000")),
        RulePair.Of("and by the forecast it is in nobody's way", "by the forecast it is in the way",
            static () => Created(Conflict, "--type", "hvm", "--pci", "00:14.0", "--memory", "1024", "--rmrr", "0x6ccfe000-0x6cd1e000"),
            static () => Created(Conflict, "--type", "hvm", "--pci", "00:14.0", "--memory", "4096", "--rmrr", "0x6ccfe000-0x6cd1e000=00:14.0")),
        RulePair.Of("That device has reserved memory (RMRR) at 0x6ccfe000, which another device shares; the host's source does not tell it, and Xen "
                + "gives such a device to a guest with the relaxed policy alone.", "the host's source tells it",
            static () => Created(Shared, "--type", "hvm", "--pci", "00:1a.0"),
            static () => Created(Shared, "--type", "hvm", "--pci", "00:1a.0", "--rmrr", "0x6ccfe000-0x6cd1e000")),
        RulePair.Of("Xen gives such a device to a guest with the relaxed policy alone.", "Xen says it of another guest's",
            static () => Created(Shared, "--type", "hvm", "--pci", "00:1a.0"),
            static () => Created(Shared.With("for d1.", "for d2."), "--type", "hvm", "--pci", "00:1a.0")),
        RulePair.Of("The log has a kernel of a guest that was created: it is another guest, another host, or another toolstack than was told.",
            "no kernel of it spoke",
            static () => OfRefused(GuestsKernel),
            static () => OfRefused(NoPassthrough)),
        RulePair.Of("The log has a kernel of a guest that was created", "the guest has no device, and is not refused",
            static () => OfRefused(GuestsKernel),
            static () => EndInputs.Guest(GuestsKernel, s_creatorWithoutIommu, "--memory", "512")),
    ];

    private static string HvmWith(string key) => RulePair.Written("hvm.cfg", $"type=\"hvm\"\nname=\"w\"\nmemory=4096\n{key}");

    private static CommandRun OfRefused(string log) =>
        EndInputs.Guest(log, s_creatorWithoutIommu, "--type", "pv", "--memory", "512", "--pci", "00:14.0");

    private static CommandRun Created(string log, params string[] options) => EndInputs.Guest(log, s_creator,
        [.. options, .. System.Array.IndexOf(options, "--memory") < 0 && System.Array.IndexOf(options, "--guest") < 0
            ? (string[])["--memory", "4096"] : []]);
}
