// SPDX-License-Identifier: GPL-2.0-only
namespace Keyhole.Probe;

internal static class Panic
{
    public static void OutOfRange() { while (true) ; }
    public static void Overflow() { while (true) ; }
    public static void DivideByZero() { while (true) ; }
    public static void NullReference() { while (true) ; }
}
internal enum Symbol { A }
