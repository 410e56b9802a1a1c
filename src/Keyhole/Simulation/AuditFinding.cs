// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.Simulation;

/// <summary>Something that does not hold of a machine's frames.</summary>
/// <param name="Frames">Where: machine frames; empty where it is about none in particular.</param>
/// <param name="Message">What, in one sentence without a full stop at its end.</param>
internal sealed record AuditFinding(MfnRange Frames, string Message)
{
    /// <inheritdoc/>
    public override string ToString() =>
        Frames.IsEmpty ? Message : $"mfn [0x{Frames.Start.Value:x}, 0x{Frames.End.Value:x}): {Message}";
}
