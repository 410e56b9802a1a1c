// SPDX-License-Identifier: GPL-2.0-only

using System.Collections.Generic;
using System.Linq;
using Keyhole.Contract;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Simulation;

/// <summary>The contract of IHypercalls as tests of one world; the checks themselves are in tests/Contract and need no test framework.</summary>
public abstract class HypercallContract
{
    public static IEnumerable<object[]> Names => ContractSuite.Names.Select(name => new object[] { name });

    protected abstract ContractWorld MakeWorld();

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void The_contract_holds(string name)
    {
        ContractResult result = ContractSuite.Run(name, MakeWorld());

        Assert.AreEqual(ContractOutcome.Passed, result.Outcome, result.ToString());
    }
}
