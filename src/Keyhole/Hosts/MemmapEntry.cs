// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Hosts;

/// <summary>One numbered folder of <c>/sys/firmware/memmap</c>: the text of its three files, with or without the line feed at their ends.</summary>
/// <param name="Name">The folder's name, a decimal number.</param>
/// <param name="Start">The file <c>start</c>: first address, hex.</param>
/// <param name="End">The file <c>end</c>: last address, hex.</param>
/// <param name="Type">The file <c>type</c>: "System RAM", "Reserved", "ACPI Tables" …</param>
public sealed record MemmapEntry(string Name, string Start, string End, string Type);
