// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using Keyhole.Forecasts;
using Keyhole.Guests;
using Keyhole.Hosts;
using Keyhole.Platforms;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Tests.Rooms;

/// <summary>What a program gives the library by mistake is told at the border, not deep inside.</summary>
[TestClass]
public sealed class BorderTests
{
    [TestMethod]
    public void No_public_method_answers_null_or_a_default_array_with_a_fault_of_its_own()
    {
        List<string> wrong = [];
        int count = 0;
        foreach (MethodInfo method in typeof(Host).Assembly.GetExportedTypes()
            .SelectMany(static type => type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly)))
        {
            ParameterInfo[] parameters = method.GetParameters();
            if (method.IsSpecialName || method.ContainsGenericParameters || !parameters.Any(static parameter => IsGiven(parameter))
                || parameters.Any(static parameter => parameter.ParameterType.IsByRefLike))
                continue;
            count++;
            object?[] nothing =
                [.. parameters.Select(static parameter => parameter.ParameterType is { IsValueType: true } type ? Activator.CreateInstance(type)
                    : null)];
            try
            {
                method.Invoke(null, nothing);
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

        Assert.IsGreaterThan(50, count);
        Assert.AreEqual("", string.Join('\n', wrong));
    }

    [TestMethod]
    public void No_array_of_a_value_that_users_make_can_be_the_default()
    {
        string[] rooms = ["Keyhole.Hosts", "Keyhole.Captures", "Keyhole.Guests", "Keyhole.Pci", "Keyhole.Migration", "Keyhole.Comparison"];
        List<string> wrong = [];
        int count = 0;
        foreach (Type type in typeof(Host).Assembly.GetExportedTypes()
            .Where(type => rooms.Contains(type.Namespace) && !type.IsAbstract && !type.ContainsGenericParameters))
        {
            // What a constructor takes has a setter that the compiler makes.
            string?[] taken = [.. type.GetConstructors().SelectMany(static constructor => constructor.GetParameters())
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

        Assert.IsGreaterThan(20, count);
        Assert.AreEqual("", string.Join('\n', wrong));
    }

    [TestMethod]
    public void A_value_cannot_be_made_of_nothing()
    {
        Assert.ThrowsExactly<ArgumentException>(static () => new Host { Entries = default });
        Assert.ThrowsExactly<ArgumentNullException>(static () => Host.Unknown with { Traits = null! });
        Assert.ThrowsExactly<ArgumentException>(static () => HostTraits.Unknown with { IoApics = default });
        Assert.ThrowsExactly<ArgumentNullException>(static () => new Scenario { Host = null!, Guest = new() { MemoryKiB = 1, MaxmemKiB = 1 } });
        Assert.ThrowsExactly<ArgumentException>(static () => new BootRequest { Map = default, PageCount = 1, Layout = GuestLayout.Unknown });
    }

    private static bool IsArray(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ImmutableArray<>);

    private static bool IsGiven(ParameterInfo parameter) => !parameter.IsOut
        && (!parameter.ParameterType.IsValueType || IsArray(parameter.ParameterType));
}
