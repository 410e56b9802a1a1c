// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Pci;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests.Qemu;

[TestClass]
public sealed class QemuCommandLineTests
{
    private const ulong GiB = 1UL << 30;

    internal static GuestSpec Read(string text) => ReadDocument(text).Guest;

    internal static GuestDocument ReadDocument(string text)
    {
        Parsed<GuestDocument> read = GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "qemu.cmd");
        Assert.IsTrue(read.TryGet(out GuestDocument? guest, out InputError? error), error?.ToString());
        Assert.IsNotNull(guest.Guest.Qemu);
        return guest;
    }

    private static string Error(string text)
    {
        Parsed<GuestDocument> read = GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "qemu.cmd");
        Assert.IsFalse(read.TryGet(out _, out InputError? error));
        string line = error!.ToString();
        Assert.IsFalse(line.Contains('\n', StringComparison.Ordinal));
        return line;
    }

    private static QemuMachine Machine(string text) => Read(text).Qemu!.Machine;

    private static string Devices(string text) => string.Join(" ", Machine(text).Devices.Select(Text));

    private static string Text(QemuDevice device) =>
        string.Join(",", new[] { device.Driver }.Concat(device.Properties.Select(property => $"{property.Name}={property.Value}")));

    [TestMethod]
    public void Options_without_a_program_are_a_command()
    {
        GuestSpec guest = Read("-machine q35,accel=kvm -cpu host -m 8G -device vfio-pci,host=0000:08:00.0\n");
        Assert.AreEqual(GuestType.Kvm, guest.Type);
        Assert.AreEqual(8UL << 20, guest.MemoryKiB);
        Assert.AreEqual("0000:08:00.0", guest.Pci.Single().ToString());
        Assert.IsTrue(guest.Qemu!.IsKvm);
        Assert.AreEqual("host", guest.Qemu.Cpu.Model);
        Assert.AreEqual(QemuChipset.Q35, guest.Qemu.Machine.Type.Chipset);
    }

    [TestMethod]
    public void A_script_s_command_is_read_over_continuations_quotes_and_comments()
    {
        const string script = """
            #!/bin/sh
            # the GPU of bus 1
            sudo taskset -c 0-3 /usr/bin/qemu-system-x86_64 \
              -name 'my guest',debug-threads=on \
              -machine pc-q35-7.2,usb=off \
              -m size=4096,slots=4,maxmem="16G" \
              -device pcie-root-port,id=r1,chassis=1,bus=pcie.0,addr=0x2 \
              -device "vfio-pci,host=01:00.0,bus=r1"\
              -append "root=/dev/vda console=ttyS0" &
            echo started
            """;
        GuestSpec guest = Read(script);
        Assert.AreEqual("my guest", guest.Name);
        Assert.AreEqual("pc-q35-7.2", guest.Qemu!.Machine.Type.ToString());
        Assert.AreEqual(4 * GiB, guest.Qemu.Machine.MemoryBytes);
        Assert.AreEqual(16 * GiB, guest.Qemu.Machine.MaxMemoryBytes);
        Assert.AreEqual(4, guest.Qemu.Machine.MemorySlots);
        Assert.AreEqual("pcie-root-port,id=r1,chassis=1,bus=pcie.0,addr=0x2 vfio-pci,host=01:00.0,bus=r1", Devices(script));
    }

    [TestMethod]
    public void Lines_that_lost_their_backslashes_go_on_with_an_option_or_its_value()
    {
        Assert.AreEqual("pci-testdev,membar=1G e1000,addr=4",
            Devices("qemu-system-x86_64 -m 1G\n -device\n pci-testdev,membar=1G\n\n  -device e1000,addr=4\nDone.\n"));
    }

    [TestMethod]
    [DataRow("12345 ?        Sl     5:00 /usr/bin/qemu-system-x86_64 -name guest=a b c,debug-threads=on -m 2048 -device "
        + "{\"driver\":\"pci-testdev\",\"membar\":1073741824}")]
    [DataRow("libvirt+ 12345 50.0  3.1 9000000 4000000 ?  Sl  10:00   5:00 /usr/bin/qemu-system-x86_64 -name guest=a b c,debug-threads=on -m 2048 "
        + "-device {\"driver\":\"pci-testdev\",\"membar\":1073741824}")]
    [DataRow("root     12345     1 50 10:00 ?        00:05:00 /usr/bin/qemu-system-x86_64 -name guest=a b c,debug-threads=on -m 2048 -device "
        + "{\"driver\":\"pci-testdev\",\"membar\":1073741824}")]
    [DataRow("12345 qemu-system-x86_64 -name guest=a b c,debug-threads=on -m 2048 -device {\"driver\":\"pci-testdev\",\"membar\":1073741824}")]
    public void A_line_of_a_process_listing_has_no_quotes_left(string line)
    {
        string listing =
            $"  PID TTY      STAT   TIME COMMAND\n{line}\nroot  12399  1  0 10:01 pts/0  00:00:00 grep --color=auto qemu-system-x86_64\n";
        GuestSpec guest = Read(listing);
        Assert.AreEqual("a b c", guest.Name);
        Assert.AreEqual(2 * GiB, guest.Qemu!.Machine.MemoryBytes);
        Assert.AreEqual("pci-testdev,membar=1073741824", Devices(listing));
    }

    [TestMethod]
    public void The_cmdline_of_a_process_is_separated_by_NULs()
    {
        GuestSpec guest = Read("/usr/libexec/qemu-kvm\0-name\0guest=two words\0-machine\0pc-q35-rhel9.2.0\0-m\0size=1048576k\0");
        Assert.AreEqual("two words", guest.Name);
        Assert.AreEqual(GiB, guest.Qemu!.Machine.MemoryBytes);
        Assert.IsTrue(guest.Qemu.IsKvm);
    }

    [TestMethod]
    public void Of_libvirt_s_log_the_last_start_counts_and_QEMU_s_release_is_read()
    {
        const string log = """
            2026-01-02 10:00:00.000+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4+deb12u2 (Debian), qemu version: 7.2.22Debian 1:7.2+dfsg-7+deb12u18, kernel: 6.1.0-40-amd64, hostname: h
            LC_ALL=C \
            PATH=/usr/local/sbin:/usr/bin \
            /usr/bin/qemu-system-x86_64 \
            -name guest=g,debug-threads=on \
            -m size=1048576k \
            -msg timestamp=on
            char device redirected to /dev/pts/1 (label charserial0)
            2026-01-02T10:00:01.000000Z qemu-system-x86_64: terminating on signal 15 from pid 1 (/usr/sbin/libvirtd)
            2026-01-03 10:00:00.000+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4+deb12u2 (Debian), qemu version: 7.2.22Debian 1:7.2+dfsg-7+deb12u18, kernel: 6.1.0-40-amd64, hostname: h
            LC_ALL=C \
            /usr/bin/qemu-system-x86_64 \
            -name guest=g,debug-threads=on \
            -blockdev '{"driver":"file","filename":"/usr/share/OVMF/OVMF_CODE_4M.ms.fd","node-name":"libvirt-pflash0-storage","auto-read-only":true,"discard":"unmap"}' \
            -blockdev '{"node-name":"libvirt-pflash0-format","read-only":true,"driver":"raw","file":"libvirt-pflash0-storage"}' \
            -machine pc-q35-7.2,usb=off,vmport=off,dump-guest-core=off,memory-backend=pc.ram,pflash0=libvirt-pflash0-format \
            -accel kvm \
            -cpu host,migratable=on \
            -m size=2097152k \
            -object '{"qom-type":"memory-backend-ram","id":"pc.ram","size":2147483648}' \
            -device '{"driver":"pcie-root-port","port":16,"chassis":1,"id":"pci.1","bus":"pcie.0","multifunction":true,"addr":"0x2"}' \
            -device '{"driver":"vfio-pci","host":"0000:01:00.0","id":"hostdev0","bus":"pci.1","addr":"0x0"}' \
            -device virtio-balloon-pci,id=balloon0,bus=pcie.0,addr=0x5 \
            -nodefaults \
            -msg timestamp=on
            """;
        GuestDocument document = ReadDocument(log);
        GuestSpec guest = document.Guest;
        Assert.AreEqual("the log tells 2 starts of the guest; the last one, line 12, is read", document.Remarks.Single());
        QemuGuest qemu = guest.Qemu!;
        Assert.AreEqual(new QemuVersion(7, 2), qemu.Emulator);
        Assert.AreEqual(new QemuVersion(6, 1), qemu.HostKernel);
        Assert.AreEqual(FirmwareName.Ovmf, qemu.Firmware);
        Assert.AreEqual("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", qemu.FirmwareFile);
        Assert.AreEqual("ovmf-2022.11", qemu.Machine.Firmware.ToString());
        // Those in JSON are added behind the others.
        Assert.AreEqual(
            "virtio-balloon-pci,id=balloon0,bus=pcie.0,addr=0x5 pcie-root-port,port=16,chassis=1,id=pci.1,bus=pcie.0,multifunction=on,addr=0x2 "
            + "vfio-pci,host=0000:01:00.0,id=hostdev0,bus=pci.1,addr=0x0", Devices(log));
    }

    [TestMethod]
    [DataRow("-m 512", 512UL << 20)]
    [DataRow("-m 1.5G", 1536UL << 20)]
    [DataRow("-m 1T", 1024 * GiB)]
    [DataRow("-m size=2048m", 2 * GiB)]
    [DataRow("-m 2g", 2 * GiB)]
    [DataRow("-m 0x400", GiB)]
    [DataRow("-M q35,memory.size=3G", 3 * GiB)]
    [DataRow("-object memory-backend-memfd,id=m,size=5G,share=on -M pc,memory-backend=m", 5 * GiB)]
    [DataRow("-M pc", 128UL << 20)]
    public void Memory_has_many_forms(string options, ulong expected) => Assert.AreEqual(expected, Machine(options).MemoryBytes);

    [TestMethod]
    [DataRow("-enable-kvm -cpu host", CpuVendor.Amd, 43, true)]
    [DataRow("-enable-kvm -cpu host,host-phys-bits-limit=39", CpuVendor.Amd, 39, true)]
    [DataRow("-enable-kvm -cpu host,host-phys-bits=off", CpuVendor.Amd, 40, true)]
    [DataRow("-enable-kvm -cpu Skylake-Server,phys-bits=46", CpuVendor.Amd, 46, true)]
    [DataRow("-enable-kvm -cpu Skylake-Server,host-phys-bits=on,-pdpe1gb", CpuVendor.Amd, 43, false)]
    [DataRow("-enable-kvm -cpu EPYC,vendor=GenuineIntel", CpuVendor.Intel, 40, true)]
    [DataRow("-cpu EPYC,phys-bits=48", CpuVendor.Amd, 48, true)]
    [DataRow("-cpu qemu64,+pdpe1gb", CpuVendor.Amd, 40, true)]
    [DataRow("-cpu max,host-phys-bits=on", CpuVendor.Amd, 40, true)]
    [DataRow("-enable-kvm -M pc-q35-rhel9.2.0 -cpu Haswell", CpuVendor.Amd, 43, false)]
    [DataRow("-enable-kvm -M pc-q35-noble-hpb -cpu Haswell", CpuVendor.Amd, 43, false)]
    [DataRow("-cpu pentium3", CpuVendor.Intel, 36, false)]
    public void The_processor_follows_from_model_settings_and_host(string options, CpuVendor vendor, int bits, bool hasGiBPages)
    {
        var host = new QemuSurroundings { HostVendor = CpuVendor.Amd, HostPhysBits = 43, HostHasGiBPages = true, Emulator = new(8, 0) };
        Assert.IsTrue(Read(options).Qemu!.TryResolve(host, out QemuMachine machine, out _));
        Assert.AreEqual(new QemuCpu(vendor, bits) { HasGiBPages = hasGiBPages }, machine.Cpu with { IsHosts = false, MostMappedBits = 48 });
    }

    [TestMethod]
    [DataRow("-bios /tmp/coreboot.rom", null)]
    [DataRow("-bios /home/me/fw.bin", null)]
    [DataRow("-drive if=pflash,format=raw,file=/tmp/coreboot.fd", null)]
    [DataRow("-bios /usr/share/qemu/qboot.rom", null)]
    [DataRow("-drive if=pflash,format=raw,file=/usr/share/edk2/x64/CODE.fd", FirmwareName.Ovmf)]
    [DataRow("-bios /tmp/OVMF-mine.bin", FirmwareName.Ovmf)]
    [DataRow("-bios bios-256k.bin", FirmwareName.SeaBios)]
    [DataRow("", FirmwareName.SeaBios)]
    public void A_firmware_is_what_its_name_tells_and_else_not_known(string options, FirmwareName? name) =>
        Assert.AreEqual(name, Read($"-M q35,accel=kvm -cpu host {options}").Qemu!.Firmware);

    [TestMethod]
    public void What_was_assumed_is_told()
    {
        Assert.IsTrue(Read("-M q35,accel=kvm -cpu host -bios /usr/share/qemu/coreboot.rom -device vfio-pci,host=1:0.0").Qemu!.TryResolve(
            QemuSurroundings.Unknown, out QemuMachine machine, out System.Collections.Immutable.ImmutableArray<QemuAssumption> assumptions));
        CollectionAssert.AreEquivalent(
            new[]
            {
                QemuUnknown.Emulator, QemuUnknown.FirmwareName, QemuUnknown.CpuVendor, QemuUnknown.GiBPages,
                QemuUnknown.PhysBits,
                QemuUnknown.GuestPhysBits, QemuUnknown.HostDevice,
            },
            assumptions.Select(assumption => assumption.Unknown).ToArray());
        Assert.AreEqual(46, machine.Cpu.PhysBits);
    }

    [TestMethod]
    [DataRow("", "std", "e1000", 1)]
    [DataRow("-M q35", "std", "e1000e", 1)]
    [DataRow("-M pc-q35-2.11", "std", "e1000", 1)]
    [DataRow("-M pc-i440fx-2.1", "cirrus", "e1000", 1)]
    [DataRow("-nodefaults", "none", "", 0)]
    [DataRow("-nodefaults -vga qxl", "qxl", "", 0)]
    [DataRow("-device virtio-vga -net none", "none", "", 1)]
    [DataRow("-netdev user,id=n -hda a.img -cdrom b.iso", "std", "", 2)]
    [DataRow("-net nic,model=virtio -nic user -nic tap,model=rtl8139 a.img", "std", "e1000,rtl8139,virtio-net-pci", 2)]
    // A disk that stands among the devices is counted there, once.
    [DataRow("-drive file=a,if=none,id=d -device ide-hd,bus=ide.0,drive=d", "std", "e1000", 0)]
    public void The_board_s_own_devices_are_those_that_QEMU_adds(string options, string vga, string nics, int disks)
    {
        QemuMachine machine = Machine("qemu-system-x86_64 -m 1G " + options);
        Assert.AreEqual((vga, nics, disks), (machine.Vga, string.Join(",", machine.Nics), machine.BoardDisks));
    }

    [TestMethod]
    public void Disks_with_if_virtio_stand_behind_the_devices_and_JSON_behind_those()
    {
        Assert.AreEqual(
            "e1000 pci-testdev,membar=1G virtio-blk-pci virtio-blk-pci,addr=7 nvme,serial=a",
            Devices("-drive file=a,if=virtio -device e1000 -drive if=virtio,addr=7 -device "
                + "'{\"driver\":\"nvme\",\"serial\":\"a\"}' -device pci-testdev,membar=1G"));
    }

    [TestMethod]
    public void What_is_set_behind_a_device_is_its_own()
    {
        Assert.AreEqual("e1000,id=n,addr=3 e1000,id=m", Devices("-device e1000,id=n -device e1000,id=m -set device.n.addr=3"));
        StringAssert.StartsWith(Error("-M pc\n-set device.x.addr=3"), "qemu.cmd:2: there is no device \"x\"");
    }

    [TestMethod]
    public void Proxmox_s_file_of_bridges_is_known_by_its_name()
    {
        QemuMachine machine =
            Machine("/usr/bin/kvm -id 100 -readconfig /usr/share/qemu-server/pve-q35-4.0.cfg -device "
                + "VGA,id=vga,bus=pcie.0,addr=0x1 -machine type=pc-q35-9.2+pve1");
        Assert.AreEqual(19, machine.Devices.Length);
        Assert.AreEqual("pcie-root-port,id=ich9-pcie-port-1,x-speed=16,x-width=32,multifunction=on,bus=pcie.0,addr=1c.0,port=1,chassis=1",
            Text(machine.Devices[9]));
        Assert.AreEqual("pc-q35-9.2", machine.Type.ToString());
    }

    [TestMethod]
    public void Settings_for_firmware_and_host_bridge_are_kept()
    {
        QemuMachine machine =
            Machine("-M q35,max_ram_below_4g=2G -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=65536 -global q35-pcihost.pci-hole64-size=64G -global "
                + "driver=pcie-root-port,property=io-reserve,value=0");
        Assert.AreEqual("65536", machine.FwCfgValue("opt/ovmf/X-PciMmio64Mb"));
        Assert.AreEqual("64G", machine.Global("q35-pcihost", "pci-hole64-size"));
        Assert.AreEqual("0", machine.Global("pcie-root-port", "io-reserve"));
        Assert.AreEqual(2 * GiB, machine.MaxRamBelow4GiB);
    }

    [TestMethod]
    [DataRow("", "seabios-1.16.1")]
    [DataRow("-bios /usr/share/seabios/bios-256k.bin", "seabios-1.16.1")]
    [DataRow("-bios /nix/store/x-seabios-1.16.3/bios.bin", "seabios-1.16.3")]
    [DataRow("-bios /usr/share/OVMF/OVMF_CODE.fd", "ovmf-2022.11")]
    [DataRow("-drive if=pflash,unit=1,file=vars.fd -drive if=pflash,unit=0,file=/usr/share/qemu/edk2-x86_64-code.fd", "edk2-stable202202")]
    [DataRow("-pflash /nix/store/abc-OVMF-202402-fd/FV/OVMF_CODE.fd", "edk2-stable202402")]
    [DataRow("-drive if=pflash,file=/opt/edk2-ovmf-2024.05/OVMF.fd", "ovmf-2024.05")]
    [DataRow("-drive if=pflash,file=/usr/share/pve-edk2-firmware//OVMF_CODE_4M.secboot.fd", "pve-edk2-2023.02-4")]
    public void The_firmware_is_told_by_its_file_or_guessed_from_QEMU_s_release(string options, string expected) =>
        Assert.AreEqual(expected, Machine("qemu-system-x86_64 -M pc-q35-7.2 " + options).Firmware.ToString());

    [TestMethod]
    [DataRow("-m 1G,slots=300,maxmem=4G", "qemu.cmd:1: \"300\" is not a valid number of slots for memory; write 0 to 256")]
    [DataRow("-m lots", "qemu.cmd:1: size \"lots\" is not a size of memory")]
    [DataRow("-M pc\n-m 8G,maxmem=16", "qemu.cmd: maxmem is 16 B, less than the memory")]
    [DataRow("-M microvm", "qemu.cmd:1: the machine type \"microvm\"")]
    [DataRow("qemu-system-aarch64 -M virt", "qemu.cmd: \"qemu-system-aarch64\" is not a machine of x86")]
    [DataRow("-M q35 \\\n -device \"$GPU\"", "qemu.cmd:2: \"$GPU\" is filled in by a shell")]
    [DataRow("qemu-system-x86_64 \"${ARGS[@]}\" -m 1G", "qemu.cmd:1: \"${ARGS[@]}\" is filled in by a shell")]
    [DataRow("-device", "qemu.cmd:1: \"-device\" has no value")]
    [DataRow("-device '{\"driver\":}'", "qemu.cmd:1: \"{\"driver\":}\" is malformed JSON")]
    [DataRow("-device ,addr=3", "qemu.cmd:1: \",addr=3\" names no device")]
    [DataRow("-cpu host,phys-bits=many", "qemu.cmd:1: \"many\" in \"host,phys-bits=many\" is not a valid width")]
    [DataRow("-readconfig my.cfg", "qemu.cmd:1: the devices of \"my.cfg\" are not known")]
    [DataRow("-fw_cfg name=opt/ovmf/X-PciMmio64Mb,file=a", "qemu.cmd:1: the value of opt/ovmf/X-PciMmio64Mb stands in a file")]
    [DataRow("qemu-system-x86_64 -m 4G -name 'foo -device vfio-pci,host=01:00.0",
        "qemu.cmd:1: the quote is never closed that begins in \"'foo -device vfio-pci,host=01:00.0\"; close it")]
    [DataRow("qemu-system-x86_64 -m 4G \\\n -name \"foo \\\n -device vfio-pci,host=01:00.0\n",
        "qemu.cmd:2: the quote is never closed that begins in \"\"foo")]
    [DataRow("-m 4G -device vfio-pci,host=zz:00.0", "qemu.cmd:1: \"zz:00.0\" is not a valid PCI address: QEMU refuses it (\"Property "
        + "'vfio-pci.host' doesn't take value 'zz:00.0'\")")]
    [DataRow("-device '{\"driver\":\"vfio-pci\",\"host\":\"01:00\"}'", "qemu.cmd:1: \"01:00\" is not a valid PCI address")]
    [DataRow("-global foo", "qemu.cmd:1: \"foo\" is not a valid global property")]
    [DataRow("1 /usr/bin/kvm -m 1G\n2 /usr/bin/kvm -m 2G", "qemu.cmd:2: a second command of QEMU (the first stands in line 1)")]
    public void What_cannot_be_read_is_one_line_with_its_place(string text, string start) => StringAssert.StartsWith(Error(text), start);

    [TestMethod]
    [DataRow("RAM=4G\nGPU='pci-testdev'\nqemu-system-x86_64 -m $RAM -device \"$GPU\"")]
    [DataRow("export RAM=\"4G\" # as much\nreadonly GPU=pci-testdev;\nqemu-system-x86_64 -m \"${RAM}\" -device ${GPU}")]
    [DataRow("S=4\nif [ -n \"$1\" ]; then\n  echo \"$S\"\nfi\nqemu-system-x86_64 -m ${S}G -device pci-testdev")]
    public void A_variable_that_the_script_sets_to_plain_text_is_filled_in(string text)
    {
        Assert.AreEqual(4UL << 20, Read(text).MemoryKiB);
        Assert.AreEqual("pci-testdev", Devices(text));
    }

    [TestMethod]
    [DataRow("RAM=$(free -g)")]
    [DataRow("RAM=`free -g`")]
    [DataRow("RAM=\"$1\"")]
    [DataRow("RAM=4G\nRAM=8G")]
    [DataRow("if true; then\nRAM=4G\nfi")]
    [DataRow("if true; then\n  RAM=4G\nfi")]
    [DataRow("RAM=4G\nread RAM")]
    [DataRow("RAM=4G\n[ -n \"$1\" ] && RAM=$1")]
    [DataRow("RAM=4G\n: ${RAM:=8G}\nRAM+=0")]
    [DataRow("RAM=4G\nsource ./my.conf")]
    [DataRow("RAM=4G\n[ -f ~/.vmrc ] && . ~/.vmrc")]
    [DataRow("RAM=4G\nif [ -f vm.conf ]; then source vm.conf; fi")]
    [DataRow("RAM=4G\n. ./my.conf")]
    [DataRow("cat <<EOF\nRAM=4G\nEOF")]
    [DataRow("usage=\"\nRAM=4G\n\"")]
    [DataRow("RAM=4G qemu-img info a.img")]
    [DataRow("f() {\nRAM=4G\n}")]
    [DataRow("RAM='4G 8G'")]
    [DataRow("A=4G\n[ -n \"$1\" ] && A=8G\nRAM=$A")]
    [DataRow("A=4G\nRAM=\"$A$B\"")]
    [DataRow("env \\\nRAM=4G")]
    [DataRow("RAM=4G; export RAM")]
    [DataRow("#RAM=4G")]
    public void A_variable_that_may_have_another_value_is_not_filled_in(string above) =>
        StringAssert.Contains(Error($"{above}\nqemu-system-x86_64 -m $RAM -device pci-testdev"), "is filled in by a shell");

    [TestMethod]
    [DataRow("-device isa-applesmc,osk=\"$OSK\"")]
    [DataRow("-device virtio-net-pci,netdev=n,mac=$MAC")]
    [DataRow("-device virtio-blk-pci,drive=\"${DISK}\",id=$NAME")]
    [DataRow("-name \"$NAME\"")]
    [DataRow("-nic user,model=virtio-net-pci,mac=$MAC")]
    [DataRow("-bios \"$DIR/OVMF_CODE.fd\"")]
    [DataRow("-object input-linux,id=k,evdev=$KEYBOARD")]
    [DataRow("-fw_cfg name=opt/com.example/key,string=\"$KEY\"")]
    public void A_variable_on_which_the_map_does_not_hang_needs_no_value(string option) =>
        Assert.AreEqual(1UL << 20, Read($"qemu-system-x86_64 -m 1G {option}").MemoryKiB);

    [TestMethod]
    [DataRow("-device virtio-net-pci,netdev=n,addr=$SLOT")]
    [DataRow("-device virtio-blk-pci,drive=d$MORE")]
    [DataRow("-device pcie-root-port,id=$PORT")]
    [DataRow("-device vfio-pci,host=$GPU")]
    [DataRow("-device $MODEL,mac=52:54:00:12:34:56")]
    [DataRow("-object memory-backend-ram,id=m,size=$SIZE")]
    [DataRow("-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=$SIZE")]
    [DataRow("-bios \"$FIRMWARE\"")]
    [DataRow("-nic user,model=$MODEL")]
    [DataRow("-cpu host,phys-bits=$BITS")]
    public void A_variable_on_which_the_map_hangs_needs_a_value(string option) =>
        StringAssert.Contains(Error($"qemu-system-x86_64 -m 1G {option}"), "is filled in by a shell");

    [TestMethod]
    [DataRow("4711 ? Sl 1:02 /usr/bin/qemu-system-x86_64 -name bob's pc -m 4G -device pci-testdev", "bob's pc")]
    [DataRow("/usr/bin/qemu-system-x86_64 -name bob's pc -m 4G -device pci-testdev", "bob's pc")]
    [DataRow("/usr/bin/qemu-system-x86_64\0-name\0bob's 'pc\0-m\u00004G\0-device\0pci-testdev\0", "bob's 'pc")]
    [DataRow("sh -c 'exec qemu-system-x86_64 -name bob -m 4G -device pci-testdev'", "bob")]
    [DataRow("sh -c \"qemu-system-x86_64 -name 'a b' -m 4G -device pci-testdev\" && echo \"done\"", "a b")]
    [DataRow("ssh host '\nqemu-system-x86_64 -name bob \\\n -m 4G \\\n -device pci-testdev'\n", "bob")]
    [DataRow("root@bob's-pc:~# qemu-system-x86_64 -name 'a b' -m 4G -device pci-testdev", "a b")]
    [DataRow("qemu-system-x86_64 -name $'bob\\'s pc' -m 4G -device pci-testdev", "bob\\'s pc")]
    public void A_quote_that_quotes_nothing_takes_no_option_away(string text, string name)
    {
        GuestSpec guest = Read(text);
        Assert.AreEqual((name, 4UL << 20), (guest.Name, guest.MemoryKiB));
        Assert.AreEqual("pci-testdev", Devices(text));
    }

    [TestMethod]
    [DataRow("device_model_override=\"/usr/bin/qemu-system-i386\"")]
    [DataRow("device_model_override = \"/usr/bin/qemu-system-i386\"")]
    [DataRow("device_model_override= '/usr/bin/qemu-system-x86_64'")]
    public void The_program_s_name_alone_makes_no_command_of_an_xl_cfg(string model)
    {
        string xl = $"name=\"a\"\nmemory=512\n{model}\n# qemu-system-x86_64 -m 1G\n";
        Assert.IsTrue(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(xl)), "a.cfg").TryGet(out GuestDocument? guest, out _));
        Assert.IsNull(guest.Guest.Qemu);
    }

    [TestMethod]
    public void An_unknown_device_stays_in_the_list()
    {
        Assert.AreEqual("no-such-device,x=on", Devices("-M q35 -device no-such-device,x"));
    }

    [TestMethod]
    public void A_function_of_the_host_asks_for_what_its_listing_says()
    {
        var listed = new PciDevice(PciAddress.Create(1, 0, 0), "",
            [new Bar(1, BarKind.Memory, 0x2000000000, 0x4000000000, Is64Bit: true, IsPrefetchable: true)]) { VendorId = 0x10de };
        Assert.IsTrue(Read("-M q35 -device vfio-pci,host=01:00.0").Qemu!.TryResolve(new() { Devices = [listed] }, out QemuMachine machine, out _));
        Assert.AreEqual(BarRequest.Create(1, 0x2000000000, BarType.Memory64Prefetchable), machine.Devices.Single().Host!.Bars.Single());
        Assert.AreEqual(0x10de, machine.Devices.Single().Host!.VendorId);
    }

    [TestMethod]
    [Timeout(20_000)]
    public void Hostile_text_takes_bounded_time()
    {
        string blanks = new(' ', 500_000);
        Read("1 /usr/bin/kvm -name a" + blanks + "-m 1G" + blanks);
        Error("qemu-system-x86_64 -name " + string.Concat(Enumerable.Repeat("a ", 400_000)) + "-m 1G");
        Error("1 /usr/bin/kvm " + string.Concat(Enumerable.Repeat("-device a ", 100_000)));
        Error("-device '" + new string('{', 500_000));
        Read("-device a," + new string(',', 500_000) + "=" + new string(',', 500_000));
        Error(string.Concat(Enumerable.Repeat("-M pc\\\n", 100_000)) + "-device $X");
    }

    [TestMethod]
    [DataRow("{\"component\":\"virt-launcher\",\"msg\":\"2023-06-08 18:18:34.719+0000: starting up libvirt version: 9.0.0, "
        + "qemu version: 7.2.0qemu-kvm-7.2.0-6.el9, "
        + "kernel: 5.19.0\"}\n"
        + "{\"component\":\"virt-launcher\",\"msg\":\"LC_ALL=C \\\\HOME=/var/lib /usr/libexec/qemu-kvm \\\\-machine pc-q35-rhel9.2.0 "
        + "\\\\-m size=33554432k \\\\-device '{\\\"driver\\\":\\\"VGA\\\"}'\"}\n"
        + "{\"component\":\"virt-launcher\",\"msg\":\"[SeaBios]: Found 20 PCI devices\"}\n")]
    [DataRow("2023-06-08T18:18:34Z stdout F {\"log\":\"/usr/libexec/qemu-kvm -machine pc-q35-7.2 -m 32G -device VGA\\n\"}\n")]
    public void Of_a_log_in_JSON_what_each_line_logs_is_read(string log)
    {
        GuestSpec guest = Read(log);
        Assert.AreEqual(32UL << 20, guest.MemoryKiB);
        Assert.AreEqual("VGA", guest.Qemu!.Machine.Devices.Single().Driver);
        Assert.AreEqual(new QemuVersion(7, 2), guest.Qemu.Machine.Emulator);
    }

    [TestMethod]
    [DataRow("/usr/bin/qemu-system-x86_64 \\\n-name guest=a,debug-threads=on \\\n-S \\\n")]
    [DataRow("/usr/bin/qemu-system-x86_64\n")]
    [DataRow("/usr/bin/qemu-system-x86_64\0-name\0a\0")]
    public void A_command_of_which_no_option_of_the_guest_could_be_read_is_no_guest_of_defaults(string text)
    {
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        Assert.IsFalse(GuestReader.Read(stream, "guest").TryGet(out _, out InputError? error));
        Assert.AreEqual(InputErrorCode.NothingInIt, error.Code);
    }
}
