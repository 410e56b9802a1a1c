// SPDX-License-Identifier: GPL-2.0-only

using Microsoft.VisualStudio.TestTools.UnitTesting;

// A boot keeps one processor busy; no more than two run at a time anyway (Workshop.MachineSlot).
[assembly: Parallelize(Workers = 2, Scope = ExecutionScope.MethodLevel)]
