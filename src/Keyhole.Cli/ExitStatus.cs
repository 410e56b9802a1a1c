// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Answers;

namespace Keyhole.Cli;

/// <summary>What the command line's exit status says.</summary>
internal static class ExitStatus
{
    /// <summary>The answer is yes, or was given.</summary>
    public const int Yes = 0;

    /// <summary>The answer is no: a problem of severity error.</summary>
    public const int No = 1;

    /// <summary>Bad usage or unreadable input.</summary>
    public const int BadUsage = 2;

    /// <summary>The hypervisor refused.</summary>
    public const int Refused = 3;

    /// <summary>A defect in Keyhole (EX_SOFTWARE of sysexits.h).</summary>
    public const int Defect = 70;

    public static int Of(Answer answer) => answer.IsYes ? Yes : No;
}
