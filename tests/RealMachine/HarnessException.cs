// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.RealMachine;

/// <summary>Why a run of the real thing could not be made or did not end: one line that names what is missing or went wrong.</summary>
public sealed class HarnessException : Exception
{
    public HarnessException()
    {
    }

    public HarnessException(string message)
        : base(message)
    {
    }

    public HarnessException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
