// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Diagnostics;

/// <summary>What kind of fault an <see cref="InputError"/> tells of. Text and remedy are for people; a program decides by this.</summary>
public enum InputErrorCode
{
    /// <summary>The source could not be opened or read to its end: no permission, a folder, a damaged archive,
    /// standard input a second time.</summary>
    Unreadable,

    /// <summary>The answer could not be written where it was sent.</summary>
    Unwritable,

    /// <summary>There is no file or folder of that name.</summary>
    NotFound,

    /// <summary>The source was read to its end, and what is looked for is not in it; an empty source too.</summary>
    NothingInIt,

    /// <summary>The source, or one line of it, is not written as its format demands.</summary>
    Malformed,

    /// <summary>The source is longer than Keyhole reads, or has more of a thing than there can be.</summary>
    TooLarge,

    /// <summary>A word that is none of those that can stand there.</summary>
    UnknownWord,

    /// <summary>A number, size or address that is well written and cannot be: too small, too large, not aligned.</summary>
    OutOfRange,

    /// <summary>Something that is needed is not given.</summary>
    Missing,

    /// <summary>Two things are given that exclude each other.</summary>
    Conflict,

    /// <summary>The same thing is given twice.</summary>
    Repeated,

    /// <summary>A number or name that points at none of the things that are there: map 7 of a log that has two.</summary>
    NoSuchItem,

    /// <summary>What is given is understood, and cannot be used for this, or written in this form.</summary>
    NotSupported,
}

/// <summary>The names of codes, as docs/problems.md and scripts have them: they are never changed.</summary>
public static class InputErrorCodes
{
    /// <summary>The name of a code, in small letters with hyphens.</summary>
    /// <exception cref="System.ArgumentOutOfRangeException">It is none of the enum's.</exception>
    public static string NameOf(InputErrorCode code) => code switch
    {
        InputErrorCode.Unreadable => "unreadable",
        InputErrorCode.Unwritable => "unwritable",
        InputErrorCode.NotFound => "not-found",
        InputErrorCode.NothingInIt => "nothing-in-it",
        InputErrorCode.Malformed => "malformed",
        InputErrorCode.TooLarge => "too-large",
        InputErrorCode.UnknownWord => "unknown-word",
        InputErrorCode.OutOfRange => "out-of-range",
        InputErrorCode.Missing => "missing",
        InputErrorCode.Conflict => "conflict",
        InputErrorCode.Repeated => "repeated",
        InputErrorCode.NoSuchItem => "no-such-item",
        InputErrorCode.NotSupported => "not-supported",
        _ => throw new System.ArgumentOutOfRangeException(nameof(code)),
    };
}
