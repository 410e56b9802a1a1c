// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Keyhole.Tests;

/// <summary>Where a library takes a caller's mistake in without telling it.</summary>
internal static class Borders
{
    /// <summary>Public static methods, constructors, and methods of what needs nothing to be made, that answer null or a default array with a fault of their own, and how many were
    /// called.</summary>
    public static IEnumerable<string> FaultsOfNothing(Assembly library, out int count)
    {
        List<string> wrong = [];
        count = 0;
        foreach (MethodBase method in library.GetExportedTypes()
            .Where(static type => !type.ContainsGenericParameters && !typeof(Delegate).IsAssignableFrom(type))
            .SelectMany(static type => type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly)
                .Concat<MethodBase>(type.IsAbstract ? [] : type.GetConstructors())
                .Concat(CanBeMade(type) ? type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly) : [])))
        {
            ParameterInfo[] parameters = method.GetParameters();
            if ((method.IsSpecialName && !method.IsConstructor) || method.ContainsGenericParameters || !parameters.Any(IsGiven)
                || parameters.Any(static parameter => parameter.ParameterType.IsByRefLike))
                continue;
            count++;
            object?[] nothing =
                [.. parameters.Select(static parameter => parameter.ParameterType is { IsValueType: true } type ? Activator.CreateInstance(type)
                    : null)];
            try
            {
                _ = method is ConstructorInfo constructor ? constructor.Invoke(nothing) : method.Invoke(method.IsStatic ? null : Activator.CreateInstance(method.DeclaringType!), nothing);
            }
            catch (TargetInvocationException thrown) when (thrown.InnerException is not ArgumentException)
            {
                wrong.Add($"{method.DeclaringType!.Name}.{method.Name}: {thrown.InnerException!.GetType().Name}");
            }
            catch (TargetInvocationException)
            {
                // Told as it should be.
            }
        }

        return wrong;
    }

    /// <summary>Arrays of public values that can be set to the default, which holds nothing, not even no elements.</summary>
    /// <param name="isMade">The values that users make by a constructor with arrays: of others, only what they set is looked at.</param>
    public static IEnumerable<string> DefaultArrays(Assembly library, Predicate<Type> isMade, out int count)
    {
        List<string> wrong = [];
        count = 0;
        foreach (Type type in library.GetExportedTypes()
            .Where(type => !type.IsAbstract && !type.ContainsGenericParameters))
        {
            // What only a constructor of the library's takes is not made by users.
            string?[] taken = isMade(type) ? [] : [.. type.GetConstructors().SelectMany(static constructor => constructor.GetParameters())
                .Select(static parameter => parameter.Name)];
            foreach (PropertyInfo property in type.GetProperties()
                .Where(property => property.SetMethod is { IsPublic: true } && IsArray(property.PropertyType) && !taken.Contains(property.Name)))
            {
                count++;
                object made = RuntimeHelpers.GetUninitializedObject(type);
                try
                {
                    property.SetValue(made, Activator.CreateInstance(property.PropertyType));
                    wrong.Add($"{type.Name}.{property.Name}");
                }
                catch (TargetInvocationException thrown) when (thrown.InnerException is ArgumentException)
                {
                    // Told as it should be.
                }
            }
        }

        return wrong;
    }

    private static bool CanBeMade(Type type) => type is { IsAbstract: false, IsValueType: false } && type.GetConstructor(Type.EmptyTypes) is not null;

    private static bool IsArray(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ImmutableArray<>);

    private static bool IsGiven(ParameterInfo parameter) => !parameter.IsOut
        && (!parameter.ParameterType.IsValueType || IsArray(parameter.ParameterType));
}
