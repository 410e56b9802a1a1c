// SPDX-License-Identifier: GPL-2.0-only

// What the compiler needs to exist, and no more: the probe runs without the .NET runtime.
#pragma warning disable CS0169 // A runtime type's members are the compiler's business.

namespace System
{
    public class Object
    {
        // The first word of every object is its method table, which the compiler lays out; nothing here makes objects.
        private readonly nint _methodTable;

        public virtual bool Equals(object? obj) => false;

        public virtual int GetHashCode() => 0;
    }

    public abstract class ValueType;

    public abstract class Enum : ValueType;

    public struct Void;

    public struct Boolean;

    public struct Char;

    public struct SByte;

    public struct Byte
    {
        public const byte MaxValue = 255;
    }

    public struct Int16;

    public struct UInt16
    {
        public const ushort MaxValue = 0xffff;
    }

    public struct Int32
    {
        public const int MaxValue = 0x7fffffff;
    }

    public struct UInt32
    {
        public const uint MaxValue = 0xffffffff;
    }

    public struct Int64
    {
        public const long MaxValue = 0x7fffffffffffffff;
    }

    public struct UInt64
    {
        public const ulong MaxValue = 0xffffffffffffffff;
    }

    public struct IntPtr;

    public struct UIntPtr;

    public struct Single;

    public struct Double;

    public struct Nullable<T>
        where T : struct
    {
        private readonly bool _hasValue;
        private T _value;
    }

    public struct ValueTuple<T1, T2>
    {
        public T1 Item1;
        public T2 Item2;

        public ValueTuple(T1 item1, T2 item2)
        {
            Item1 = item1;
            Item2 = item2;
        }
    }

    public sealed class String
    {
        public readonly int Length;
    }

    public abstract class Array;

    public class Array<T> : Array;

    public abstract class Type;

    public struct RuntimeTypeHandle;

    public struct RuntimeMethodHandle;

    public struct RuntimeFieldHandle;

    public abstract class Delegate;

    public abstract class MulticastDelegate : Delegate;

    public class Exception;

    public interface IDisposable
    {
        void Dispose();
    }

    public interface IEquatable<T>
        where T : allows ref struct
    {
        bool Equals(T other);
    }

    public interface IComparable<T>
        where T : allows ref struct
    {
        int CompareTo(T other);
    }

    public abstract class Attribute;

    public sealed class AttributeUsageAttribute : Attribute
    {
        public AttributeUsageAttribute(AttributeTargets validOn) => ValidOn = validOn;

        public AttributeTargets ValidOn { get; }

        public bool AllowMultiple { get; set; }

        public bool Inherited { get; set; }
    }

    public enum AttributeTargets
    {
        None = 0,
        All = 0x7fff,
    }

    public sealed class ParamArrayAttribute : Attribute;

    public sealed class FlagsAttribute : Attribute;
}

namespace System.Collections
{
    public interface IEnumerable;

    public interface IEnumerator;
}

namespace System.Reflection
{
    public sealed class DefaultMemberAttribute : Attribute
    {
        public DefaultMemberAttribute(string memberName) => MemberName = memberName;

        public string MemberName { get; }
    }
}

namespace System.Runtime
{
    /// <summary>Calls a symbol of the link directly.</summary>
    public sealed class RuntimeImportAttribute : Attribute
    {
        public RuntimeImportAttribute(string dllName, string entryPoint)
        {
            DllName = dllName;
            EntryPoint = entryPoint;
        }

        public string DllName { get; }

        public string EntryPoint { get; }
    }

    /// <summary>Gives a method a symbol for the link.</summary>
    public sealed class RuntimeExportAttribute : Attribute
    {
        public RuntimeExportAttribute(string entry) => EntryPoint = entry;

        public string EntryPoint { get; }
    }
}

namespace System.Runtime.InteropServices
{
    public enum LayoutKind
    {
        Sequential = 0,
        Explicit = 2,
        Auto = 3,
    }

    public sealed class StructLayoutAttribute : Attribute
    {
        public int Pack;
        public int Size;

        public StructLayoutAttribute(LayoutKind layoutKind) => Value = layoutKind;

        public LayoutKind Value { get; }
    }

    public sealed class FieldOffsetAttribute : Attribute
    {
        public FieldOffsetAttribute(int offset) => Value = offset;

        public int Value { get; }
    }

    public sealed class InAttribute : Attribute;

    public sealed class OutAttribute : Attribute;

    public enum UnmanagedType
    {
        None = 0,
    }
}

namespace System.Runtime.CompilerServices
{
    public sealed class RuntimeHelpers
    {
        public static int OffsetToStringData => 12;
    }

    public static class RuntimeFeature
    {
        public const string ByRefFields = nameof(ByRefFields);
        public const string ByRefLikeGenerics = nameof(ByRefLikeGenerics);
        public const string NumericIntPtr = nameof(NumericIntPtr);
        public const string UnmanagedSignatureCallingConvention = nameof(UnmanagedSignatureCallingConvention);
        public const string VirtualStaticsInInterfaces = nameof(VirtualStaticsInInterfaces);
    }

    public enum MethodImplOptions
    {
        None = 0,
        NoInlining = 8,
        AggressiveInlining = 256,
        InternalCall = 4096,
    }

    public sealed class MethodImplAttribute : Attribute
    {
        public MethodImplAttribute(MethodImplOptions options) => Value = options;

        public MethodImplOptions Value { get; }
    }

    public sealed class IntrinsicAttribute : Attribute;

    public sealed class IsByRefLikeAttribute : Attribute;

    public sealed class IsReadOnlyAttribute : Attribute;

    public sealed class IsUnmanagedAttribute : Attribute;

    public sealed class ScopedRefAttribute : Attribute;

    public sealed class RefSafetyRulesAttribute : Attribute
    {
        public RefSafetyRulesAttribute(int version) => Version = version;

        public int Version { get; }
    }

    public sealed class RequiresLocationAttribute : Attribute;

    public sealed class CompilerGeneratedAttribute : Attribute;

    public sealed class ExtensionAttribute : Attribute;

    public sealed class UnsafeValueTypeAttribute : Attribute;

    public sealed class FixedBufferAttribute : Attribute
    {
        public FixedBufferAttribute(Type elementType, int length)
        {
            ElementType = elementType;
            Length = length;
        }

        public Type ElementType { get; }

        public int Length { get; }
    }

    public static class IsVolatile;

    public static class IsExternalInit;

    /// <summary>The compiler knows these by name and puts code in their place.</summary>
    public static unsafe class Unsafe
    {
        [Intrinsic]
        public static extern ref T Add<T>(ref T source, int elementOffset)
            where T : allows ref struct;

        [Intrinsic]
        public static extern ref T Add<T>(ref T source, nint elementOffset)
            where T : allows ref struct;

        [Intrinsic]
        public static extern ref T AsRef<T>(void* source)
            where T : allows ref struct;

        [Intrinsic]
        public static extern ref T AsRef<T>(ref readonly T source)
            where T : allows ref struct;

        [Intrinsic]
        public static extern ref TTo As<TFrom, TTo>(ref TFrom source)
            where TFrom : allows ref struct
            where TTo : allows ref struct;

        [Intrinsic]
        public static extern int SizeOf<T>()
            where T : allows ref struct;
    }
}

namespace System.Diagnostics.CodeAnalysis
{
    public sealed class DoesNotReturnAttribute : Attribute;

    public sealed class UnscopedRefAttribute : Attribute;
}
