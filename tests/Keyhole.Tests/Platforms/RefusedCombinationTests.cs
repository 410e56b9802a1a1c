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

/// <summary>Settings that libxl or Xen does not take together, by the release from which on it says so (by the source).</summary>
[TestClass]
public sealed class RefusedCombinationTests
{
    private const string OnDemand = "memory=2048\nmaxmem=4096\n";
    private const string Numa = "memory=4096\nvcpus=2\nvnuma=[ [\"pnode=0\",\"size=2048\",\"vcpus=0\"], [\"pnode=1\",\"size=2048\",\"vcpus=1\"] ]\n";
    private const string Pod = "Cannot enable PoD and ALTP2M at the same time";
    private const string Both = "nestedhvm and altp2mhvm cannot be used together";
    private const string Disabled = "passthrough disabled but devices are specified";
    private const string NoHap = "domain creation fail: Invalid argument";

    [TestMethod]
    [DataRow("4.8.0", "hvm", OnDemand + "altp2mhvm=1", Pod, "set maxmem to memory (2048 MiB), or take altp2mhvm= out")]
    [DataRow("4.9.0", "hvm", OnDemand + "altp2m=\"external\"", Pod, "set maxmem to memory (2048 MiB), or take altp2m= out")]
    [DataRow("4.17.0", "pvh", OnDemand + "altp2m=1", Pod, "set maxmem to memory (2048 MiB), or take altp2m= out")]
    [DataRow("4.17.0", "hvm", "memory=2048\nnestedhvm=1\naltp2m=\"Mixed\"", Both, "take altp2m= out, or take nestedhvm= out")]
    [DataRow("4.13.0", "hvm", "memory=2048\npassthrough=\"disabled\"\npci=['17:00.0']", Disabled, "take passthrough= out")]
    [DataRow("4.13.0", "pv", "memory=2048\npassthrough=\"disabled\"\npci=['17:00.0']", Disabled, "take passthrough= out")]
    [DataRow("4.17.0", "pvh", "memory=2048\npassthrough=\"enabled\"", "passthrough not yet supported for x86 PVH guests", "take passthrough= out")]
    [DataRow("4.6.0", "pv", Numa, "PV vNUMA is not yet supported", "take vnuma= out")]
    [DataRow("4.6.0", "hvm", Numa + "maxmem=4096\nmemory=2048", "Cannot enable PoD and vNUMA at the same time",
        "take vnuma= out, or set memory to maxmem (4096 MiB)")]
    [DataRow("4.17.0", "pvh", Numa + "memory=1024", "Cannot enable PoD and vNUMA at the same time",
        "take vnuma= out, or set memory to maxmem (4096 MiB)")]
    [DataRow("4.15.0", "hvm", "memory=2048\nhap=0\nnestedhvm=1", NoHap, "take hap= out, or take nestedhvm= out")]
    [DataRow("4.19.0", "hvm", "memory=2048\nhap=0\naltp2mhvm=1", NoHap, "take altp2mhvm= out, or take hap= out")]
    [DataRow("4.19.0", "pv", "memory=2048\naltp2m=\"external\"", NoHap, "take altp2m= out")]
    [DataRow("4.21.0", "pvh", "memory=2048\naltp2m=\"external\"", NoHap, "take altp2m= out")]
    [DataRow("4.21.0", "hvm", "memory=2048\naltp2m=\"external\"\naltp2m_count=0", NoHap, "take altp2m_count= out, or take altp2m= out")]
    [DataRow("4.21.0", "hvm", "memory=2048\naltp2m=1\naltp2m_count=513", NoHap, "take altp2m_count= out")]
    [DataRow("4.21.0", "pv", "memory=2048\naltp2m_count=4", NoHap, "take altp2m_count= out")]
    [DataRow("4.13.0", "pv", "memory=2048\npassthrough=\"share_pt\"", "passthrough=\"share_pt\" not valid for PV domain", "take passthrough= out")]
    [DataRow("4.22.0", "pv", "memory=2048\npassthrough=\"Share_PT\"\npci=['17:00.0']", "passthrough=\"share_pt\" not valid for PV domain",
        "take passthrough= out")]
    [DataRow("4.17.0", "hvm", "memory=2048\npassthrough=\"share_pt\"\nhap=0", "passthrough=\"share_pt\" only valid for HAP guests",
        "take passthrough= out")]
    [DataRow("4.17.0", "pvh", "memory=2048\npassthrough=\"share_pt\"\nhap=0", "passthrough not yet supported for x86 PVH guests",
        "take passthrough= out")]
    [DataRow("4.17.0", "hvm", OnDemand + "passthrough=\"enabled\"", "IOMMU required for device passthrough but not supported together with PoD",
        "set maxmem to memory (2048 MiB)")]
    public void A_guest_with_both_is_refused_and_the_remedy_was_tried(string xen, string type, string config, string words, string remedy)
    {
        Plan plan = PlanOf(xen, type, config);

        Assert.AreEqual(GuestOutcome.Refused, plan.Firmware?.Outcome ?? plan.Verdict?.Outcome);
        Problem problem = plan.Problems.Single(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        Assert.Contains(words, problem.Message);
        Assert.AreEqual(remedy, problem.Remedy?.ToString());
        Assert.AreEqual(words, Boot.Of(plan.Scenario).Message);
    }

    /// <summary>Values that no release knows, in xl's own words.</summary>
    [TestMethod]
    [DataRow("hdtype=\"scsi\"", "ERROR: invalid value \"scsi\" for \"hdtype\"")]
    [DataRow("hdtype=\"AHCI\"", null)]
    [DataRow("bios=\"uefi\"", "ERROR: invalid value \"uefi\" for \"bios\"")]
    [DataRow("bios=\"SeaBIOS\"", null)]
    [DataRow("bios=\"rombios\"", "qemu-xen does not support bios=rombios.")]
    [DataRow("bios=\"rombios\"\ndevice_model_version=\"qemu-xen-traditional\"", null)]
    [DataRow("bios=\"seabios\"\ndevice_model_version=\"qemu-xen-traditional\"", "qemu-xen-traditional requires bios=rombios.")]
    [DataRow("device_model_version=\"qemu\"", "Unknown device_model_version \"qemu\" specified")]
    [DataRow("vcpus=4\nmaxvcpus=2", "xl: maxvcpus < vcpus")]
    [DataRow("vcpus=4\nmaxvcpus=0", null)]
    public void A_value_that_xl_does_not_take_keeps_an_HVM_guest_from_being_created(string config, string? words)
    {
        Plan plan = PlanOf("4.17.0", "hvm", $"memory=2048\n{config}");

        Assert.AreEqual(words is not null, plan.Firmware?.Outcome == GuestOutcome.Refused);
        Problem? problem = plan.Problems.FirstOrDefault(static problem => problem.Code == ProblemCodes.GuestDoesNotStart);
        Assert.AreEqual(words is not null, problem is not null);
        Assert.Contains(words ?? "", problem?.Message.ToString() ?? "");
    }

    [TestMethod]
    [DataRow("4.7.0", "hvm", OnDemand + "altp2mhvm=1")]
    [DataRow("4.8.0", "hvm", OnDemand + "altp2m=\"external\"")]
    [DataRow("4.17.0", "hvm", OnDemand + "altp2m=\"disabled\"")]
    [DataRow("4.17.0", "pv", OnDemand + "altp2m=\"external\"")]
    [DataRow("4.17.0", "hvm", "memory=2048\naltp2m=\"external\"")]
    [DataRow("4.17.0", "pv", "memory=2048\nnestedhvm=1\naltp2m=\"mixed\"")]
    [DataRow("4.10.0", "hvm", "memory=2048\nnestedhvm=1\naltp2mhvm=1")]
    [DataRow("4.12.0", "hvm", "memory=2048\npassthrough=\"disabled\"\npci=['17:00.0']")]
    [DataRow("4.17.0", "hvm", "memory=2048\npassthrough=\"default\"\npci=['17:00.0']")]
    [DataRow("4.5.0", "pv", Numa)]
    [DataRow("4.17.0", "pv", "memory=2048\nvnuma=[]")]
    [DataRow("4.14.0", "hvm", "memory=2048\nhap=0\nnestedhvm=1")]
    [DataRow("4.17.0", "hvm", "memory=2048\nhap=0")]
    [DataRow("4.17.0", "hvm", "memory=2048\nhap=0\npassthrough=\"sync_pt\"")]
    [DataRow("4.17.0", "hvm", "memory=2048\npassthrough=\"share_pt\"\npci=['17:00.0']")]
    [DataRow("4.12.0", "pv", "memory=2048\npassthrough=\"share_pt\"")]
    [DataRow("4.16.0", "hvm", OnDemand + "passthrough=\"enabled\"")]
    [DataRow("4.18.0", "pv", "memory=2048\naltp2m=\"external\"\naltp2m_count=4")]
    [DataRow("4.18.0", "hvm", "memory=2048\nhap=0\naltp2m=\"external\"")]
    [DataRow("4.21.0", "pvh", "memory=2048\naltp2m=\"external\"\naltp2m_count=512")]
    [DataRow("4.21.0", "hvm", "memory=2048\naltp2m=\"external\"")]
    [DataRow("4.21.0", "pv", "memory=2048\naltp2m_count=0")]
    public void A_guest_with_one_of_them_or_of_an_older_Xen_is_created(string xen, string type, string config)
    {
        Plan plan = PlanOf(xen, type, config);

        Assert.IsFalse(plan.Problems.Any(static problem => problem.Code == ProblemCodes.GuestDoesNotStart), string.Join('\n', plan.Problems));
    }

    private static Plan PlanOf(string xen, string type, string config)
    {
        Assert.IsTrue(XenVersion.TryParse(xen, out XenVersion version));
        string kind = type == "hvm" ? "builder=\"hvm\"" : $"type=\"{type}\"";
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes($"name=\"a\"\n{kind}\n{config}\n")), "a.cfg")
            .TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        return Planner.Plan(new() { Host = Host.Unknown with { Traits = new() { XenVersion = version } }, Guest = guest.Guest });
    }
}
