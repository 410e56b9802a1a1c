// SPDX-License-Identifier: GPL-2.0-only

using System;
using Keyhole.Hosts;

namespace Keyhole.Guests;

/// <summary>Kinds of guests of Xen.</summary>
[Flags]
internal enum XlTypes
{
    None = 0,
    Pv = 1,
    Pvh = 2,
    Hvm = 4,
    All = Pv | Pvh | Hvm,
}

/// <summary>Who refuses a guest for a value, in the order in which they see it.</summary>
internal enum XlStage
{
    /// <summary>xl, as it reads the file.</summary>
    Xl,

    /// <summary>libxl, before there is a domain.</summary>
    Defaults,

    /// <summary>Xen, asked for the domain.</summary>
    Domain,

    /// <summary>libxl, as it puts QEMU's command line together.</summary>
    DeviceModel,
}

/// <summary>A value of an xl.cfg for which the guest is not created.</summary>
/// <param name="Words">Those of who refuses it.</param>
/// <param name="Ways">Keys without which it would not be refused for that: ways are apart by |, keys of one way by +. Empty where taking keys out
/// is no way.</param>
internal sealed record XlRefusal(string Words, string Ways)
{
    /// <summary>What the words leave out; empty where they say it.</summary>
    public string Why { get; init; } = "";

    public XlStage Stage { get; init; } = XlStage.Xl;

    public XlTypes Types { get; init; } = XlTypes.All;

    /// <summary>The first minor release of Xen 4 that refuses it.</summary>
    public int Since { get; init; }

    /// <summary>The last.</summary>
    public int Until { get; init; } = int.MaxValue;

    /// <summary>Whether that Xen's toolstack refuses such a guest.</summary>
    public bool IsOf(GuestType type, XenVersion xen) => Types.HasFlag(TypeOf(type))
        && (Since == 0 || !xen.IsUpTo(4, Since - 1)) && (Until == int.MaxValue || xen.IsUpTo(4, Until));

    private static XlTypes TypeOf(GuestType type) => type switch
    {
        GuestType.Pv => XlTypes.Pv,
        GuestType.Pvh => XlTypes.Pvh,
        GuestType.Hvm or GuestType.Kvm => XlTypes.Hvm,
    };
}
