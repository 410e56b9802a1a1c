// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using System.Text.Json;
using System.Text.Json.Nodes;
using Keyhole.RealMachine;

namespace Keyhole.RealQemu;

/// <summary>QEMU's monitor (QMP) over a pair of streams: asked one thing at a time.</summary>
internal sealed class QemuMonitor(StreamReader answers, StreamWriter commands)
{
    /// <summary>Waits for the greeting and agrees on no capabilities. False where QEMU has ended before.</summary>
    public bool TryBegin()
    {
        try
        {
            return answers.ReadLine() is not null && TryExecute("qmp_capabilities", null, out _);
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <exception cref="EndOfStreamException">QEMU has ended.</exception>
    /// <exception cref="HarnessException">It refuses.</exception>
    public JsonElement Execute(string command, JsonObject? arguments = null) => TryExecute(command, arguments, out JsonElement answer) ? answer
        : throw new HarnessException($"QEMU does not {command}: {answer}");

    /// <summary>A command of the monitor for people; its answer.</summary>
    public string Human(string line) =>
        Execute("human-monitor-command", new JsonObject { ["command-line"] = line }).GetString() ?? "";

    private static string Request(string command, JsonObject? arguments)
    {
        var request = new JsonObject { ["execute"] = command };
        if (arguments is not null)
            request["arguments"] = arguments;
        return request.ToJsonString() + "\n";
    }

    private bool TryExecute(string command, JsonObject? arguments, out JsonElement answer)
    {
        commands.Write(Request(command, arguments));
        commands.Flush();
        return TryAnswer(out answer);
    }

    private bool TryAnswer(out JsonElement answer)
    {
        // Events come in between.
        while (answers.ReadLine() is { } line)
        {
            JsonElement document = JsonDocument.Parse(line).RootElement;
            if (document.TryGetProperty("return", out answer))
                return true;
            if (document.TryGetProperty("error", out answer))
                return false;
        }

        throw new EndOfStreamException();
    }
}
