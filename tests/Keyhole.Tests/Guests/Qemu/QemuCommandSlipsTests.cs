// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Linq;
using System.Text;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Guests.Qemu;

/// <summary>Commands as people paste them: cut, with a dash that got lost, made by a script or by another program.</summary>
[TestClass]
public sealed class QemuCommandSlipsTests
{
    private static string Error(string text)
    {
        Assert.IsFalse(GuestReader.Read(new MemoryStream(Encoding.UTF8.GetBytes(text)), "qemu.cmd").TryGet(out _, out InputError? error), text);
        return error!.ToString();
    }

    private static string Devices(string text) =>
        string.Join(" ", QemuCommandLineTests.Read(text).Qemu!.Machine.Devices.Select(static device => device.Driver));

    [TestMethod]
    [DataRow("qemu-system-x86_64 -M q35 \\\n  -nodefaults \\\n")]
    [DataRow("qemu-system-x86_64 -M q35 \\\n  -nodefaults \\   \n\n \n")]
    [DataRow("qemu-system-x86_64 -M q35 \\\n  -nodefaults \\")]
    public void A_command_that_ends_in_a_backslash_before_its_memory_is_not_all_there(string text) =>
        Assert.StartsWith("qemu.cmd:2: the command goes on behind this line, which ends in a backslash", Error(text));

    [TestMethod]
    [DataRow("qemu-system-x86_64 -M q35 -m 1G \\\n", true)]
    [DataRow("qemu-system-x86_64 -M q35 -m 1G \\\n\n", true)]
    [DataRow("qemu-system-x86_64 -M q35 \\\n\n -m 1G\n", false)]
    [DataRow("qemu-system-x86_64 -M q35 -m 1G \\\n\necho done\n", false)]
    public void A_backslash_behind_which_nothing_is_left_is_remarked(string text, bool isRemarked) => Assert.AreEqual(isRemarked,
        QemuCommandLineTests.ReadDocument(text).Remarks.Contains("line 1 ends in a backslash: if the command goes on, what follows is missing"));

    [TestMethod]
    [DataRow("-m 4G cpu host,kvm=on", "\"cpu\" has no dash before it")]
    [DataRow("-m 4G -device vfio-pci host=01:00.0", "\"host=01:00.0\" belongs to no option")]
    [DataRow("-m 4G \u2013device pci-testdev", "the dash before \"device\" is a typographic one")]
    [DataRow("-m 4G a.img b.img", "\"b.img\" belongs to no option: QEMU takes it for a disk's image, at the place of another disk")]
    [DataRow("-m 4G -hda a.img b.img", "\"b.img\" belongs to no option: QEMU takes it for a disk's image, at the place of another disk")]
    public void A_word_of_no_option_that_QEMU_ends_at_is_refused(string options, string words)
    {
        Assert.StartsWith($"qemu.cmd:1: {words}", Error($"qemu-system-x86_64 {options}"));
        Assert.StartsWith($"qemu.cmd:3: {words}", Error($"memory: 1024\nmachine: q35\nargs: {options}\n"));
    }

    [TestMethod]
    [DataRow("disk.img", false)]
    [DataRow("/dev/vg/a=b", false)]
    [DataRow("nbd:localhost:10809", false)]
    [DataRow("disk", true)]
    public void A_word_of_no_option_that_may_be_a_disk_is_one(string word, bool isRemarked)
    {
        GuestDocument guest = QemuCommandLineTests.ReadDocument($"qemu-system-x86_64 -m 1G {word}");

        Assert.AreEqual(1UL << 20, guest.Guest.MemoryKiB);
        Assert.AreEqual(isRemarked, guest.Remarks.Any(static remark => remark.Contains("belongs to no option", System.StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("# qemu-system-x86_64 -m 1G -device pci-testdev\n")]
    [DataRow("\n# qemu-system-x86_64 -m 1G \\\n  -device pci-testdev\n\n")]
    [DataRow("# qemu-system-x86_64 -m 1G -device pci-testdev\nQEMU 2.9.1 monitor - type 'help' for more information\n(qemu) c\n")]
    [DataRow("# qemu-system-x86_64 -m 1G -device pci-testdev\nqemu-system-x86_64: VFIO_MAP_DMA: -14\nqemu: hardware error: x\n")]
    [DataRow("# qemu-system-x86_64 -m 4G -device e1000\nqemu-system-x86_64 -m 1G -device pci-testdev\n")]
    public void A_command_behind_roots_prompt_is_one_and_a_scripts_comment_is_none(string text)
    {
        Assert.AreEqual("pci-testdev", Devices(text));
        Assert.AreEqual(1UL << 20, QemuCommandLineTests.ReadDocument(text).Guest.MemoryKiB);
        Assert.IsTrue(QemuCommandText.NamesProgram(text));
    }

    [TestMethod]
    public void The_monitor_tells_the_release_of_QEMU() => Assert.AreEqual(
        "2.9",
        QemuCommandLineTests.Read("$ qemu-system-x86_64 -m 1G\nQEMU 2.9.1 monitor - type 'help' for more information\n").Qemu!.Emulator.ToString());

    [TestMethod]
    [DataRow("kvm -M q35 -m 1G -device pci-testdev")]
    [DataRow("/usr/bin/kvm-spice -M q35 -m 1G -device pci-testdev")]
    [DataRow("sudo kvm -m 1G \\\n -device pci-testdev")]
    public void Debians_short_name_is_the_program(string text) => Assert.AreEqual("pci-testdev", Devices(text));

    [TestMethod]
    [DataRow("2>/dev/null", false)]
    [DataRow("2> /dev/null", false)]
    [DataRow(">/tmp/log 2>&1 &", false)]
    [DataRow("0</dev/null", false)]
    [DataRow("$@", true)]
    [DataRow("\"$@\"", true)]
    public void What_the_shell_takes_is_no_word_of_QEMUs(string end, bool isRemarked)
    {
        GuestDocument guest = QemuCommandLineTests.ReadDocument($"qemu-system-x86_64 -m 1G -hda a.img -device pci-testdev {end}\n");

        Assert.AreEqual("pci-testdev", Devices($"qemu-system-x86_64 -m 1G -hda a.img -device pci-testdev {end}\n"));
        Assert.AreEqual(isRemarked, guest.Remarks.Any(static remark => remark.Contains("is what the script is called with", System.StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("\"$QEMU\" -M q35 \\\n -m 1G -device pci-testdev")]
    [DataRow("numactl -m 1 -N 1 ${QEMU_BIN} \\\n -M q35 -m 1G -device pci-testdev")]
    [DataRow("QEMU=/opt/qemu/bin/qemu-system-x86_64\n$QEMU -M q35 -m 1G -device pci-testdev")]
    public void A_program_that_a_script_has_in_a_variable_is_QEMU(string text) => Assert.AreEqual("pci-testdev", Devices(text));

    [TestMethod]
    [DataRow("RAM=1G\nargs=(\n  -M q35 -m \"$RAM\" # as much\n\n  -device pci-testdev\n)\nqemu-system-x86_64 \"${args[@]}\"")]
    [DataRow("args=( -M q35 )\nargs+=( -m 1G\n-device pci-testdev )\nqemu-system-x86_64 -nodefaults ${args[@]} -S")]
    [DataRow("gpu=(-device pci-testdev)\nargs=(-m 1G \"${gpu[@]}\")\nqemu-system-x86_64 \\\n \"${args[@]}\"")]
    public void An_array_that_the_script_fills_once_and_for_all_is_put_in(string text)
    {
        Assert.AreEqual(1UL << 20, QemuCommandLineTests.Read(text).MemoryKiB);
        Assert.AreEqual("pci-testdev", Devices(text));
    }

    [TestMethod]
    [DataRow("OPTS=\"-M q35 -m 1G\"\nOPTS=\"$OPTS -device pci-testdev\"\nqemu-system-x86_64 $OPTS -S")]
    [DataRow("OPTS='-M q35'\nOPTS+=' -m 1G'\nOPTS=${OPTS}\" -device pci-testdev\" # the card\nqemu-system-x86_64 -S ${OPTS}")]
    [DataRow("RAM=1G\nexport OPTS=\"-m $RAM \\\n  -device pci-testdev\"\nqemu-system-x86_64 \\\n $OPTS \\\n -S")]
    [DataRow("sudo modprobe \\\n  vfio-pci\nMORE=\"\"\nOPTS=\"-m 1G $MORE\"\nqemu-system-x86_64 $OPTS $MORE -device pci-testdev")]
    [DataRow("OPTS=\"-m 1G\"\nargs=( $OPTS )\nOPTS=\"$OPTS -device e1000\"\nqemu-system-x86_64 -m 1G -device pci-testdev")]
    public void Options_that_a_script_appends_to_a_variable_are_followed(string text)
    {
        Assert.AreEqual(1UL << 20, QemuCommandLineTests.Read(text).MemoryKiB);
        Assert.AreEqual("pci-testdev", Devices(text));
    }

    [TestMethod]
    [DataRow("OPTS=\"-m 1G\"\nif [ -n \"$1\" ]; then\nOPTS=\"$OPTS -device pci-testdev\"\nfi")]
    [DataRow("OPTS=\"-m 1G\"\n[ -n \"$1\" ] && OPTS=\"$OPTS -device pci-testdev\"")]
    [DataRow("OPTS=\"-m 1G\"\nOPTS=\"$OPTS -device $CARD\"")]
    [DataRow("OPTS=\"$OPTS -m 1G\"")]
    [DataRow("OPTS=\"-m 1G\"\nsource ./more\nOPTS=\"$OPTS -device pci-testdev\"")]
    [DataRow("OPTS=\"-m 1G -name 'a b'\"")]
    [DataRow("IFS=,\nOPTS=\"-m 1G\"")]
    [DataRow("#!/bin/zsh\nOPTS=\"-m 1G\"")]
    public void Options_in_a_variable_that_may_be_others_are_not_put_in_and_are_named(string above)
    {
        string error = Error($"{above}\nqemu-system-x86_64 $OPTS");
        Assert.Contains("\"$OPTS\" is filled in by a shell", error);
        Assert.Contains("write the options that it stands for", error);
    }

    [TestMethod]
    [DataRow("-smp $(nproc)", "$(nproc)", "-smp 8")]
    [DataRow("-smp cores=`nproc`", "cores=`nproc`", "-smp 8")]
    [DataRow("-m $(free -m | awk '/Mem/ { print $2 }')", "$(free -m | awk '/Mem/ { print $2 }')", "-m 8G")]
    [DataRow("-m \"$(echo \"8G\")\"", "$(echo \"8G\")", "-m 8G")]
    [DataRow("-m $((4 * 1024))", "$((4 * 1024))", "-m 8G")]
    [DataRow("-cpu $MODEL,phys-bits=$(cat bits)", "$MODEL,phys-bits=$(cat bits)", "-cpu host")]
    public void What_a_command_would_print_is_not_guessed_and_what_to_write_is_said(string option, string what, string example)
    {
        string error = Error($"qemu-system-x86_64 -M q35 {option} -device pci-testdev");
        Assert.Contains($"\"{what}\" is filled in by a shell, and the map depends on {option.Split(' ')[0]}", error);
        Assert.Contains($"such as {example}:", error);
    }

    [TestMethod]
    [DataRow("-name \"vm-$(date \"+%s\")\"")]
    [DataRow("-name `date | tr ' ' '-'`")]
    [DataRow("-pidfile $(mktemp; true)")]
    [DataRow("-device virtio-net-pci,netdev=n,mac=$MAC -netdev user,id=n,hostfwd=$(port; echo)")]
    public void A_command_on_which_the_map_does_not_hang_takes_no_option_away_and_is_said(string option)
    {
        string text = $"qemu-system-x86_64 {option} -m 1G -device pci-testdev";
        Assert.EndsWith("pci-testdev", Devices(text));
        Assert.AreEqual(1UL << 20, QemuCommandLineTests.Read(text).MemoryKiB);
        Assert.IsTrue(QemuCommandLineTests.ReadDocument(text).Remarks.Any(static remark => remark.Contains("is not known: nothing is taken for it",
            System.StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("args=( -m 1G )\nif [ -n \"$1\" ]; then\n  args+=( -device pci-testdev )\nfi")]
    [DataRow("args=( -m 1G )\nargs=( -m 2G )")]
    [DataRow("args+=( -m 1G )")]
    [DataRow("args=( -m 1G )\nargs[1]=2G")]
    [DataRow("args=( -m 1G")]
    [DataRow("cat <<EOF\nargs=( -m 1G )\nEOF")]
    [DataRow("args=( -m 1G )\nsource ./more")]
    [DataRow("f() {\nargs=( -m 1G )\n}")]
    [DataRow("")]
    public void An_array_that_may_have_other_words_is_not_put_in_and_is_named(string above) =>
        Assert.Contains("\"${args[@]}\" is filled in by a shell", Error($"{above}\nqemu-system-x86_64 \"${{args[@]}}\""));

    [TestMethod]
    [DataRow("docker run -it \\\n --device /dev/kvm -p 50922:10022 \\\n -e EXTRA=\"-device vfio-pci,host=01:00.0\" a/docker-osx", "Docker")]
    [DataRow("sudo podman run --device /dev/kvm -e RAM=16 a/docker-osx", "Podman")]
    [DataRow("quickemu --vm macos.conf", "quickemu")]
    public void A_command_in_which_another_program_makes_QEMU_s_is_told_to_be_one(string text, string program)
    {
        string error = Error(text);
        Assert.StartsWith($"qemu.cmd:1: a command of {program}", error);
        Assert.Contains("give QEMU's own command", error);
    }
}
