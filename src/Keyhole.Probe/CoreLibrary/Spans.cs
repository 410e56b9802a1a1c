// SPDX-License-Identifier: GPL-2.0-only

using System.Runtime.CompilerServices;

namespace System;

/// <summary>A span as the class library has it, as far as Keyhole.Core uses it; out of bounds ends the probe.</summary>
public readonly ref struct Span<T>
{
    private readonly ref T _reference;
    private readonly int _length;

    public unsafe Span(void* pointer, int length)
    {
        if (length < 0)
            Keyhole.Probe.Panic.OutOfRange();
        _reference = ref Unsafe.AsRef<T>(pointer);
        _length = length;
    }

    public Span(ref T reference)
    {
        _reference = ref reference;
        _length = 1;
    }

    internal Span(ref T reference, int length)
    {
        _reference = ref reference;
        _length = length;
    }

    public int Length => _length;

    public bool IsEmpty => _length == 0;

    public ref T this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if (unchecked((uint)index >= (uint)_length))
                Keyhole.Probe.Panic.OutOfRange();
            return ref Unsafe.Add(ref _reference, index);
        }
    }

    public static implicit operator ReadOnlySpan<T>(Span<T> span) => new(ref span._reference, span._length);

    public Span<T> Slice(int start)
    {
        if (unchecked((uint)start > (uint)_length))
            Keyhole.Probe.Panic.OutOfRange();
        return new(ref Unsafe.Add(ref _reference, start), unchecked(_length - start));
    }

    public Span<T> Slice(int start, int length)
    {
        if (unchecked((uint)start > (uint)_length || (uint)length > (uint)(_length - start)))
            Keyhole.Probe.Panic.OutOfRange();
        return new(ref Unsafe.Add(ref _reference, start), length);
    }

    public void Clear()
    {
        for (int i = 0; i < _length; i++)
            Unsafe.Add(ref _reference, i) = default!;
    }

    public void Fill(T value)
    {
        for (int i = 0; i < _length; i++)
            Unsafe.Add(ref _reference, i) = value;
    }

    public void CopyTo(Span<T> destination) => ((ReadOnlySpan<T>)this).CopyTo(destination);

    /// <summary>For <c>fixed</c>; an empty span's is no place to look at.</summary>
    public ref T GetPinnableReference() => ref _reference;

    public Enumerator GetEnumerator() => new(this);

    public ref struct Enumerator
    {
        private readonly Span<T> _span;
        private int _index;

        internal Enumerator(Span<T> span)
        {
            _span = span;
            _index = -1;
        }

        public readonly ref T Current => ref _span[_index];

        public bool MoveNext()
        {
            _index++;
            return _index < _span.Length;
        }
    }
}

/// <summary>As <see cref="Span{T}"/>, to be read.</summary>
public readonly ref struct ReadOnlySpan<T>
{
    private readonly ref T _reference;
    private readonly int _length;

    public unsafe ReadOnlySpan(void* pointer, int length)
    {
        if (length < 0)
            Keyhole.Probe.Panic.OutOfRange();
        _reference = ref Unsafe.AsRef<T>(pointer);
        _length = length;
    }

    // The compiler asks for it where a literal becomes a span, and then does not use it: there are no arrays.
    public ReadOnlySpan(T[] array, int start, int length)
    {
        Keyhole.Probe.Panic.OutOfRange();
        this = default;
    }

    public ReadOnlySpan(ref readonly T reference)
    {
        _reference = ref Unsafe.AsRef(in reference);
        _length = 1;
    }

    internal ReadOnlySpan(ref T reference, int length)
    {
        _reference = ref reference;
        _length = length;
    }

    public int Length => _length;

    public bool IsEmpty => _length == 0;

    public ref readonly T this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if (unchecked((uint)index >= (uint)_length))
                Keyhole.Probe.Panic.OutOfRange();
            return ref Unsafe.Add(ref _reference, index);
        }
    }

    public ReadOnlySpan<T> Slice(int start)
    {
        if (unchecked((uint)start > (uint)_length))
            Keyhole.Probe.Panic.OutOfRange();
        return new(ref Unsafe.Add(ref _reference, start), unchecked(_length - start));
    }

    public ReadOnlySpan<T> Slice(int start, int length)
    {
        if (unchecked((uint)start > (uint)_length || (uint)length > (uint)(_length - start)))
            Keyhole.Probe.Panic.OutOfRange();
        return new(ref Unsafe.Add(ref _reference, start), length);
    }

    /// <summary>The two may overlap, as in the class library.</summary>
    public unsafe void CopyTo(Span<T> destination)
    {
        if (_length > destination.Length)
            Keyhole.Probe.Panic.OutOfRange();
        if (_length == 0)
            return;
        ref T to = ref destination[0];
        bool isBehind = (byte*)Pointer(ref to) > (byte*)Pointer(ref _reference);
        if (isBehind)
        {
            for (int i = unchecked(_length - 1); i >= 0; i = unchecked(i - 1))
                Unsafe.Add(ref to, i) = Unsafe.Add(ref _reference, i);
            return;
        }

        for (int i = 0; i < _length; i++)
            Unsafe.Add(ref to, i) = Unsafe.Add(ref _reference, i);
    }

    /// <summary>For <c>fixed</c>; an empty span's is no place to look at.</summary>
    public ref readonly T GetPinnableReference() => ref _reference;

    public Enumerator GetEnumerator() => new(this);

    // Nothing moves in a kernel without a garbage collector: a reference is an address.
    private static unsafe void* Pointer(ref T reference) => Keyhole.Probe.Native.AddressOf(ref Unsafe.As<T, byte>(ref reference));

    public ref struct Enumerator
    {
        private readonly ReadOnlySpan<T> _span;
        private int _index;

        internal Enumerator(ReadOnlySpan<T> span)
        {
            _span = span;
            _index = -1;
        }

        public readonly ref readonly T Current => ref _span[_index];

        public bool MoveNext()
        {
            _index++;
            return _index < _span.Length;
        }
    }
}
