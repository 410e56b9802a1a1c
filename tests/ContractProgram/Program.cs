// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Globalization;
using Keyhole.Dom0;
using Keyhole.Hypercalls;

namespace Keyhole.Contract;

/// <summary>
/// Checks the contract of IHypercalls on the real hypervisor: <c>Keyhole.ContractProgram DOMID</c> in dom0, as root, with the number of a paused PV
/// guest that has never run and that nobody needs afterwards. A line for each check; exit status 1 where one fails, 2 where they cannot be run.
/// </summary>
internal static class Program
{
    private const ushort UnlikelyDomain = 32000;

    private delegate void PrivcmdCheck(Privcmd privcmd, IXenControl xen, ContractWorld world);

    public static int Main(string[] args)
    {
        if (args.Length != 1 || !ushort.TryParse(args[0], NumberStyles.None, CultureInfo.InvariantCulture, out ushort id) || id is 0
            or >= DomainId.FirstReserved)
        {
            Console.Error.WriteLine("usage: Keyhole.ContractProgram DOMID: the number of a paused PV guest that nobody needs");
            return 2;
        }

        if (!Privcmd.Open().TryGet(out Privcmd? privcmd, out XenProblem? problem) || !XenControl.Open().TryGet(out IXenControl? xen, out problem))
        {
            Console.Error.WriteLine(problem);
            return 2;
        }

        using (privcmd)
        using (xen)
        {
            var world = new ContractWorld { ControlDomain = new Dom0Calls(privcmd), Guest = new(id), NoSuchDomain = new(UnlikelyDomain) };
            // What the guest is comes first: the others change its map and its memory.
            List<ContractResult> results = [.. OnPrivcmd(privcmd, xen, world), .. ContractSuite.RunAll(() => world)];
            int[] counts = new int[3];
            foreach (ContractResult result in results)
            {
                Console.WriteLine(result);
                counts[(int)result.Outcome]++;
            }

            Console.WriteLine(
                $"{counts[(int)ContractOutcome.Passed]} passed, {counts[(int)ContractOutcome.Failed]} failed, "
                    + $"{counts[(int)ContractOutcome.NotApplicable]} not applicable");
            return counts[(int)ContractOutcome.Failed] == 0 && counts[(int)ContractOutcome.Passed] > 0 ? 0 : 1;
        }
    }

    private static IEnumerable<ContractResult> OnPrivcmd(Privcmd privcmd, IXenControl xen, ContractWorld world)
    {
        foreach (PrivcmdCheck check in (PrivcmdCheck[])
            [
                PrivcmdContract.The_guest_is_a_paused_PV_domain_that_has_never_run,
                PrivcmdContract.A_domain_that_does_not_exist_has_no_facts,
                PrivcmdContract.A_bad_pointer_is_EFAULT,
                PrivcmdContract.A_map_at_a_bad_pointer_is_EFAULT_and_changes_nothing,
                PrivcmdContract.Memory_ops_and_hypercalls_that_do_not_exist_are_ENOSYS,
                PrivcmdContract.Dom0_was_never_given_a_map_of_its_own,
            ])
        {
            string name = check.Method.Name.Replace('_', ' ');
            ContractResult result;
            try
            {
                check(privcmd, xen, world);
                result = new(name, ContractOutcome.Passed, "");
            }
            catch (ContractException broken)
            {
                result = new(name, ContractOutcome.Failed, broken.Message);
            }

            yield return result;
        }
    }
}
