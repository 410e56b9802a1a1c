// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Linq;
using Keyhole.Diagnostics;
using Keyhole.Guests;
using Keyhole.Logs;
using Keyhole.Platforms;

namespace Keyhole.Verification;

/// <summary>Says for people what Xen's last words about a guest mean; see <see cref="XenReasons"/>.</summary>
internal static class XenWords
{
    /// <summary>The words with their meaning, without the full stop; null where Xen says no more than that the guest crashed.</summary>
    public static string? Of(BootFailure failure)
    {
        if (failure.Kind != BootFailureKind.Crashed || (failure.Cause is null && !failure.IsItsOwnReason))
            return null;
        XenMeaning[] meanings = [.. XenReasons.In(failure)];
        // What memory has a part in decides; else the first words are the nearest to the reason.
        XenMeaning told = meanings.OrderByDescending(static meaning => meaning.Memory == MemoryPart.Yes)
            .FirstOrDefault(static meaning => meaning.Says is not null);
        string says = told.Says is { } text ? $": {text}" : "";
        return failure.Cause is { } cause ? $"Before that Xen says \"{cause}\"{says}"
            : told.Says is null ? $"With \"{failure.Words}\" Xen gives the guest up; what led it there these words do not tell"
            : $"Xen's words mean that {told.Says}";
    }

    /// <summary>What to change about it; null where the words prove no cure.</summary>
    public static Phrase? CureOf(BootFailure failure, GuestSpec guest)
    {
        foreach (XenMeaning meaning in XenReasons.In(failure))
        {
            switch (meaning.Cure)
            {
                case XenCure.None:
                    continue;
                case XenCure.LargerPool:
                    return $"What to change: raise shadow_memory= in the guest's configuration, which is the size of that pool"
                        + $"{OwnWords.XlAlone(guest.Toolstack)}.";
                case XenCure.MaxmemIsMemory when guest.MaxmemKiB > guest.MemoryKiB:
                    return $"What to change: {GuestReview.OnDemandCure(guest)}.";
                case XenCure.MaxmemIsMemory:
                    return $"The guest that was told has no more maxmem than memory, and so nothing to fill on demand: what it was started with is "
                        + $"something else.";
                default:
                    throw new ArgumentOutOfRangeException(nameof(failure));
            }
        }

        return null;
    }
}
