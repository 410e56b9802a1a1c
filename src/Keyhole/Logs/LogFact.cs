// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Logs;

/// <summary>Something that a log says, and the 1-based line where it does; line 0 where it is a forecast that says it.</summary>
public readonly record struct LogFact<T>(T Value, int Line);
