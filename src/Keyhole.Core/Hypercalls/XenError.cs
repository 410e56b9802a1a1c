// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Hypercalls;

/// <summary>Xen's error numbers (public/errno.h). A hypercall that fails returns the negative of one of these.</summary>
public enum XenError
{
    None = 0,
    EPERM = 1,
    ENOENT = 2,
    ESRCH = 3,
    EIO = 5,
    ENXIO = 6,
    E2BIG = 7,
    EAGAIN = 11,
    ENOMEM = 12,
    EACCES = 13,
    EFAULT = 14,
    EBUSY = 16,
    EEXIST = 17,
    EINVAL = 22,
    ENOSPC = 28,
    ENOSYS = 38,
    ENODATA = 61,
    EOVERFLOW = 75,
    EOPNOTSUPP = 95,
}
