// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;

namespace Keyhole.Contract;

/// <summary>Marks a static method <c>void Sentence(ContractWorld)</c> as a check of the contract.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CheckedAsAttribute(ContractCaller caller) : Attribute
{
    public ContractCaller Caller { get; } = caller;
}

/// <summary>Thrown by a check that does not hold.</summary>
public sealed class ContractException(string message) : Exception(message);

/// <summary>Thrown by a check that finds that the world cannot be asked.</summary>
public sealed class NotApplicableException(string message) : Exception(message);

/// <summary>The contract of IHypercalls: every check by name. No test framework is needed to run it.</summary>
public static class ContractSuite
{
    private static readonly SortedDictionary<string, (MethodInfo Method, ContractCaller Caller)> s_checks = Find();

    public static IReadOnlyCollection<string> Names => s_checks.Keys;

    public static IEnumerable<ContractResult> RunAll(Func<ContractWorld> makeWorld) => Names.Select(name => Run(name, makeWorld()));

    public static ContractResult Run(string name, ContractWorld world)
    {
        (MethodInfo method, ContractCaller caller) = s_checks[name];
        string sentence = name.Replace('_', ' ');
        if (caller != ContractCaller.Guest && world.ControlDomain is null)
            return new ContractResult(sentence, ContractOutcome.NotApplicable, "no control domain here");
        if (caller != ContractCaller.ControlDomain && (world.GuestCalls is null || world.GuestMemory is null))
            return new ContractResult(sentence, ContractOutcome.NotApplicable, "the guest cannot be asked from here");
        try
        {
            method.CreateDelegate<Action<ContractWorld>>()(world);
            return new ContractResult(sentence, ContractOutcome.Passed, "");
        }
        catch (ContractException broken)
        {
            return new ContractResult(sentence, ContractOutcome.Failed, broken.Message);
        }
        catch (NotApplicableException lacking)
        {
            return new ContractResult(sentence, ContractOutcome.NotApplicable, lacking.Message);
        }
    }

    private static SortedDictionary<string, (MethodInfo Method, ContractCaller Caller)> Find()
    {
        var checks = new SortedDictionary<string, (MethodInfo, ContractCaller)>(StringComparer.Ordinal);
        Type[] files = [typeof(MapContract), typeof(ReservationContract), typeof(ExchangeContract), typeof(PageTableContract),
            typeof(MulticallContract)];
        foreach (MethodInfo method in files.SelectMany(file => file.GetMethods(BindingFlags.Public | BindingFlags.Static)))
        {
            if (method.GetCustomAttribute<CheckedAsAttribute>() is { } mark)
                checks.Add(method.Name, (method, mark.Caller));
        }

        return checks;
    }
}
