// SPDX-License-Identifier: GPL-2.0-only

namespace Internal.Runtime.CompilerHelpers
{
    /// <summary>What compiled code calls where .NET would throw: here it ends the probe.</summary>
    internal static class ThrowHelpers
    {
        private static void ThrowOverflowException() => Keyhole.Probe.Panic.Overflow();

        private static void ThrowIndexOutOfRangeException() => Keyhole.Probe.Panic.OutOfRange();

        private static void ThrowDivideByZeroException() => Keyhole.Probe.Panic.DivideByZero();

        private static void ThrowNullReferenceException() => Keyhole.Probe.Panic.NullReference();
    }
}

namespace System
{
    /// <summary>Block operations that compiled code calls for large structs.</summary>
    internal static unsafe class SpanHelpers
    {
        private static void Memmove(ref byte destination, ref byte source, nuint length) =>
            Keyhole.Probe.Native.MoveMemory(ref destination, ref source, length);

        private static void Fill(ref byte destination, byte value, nuint length) =>
            Keyhole.Probe.Native.FillMemory(ref destination, value, length);

        private static void ClearWithoutReferences(ref byte destination, nuint length) =>
            Keyhole.Probe.Native.FillMemory(ref destination, 0, length);
    }
}

namespace System
{
    /// <summary>How compiled code copies large structs with references in them. Without a garbage collector it is a copy like any other.</summary>
    internal static unsafe class Buffer
    {
        private static void BulkMoveWithWriteBarrier(ref byte destination, ref byte source, nuint length) =>
            Keyhole.Probe.Native.MoveMemory(ref destination, ref source, length);
    }
}
