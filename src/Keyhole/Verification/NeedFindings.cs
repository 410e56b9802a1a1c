// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Logs;

namespace Keyhole.Verification;

/// <summary>
/// What does not work behind the memory setup because it got no memory: a device, a program. No forecast has it, and whether the setup went as
/// forecast it does not say; but the guest is not as it was asked for.
/// </summary>
internal static class NeedFindings
{
    public const string What = "want of memory";

    public static IEnumerable<Finding> Of(BootFacts facts) => facts.Needs.Where(static need => KernelNeeds.Of(need.Value) is { IsLoss: true })
        .Select(static need => new Finding(What, null, need.Value, need.Line, Agrees: false));
}
