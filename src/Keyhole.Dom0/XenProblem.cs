// SPDX-License-Identifier: GPL-2.0-only

using System.Diagnostics.CodeAnalysis;
using Keyhole.Diagnostics;
using Keyhole.Hypercalls;

namespace Keyhole.Dom0;

/// <summary>Whose fault a <see cref="XenProblem"/> is: what decides the exit status of the command line.</summary>
public enum XenProblemKind
{
    /// <summary>Here it cannot be done: no Xen, not root, no such domain, a tool that is missing. Exit status 2.</summary>
    Here,

    /// <summary>Not on this guest: it runs, it is no PV guest, it is dom0. Exit status 1.</summary>
    Guest,

    /// <summary>The hypervisor or its toolstack refused. Exit status 3.</summary>
    Refused,
}

/// <summary>Why something cannot be done to a domain: one line that says what, why and the remedy.</summary>
/// <param name="Subject">What it is about: "domain g1", "/dev/xen/privcmd".</param>
/// <param name="What">Without a full stop at its end. Text of others has gone through <see cref="InputError.Quote"/>.</param>
public sealed record XenProblem(XenProblemKind Kind, string Subject, string What, Phrase Remedy)
{
    /// <summary>The hypervisor's error where there was one.</summary>
    public XenError Error { get; init; }

    /// <summary>A hypercall's failure by name.</summary>
    public static XenProblem Of(string subject, string call, long result, Phrase remedy) =>
        new(XenProblemKind.Refused, subject, $"{call} failed with {NameOf(result)}", remedy) { Error = (XenError)(-result) };

    /// <summary>The name of a hypercall's negative result: "ESRCH (no such domain)".</summary>
    public static string NameOf(long result) => (XenError)(-result) switch
    {
        XenError.None => "no error",
        XenError.EPERM => "EPERM (not permitted)",
        XenError.ENOENT => "ENOENT (no such thing)",
        XenError.ESRCH => "ESRCH (no such domain)",
        XenError.EIO => "EIO (input or output failed)",
        XenError.ENXIO => "ENXIO (no such device)",
        XenError.E2BIG => "E2BIG (too much)",
        XenError.EAGAIN => "EAGAIN (try again)",
        XenError.ENOMEM => "ENOMEM (no memory)",
        XenError.EACCES => "EACCES (permission denied)",
        XenError.EFAULT => "EFAULT (bad address)",
        XenError.EBUSY => "EBUSY (in use)",
        XenError.EEXIST => "EEXIST (is there already)",
        XenError.EINVAL => "EINVAL (invalid)",
        XenError.ENOSPC => "ENOSPC (no room)",
        XenError.ENOSYS => "ENOSYS (not implemented)",
        XenError.ENODATA => "ENODATA (no data)",
        XenError.EOVERFLOW => "EOVERFLOW (too large)",
        XenError.EOPNOTSUPP => "EOPNOTSUPP (not supported)",
        _ => $"error {-result}",
    };

    /// <summary>The whole line: what it is about, what is wrong and the remedy.</summary>
    public Phrase ToPhrase() => $"{Subject}: {What}; {Remedy}";

    /// <inheritdoc/>
    public override string ToString() => ToPhrase().ToString();
}

/// <summary>A value, or why there is none.</summary>
public readonly struct XenResult<T>
    where T : class
{
    private XenResult(T? value, XenProblem? problem)
    {
        Value = value;
        Problem = problem;
    }

    /// <summary>The value; null where there is a problem.</summary>
    public T? Value { get; }

    /// <summary>Why there is no value; null where there is one.</summary>
    public XenProblem? Problem { get; }

    /// <summary>A value that is there.</summary>
    public static implicit operator XenResult<T>(T value) => new(value, null);

    /// <summary>A value that is not there, and why.</summary>
    public static implicit operator XenResult<T>(XenProblem problem) => new(null, problem);

    /// <summary>Gives the value, or the problem.</summary>
    public bool TryGet([NotNullWhen(true)] out T? value, [NotNullWhen(false)] out XenProblem? problem)
    {
        value = Value;
        problem = Problem;
        return value is not null;
    }
}
