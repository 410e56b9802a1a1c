// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Nodes;
using Keyhole.Guests;
using Keyhole.Platforms.Qemu;
using Keyhole.RealMachine;

namespace Keyhole.RealQemu;

/// <summary>
/// What a guest is started with, in the form that the records have it: <c>{"qemu":"7.2","machine":"q35","mem_mib":4096,"fw":"ovmf-2022.11",
/// "cpu":"EPYC","phys_bits":40,"devices":["pci-testdev,membar=1G"], …}</c>. It becomes the arguments of the real QEMU, and the machine that is
/// forecast.
/// </summary>
public sealed class QemuConfig
{
    private readonly JsonElement _json;

    public QemuConfig(JsonElement json) => _json = json;

    /// <exception cref="JsonException">The text is no JSON.</exception>
    public static QemuConfig Parse(string json) => new(JsonDocument.Parse(json).RootElement);

    public JsonElement Json => _json;

    public string Emulator => Text("qemu", "");

    public string Firmware => Text("fw", "");

    public bool IsOvmf => Firmware.StartsWith("ovmf-", StringComparison.Ordinal);

    /// <summary>The image among those of the firmware's package, such as OVMF_CODE.fd; empty for the usual one.</summary>
    internal string Flash => Text("flash", "");

    /// <summary>Whether the firmware has flash for its variables.</summary>
    internal bool HasVariables => _json.TryGetProperty("vars", out JsonElement has) && has.GetBoolean();

    /// <summary>Whether a Linux is started, for the map that it prints.</summary>
    internal bool StartsLinux => _json.TryGetProperty("linux", out JsonElement starts) && starts.GetBoolean();

    public bool IsQ35 => Text("machine", "").Contains("q35", StringComparison.Ordinal);

    /// <summary>Whether its QEMU and firmware are among those that can be started.</summary>
    public bool CanBeStarted => EmulatorRelease.All.Any(release => release.Version == Emulator) && FirmwareRelease.IsThere(Firmware);

    public override string ToString() => _json.GetRawText();

    /// <summary>QEMU's arguments beyond those of the harness.</summary>
    internal IEnumerable<string> Arguments(string firmwareFile)
    {
        long memory = Number("mem_mib", 0);
        string machine = Text("machine", "") + ",memory-backend=m0" + Option("max_ram_below_4g", ",max-ram-below-4g=") + Option("machine_opts", ",");
        string cpu = Text("cpu", "") + Option("phys_bits", ",phys-bits=") + Option("guest_phys_bits", ",guest-phys-bits=") + Option("cpu_opts", ",");
        // Memory is only promised: guests of a terabyte start on a small machine. QEMU 6.1 was the first that could be told so.
        string promised = EmulatorRelease.Named(Emulator) == EmulatorRelease.All[0] ? "" : ",reserve=off";
        List<string> arguments =
        [
            "-machine", machine, "-cpu", cpu, "-m", $"{memory}M" + Option("maxmem_mib", ",maxmem=", "M") + Option("slots", ",slots="),
            "-object", $"memory-backend-ram,id=m0,size={memory}M,prealloc=off{promised}", "-smp",
            Text("smp", "1") + Option("sockets", ",sockets="),
        ];
        arguments.AddRange(IsOvmf ? ["-drive", $"if=pflash,unit=0,format=raw,readonly=on,file={firmwareFile}"] : ["-bios", firmwareFile]);
        if (HasVariables)
            arguments.AddRange(["-drive", $"if=pflash,unit=1,format=raw,file={QemuGuest.VariablesFile}"]);
        if (Text("vga", "none") is not "none" and var vga)
            arguments.AddRange(["-vga", vga]);
        foreach (string text in Strings("objects"))
            arguments.AddRange(["-object", text]);
        foreach (string text in Strings("globals"))
            arguments.AddRange(["-global", text]);
        if (_json.TryGetProperty("fw_cfg", out JsonElement blobs))
        {
            foreach (JsonProperty blob in blobs.EnumerateObject())
                arguments.AddRange(["-fw_cfg", $"name={blob.Name},string={blob.Value}"]);
        }

        for (long disk = 0; disk < Number("disks", 0); disk++)
            arguments.AddRange(["-drive", "if=ide,format=raw,file.driver=null-co,file.read-zeroes=on,file.size=64M"]);
        foreach (string text in Strings("devices"))
            arguments.AddRange(["-device", text]);
        return arguments;
    }

    /// <summary>The machine as it is forecast.</summary>
    /// <exception cref="InvalidDataException">The configuration is none.</exception>
    public QemuMachine ToMachine()
    {
        ulong lowLimit = 0;
        if (!QemuVersion.TryParse(Emulator, out QemuVersion emulator)
            || !QemuMachineType.TryParse(Text("machine", ""), emulator, out QemuMachineType type)
            || !QemuFirmware.TryParse(Firmware, out QemuFirmware firmware) || !QemuCpuModel.TryFind(Text("cpu", ""), out QemuCpuModel model)
            || (Text("max_ram_below_4g", "") is { Length: > 0 } limit && !QemuNumber.TrySize(limit, out lowLimit)))
        {
            throw new InvalidDataException($"no configuration of a guest: {_json}");
        }

        return new QemuMachine
        {
            Type = type,
            Emulator = emulator,
            Firmware = firmware,
            FirmwareFile = Flash,
            HasVariableFlash = HasVariables,
            Cpu = new QemuCpu(model.Vendor, (int)Number("phys_bits", QemuCpu.DefaultPhysBits))
            {
                Is64Bit = model.Is64Bit,
                HasGiBPages = model.HasGiBPages || Text("cpu_opts", "").Contains("+pdpe1gb", StringComparison.Ordinal),
                GuestPhysBits = (int)Number("guest_phys_bits", 0),
            },
            MemoryBytes = (ulong)Number("mem_mib", 0) << 20,
            MaxMemoryBytes = (ulong)Number("maxmem_mib", 0) << 20,
            MemorySlots = (int)Number("slots", 0),
            MaxRamBelow4GiB = lowLimit,
            Cpus = (int)Number("smp", 1),
            Sockets = (int)Number("sockets", 0),
            Vga = Text("vga", "none"),
            HasBoardUsb = Text("machine_opts", "") == "usb=on",
            BoardDisks = (int)Number("disks", 0),
            FwCfg = _json.TryGetProperty("fw_cfg", out JsonElement blobs)
                ? [.. blobs.EnumerateObject().Select(static b => new QemuFwCfg(b.Name, b.Value.ToString()))] : [],
            Globals = [.. Strings("globals").Select(Global)],
            MemoryObjects = [.. Strings("objects").Select(MemoryObject)],
            Devices = [.. Strings("devices").Select(Device)],
        };
    }

    /// <summary>The guest with the settings changed.</summary>
    /// <exception cref="HarnessException">A change is none that a configuration can have.</exception>
    internal QemuConfig With(ImmutableArray<QemuChange> changes)
    {
        JsonObject json = JsonNode.Parse(_json.GetRawText())!.AsObject();
        foreach (QemuChange change in changes)
        {
            switch (change.Setting)
            {
                case QemuSetting.Chassis or QemuSetting.FirstFunction:
                    json["devices"] = new JsonArray([.. change.ApplyTo(ToMachine()).Devices.Select(static device => (JsonNode)string.Join(',',
                        [device.Driver, .. device.Properties.Select(static property => $"{property.Name}={property.Value}")]))]);
                    break;
                case QemuSetting.OvmfWindow:
                    (json["fw_cfg"] ??= new JsonObject())[QemuChange.WindowName] = $"{change.Number}";
                    break;
                case QemuSetting.PhysBits:
                    json["phys_bits"] = change.Number;
                    if (Number("guest_phys_bits", 0) != 0)
                        json["guest_phys_bits"] = Math.Min(change.Number, 48);
                    break;
                case QemuSetting.GiBPages:
                    json["cpu_opts"] = "+pdpe1gb";
                    break;
                case QemuSetting.MaxRamBelow4GiB:
                    json["max_ram_below_4g"] = change.Size;
                    break;
                case QemuSetting.Ports:
                    AddGlobal(json, $"pcie-root-port.{change.Text}");
                    break;
                case QemuSetting.Hole64:
                    AddGlobal(json, $"{(IsQ35 ? "q35-pcihost" : "i440FX-pcihost")}.pci-hole64-size={change.Size}");
                    break;
                case QemuSetting.FirmwareRelease or QemuSetting.Firmware:
                    json["fw"] = change.Text;
                    break;
                case QemuSetting.MachineVersion:
                    json["machine"] = change.Text;
                    break;
                case QemuSetting.Board:
                    throw new HarnessException($"{change.Name}: a machine on another board is another configuration");
            }
        }

        return Parse(json.ToJsonString());
    }

    /// <summary>A device as the command line spells it.</summary>
    public static QemuDevice Device(string text)
    {
        string[] parts = text.Split(',');
        return new QemuDevice(parts[0],
            [.. parts.Skip(1).Select(static part => part.Split('=', 2))
                .Select(static pair => new QemuProperty(pair[0], pair.Length > 1 ? pair[1] : "on"))]);
    }

    /// <summary>What is set first counts no more where the same is set again.</summary>
    private static void AddGlobal(JsonObject json, string global)
    {
        string property = global[global.IndexOf('.', StringComparison.Ordinal)..(global.IndexOf('=', StringComparison.Ordinal) + 1)];
        IEnumerable<string> others = (json["globals"]?.AsArray() ?? []).Select(static node => node!.GetValue<string>())
            .Where(other => !other.Contains(property, StringComparison.Ordinal));
        json["globals"] = new JsonArray([.. others.Append(global).Select(static text => (JsonNode)text)]);
    }

    private static QemuGlobal Global(string text)
    {
        // driver=cfi.pflash01,property=secure,value=on: for drivers with a dot in their names.
        if (text.StartsWith("driver=", StringComparison.Ordinal))
        {
            string[] values = [.. text.Split(',').Select(static part => part[(part.IndexOf('=', StringComparison.Ordinal) + 1)..])];
            return new(values[0], values[1], values[2]);
        }

        int dot = text.IndexOf('.', StringComparison.Ordinal);
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        return new(text[..dot], text[(dot + 1)..equals], text[(equals + 1)..]);
    }

    private static (string Id, ulong SizeBytes) MemoryObject(string text)
    {
        Dictionary<string, string> parts =
            text.Split(',').Skip(1).Select(static part => part.Split('=')).ToDictionary(static pair => pair[0], static pair => pair[1]);
        return QemuNumber.TrySize(parts["size"], out ulong size) ? (parts["id"], size) : throw new InvalidDataException($"no memory object: {text}");
    }

    private string Text(string name, string whenUnset) => _json.TryGetProperty(name, out JsonElement value) ? value.ToString() : whenUnset;

    private long Number(string name, long whenUnset) => _json.TryGetProperty(name, out JsonElement value) ? value.GetInt64() : whenUnset;

    private string Option(string name, string before, string after = "") => Text(name, "") is { Length: > 0 } text ? before + text + after : "";

    private IEnumerable<string> Strings(string name) =>
        _json.TryGetProperty(name, out JsonElement list) ? list.EnumerateArray().Select(static item => item.GetString()!) : [];
}
