// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Text;
using System.Threading.Tasks;

namespace Keyhole.Dom0;

/// <summary>Listens to a guest's console until the kernel has said what it did with its memory.</summary>
internal sealed class ConsoleFollower : IDisposable
{
    /// <summary>A guest that says more than this says nothing new about its memory.</summary>
    private const int MaxBytes = 4 * 1024 * 1024;

    // The last line of the memory setup, in the words of Linux 3.2 to 7.2 (before 3.5: "Allocating PCI resources starting at b0000000 (gap: …)"); and
    // that the kernel has got through its own start.
    private static readonly string[] s_setupDone = ["available for PCI devices", "Allocating PCI resources starting at ", "gap in the 32"];
    private static readonly string[] s_started = [" as init process", "Freeing unused kernel"];

    private readonly Stream _stream;
    private readonly MemoryStream _bytes = new();
    private string _text = "";
    private bool _ended;

    public ConsoleFollower(Stream stream)
    {
        _stream = stream;
        _ = Task.Factory.StartNew(Listen, TaskCreationOptions.LongRunning);
    }

    /// <summary>What the guest has said so far.</summary>
    public string Text
    {
        get
        {
            lock (_bytes)
            {
                if (Encoding.Latin1.GetByteCount(_text) != _bytes.Length)
                    _text = Encoding.Latin1.GetString(_bytes.GetBuffer(), 0, (int)_bytes.Length);
            }

            return _text;
        }
    }

    /// <summary>Whether the console has been closed from the other side.</summary>
    public bool HasEnded
    {
        get
        {
            lock (_bytes)
                return _ended;
        }
    }

    public bool SetupDone => IsSetupDone(Text);

    /// <summary>Whether a text has the last line of a kernel's memory setup.</summary>
    internal static bool IsSetupDone(string text) => ContainsAny(text, s_setupDone);

    public bool Started => ContainsAny(Text, s_started);

    /// <summary>Whether pcifront has been loaded and has said of that many windows whether it could claim them.</summary>
    public bool ClaimsSeen(int windowCount) => Count(Text, "claiming resource ") >= windowCount;

    public void Dispose() => _stream.Dispose();

    private static bool ContainsAny(string text, string[] words) => Array.Exists(words, word => text.Contains(word, StringComparison.Ordinal));

    private static int Count(string text, string word)
    {
        int count = 0;
        for (int at = text.IndexOf(word, StringComparison.Ordinal); at >= 0; at = text.IndexOf(word, at + word.Length, StringComparison.Ordinal))
            count++;
        return count;
    }

    private void Listen()
    {
        byte[] block = new byte[4096];
        try
        {
            int count;
            while ((count = _stream.Read(block, 0, block.Length)) > 0)
            {
                lock (_bytes)
                {
                    if (_bytes.Length < MaxBytes)
                        _bytes.Write(block, 0, count);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException or UnauthorizedAccessException)
        {
            // A pseudo terminal whose other side is closed reads as an error.
        }

        lock (_bytes)
            _ended = true;
    }
}
