// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Packages.Tests;

/// <summary>The libraries' packages, packed from what was built, and used by a program that knows nothing but them.</summary>
[TestClass]
public sealed partial class LibraryPackageTests
{
    private static readonly string[] s_libraries = ["Keyhole", "Keyhole.Dom0"];

    private static string s_packed = "";

    [ClassInitialize]
    public static void Pack(TestContext context)
    {
        s_packed = Directory.CreateTempSubdirectory("keyhole-nuget-").FullName;
        foreach (string library in s_libraries)
            Tools.Output("dotnet", "pack", $"src/{library}", "-c", "Release", "--no-build", "--nologo", "-v", "quiet", "-o", s_packed);
    }

    [ClassCleanup]
    public static void Remove() => Directory.Delete(s_packed, recursive: true);

    [TestMethod]
    [DataRow("Keyhole", "lib/net10.0/Keyhole.Core.dll lib/net10.0/Keyhole.Core.xml lib/net10.0/Keyhole.dll lib/net10.0/Keyhole.xml")]
    [DataRow("Keyhole.Dom0", "lib/net10.0/Keyhole.Dom0.dll lib/net10.0/Keyhole.Dom0.xml")]
    public void A_package_holds_its_library_with_its_documentation_and_says_what_it_is(string library, string files)
    {
        using ZipArchive package = Open(library);
        CollectionAssert.AreEqual(files.Split(' '), package.Entries.Select(static entry => entry.FullName)
            .Where(static name => name.StartsWith("lib/", StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToArray());
        XElement about = About(package);

        Assert.AreEqual("GPL-2.0-only", Text(about, "license"));
        Assert.AreEqual("README.md", Text(about, "readme"));
        Assert.IsGreaterThan(60, Text(about, "description").Length);
        Assert.AreEqual("git", about.Elements().Single(static element => element.Name.LocalName == "repository").Attribute("type")!.Value);
        Assert.AreEqual(Source($"src/{library}/README.md"), Read(package, "README.md"));
    }

    [TestMethod]
    public void The_core_is_a_part_of_Keyhole_and_no_package_that_it_needs()
    {
        using ZipArchive keyhole = Open("Keyhole");
        using ZipArchive dom0 = Open("Keyhole.Dom0");

        CollectionAssert.DoesNotContain(Needs(keyhole), "Keyhole.Core");
        CollectionAssert.Contains(Needs(dom0), "Keyhole");
        CollectionAssert.DoesNotContain(Needs(dom0), "Keyhole.Core");
    }

    [TestMethod]
    public void The_example_of_each_readme_is_built_from_the_packages_alone_and_Keyholes_runs()
    {
        string folder = Directory.CreateTempSubdirectory("keyhole-consumer-").FullName;
        try
        {
            string example = Example("Keyhole");
            Assert.IsLessThanOrEqualTo(12,
                example.Split('\n').Count(static line => line.Length > 0 && !line.StartsWith("using Keyhole", StringComparison.Ordinal)
                    && !line.StartsWith("//", StringComparison.Ordinal)));
            // A program has one entry: the other example is a local function's body.
            string usings = string.Join('\n',
                s_libraries.SelectMany(library => Example(library).Split('\n'))
                    .Where(static line => line.StartsWith("using Keyhole", StringComparison.Ordinal)).Distinct());
            string live = string.Join('\n',
                Example("Keyhole.Dom0").Split('\n').Where(static line => !line.StartsWith("using Keyhole", StringComparison.Ordinal)));
            string pure = string.Join('\n', example.Split('\n').Where(static line => !line.StartsWith("using Keyhole", StringComparison.Ordinal)));
            File.WriteAllText(Path.Combine(folder, "Program.cs"),
                $"{usings}\nif (args.Length > 0) Live();\nPure();\nstatic void Live()\n{{\n{live}\n}}\nstatic void Pure()\n{{\n{pure}\n}}\n");
            File.WriteAllText(Path.Combine(folder, "Consumer.csproj"), """
                <Project Sdk="Microsoft.NET.Sdk">
                  <PropertyGroup>
                    <OutputType>Exe</OutputType>
                    <TargetFramework>net10.0</TargetFramework>
                    <ImplicitUsings>enable</ImplicitUsings>
                    <Nullable>enable</Nullable>
                    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
                    <!-- The packages have the version of those that may be installed already. -->
                    <RestorePackagesPath>packages</RestorePackagesPath>
                    <NuGetAudit>false</NuGetAudit>
                  </PropertyGroup>
                  <ItemGroup>
                    <PackageReference Include="Keyhole.Dom0" Version="0.1.0" />
                  </ItemGroup>
                </Project>
                """);
            string known = Environment.GetEnvironmentVariable("NUGET_PACKAGES") is { Length: > 0 } elsewhere
                ? elsewhere
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
            string project = Path.Combine(folder, "Consumer.csproj");
            File.Copy(Path.Combine(AppContext.BaseDirectory, "fixtures", "golden", "seed8g.log"), Path.Combine(folder, "xen.log"));

            Tools.Output("dotnet", "build", project, "-c", "Release", "--nologo", "-v", "quiet", $"-p:RestoreSources={s_packed}",
                $"-p:RestoreFallbackFolders={known}");
            string said = Tools.Output("sh", "-c", $"cd '{folder}' && dotnet bin/Release/net10.0/Consumer.dll");

            Assert.StartsWith("0x0 0x20000000 Ram: ", said);
            Assert.EndsWith("it boots\n", said);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static ZipArchive Open(string library) => ZipFile.OpenRead(Path.Combine(s_packed, $"{library}.0.1.0.nupkg"));

    private static XElement About(ZipArchive package)
    {
        using Stream stream = package.Entries.Single(static entry => entry.Name.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
        return XDocument.Load(stream).Root!.Elements().Single();
    }

    private static string Text(XElement about, string name) => about.Elements().Single(element => element.Name.LocalName == name).Value;

    private static string[] Needs(ZipArchive package) =>
        [.. About(package).Descendants().Where(static element => element.Name.LocalName == "dependency")
            .Select(static element => element.Attribute("id")!.Value)];

    private static string Read(ZipArchive package, string name)
    {
        using var reader = new StreamReader(package.GetEntry(name)!.Open());
        return reader.ReadToEnd();
    }

    private static string Source(string path) => File.ReadAllText(Path.Combine(Tools.Tree, path));

    private static string Example(string library) => Code().Match(Source($"src/{library}/README.md")).Groups["code"].Value;

    [GeneratedRegex("```csharp\n(?<code>.*?)```", RegexOptions.Singleline | RegexOptions.ExplicitCapture)]
    private static partial Regex Code();
}
