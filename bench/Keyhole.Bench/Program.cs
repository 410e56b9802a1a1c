// SPDX-License-Identifier: GPL-2.0-only

using System;
using BenchmarkDotNet.Running;
using Keyhole.Bench;

if (args is ["--quick"])
    return QuickRun.Measure(Console.Out);
if (args is ["--sanitiser", var program])
    return SanitiserBesideC.Measure(program, Console.Out);
BenchmarkSwitcher.FromAssembly(typeof(Workloads).Assembly).Run(args);
return 0;
