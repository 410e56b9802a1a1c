// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;

namespace Keyhole.RealMachine;

/// <summary>
/// A release of Debian whose packages a harness unpacks: apt fetches them with a list of sources and folders of the harness' own, so that nothing of
/// this machine's apt is touched but its keys and the address of its mirror. Lists are fetched when they are missing, and again when something is not
/// to be had.
/// </summary>
public sealed class DebianSuite
{
    private static readonly string[] s_suiteNames = ["bullseye", "bookworm", "trixie", "forky", "sid", "oldoldstable", "oldstable", "stable",
        "testing", "unstable"];
    private const string Keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

    private readonly bool _hasSecurity;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Package> _obtained = [];

    private DebianSuite(string name, bool hasSecurity)
    {
        Name = name;
        _hasSecurity = hasSecurity;
    }

    public static DebianSuite Bullseye { get; } = new("bullseye", hasSecurity: true);

    public static DebianSuite Bookworm { get; } = new("bookworm", hasSecurity: true);

    public static DebianSuite Trixie { get; } = new("trixie", hasSecurity: true);

    public static DebianSuite Testing { get; } = new("testing", hasSecurity: false);

    /// <summary>"bookworm".</summary>
    public string Name { get; }

    private string Folder => Path.Combine(Workshop.Downloads, "apt", Name);

    /// <summary>The packages of those names in their newest version, in that order, downloaded now if they have not been.</summary>
    /// <exception cref="HarnessException">A package is not to be had.</exception>
    public IReadOnlyList<Package> Obtain(params IReadOnlyCollection<string> names)
    {
        lock (_gate)
        {
            string[] unknown = [.. names.Where(name => !_obtained.ContainsKey(name)).Distinct()];
            if (unknown.Length > 0)
            {
                using IDisposable ours = Workshop.DownloadLock();
                WithFreshLists(() =>
                {
                    foreach (Package package in Fetch(unknown))
                        _obtained[package.Name] = package;
                    return true;
                });
            }

            return [.. names.Select(name => _obtained[name])];
        }
    }

    /// <summary>The package that a meta-package stands for: the first of its dependencies that starts with <paramref name="prefix"/>.</summary>
    /// <exception cref="HarnessException">There is none.</exception>
    public string DependencyOf(string metaPackage, string prefix) => Locked(() =>
        Dependencies(metaPackage).GetValueOrDefault(metaPackage, []).FirstOrDefault(name => name.StartsWith(prefix, StringComparison.Ordinal))
            ?? throw new HarnessException($"{metaPackage}: not in the lists of Debian {Name}, or without a dependency on {prefix}…"));

    /// <summary>What a package depends on directly, in its order; of alternatives the first that the suite has.</summary>
    /// <exception cref="HarnessException">The package is not in the lists.</exception>
    public IReadOnlyList<string> DependenciesOf(string name) => Locked(() =>
        Dependencies(name).GetValueOrDefault(name) ?? throw new HarnessException($"{name}: not in the lists of Debian {Name}"));

    /// <summary>
    /// The packages with the libraries that programs of <paramref name="names"/> need, in the order in which they are met: dependencies of
    /// dependencies too, but only through libraries. What else a package depends on, interpreters above all, is left out.
    /// </summary>
    /// <exception cref="HarnessException">A package is not in the lists.</exception>
    public IReadOnlyList<string> LibrariesOf(params IReadOnlyCollection<string> names) => Locked(() =>
    {
        Dictionary<string, List<string>> dependencies = Dependencies([.. names]);
        var libraries = new List<string>();
        var open = new Queue<string>(names);
        while (open.TryDequeue(out string? name))
        {
            foreach (string needed in dependencies.GetValueOrDefault(name)
                ?? throw new HarnessException($"{name}: not in the lists of Debian {Name}"))
            {
                bool isLibrary = needed.StartsWith("lib", StringComparison.Ordinal) || needed == "zlib1g";
                if (isLibrary && dependencies.ContainsKey(needed) && !libraries.Contains(needed))
                {
                    libraries.Add(needed);
                    open.Enqueue(needed);
                }
            }
        }

        return (IReadOnlyList<string>)libraries;
    });

    private T Locked<T>(Func<T> query)
    {
        lock (_gate)
        {
            using IDisposable ours = Workshop.DownloadLock();
            return WithFreshLists(query);
        }
    }

    private T WithFreshLists<T>(Func<T> query)
    {
        if (!File.Exists(Path.Combine(Folder, "fetched")))
            UpdateLists();
        else
        {
            try
            {
                return query();
            }
            catch (HarnessException)
            {
                // Lists older than the archive have one remedy; a second failure is the user's to see.
                UpdateLists();
            }
        }

        return query();
    }

    // Name → what it depends on, for the named packages and everything that they lead to. Of alternatives apt names the first that it has.
    private Dictionary<string, List<string>> Dependencies(params string[] names)
    {
        Tool.Result result = Apt(
            "apt-cache",
            ["depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances",
                .. names]);
        var all = new Dictionary<string, List<string>>();
        List<string> current = [];
        foreach (string line in result.Output.Split('\n'))
        {
            if (line.Length > 0 && line[0] is not (' ' or '<'))
                all[line.Trim()] = current = [];
            else if (line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var needed] && !needed.StartsWith('<'))
                current.Add(needed);
        }

        return all;
    }

    // apt says which file each package is, and how long; only those that are not there are downloaded.
    private List<Package> Fetch(string[] names)
    {
        Tool.Result listed = Apt("apt-get", ["download", "--print-uris", .. names]);
        if (!listed.Succeeded)
            throw new HarnessException($"Debian {Name}: {listed.Complaint}");
        var packages = new List<Package>();
        var missing = new List<Package>();
        foreach (string line in listed.Output.Split('\n'))
        {
            // 'URL' name_version_architecture.deb bytes SHA256:…
            if (line.Split(' ') is not [['\'', ..], var file, var bytes, ..] || file.Split('_') is not [var name, var version, _])
                continue;
            var package = new Package(name, Uri.UnescapeDataString(version), Path.Combine(Workshop.Downloads, file));
            packages.Add(package);
            if (!File.Exists(package.File) || $"{new FileInfo(package.File).Length}" != bytes)
                missing.Add(package);
        }

        if (names.FirstOrDefault(name => !packages.Any(package => package.Name == name)) is { } unnamed)
            throw new HarnessException($"{unnamed}: not in the lists of Debian {Name}");
        Download(missing);
        return packages;
    }

    private void Download(List<Package> missing)
    {
        if (missing.Count == 0)
            return;
        string incoming = Path.Combine(Folder, "incoming");
        if (Directory.Exists(incoming))
            Directory.Delete(incoming, recursive: true);
        Directory.CreateDirectory(incoming);
        Tool.Result result = Apt("apt-get", ["download", .. missing.Select(package => $"{package.Name}={package.Version}")], incoming);
        foreach (Package package in missing)
        {
            string file = Path.Combine(incoming, Path.GetFileName(package.File));
            if (!File.Exists(file))
                throw new HarnessException($"{package.Name} {package.Version}: could not be downloaded from Debian {Name} ({result.Complaint})");
            File.Move(file, package.File, overwrite: true);
        }
    }

    private void UpdateLists()
    {
        Directory.CreateDirectory(Path.Combine(Folder, "lists", "partial"));
        Directory.CreateDirectory(Path.Combine(Folder, "cache", "archives", "partial"));
        // No package is installed, as far as this apt knows.
        File.WriteAllText(Path.Combine(Folder, "status"), "");
        File.WriteAllText(Path.Combine(Folder, "sources.list"), Sources());
        Tool.Result result = Apt("apt-get", ["update"]);
        if (!result.Succeeded || result.Error.Split('\n').Any(line => line.StartsWith("E: ", StringComparison.Ordinal)))
            throw new HarnessException($"Debian {Name}: its lists could not be fetched ({result.Complaint})");
        File.WriteAllText(Path.Combine(Folder, "fetched"), "");
    }

    // The mirrors are those that this machine uses for its own Debian.
    private string Sources()
    {
        string options = File.Exists(Keyring) ? $" [signed-by={Keyring}]" : "";
        (string Release, string Uri)[] targets =
        [
            .. Tool.Run("/", "apt-get", "indextargets", "--no-release-info", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages").Output
                .Split('\n').Select(line => line.Split(' ')).Where(words => words.Length == 2).Select(words => (words[0], words[1])),
        ];
        string main = targets.FirstOrDefault(target => s_suiteNames.Contains(target.Release)).Uri
            ?? throw new HarnessException("apt's sources name no Debian; the harness takes the address of its mirror from there");
        string? security = targets.FirstOrDefault(target => s_suiteNames.Any(suite => target.Release == suite + "-security")).Uri;
        string sources = $"deb{options} {main} {Name} main\n";
        return _hasSecurity && security is not null ? $"{sources}deb{options} {security} {Name}-security main\n" : sources;
    }

    private Tool.Result Apt(string program, string[] arguments, string folder = "/")
    {
        const string Nothing = "/dev/null";
        (string Option, string Value)[] options =
        [
            ("Dir::Etc::SourceList", Path.Combine(Folder, "sources.list")), ("Dir::Etc::SourceParts", "-"), ("Dir::Etc::Preferences", Nothing),
            ("Dir::Etc::PreferencesParts", "-"),
            ("Dir::State", Folder), ("Dir::State::Lists", Path.Combine(Folder, "lists")), ("Dir::State::Status", Path.Combine(Folder, "status")),
            ("Dir::Cache", Path.Combine(Folder, "cache")), ("APT::Architecture", "amd64"), ("APT::Architectures", "amd64"),
            ("Acquire::Languages", "none"),
            ("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false"), ("Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled", "false"),
            ("APT::Sandbox::User", ""),
        ];
        return Tool.Run(folder, program, [.. options.SelectMany(option => (string[])["-o", $"{option.Option}={option.Value}"]), .. arguments]);
    }
}
