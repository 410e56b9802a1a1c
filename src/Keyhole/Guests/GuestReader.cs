// SPDX-License-Identifier: GPL-2.0-only

using System.IO;
using Keyhole.Diagnostics;
using Keyhole.Reading;

namespace Keyhole.Guests;

/// <summary>Reads a guest's configuration in whichever of the known formats it is: libvirt domain XML where the first character is a &lt;, xl.cfg else.</summary>
public static class GuestReader
{
    public static Parsed<GuestSpec> Read(Stream stream, string sourceName)
    {
        if (!SmallInput.Read(stream, sourceName, XlConfig.MaxSizeBytes, XlConfig.Kind).TryGet(out SmallInput? input, out InputError? error))
            return error;
        foreach (byte b in input.Bytes)
        {
            // White space, byte order marks, and the zero bytes of UTF-16 may stand before the first character.
            if (b is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n' or 0 or 0xff or 0xfe or 0xef or 0xbb or 0xbf)
                continue;
            if (b == (byte)'<')
                return LibvirtDomain.Read(input, sourceName);
            if (!XlConfig.Read(input, sourceName).TryGet(out XlConfig? config, out error))
                return error;
            return config.ToGuestSpec();
        }

        return new InputError(sourceName, null, "the file is empty", "give an xl.cfg or a libvirt domain XML");
    }
}
