// SPDX-License-Identifier: GPL-2.0-only

namespace Keyhole.Cli;

internal static class Program
{
    public static int Main() => 0;
}
