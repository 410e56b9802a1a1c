// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.Probe;

/// <summary>What the probe is at, for the report of a trap.</summary>
internal enum Task
{
    Starting,
    FetchingMap,
    Forecasting,
    BuildingTables,
    SettingUpMemory,
    MappingMemory,
    WritingPatterns,
    ReadingPatterns,
    CheckingM2p,
    CheckingHoles,
    ReadingBar,
    Ballooning,
    TryingWhatIsForbidden,
    Reporting,
}

internal static class Activity
{
    public static Task Current;

    /// <summary>The frame or address that it is about.</summary>
    public static ulong Subject;

    public static void Begin(Task task)
    {
        Current = task;
        Subject = 0;
    }

    public static ReadOnlySpan<byte> Name
    {
        get
        {
            if (Current == Task.FetchingMap)
                return "fetching the map"u8;
            if (Current == Task.Forecasting)
                return "forecasting"u8;
            if (Current == Task.BuildingTables)
                return "building page tables"u8;
            if (Current == Task.SettingUpMemory)
                return "setting memory up"u8;
            if (Current == Task.MappingMemory)
                return "mapping memory"u8;
            if (Current == Task.WritingPatterns)
                return "writing patterns"u8;
            if (Current == Task.ReadingPatterns)
                return "reading patterns"u8;
            if (Current == Task.CheckingM2p)
                return "checking the M2P"u8;
            if (Current == Task.CheckingHoles)
                return "checking holes"u8;
            if (Current == Task.ReadingBar)
                return "reading a BAR"u8;
            if (Current == Task.Ballooning)
                return "ballooning"u8;
            if (Current == Task.TryingWhatIsForbidden)
                return "trying what is forbidden"u8;
            return Current == Task.Reporting ? "reporting"u8 : "starting"u8;
        }
    }
}
