// SPDX-License-Identifier: GPL-2.0-only

using System;

namespace Keyhole.RealXen;

/// <summary>Why a run on the real Xen could not be made or did not end: one line that names what is missing or went wrong.</summary>
public sealed class RealXenException : Exception
{
    public RealXenException()
    {
    }

    public RealXenException(string message)
        : base(message)
    {
    }

    public RealXenException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
