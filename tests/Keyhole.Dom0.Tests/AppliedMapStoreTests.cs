// SPDX-License-Identifier: GPL-2.0-only

using System;
using System.IO;
using System.Linq;
using Keyhole.E820;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace Keyhole.Dom0.Tests;

[TestClass]
public sealed class AppliedMapStoreTests
{
    private static readonly Guid s_uuid = new("11111111-2222-3333-4444-555555555555");

    private string _folder = "";

    [TestInitialize]
    public void Make_a_folder() => _folder = Directory.CreateTempSubdirectory("keyhole-state-").FullName;

    [TestCleanup]
    public void Remove_the_folder() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void What_is_saved_is_loaded_also_what_libxl_lets_wrap()
    {
        AppliedMap applied = Applied(E820Entry.FromSize(0x1_0000_0000, ulong.MaxValue - 5, E820Type.Ram),
            E820Entry.FromSize(0x1000, 0, (E820Type)77));
        Assert.IsNull(Store().Save(applied));

        AppliedMap loaded = Loaded(s_uuid)!;

        CollectionAssert.AreEqual(applied.Installed.ToArray(), loaded.Installed.ToArray());
        CollectionAssert.AreEqual(applied.Before.ToArray(), loaded.Before.ToArray());
        Assert.AreEqual((applied.Uuid, applied.Policy, applied.Domain), (loaded.Uuid, loaded.Policy, loaded.Domain));
        Assert.HasCount(1, Directory.GetFiles(Path.Combine(_folder, "state")));
    }

    [TestMethod]
    public void A_later_domain_of_the_same_number_has_nothing_to_undo()
    {
        Store().Save(Applied());

        Assert.IsNull(Loaded(Guid.Empty));
        Assert.IsNotNull(Loaded(s_uuid));
    }

    [TestMethod]
    public void Nothing_is_remembered_where_nothing_was_saved_or_all_was_removed()
    {
        Assert.IsNull(Loaded(s_uuid));
        Assert.IsNull(Store().Remove(new(5)));
        Store().Save(Applied());
        Assert.IsNull(Store().Remove(new(5)));
        Assert.IsNull(Loaded(s_uuid));
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("[]")]
    [DataRow("{\"uuid\":\"11111111-2222-3333-4444-555555555555\"}")]
    [DataRow("{\"uuid\":\"11111111-2222-3333-4444-555555555555\",\"policy\":\"punch\",\"installed\":[{\"address\":\"0\",\"size\":\"0x1\",\"type\":\"ram\"}],\"before\":[]}")]
    [DataRow("{\"uuid\":\"11111111-2222-3333-4444-555555555555\",\"policy\":\"\\ud800\",\"installed\":[],\"before\":[]}")]
    [DataRow("{\"uuid\":\"11111111-2222-3333-4444-555555555555\",\"policy\":\"punch\",\"installed\":[],\"before\":[")]
    public void A_damaged_file_is_one_line_with_a_remedy(string content)
    {
        Store().Save(Applied());
        File.WriteAllText(Directory.GetFiles(Path.Combine(_folder, "state"))[0], content);

        Assert.IsFalse(Store().Load(new(5), s_uuid).TryGet(out _, out XenProblem? error));
        Assert.Contains("this is not a remembered map; remove the file", error.ToString());
    }

    [TestMethod]
    public void A_folder_that_cannot_be_made_is_one_line()
    {
        File.WriteAllText(Path.Combine(_folder, "state"), "in the way");

        string line = Store().Save(Applied())!.ToString();

        Assert.DoesNotContain("\n", line);
        Assert.Contains("something else is where a folder should be: move it away", line);
    }

    [TestMethod]
    public void The_folder_is_run_keyhole_for_root_and_the_users_own_else()
    {
        Assert.AreEqual("/run/keyhole", AppliedMapStore.DefaultFolder(isRoot: true, "/run/user/0"));
        Assert.AreEqual("/run/user/1000/keyhole", AppliedMapStore.DefaultFolder(isRoot: false, "/run/user/1000"));
        Assert.AreEqual("/run/keyhole", AppliedMapStore.DefaultFolder(isRoot: false, null));
    }

    private static AppliedMap Applied(params E820Entry[] before) => new()
    {
        Domain = new(5),
        Uuid = s_uuid,
        Policy = "punch",
        Installed = [E820Entry.FromSize(0, 1 << 20, E820Type.Ram)],
        Before = [.. before],
    };

    private AppliedMapStore Store() => new(Path.Combine(_folder, "state"));

    private AppliedMap? Loaded(Guid uuid)
    {
        Assert.IsTrue(Store().Load(new(5), uuid).TryGet(out AppliedMapState? state, out XenProblem? error), error?.ToString());
        return state.Applied;
    }
}
