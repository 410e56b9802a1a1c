// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Immutable;

namespace Keyhole.Guests;

/// <summary>The keys of xl.cfg that some xl since Xen 4.1 looks at. xl passes over all others silently.</summary>
/// <remarks>Source: the names that xl of Xen 4.1 to 4.22 asks its configuration for, and xl.cfg(5).</remarks>
public static class XlKeys
{
    /// <summary>A key longer than this is compared with nothing: it is no slip of the pen.</summary>
    private const int MaxComparedLength = 40;

    /// <summary>In alphabetical order.</summary>
    public static ImmutableArray<string> Known { get; } =
    [
        "acpi", "acpi_firmware", "acpi_laptop_slate", "acpi_s3", "acpi_s4", "altp2m", "altp2m_count", "altp2mhvm", "apic", "arm_sci", "bios",
        "bios_path_override", "boot", "bootloader", "bootloader_args", "bootloader_restrict", "bootloader_user", "builder", "cap", "channel",
        "cmdline", "cpu_weight", "cpuid", "cpus", "cpus_soft", "device_model", "device_model_args", "device_model_args_hvm",
        "device_model_args_pv", "device_model_override", "device_model_stubdomain_override", "device_model_stubdomain_seclabel",
        "device_model_user", "device_model_version", "device_tree", "disk", "display", "dm_restrict", "driver_domain", "dtdev", "e820_host",
        "extra", "extratime", "firmware", "firmware_override", "gfx_passthru", "gic_version", "hap", "hdtype", "hpet", "hvm_pirq",
        "init_seclabel", "iomem", "ioports", "irqs", "kernel", "keymap", "latency", "llc_colors", "localtime", "max_event_channels",
        "max_grant_frames", "max_grant_version", "max_maptrack_frames", "maxmem", "maxvcpus", "mca_caps", "memory", "mmio_hole", "ms_vm_genid",
        "msr_relaxed", "name", "nestedhvm", "nodes", "nographic", "nomigrate", "nr_spis", "nx", "on_crash", "on_poweroff", "on_reboot",
        "on_soft_reset", "on_watchdog", "oos", "opengl", "p9", "pae", "passthrough", "pci", "pci_msitranslate", "pci_permissive",
        "pci_power_mgmt", "pci_seize", "period", "pool", "pvcalls", "pvh", "pvshim", "pvshim_cmdline", "pvshim_extra", "pvshim_path", "ramdisk",
        "rdm", "rdm_mem_boundary", "root", "rtc_timeoffset", "sched", "sdl", "seclabel", "serial", "shadow_memory", "slice", "smbios",
        "smbios_firmware", "soundhw", "spice", "spice_clipboard_sharing", "spice_image_compression", "spice_streaming_video", "spiceagent_mouse",
        "spicedisable_ticketing", "spicehost", "spicepasswd", "spiceport", "spicetls_port", "spiceusbredirection", "spicevdagent", "stdvga",
        "stubdomain_cmdline", "stubdomain_kernel", "stubdomain_memory", "stubdomain_ramdisk", "sve", "tee", "timer_mode",
        "trap_unmapped_accesses", "tsc_mode", "type", "usb", "usbctrl", "usbdev", "usbdevice", "usbversion", "uuid", "vcpus", "vdispl",
        "vendor_device", "vfb", "vga", "videoram", "vif", "vif2", "viridian", "virtio", "vkb", "vkb_device", "vmtrace_buf_kb", "vnc",
        "vncdisplay", "vnclisten", "vncpasswd", "vncunused", "vncviewer", "vnuma", "vpmu", "vpt_align", "vsnd", "vtpm", "vuart", "xauthority",
        "xen_platform_pci", "xen_platform_pci_bar_uc", "xend_suspend_evtchn_compat", "xenstore_feature_mask", "xenstore_quota",
    ];

    /// <summary>Whether xl, or Keyhole, knows a key of that name.</summary>
    public static bool IsKnown(string key) => Known.BinarySearch(key, StringComparer.Ordinal) >= 0;

    /// <summary>The known key that an unknown one was probably meant to be, or null.</summary>
    public static string? Suggest(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (key.Length is < 3 or > MaxComparedLength)
            return null;
        string bare = Bare(key);
        foreach (string known in Known)
        {
            if (Bare(known) == bare)
                return known;
        }

        // In a short word two slips leave nothing of it.
        int allowed = key.Length < 6 ? 1 : 2;
        string? best = null;
        foreach (string known in Known)
        {
            int distance = Distance(bare, Bare(known), allowed);
            if (distance <= allowed)
            {
                allowed = distance - 1;
                best = known;
            }
        }

        return best;
    }

    private static string Bare(string key) => key.Replace("_", "", StringComparison.Ordinal).Replace(".", "", StringComparison.Ordinal);

    /// <summary>Insertions, deletions, replacements and swaps of neighbours from one word to the other; more than <paramref name="limit"/> counts as
    /// limit + 1.</summary>
    private static int Distance(string a, string b, int limit)
    {
        if (Math.Abs(a.Length - b.Length) > limit)
            return limit + 1;
        int width = b.Length + 1;
        int[] table = new int[(a.Length + 1) * width];
        for (int i = 0; i <= a.Length; i++)
        {
            for (int j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    table[(i * width) + j] = i + j;
                    continue;
                }

                int best = table[((i - 1) * width) + j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                best = Math.Min(best, table[((i - 1) * width) + j] + 1);
                best = Math.Min(best, table[(i * width) + j - 1] + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    best = Math.Min(best, table[((i - 2) * width) + j - 2] + 1);
                table[(i * width) + j] = best;
            }
        }

        return Math.Min(table[^1], limit + 1);
    }
}
