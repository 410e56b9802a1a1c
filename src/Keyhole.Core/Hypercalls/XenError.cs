// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Hypercalls;

/// <summary>Xen's error numbers (public/errno.h). A hypercall that fails returns the negative of one of these.</summary>
public enum XenError
{
    /// <summary>Success.</summary>
    None = 0,

    /// <summary>Not permitted.</summary>
    EPERM = 1,

    /// <summary>No such entry.</summary>
    ENOENT = 2,

    /// <summary>No such domain.</summary>
    ESRCH = 3,

    /// <summary>Input or output failed.</summary>
    EIO = 5,

    /// <summary>No such device.</summary>
    ENXIO = 6,

    /// <summary>Too long.</summary>
    E2BIG = 7,

    /// <summary>Try again.</summary>
    EAGAIN = 11,

    /// <summary>Out of memory.</summary>
    ENOMEM = 12,

    /// <summary>Access denied.</summary>
    EACCES = 13,

    /// <summary>An address that cannot be read or written.</summary>
    EFAULT = 14,

    /// <summary>In use.</summary>
    EBUSY = 16,

    /// <summary>There already.</summary>
    EEXIST = 17,

    /// <summary>An argument that makes no sense.</summary>
    EINVAL = 22,

    /// <summary>No room: more entries than the buffer or table holds.</summary>
    ENOSPC = 28,

    /// <summary>Xen does not know the call, or there is no map.</summary>
    ENOSYS = 38,

    /// <summary>No such data.</summary>
    ENODATA = 61,

    /// <summary>A number that does not fit.</summary>
    EOVERFLOW = 75,

    /// <summary>Not supported.</summary>
    EOPNOTSUPP = 95,
}
