// SPDX-License-Identifier: GPL-2.0-only

using System.Linq;
using Keyhole.Hosts;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Hosts;

/// <summary>Of a command line what is about memory is kept, and nothing else.</summary>
[TestClass]
public sealed class KernelOptionsTests
{
    [TestMethod]
    [DataRow("BOOT_IMAGE=/vmlinuz root=UUID=4711 ro quiet nokaslr mem=4G user=alice", "nokaslr mem=4G")]
    [DataRow("memmap=1G$4G,2G!8G memmap=exactmap", "memmap=1G$4G memmap=2G!8G memmap=exactmap")]
    [DataRow("default_hugepagesz=1G hugepagesz=2M hugepages=0:4,1:4", "default_hugepagesz=1G hugepagesz=2M hugepages=0:4,1:4")]
    [DataRow("\"memmap=1G$4G\" mem= memmap=", "memmap=1G$4G")]
    [DataRow("efi=runtime crashkernel=512M,high movable_node -- mem=1G", "efi=runtime crashkernel=512M,high movable_node")]
    [DataRow("mem=4G\u00e4b memory=1G xmem=2G MEM=3G", "mem=4G")]
    [DataRow("", "")]
    public void What_is_about_memory_is_kept(string commandLine, string kept) =>
        Assert.AreEqual(kept, string.Join(' ', KernelOptions.Of(commandLine)));

    /// <summary>A capture is read by the same rule.</summary>
    [TestMethod]
    public void What_is_kept_is_kept_again()
    {
        string hostile = string.Join(' ', Enumerable.Range(1, 400).Select(static i => $"memmap={new string('1', i)}\"\",\"{i}M$0x1\"\t,"));

        string once = string.Join(' ', KernelOptions.Of(hostile));

        Assert.HasCount(KernelOptions.MaxCount, KernelOptions.Of(hostile));
        Assert.IsTrue(KernelOptions.Of(hostile).All(static option => option.Length <= KernelOptions.MaxLength));
        Assert.AreEqual(once, string.Join(' ', KernelOptions.Of(once)));
    }

    [TestMethod]
    [DataRow("memmap=1G$0x100000000", "memmap=1G$0x100000000")]
    [DataRow("memmap=64K%0xdeadb000-2+1", "memmap=64K%0xdeadb000-2+1")]
    [DataRow("memmap=1G\\$4G", "memmap=1G\\$4G")]
    [DataRow("memmap=1Galice", "memmap=1G")]
    [DataRow("memmap=exactmap", "memmap=exactmap")]
    [DataRow("efi=alice,runtime,deadbeef", "efi=,runtime,")]
    [DataRow("crashkernel=0M-2G:64M,2G-:128M,high", "crashkernel=0M-2G:64M,2G-:128M,high")]
    [DataRow("nokaslr", "nokaslr")]
    public void Others_learn_numbers_and_words_of_Linuxs_own(string option, string told) => Assert.AreEqual(told, KernelOptions.ToAnonymous(option));
}
