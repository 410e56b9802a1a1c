// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Immutable;
using System.Linq;

namespace Keyhole.Logs;

/// <summary>The boots of one log, found once, and what hangs on them: which boot a map is of, whose it is, which lines tell of its machine and
/// which of its Linux.</summary>
internal sealed class BootsInLog
{
    private readonly LogScan _scan;

    public BootsInLog(LogScan scan)
    {
        _scan = scan;
        All = BootLog.Find(scan);
    }

    /// <inheritdoc cref="BootLog.Of"/>
    public ImmutableArray<ObservedBoot> All { get; }

    /// <summary>Whether these are of a log, and not of one that it was copied from.</summary>
    public bool AreOf(LogScan scan) => ReferenceEquals(scan, _scan);

    /// <summary>The boot among whose lines a map stands; null where the log tells of none.</summary>
    public ObservedBoot? Around(LogMap map) => All.FirstOrDefault(boot => Stands(map, boot));

    /// <summary>The boot of the dom0 that Xen's lines announce, among which a map stands; null where the log tells of none.</summary>
    public ObservedBoot? Dom0Around(LogMap map) => All.FirstOrDefault(boot => boot.Owner == BootOwner.Dom0 && Stands(map, boot));

    /// <inheritdoc cref="KernelMapOwner.Of"/>
    public BootOwner OwnerOf(LogMap map) => KernelMapOwner.Of(_scan, this, map);

    /// <inheritdoc cref="MachineLines.Of"/>
    public MachineLines MachineOf(LogMap map) => MachineLines.Of(_scan, this, map);

    /// <inheritdoc cref="LinuxStretch.Of"/>
    public LinuxStretch? LinuxOf(LogMap map) => LinuxStretch.Of(_scan, this, map);

    private static bool Stands(LogMap map, ObservedBoot boot) => boot.FirstLine <= map.Line && boot.LastLine >= map.Line;
}
