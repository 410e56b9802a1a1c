// SPDX-License-Identifier: GPL-2.0-only

using Keyhole.Addresses;

namespace Keyhole.PvGuest;

/// <summary>
/// What a kernel does to its frames while it sets its memory up: P2M, M2P, mappings and the reservation. <see cref="MemorySetup"/> decides,
/// this carries out: page by page with real hypercalls (<see cref="PagedFrames{TXen}"/>), or run by run in arithmetic (<see cref="RunFrames"/>).
/// The two agree to the last page; tests hold them to it.
/// </summary>
internal interface IFrames
{
    /// <summary>Sets the frames' P2M entries to themselves.</summary>
    void SetIdentity(PfnRange range);

    /// <summary>Sets the P2M entries of extra memory to invalid.</summary>
    void Invalidate(PfnRange range);

    /// <summary>The same for frames that are not identity (3.6 to 3.18).</summary>
    void InvalidateUnlessIdentity(PfnRange range);

    /// <summary>Sets one P2M entry to invalid unless the 512 entries of its leaf all are identity (up to 3.5).</summary>
    void InvalidateUnlessLeafIsIdentity(Pfn pfn);

    /// <summary>
    /// decrease_reservation page by page; released pages become invalid in the P2M. Returns how many were released. A page that has no
    /// machine frame of its own is passed over.
    /// </summary>
    /// <param name="stopsAtFailure">Whether the first refusal ends it (since 3.5), or only costs that page.</param>
    ulong Release(PfnRange range, bool stopsAtFailure);

    /// <summary>populate_physmap page by page until the first refusal. Returns how many were populated. A page that has a frame is passed
    /// over.</summary>
    ulong Populate(PfnRange range);

    /// <summary>
    /// Notes in the pages of <paramref name="source"/> themselves that their machine frames go to <paramref name="target"/>, and sets them to
    /// identity. False where Linux stops with BUG: a page cannot be opened.
    /// </summary>
    bool PrepareRemap(PfnRange source, Pfn target);

    /// <summary>
    /// Carries out what was prepared, last run first, and takes the targets out of the extra memory. Where it fails,
    /// <paramref name="remapped"/> pages are where they belong, and the others are still on the list that was prepared.
    /// </summary>
    HaltReason Remap(ref ExtraMemory extra, out ulong remapped);

    /// <summary>
    /// Moves the machine frames of <paramref name="source"/> to <paramref name="target"/> here and now, and sets the source to identity (3.18).
    /// False where the kernel gives up: Xen refuses.
    /// </summary>
    bool MoveNow(PfnRange source, Pfn target);

    /// <summary>Since 6.12: gives the frames at <paramref name="target"/> the machine frames from <paramref name="source"/> on, which are ACPI
    /// NVS.</summary>
    void RemapNonRam(Mfn source, PfnRange target);

    /// <summary>Makes the old virtual address of identity frames lead to the device, or (since 5.17) nowhere.</summary>
    void RemapAddresses(PfnRange range, bool zaps);
}
