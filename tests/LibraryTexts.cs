// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
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

    /// <summary>Whether a text tells what only a user of the command line can do. QEMU has a <c>--device</c> of its own.</summary>
    public static bool NamesTheCommandLine(string text) => text != "--device" && (Option().IsMatch(text) || Verb().IsMatch(text));

    // Styles of web pages have names with two dashes, too.
    [GeneratedRegex(@"(^|[ ""'/]|(?<!var)\()--[a-z]")]
    private static partial Regex Option();

    [GeneratedRegex(@"\bkeyhole (show|plan|boot|compare|fleet|reserve|capture|apply|start|inspect|install|probe|verify)\b")]
    private static partial Regex Verb();
}
