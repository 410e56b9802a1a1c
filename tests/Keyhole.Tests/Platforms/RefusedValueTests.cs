// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Planning;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Platforms;

/// <summary>Values of an xl.cfg that xl, libxl or Xen do not take, by the release (by the source of each).</summary>
[TestClass]
public sealed class RefusedValueTests
{
    private const string InvalidArgument = "domain creation fail: Invalid argument";
    private const string ForPv = "ERROR: \"timer_mode\" option is not supported for PV guests.";
    private const string BothUsb = "usbversion and/or usbredirection cannot be enabled with usb and/or usbdevice parameters.";
    private const string TwoNodes = "vnuma=[ [\"size=1024\",\"vcpus=0\"], [\"size=1024\",\"vcpus=1-2\"] ]";

    /// <summary>In every type of guest that is named.</summary>
    [TestMethod]
    [DataRow("4.17.0", "pv pvh hvm", "uuid=\"1-2-3\"", "Failed to parse UUID: 1-2-3", "uuid=")]
    [DataRow("4.17.0", "pv pvh hvm", "vcpus=4\nmaxvcpus=2", "xl: maxvcpus < vcpus", "maxvcpus=")]
    [DataRow("4.17.0", "pv pvh hvm", "vcpus=2\nmaxvcpus=\"-1\"", "xl: maxvcpus < vcpus", "maxvcpus=")]
    [DataRow("4.21.0", "pv pvh hvm", "vcpus=\"-1\"", "Unable to allocate cpumap", "vcpus=")]
    [DataRow("4.17.0", "pv pvh hvm", "vuart=\"pl011\"", "ERROR: invalid value \"pl011\" for \"vuart\"", "vuart=")]
    [DataRow("4.5.0", "hvm", "cpus=\"0-x\"", "Invalid pcpu range: 0-x.", "cpus=")]
    [DataRow("4.17.0", "pv pvh hvm", "vcpus=2\ncpus_soft=[\"all\",\"^all\"]", "Can't combine \"^\" and \"all\".", "cpus_soft=")]
    [DataRow("4.17.0", "pv pvh hvm", "cpus=\"3-1\"", "Invalid pcpu range: 3-1.", "cpus=")]
    [DataRow("4.13.0", "pv pvh hvm", "max_grant_frames=\"many\"", "xl exits with status 1 and no message", "max_grant_frames=")]
    [DataRow("4.17.0", "pv pvh hvm", "on_crash=\"restar\"", "Unknown on_crash action \"restar\" specified", "on_crash=")]
    [DataRow("4.6.0", "hvm", "on_crash=\"soft-reset\"", "Unknown on_crash action \"soft-reset\" specified", "on_crash=")]
    [DataRow("4.7.0", "hvm", "on_soft_reset=\"none\"", "Unknown on_soft_reset action \"none\" specified", "on_soft_reset=")]
    [DataRow("4.13.0", "pv pvh hvm", "passthrough=\"yes\"", "ERROR: unknown passthrough option 'yes'", "passthrough=")]
    [DataRow("4.17.0", "pv pvh hvm", "tsc_mode=4", "ERROR: invalid value 4 for \"tsc_mode\"", "tsc_mode=")]
    [DataRow("4.17.0", "pv pvh hvm", "tsc_mode=\"emulate\"", "ERROR: invalid value \"emulate\" for \"tsc_mode\"", "tsc_mode=")]
    [DataRow("4.10.0", "pv", "timer_mode=1", ForPv, "timer_mode=")]
    [DataRow("4.10.0", "pvh hvm", "timer_mode=\"best\"", "ERROR: invalid value \"best\" for \"timer_mode\"", "timer_mode=")]
    [DataRow("4.5.0", "hvm", "timer_mode=4", "ERROR: invalid value 4 for \"timer_mode\"", "timer_mode=")]
    [DataRow("4.17.0", "pv pvh hvm", "altp2m=4", "ERROR: invalid value 4 for \"altp2m\"", "altp2m=")]
    [DataRow("4.9.0", "hvm", "altp2m=\"on\"", "ERROR: invalid value \"on\" for \"altp2m\"", "altp2m=")]
    [DataRow("4.21.0", "pv pvh hvm", "altp2m_count=65536", "ERROR: invalid value 65536 for \"altp2m_count\"", "altp2m_count=")]
    [DataRow("4.17.0", "pv pvh hvm", "ioports=[\"zz\"]", "xl: Invalid argument parsing ioport: zz", "ioports=")]
    [DataRow("4.17.0", "pv pvh hvm", "ioports=[\"100000000\"]", "xl: ioport 100000000 too big", "ioports=")]
    [DataRow("4.7.0", "hvm", "irqs=[\"5x\"]", "xl: Invalid argument parsing irq: 5x", "irqs=")]
    [DataRow("4.17.0", "pv pvh hvm", "iomem=[\"fed00\"]", "xl: Invalid argument parsing iomem: fed00", "iomem=")]
    [DataRow("4.7.0", "hvm", "iomem=[\"fed00,1@z\"]", "xl: Invalid argument parsing iomem: fed00,1@z", "iomem=")]
    [DataRow("4.17.0", "pv pvh hvm", "vtpm=[\"uuid=4\"]", "Failed to parse vtpm UUID: 4", "vtpm=")]
    [DataRow("4.17.0", "pv pvh hvm", "vtpm=[\"\"]", "vtpm spec missing required backend field!", "vtpm=")]
    [DataRow("4.7.0", "hvm", "usbdev=[\"hostbux=1\"]", "Unknown string `hostbux=1' in usbdev spec", "usbdev=")]
    [DataRow("4.21.0", "pv pvh hvm", "device_model_version=\"qemu-xen-traditional\"",
        "Unknown device_model_version \"qemu-xen-traditional\" specified", "device_model_version=")]
    [DataRow("4.10.0", "pv pvh hvm", "device_model_version=\"none\"", "Unknown device_model_version \"none\" specified", "device_model_version=")]
    [DataRow("4.17.0", "pv pvh hvm", "device_model_args_hvm=\"-device e1000\"", "xl: Unable to parse device_model_args_hvm.",
        "device_model_args_hvm=")]
    [DataRow("4.17.0", "pv pvh", "firmware=\"ovmf\"", "ERROR: only pvgrub{32|64} supported as firmware options", "firmware=")]
    [DataRow("4.17.0", "pv pvh", "firmware=\"pvgrub64\"\nkernel=\"/k\"", "ERROR: both kernel and firmware specified", "firmware=")]
    [DataRow("4.17.0", "pv pvh hvm", "tee=\"ffa\"", "Unknown tee \"ffa\" specified", "tee=")]
    [DataRow("4.17.0", "pv pvh hvm", "gic_version=\"v4\"", "Unknown gic_version \"v4\" specified", "gic_version=")]
    [DataRow("4.18.0", "pv pvh hvm", "sve=\"100\"", "Unknown sve \"100\" specified", "sve=")]
    [DataRow("4.20.0", "pv pvh hvm", "llc_colors=[\"0-3\"]", "LLC coloring not enabled in the hypervisor", "llc_colors=")]
    [DataRow("4.22.0", "pv pvh hvm", "xenstore_quota=[\"nodes\"]", "Quota specification \"nodes\" lacks \"=\".", "xenstore_quota=")]
    [DataRow("4.16.0", "pv pvh hvm", "max_grant_version=16", "max grant version 16 out of range", "max_grant_version=")]
    [DataRow("4.17.0", "pv pvh hvm", "vcpus=1025", "avail_vcpus bitmap contains too many VCPUS", null)]
    [DataRow("4.17.0", "pvh hvm", "vcpus=129", InvalidArgument, null)]
    [DataRow("4.11.0", "pvh hvm", "maxvcpus=129", "Couldn't set max vcpu count", null)]
    [DataRow("4.15.0", "pv", "vmtrace_buf_kb=64", InvalidArgument, "vmtrace_buf_kb=")]
    [DataRow("4.15.0", "pvh hvm", "vmtrace_buf_kb=65", InvalidArgument, "vmtrace_buf_kb=")]
    [DataRow("4.17.0", "pv pvh hvm", TwoNodes + "\nmaxmem=4096", "xl: maxmem and vnuma memory size mismatch", "vnuma=")]
    [DataRow("4.17.0", "pv pvh hvm", TwoNodes + "\nmaxvcpus=2", "xl: vnuma vcpus and maxvcpus= mismatch", "vnuma=")]
    [DataRow("4.17.0", "pv pvh hvm", "vnuma=[ \"size=1024\" ]", "xl: cannot get vnode config option list", "vnuma=")]
    [DataRow("4.17.0", "pv pvh hvm", "vnuma=[ [\"size\"] ]", "xl: failed to split \"size\" into pair", "vnuma=")]
    [DataRow("4.5.0", "hvm", "vga=\"qxl\"", "Unknown vga \"qxl\" specified", "vga=")]
    [DataRow("4.17.0", "hvm", "viridian=[\"base\",\"!refernce_tsc\"]", "xl: unknown viridian enlightenment 'refernce_tsc'", "viridian=")]
    [DataRow("4.14.0", "hvm", "viridian=[\"no_vp_limit\"]", "xl: unknown viridian enlightenment 'no_vp_limit'", "viridian=")]
    [DataRow("4.18.0", "hvm", "smbios=[\"bios_vendr=x\"]", "xl: unknown smbios type 'bios_vendr'", "smbios=")]
    [DataRow("4.18.0", "hvm", "smbios=\"oem=x\"", "xl: Unable to parse smbios options.", "smbios=")]
    [DataRow("4.17.0", "hvm", "ms_vm_genid=\"yes\"", "ERROR: \"ms_vm_genid\" option must be \"generate\" or \"none\"", "ms_vm_genid=")]
    [DataRow("4.17.0", "hvm", "mca_caps=[\"mce\"]", "ERROR: unrecognized MCA capability 'mce'.", "mca_caps=")]
    [DataRow("4.7.0", "hvm", "gfx_passthru=\"yes\"", "ERROR: invalid value \"yes\" for \"gfx_passthru\"", "gfx_passthru=")]
    [DataRow("4.17.0", "hvm", "vnclisten=\"::1\"\nvncdisplay=2", "ERROR: Display specified both in vnclisten and vncdisplay!", "vncdisplay=")]
    [DataRow("4.17.0", "hvm", "vendor_device=\"citrix\"", "xl: unknown vendor_device 'citrix'", "vendor_device=")]
    [DataRow("4.17.0", "hvm", "usbversion=2\nusb=1\nusbdevice=\"tablet\"", BothUsb, "usbversion= out, or take usb=, usbdevice=")]
    [DataRow("4.17.0", "hvm", "spice=1\nspiceusbredirection=2\nusbdevice=[\"tablet\"]", BothUsb, "spiceusbredirection= out, or take usbdevice=")]
    [DataRow("4.17.0", "hvm", "usbversion=4", "usbversion parameter is invalid, must be between 1 and 3", "usbversion=")]
    [DataRow("4.17.0", "hvm", "soundhw=\"all\"", "Unknown soundhw option 'all'", "soundhw=")]
    [DataRow("4.17.0", "hvm", "extra=\"quiet\"\nroot=\"/dev/xvda1\"", "direct boot parameters specified but kernel missing", "root=, extra=")]
    [DataRow("4.17.0", "hvm", "ramdisk=\"/i\"\nkernel=\"/usr/lib/xen/boot/hvmloader\"", "direct boot parameters specified but kernel missing",
        "ramdisk=")]
    [DataRow("4.10.0", "hvm", "firmware=\"ROMBIOS\"", "qemu-xen does not support bios=rombios.", "firmware=")]
    [DataRow("4.9.0", "hvm", "bios=\"rombios\"\nfirmware=\"ovmf\"", "qemu-xen does not support bios=rombios.", "bios=")]
    [DataRow("4.13.0", "hvm", "device_model_version=\"qemu-xen\"\ndevice_model_stubdomain_override=1",
        "device model stubdomains require \"qemu-xen-traditional\"", "device_model_stubdomain_override=")]
    public void A_guest_with_a_value_that_is_not_taken_is_refused_and_the_remedy_was_tried(
        string xen, string types, string config, string words, string? keys)
    {
        foreach (string type in types.Split(' '))
        {
            Plan plan = PlanOf(xen, type, config);

            Assert.AreEqual(GuestOutcome.Refused, plan.Firmware?.Outcome ?? plan.Verdict?.Outcome, type);
            Problem problem = plan.Problems.Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
            Assert.Contains(words, problem.Message);
            Assert.AreEqual(keys is null ? null : $"take {keys} out", problem.Remedy?.ToString());
            Assert.AreEqual(words, Boot.Of(plan.Scenario).Message);
        }
    }

    [TestMethod]
    [DataRow("4.17.0", "pv pvh hvm", "uuid=\"01234567-89ab-CDEF-0123-456789abcdef\"")]
    [DataRow("4.5.0", "hvm", "vcpus=4\nmaxvcpus=2\nhdtype=\"scsi\"")]
    [DataRow("4.17.0", "pv pvh hvm", "vcpus=4\nmaxvcpus=0\ncpus=[\"0\",\"^node:1-2\",\"all,^3\"]")]
    [DataRow("4.17.0", "pv pvh hvm", "vcpus=2\ncpus=[\"0\",\"1\",\"x\"]")]
    [DataRow("4.12.0", "pv pvh hvm", "max_grant_frames=\"many\"\npassthrough=\"yes\"\ntee=\"x\"")]
    [DataRow("4.17.0", "pv pvh hvm", "on_crash=\"coredump-restart\"\non_reboot=\"soft-reset\"")]
    [DataRow("4.17.0", "pv pvh hvm", "tsc_mode=\"NATIVE\"\naltp2m=0\npassthrough=\"Disabled\"")]
    [DataRow("4.9.0", "pv", "timer_mode=1")]
    [DataRow("4.17.0", "pvh hvm", "timer_mode=\"one_missed_tick_pending\"")]
    [DataRow("4.8.0", "pv hvm", "altp2m=\"on\"")]
    [DataRow("4.17.0", "pv pvh hvm", "ioports=[\"2f8-2ff\",\"3f8\"]\nirqs=[5,\"10\"]\niomem=[\"fed00,1\",\"0x100,1@20\"]")]
    [DataRow("4.17.0", "pv pvh hvm", "vtpm=[\"backend=vtpm,uuid=01234567-89ab-cdef-0123-456789abcdef\"]")]
    [DataRow("4.6.0", "pv hvm", "usbdev=[\"hostbux=1\"]")]
    [DataRow("4.7.0", "pv", "device_model_version=\"none\"")]
    [DataRow("4.20.0", "pv", "device_model_version=\"qemu-xen-traditional\"")]
    [DataRow("4.9.0", "pv", "firmware=\"ovmf\"")]
    [DataRow("4.17.0", "hvm", "firmware=\"ovmf\"\nkernel=\"/k\"")]
    [DataRow("4.17.0", "pv pvh", "firmware=\"pvgrub64\"")]
    [DataRow("4.18.0", "pv pvh hvm", "tee=\"ffa\"\nsve=\"2048\"")]
    [DataRow("4.17.0", "pv pvh hvm", "vcpus=128\nmax_grant_version=2")]
    [DataRow("4.17.0", "pv", "vcpus=129")]
    [DataRow("4.17.0", "pvh hvm", "vmtrace_buf_kb=64")]
    [DataRow("4.17.0", "pv pvh", "viridian=[\"x\"]\nvga=\"none at all\"\nusb=1\nusbversion=2\nsoundhw=\"all\"\nextra=\"quiet\"")]
    [DataRow("4.15.0", "hvm", "viridian=[\"defaults\",\"!no_vp_limit\",\"ALL\",\"all\"]", "ALL")]
    [DataRow("4.17.0", "hvm", "viridian=1\nsmbios=[\"nonsense\"]\ngfx_passthru=0\nvnclisten=\"::1\"\nvncdisplay=0")]
    [DataRow("4.16.0", "hvm", "soundhw=\"all\"\nspiceusbredirection=2\nusbdevice=\"tablet\"")]
    [DataRow("4.5.0", "hvm", "extra=\"quiet\"")]
    [DataRow("4.9.0", "hvm", "firmware=\"rombios\"")]
    [DataRow("4.10.0", "hvm", "bios=\"rombios\"\nfirmware=\"ovmf\"")]
    [DataRow("4.17.0", "hvm", "extra=\"quiet\"\nkernel=\"/boot/vmlinuz\"")]
    [DataRow("4.14.0", "hvm", "device_model_version=\"qemu-xen\"\ndevice_model_stubdomain_override=1")]
    public void A_guest_with_one_that_is_taken_or_passed_over_is_created(string xen, string types, string config, string? refused = null)
    {
        foreach (string type in types.Split(' '))
        {
            Plan plan = PlanOf(xen, type, config);

            string[] found = [.. plan.Problems.Where(static problem => problem.Code == ProblemCodes.GuestDoesNotStart)
                .Select(static problem => problem.Message.ToString())];
            if (refused is null)
                Assert.IsEmpty(found, string.Join('\n', found));
            else
                Assert.Contains($"'{refused}'", found.Single());
        }
    }

    private static Plan PlanOf(string xen, string type, string config)
    {
        Assert.IsTrue(XenVersion.TryParse(xen, out XenVersion version));
        string kind = type == "hvm" ? "builder=\"hvm\"" : $"type=\"{type}\"";
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes($"name=\"a\"\n{kind}\nmemory=2048\n{config}\n")), "a.cfg")
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        return Planner.Plan(new() { Host = Host.Unknown with { Traits = new() { XenVersion = version } }, Guest = guest.Guest });
    }
}
