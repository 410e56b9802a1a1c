// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Text.RegularExpressions;

namespace Keyhole.Tests;

/// <summary>The texts that stand in a compiled library.</summary>
internal static partial class LibraryTexts
{
    /// <summary>Every string literal in the assembly of a type, and each part of an interpolated one.</summary>
    public static IEnumerable<string> Of(Type type)
    {
        using FileStream file = File.OpenRead(type.Assembly.Location);
        using var image = new PEReader(file);
        MetadataReader metadata = image.GetMetadataReader();
        List<string> texts = [];
        // The heap begins with an empty string.
        UserStringHandle handle = MetadataTokens.UserStringHandle(1);
        while (!handle.IsNil && metadata.GetHeapOffset(handle) < metadata.GetHeapSize(HeapIndex.UserString))
        {
            texts.Add(metadata.GetUserString(handle));
            handle = metadata.GetNextHandle(handle);
        }

        return texts;
    }

    /// <summary>Every string literal in the methods of one namespace, and each part of an interpolated one, with the type that has it.</summary>
    public static IEnumerable<(string Type, string Text)> InNamespace(Type type, string name)
    {
        using FileStream file = File.OpenRead(type.Assembly.Location);
        using var image = new PEReader(file);
        MetadataReader metadata = image.GetMetadataReader();
        List<(string, string)> texts = [];
        foreach (MethodDefinitionHandle handle in metadata.MethodDefinitions)
        {
            MethodDefinition method = metadata.GetMethodDefinition(handle);
            TypeDefinition owner = metadata.GetTypeDefinition(method.GetDeclaringType());
            // What the compiler makes of a lambda or an iterator is a type within the one that has it.
            while (!owner.GetDeclaringType().IsNil)
                owner = metadata.GetTypeDefinition(owner.GetDeclaringType());
            if (method.RelativeVirtualAddress == 0 || metadata.GetString(owner.Namespace) != name)
                continue;
            byte[] code = image.GetMethodBody(method.RelativeVirtualAddress).GetILBytes() ?? [];
            foreach ((_, OpCode instruction, int operand) in Instructions(code))
            {
                if (instruction == OpCodes.Ldstr)
                    texts.Add((metadata.GetString(owner.Name), metadata.GetUserString(MetadataTokens.UserStringHandle(operand & 0xff_ffff))));
            }
        }

        return texts;
    }

    /// <summary>The members that make a string of an enum where a phrase was meant: in a conditional expression the branches are strings first, and a
    /// setting in them is its bare name.</summary>
    public static int PlacesWhereSettingsBecomeStrings(Type type, string setting)
    {
        using FileStream file = File.OpenRead(type.Assembly.Location);
        using var image = new PEReader(file);
        MetadataReader metadata = image.GetMetadataReader();
        int places = 0;
        for (int row = 1; row <= metadata.GetTableRowCount(TableIndex.MethodSpec); row++)
        {
            MethodSpecification method = metadata.GetMethodSpecification(MetadataTokens.MethodSpecificationHandle(row));
            if (method.Method.Kind != HandleKind.MemberReference
                || metadata.GetString(metadata.GetMemberReference((MemberReferenceHandle)method.Method).Name) != "AppendFormatted")
                continue;
            BlobReader signature = metadata.GetBlobReader(method.Signature);
            // A generic method's arguments: their number, then each; here a value type by its token.
            signature.ReadByte();
            signature.ReadCompressedInteger();
            if (signature.ReadByte() != (byte)SignatureTypeKind.ValueType)
                continue;
            EntityHandle argument = signature.ReadTypeHandle();
            string name = argument.Kind switch
            {
                HandleKind.TypeDefinition => metadata.GetString(metadata.GetTypeDefinition((TypeDefinitionHandle)argument).Name),
                HandleKind.TypeReference => metadata.GetString(metadata.GetTypeReference((TypeReferenceHandle)argument).Name),
                _ => "",
            };
            if (name == setting)
                places++;
        }

        return places;
    }

    /// <summary>The members that make a text of a string which is not a constant: where an interpolated string is chosen by a conditional expression
    /// it is a string first, and what stood in its holes is lost.</summary>
    /// <param name="type">Of the assembly to look through.</param>
    /// <param name="text">The type of texts, which converts from strings.</param>
    public static IEnumerable<string> PlacesWhereParametersAreLost(Type type, string text)
    {
        using FileStream file = File.OpenRead(type.Assembly.Location);
        using var image = new PEReader(file);
        MetadataReader metadata = image.GetMetadataReader();
        List<string> places = [];
        foreach (MethodDefinitionHandle handle in metadata.MethodDefinitions)
        {
            MethodDefinition method = metadata.GetMethodDefinition(handle);
            if (method.RelativeVirtualAddress == 0)
                continue;
            byte[] code = image.GetMethodBody(method.RelativeVirtualAddress).GetILBytes() ?? [];
            // What may stand before an instruction: the one in front of it, and those in front of a jump to it.
            Dictionary<int, List<OpCode>> before = [];
            OpCode last = OpCodes.Nop;
            foreach ((int at, OpCode instruction, int operand) in Instructions(code))
            {
                if (last.FlowControl is not (FlowControl.Branch or FlowControl.Return or FlowControl.Throw))
                    Before(at).Add(last);
                // A switch has no one target; none of its jumps leads to a conversion.
                if (instruction.FlowControl is FlowControl.Branch or FlowControl.Cond_Branch && instruction != OpCodes.Switch)
                    Before(operand).Add(last);
                if (instruction == OpCodes.Call && IsConversion(operand) && Before(at).Exists(static given => given != OpCodes.Ldstr))
                    places.Add($"{metadata.GetString(metadata.GetTypeDefinition(method.GetDeclaringType()).Name)}.{metadata.GetString(method.Name)}");
                last = instruction;
            }

            List<OpCode> Before(int at) => before.TryGetValue(at, out List<OpCode>? known) ? known : before[at] = [];
        }

        return places;

        bool IsConversion(int token)
        {
            EntityHandle called = MetadataTokens.EntityHandle(token);
            (StringHandle name, EntityHandle of) = called.Kind switch
            {
                HandleKind.MethodDefinition => (metadata.GetMethodDefinition((MethodDefinitionHandle)called).Name,
                    metadata.GetMethodDefinition((MethodDefinitionHandle)called).GetDeclaringType()),
                HandleKind.MemberReference => (metadata.GetMemberReference((MemberReferenceHandle)called).Name,
                    metadata.GetMemberReference((MemberReferenceHandle)called).Parent),
                _ => default,
            };
            return metadata.GetString(name) == "op_Implicit" && of.Kind switch
            {
                HandleKind.TypeDefinition => metadata.GetString(metadata.GetTypeDefinition((TypeDefinitionHandle)of).Name) == text,
                HandleKind.TypeReference => metadata.GetString(metadata.GetTypeReference((TypeReferenceHandle)of).Name) == text,
                _ => false,
            };
        }
    }

    private static readonly Dictionary<short, OpCode> s_opCodes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(static field => (OpCode)field.GetValue(null)!).ToDictionary(static opCode => opCode.Value);

    /// <summary>A method's instructions; the operand is the target of a jump, the token of a method or a string, or 0.</summary>
    private static IEnumerable<(int At, OpCode Instruction, int Operand)> Instructions(byte[] code)
    {
        int next = 0;
        while (next < code.Length)
        {
            int at = next;
            short value = code[next++];
            if (value == 0xfe)
                value = unchecked((short)(0xfe00 | code[next++]));
            OpCode instruction = s_opCodes[value];
            int size = instruction.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, next)),
                _ => 4,
            };
            int operand = instruction.OperandType switch
            {
                OperandType.ShortInlineBrTarget => next + 1 + unchecked((sbyte)code[next]),
                OperandType.InlineBrTarget => next + 4 + BitConverter.ToInt32(code, next),
                OperandType.InlineMethod or OperandType.InlineString => BitConverter.ToInt32(code, next),
                _ => 0,
            };
            next += size;
            yield return (at, instruction, operand);
        }
    }

    /// <summary>Whether a text tells what only a user of the command line can do. QEMU has a <c>--device</c> of its own.</summary>
    public static bool NamesTheCommandLine(string text) => text != "--device" && (Option().IsMatch(text) || Verb().IsMatch(text));

    // Styles of web pages have names with two dashes, too.
    [GeneratedRegex(@"(^|[ ""'/]|(?<!var)\()--[a-z]")]
    private static partial Regex Option();

    [GeneratedRegex(@"\bkeyhole (show|plan|boot|compare|fleet|reserve|capture|apply|start|inspect|install|probe|verify)\b")]
    private static partial Regex Verb();
}
