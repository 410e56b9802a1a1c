// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.Globalization;

namespace Keyhole.Guests;

/// <summary>The processors of a guest as <c>-smp</c> has them: how many, and how they are put together. What is not said is null.</summary>
/// <remarks>Source: QEMU's hw/core/machine-smp.c at each release since 6.2, and the refusals of 7.2, 10.0 and 11.1.</remarks>
internal sealed record QemuProcessors
{
    private const string Invalid = "Invalid CPU topology: ";

    /// <summary>Before this release the words are others.</summary>
    private static readonly QemuVersion s_oldest = new(6, 2);

    /// <summary>From these on 0 is refused, and modules are a level.</summary>
    private static readonly QemuVersion s_refusesZero = new(9, 0);
    private static readonly QemuVersion s_hasModules = new(9, 1);

    /// <summary>Machine types before this one make sockets of what no level takes, later ones cores.</summary>
    private static readonly QemuVersion s_prefersCores = new(6, 2);

    private int? Cpus { get; init; }

    private int? Sockets { get; init; }

    private int? Dies { get; init; }

    private int? Clusters { get; init; }

    private int? Modules { get; init; }

    private int? Cores { get; init; }

    private int? Threads { get; init; }

    private int? MaxCpus { get; init; }

    /// <summary>The first name that no level has; empty where there is none.</summary>
    private string Stranger { get; init; } = "";

    /// <summary>The same with one more value: of a name that is there twice the last counts.</summary>
    public QemuProcessors With(string name, int count) => name switch
    {
        "cpus" => this with { Cpus = count },
        "sockets" => this with { Sockets = count },
        "dies" => this with { Dies = count },
        "clusters" => this with { Clusters = count },
        "modules" => this with { Modules = count },
        "cores" => this with { Cores = count },
        "threads" => this with { Threads = count },
        "maxcpus" => this with { MaxCpus = count },
        "books" or "drawers" => this,
        _ => this with { Stranger = Stranger.Length > 0 ? Stranger : name },
    };

    /// <summary>Processors that the guest starts with; 0 in any place is as good as nothing.</summary>
    public int Count => Said(Cpus) ?? Said(MaxCpus) ?? Math.Max(1, Product(Sockets, Dies, Clusters, Modules, Cores, Threads));

    /// <summary>Processors that can be plugged in; 0 where nothing is said.</summary>
    public int MostCount => Said(MaxCpus) ?? 0;

    /// <summary>
    /// Sockets that are not named are what the other levels leave, where cores are named; where neither is, the machine types before 6.2 take cores
    /// for one and make sockets of the rest, and the later ones take one socket, which is 0 here.
    /// </summary>
    public int SocketsOn(QemuVersion machine)
    {
        if (Said(Sockets) is { } said)
            return said;
        int inSocket = Product(Dies, Clusters, Modules, Cores, Threads);
        return Said(Cores) is not null || machine < s_prefersCores ? Math.Max(1, (Said(MaxCpus) ?? Count) / Math.Max(1, inSocket)) : 0;
    }

    /// <summary>Why QEMU does not start a guest with these; null where it does, or its words are not known.</summary>
    /// <param name="mostCpus">How many the board takes; null where that is not known.</param>
    /// <param name="boardName">The board as QEMU prints it.</param>
    public StartRefusal? Refusal(QemuVersion emulator, QemuMachineType type, int? mostCpus, string boardName)
    {
        if (Words(emulator, type, mostCpus, boardName) is not { } words)
            return null;
        // The levels alone, or the product of the levels: what is tried first is the least change.
        string? remedy = null;
        foreach ((QemuProcessors other, string text) in (ReadOnlySpan<(QemuProcessors, string)>)
            [
                (this with { Stranger = "" }, $"take {Stranger}= out of -smp"),
                (WithoutZeros, "take what is 0 out of -smp, or write 1 or more"),
                (this with { MaxCpus = Product(Sockets, Dies, Clusters, Modules, Cores, Threads) },
                    $"give the product of the levels: maxcpus={Product(Sockets, Dies, Clusters, Modules, Cores, Threads)}"),
                (this with { MaxCpus = Cpus }, $"give maxcpus= no less than the processors of the start: maxcpus={Cpus}"),
                (new() { Cpus = Cpus, MaxCpus = MaxCpus }, "leave sockets=, cores= and the other levels out"),
                (new() { Cpus = mostCpus }, $"give at most {mostCpus} processors to this board"),
            ])
        {
            if (remedy is null && !other.Equals(this) && other.Words(emulator, type, mostCpus, boardName) is null)
                remedy = text;
        }

        return new("QEMU", words, "") { IsOfCommand = true, Remedy = remedy };
    }

    private QemuProcessors WithoutZeros => new()
    {
        Cpus = Said(Cpus),
        Sockets = Said(Sockets),
        Dies = Said(Dies),
        Clusters = Said(Clusters),
        Modules = Said(Modules),
        Cores = Said(Cores),
        Threads = Said(Threads),
        MaxCpus = Said(MaxCpus),
        Stranger = Stranger,
    };

    private bool HasZero => !WithoutZeros.Equals(this);

    private string? Words(QemuVersion emulator, QemuMachineType type, int? mostCpus, string boardName)
    {
        if (emulator < s_oldest)
            return null;
        bool hasModules = emulator >= s_hasModules;
        if ((Stranger.Length > 0 ? Stranger : Modules is not null && !hasModules ? "modules" : "") is { Length: > 0 } name)
            return $"Parameter 'smp.{name}' is unexpected";
        if (HasZero && emulator >= s_refusesZero)
            return Invalid + "CPU topology parameters must be greater than zero";
        if (Clusters > 1)
            return hasModules ? "clusters > 1 not supported by this machine's CPU topology" : "clusters not supported by this machine's CPU topology";
        long dies = Said(Dies) ?? 1;
        long modules = Said(Modules) ?? 1;
        (long cpus, long most, long sockets, long cores, long threads) =
            (Said(Cpus) ?? 0, Said(MaxCpus) ?? 0, Said(Sockets) ?? 0, Said(Cores) ?? 0, Said(Threads) ?? 0);
        bool prefersCores = type.Version >= s_prefersCores;
        if (cpus == 0 && most == 0)
        {
            (sockets, cores, threads) = (Math.Max(sockets, 1), Math.Max(cores, 1), Math.Max(threads, 1));
        }
        else
        {
            most = most > 0 ? most : cpus;
            if (cores == 0 && (prefersCores || sockets > 0))
            {
                (sockets, threads) = (Math.Max(sockets, 1), Math.Max(threads, 1));
                cores = most / (sockets * dies * modules * threads);
            }
            else if (sockets == 0)
            {
                (cores, threads) = (Math.Max(cores, 1), Math.Max(threads, 1));
                sockets = most / (dies * modules * cores * threads);
            }

            threads = threads > 0 ? threads : most / (sockets * dies * modules * cores);
        }

        long product = sockets * dies * modules * cores * threads;
        most = most > 0 ? most : product;
        cpus = cpus > 0 ? cpus : most;
        string levels = string.Create(CultureInfo.InvariantCulture,
            $"sockets ({sockets}) * dies ({dies}){(hasModules ? $" * modules ({modules})" : "")} * cores ({cores}) * threads ({threads})");
        return product != most ? string.Create(CultureInfo.InvariantCulture,
                $"{Invalid}product of the hierarchy must match maxcpus: {levels} != maxcpus ({most})")
            : most < cpus ? string.Create(CultureInfo.InvariantCulture,
                $"{Invalid}maxcpus must be equal to or greater than smp: {levels} == maxcpus ({most}) < smp_cpus ({cpus})")
            : most > mostCpus ? string.Create(CultureInfo.InvariantCulture,
                $"Invalid SMP CPUs {most}. The max CPUs supported by machine '{boardName}' is {mostCpus}") : null;
    }

    private static int? Said(int? count) => count > 0 ? count : null;

    private static int Product(params ReadOnlySpan<int?> levels)
    {
        const int most = 1 << 20;
        long product = 1;
        foreach (int? level in levels)
            product = Math.Min(most, product * (Said(level) ?? 1));
        return (int)product;
    }
}
