// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;

namespace Keyhole.Cli.Tests;

/// <summary>A guest's console as xenconsoled makes it: a pseudo terminal.</summary>
internal sealed partial class FakeConsole : IDisposable
{
    private const ulong TIOCSPTLCK = 0x40045431;
    private const ulong TIOCGPTN = 0x80045430;

    private readonly FileStream _master = new("/dev/ptmx", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);

    public FakeConsole()
    {
        int descriptor = (int)_master.SafeFileHandle.DangerousGetHandle();
        int number = 0;
        if (ioctl(descriptor, TIOCSPTLCK, ref number) != 0 || ioctl(descriptor, TIOCGPTN, ref number) != 0)
            throw new IOException("this machine gives no pseudo terminal");
        Terminal = $"/dev/pts/{number}";
    }

    public string Terminal { get; }

    public void Say(string text) => _master.Write(Encoding.Latin1.GetBytes(text));

    public void Dispose() => _master.Dispose();

    [LibraryImport("libc")]
    private static partial int ioctl(int descriptor, ulong request, ref int argument);
}
