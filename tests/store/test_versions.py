"""Versions of one store, without a bucket: what makes one, what does not, and where they go with their file (F-138)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mountfs.errors import IsADirectory, MountBusy, NotFound
from mountfs.store.paths import Changes
from mountfs.store.store import Store
from mountfs.store.versions import number_of
from tests.store.conftest import Bench
from tests.store.test_trash import names, trashed
from tests.test_cli import Program


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(versions=True)


def rewrite(bench: Bench, name: str, data: bytes) -> None:
    """As `>` of a shell does."""
    live = bench.open(name)
    with live.lock:
        bench.store.files.truncate(live, 0)
    bench.write(live, data)
    bench.close(live)
    bench.settle()


def save(bench: Bench, name: str, *states: bytes) -> None:
    bench.save(name, states[0])
    bench.settle()
    for state in states[1:]:
        rewrite(bench, name, state)


def versions(bench: Bench, name: str) -> dict[int, bytes]:
    """What each version of a file held."""
    found = bench.store.versions.of(bench.entry(name))
    readers = {number: bench.store.files.open_content(version.content) for number, version in found.items()}
    return {number: reader.read(0, found[number].size) for number, reader in readers.items()}


def restore(bench: Bench, name: str, number: int) -> Changes:
    changes = Changes()
    bench.store.restoring.put_version(names(f"job/{name}"), number, changes)
    bench.settle()
    return changes


@pytest.mark.parametrize("size", [1, 200 << 10])
def test_what_is_written_over_stays_as_a_version(bench: Bench, size: int) -> None:
    save(bench, "file", b"a" * size, b"b" * size, b"c" * size)
    assert versions(bench, "file") == {1: b"a" * size, 2: b"b" * size, 3: b"c" * size}
    assert number_of(bench.store.catalog, bench.entry("file")) == 3
    assert trashed(bench.store, "job/file") == []
    assert bench.read("file") == b"c" * size


def test_a_file_that_was_never_written_over_has_no_versions(bench: Bench) -> None:
    save(bench, "file", b"a")
    assert versions(bench, "file") == {}
    assert number_of(bench.store.catalog, bench.entry("file")) == 1


def test_the_same_content_again_makes_no_new_version(bench: Bench) -> None:
    save(bench, "file", b"a", b"a", b"b", b"b", b"a")
    assert versions(bench, "file") == {1: b"a", 2: b"b", 3: b"a"}


def test_what_was_never_settled_is_no_version(bench: Bench) -> None:
    bench.save("file", b"a")
    live = bench.open("file")
    bench.write(live, b"b")
    bench.close(live)
    bench.settle()
    assert versions(bench, "file") == {}


def test_what_grew_is_a_version_too(bench: Bench) -> None:
    save(bench, "log", b"one\n")
    live = bench.open("log")
    bench.write(live, b"two\n", offset=4)
    bench.close(live)
    bench.settle()
    assert versions(bench, "log") == {1: b"one\n", 2: b"one\ntwo\n"}


def test_a_save_by_temporary_file_and_rename_goes_on_with_the_history(bench: Bench) -> None:
    save(bench, "file", b"a", b"b")
    bench.save("file.tmp", b"c")
    bench.store.tree.rename(bench.job, b"file.tmp", bench.job, b"file")
    bench.settle()
    assert versions(bench, "file") == {1: b"a", 2: b"b", 3: b"c"}
    assert trashed(bench.store, "job/file") == []


def test_a_history_follows_its_file_and_directory_to_another_name(bench: Bench) -> None:
    save(bench, "file", b"a", b"b")
    bench.store.tree.rename(bench.job, b"file", bench.job, b"other")
    bench.store.tree.rename(1, b"job", 1, b"renamed")
    assert versions(bench, "other") == {1: b"a", 2: b"b"}


def test_a_removed_file_takes_its_versions_to_the_trash_and_a_new_one_begins_at_one(bench: Bench) -> None:
    save(bench, "file", b"a", b"b", b"c")
    bench.store.tree.unlink(bench.job, b"file")
    assert sorted(trashed(bench.store, "job/file")) == ["removed", "version 1", "version 2"]
    bench.settle()
    save(bench, "file", b"x", b"y")
    assert versions(bench, "file") == {1: b"x", 2: b"y"}


def put_back(bench: Bench, key: str, *, number: str | None = None) -> None:
    for removed in bench.store.restoring.choose(names(key), number=number):
        bench.store.restoring.put_back(removed, names=None, changes=Changes())
    bench.settle()


def numbered(bench: Bench, key: str, reason: str) -> str:
    """The number of what went for that reason."""
    (found,) = (one.number for one in bench.store.restoring.bin.at(names(key)) if one.reason == reason)
    return found


def test_a_restored_file_has_its_versions_again_and_the_trash_has_them_no_more(bench: Bench) -> None:
    save(bench, "file", b"a", b"a", b"b", b"c")
    bench.store.tree.unlink(bench.job, b"file")
    put_back(bench, "job/file")
    assert versions(bench, "file") == {1: b"a", 2: b"b", 3: b"c"}
    assert trashed(bench.store, "job/file") == []
    restore(bench, "file", 1)
    assert bench.read("file") == b"a"
    bench.killed()
    assert versions(bench, "file") == {1: b"a", 2: b"b", 3: b"c", 4: b"a"}


def test_a_restored_directory_brings_what_each_file_held_last_with_its_versions(bench: Bench) -> None:
    for name in ("one", "two"):
        save(bench, name, b"a", b"b", name.encode())
    bench.store.tree.remove_tree(bench.store.tree.entry(bench.job))
    put_back(bench, "job")
    bench.job = bench.store.tree.lookup(1, b"job").ino
    assert [versions(bench, name)[3] for name in ("one", "two")] == [b"one", b"two"]
    assert bench.read("two") == b"two"


def test_restore_says_which_version_came_back_where_what_was_removed_was_not_stored(
    bench: Bench, tmp_path: Path
) -> None:
    """Three quick writes, of which one was settled, and `rm`."""
    save(bench, "r.txt", b"one", b"two")
    save(bench, "sub.txt", b"one", b"two")
    for state in (b"three", b"four"):
        live = bench.open("r.txt")
        with live.lock:
            bench.store.files.truncate(live, 0)
        bench.write(live, state)
        bench.close(live)
    bench.store.tree.remove_tree(bench.store.tree.entry(bench.job))
    bench.store.close()
    (tmp_path / "project").mkdir()
    (tmp_path / "mountfs.yml").write_text(f"state: {bench.path}\nversions: {{enabled: true}}\n")
    program = Program(tmp_path / "project")
    program.environment["MOUNTFS_CONFIG"] = str(tmp_path / "mountfs.yml")
    assert program("restore", "job").splitlines() == [
        "restored version 2 of job/r.txt: what was removed was not kept",
        "restored job/sub.txt",
    ]
    assert (program("cat", "job/r.txt"), program("cat", "job/sub.txt")) == ("two", "two")
    program("delete", "job/r.txt")
    number = next(str(row["id"]) for row in program.json("trash", "list", "job/r.txt") if row["reason"] == "version 1")
    assert program("restore", "job/r.txt", "--id", number) == "restored job/r.txt\n"  # it is what was asked for
    bench.store = Store.open(bench.path, bench.options)


def test_each_removal_has_its_own_versions(bench: Bench) -> None:
    save(bench, "file", b"a", b"b")
    bench.store.tree.unlink(bench.job, b"file")
    save(bench, "file", b"x", b"y", b"z")
    bench.store.tree.unlink(bench.job, b"file")
    put_back(bench, "job/file")
    assert versions(bench, "file") == {1: b"x", 2: b"y", 3: b"z"}
    assert trashed(bench.store, "job/file") == ["removed", "version 1"]
    put_back(bench, "job/file")
    assert versions(bench, "file") == {1: b"a", 2: b"b"}
    assert trashed(bench.store, "job/file") == ["replaced", "version 2", "version 1"]


def test_a_version_comes_back_by_its_number_in_the_trash(bench: Bench) -> None:
    save(bench, "file", b"a", b"b", b"c")
    bench.store.tree.unlink(bench.job, b"file")
    put_back(bench, "job/file", number=numbered(bench, "job/file", "version 2"))
    assert bench.read("file") == b"b"
    assert versions(bench, "file") == {1: b"a", 2: b"b"}


def test_more_versions_than_the_trash_keeps_of_a_path_come_back_whole(bench: Bench) -> None:
    save(bench, "file", *(b"%d" % number for number in range(30)))
    bench.store.tree.unlink(bench.job, b"file")
    put_back(bench, "job/file")
    assert sorted(versions(bench, "file")) == list(range(1, 31))


def test_who_asks_for_a_version_of_a_file_made_anew_is_told_where_the_earlier_ones_are(bench: Bench) -> None:
    save(bench, "file", b"a", b"b")
    bench.store.tree.unlink(bench.job, b"file")
    with pytest.raises(NotFound, match="job/file was removed: `mountfs restore job/file` brings it back"):
        restore(bench, "file", 1)
    save(bench, "file", b"x")
    with pytest.raises(NotFound, match="earlier versions are in the trash: see `mountfs trash list job/file`"):
        restore(bench, "file", 1)
    rewrite(bench, "file", b"y")
    with pytest.raises(NotFound, match="there are 1 to 2; earlier versions are in the trash"):
        restore(bench, "file", 3)


def test_an_emptied_file_keeps_its_versions(bench: Bench) -> None:
    save(bench, "file", b"a")
    live = bench.open("file")
    with live.lock:
        bench.store.files.truncate(live, 0)
    bench.close(live)
    bench.settle()
    assert versions(bench, "file") == {1: b"a"}
    assert number_of(bench.store.catalog, bench.entry("file")) == 2


def test_versions_survive_a_kill_right_after_the_write(bench: Bench) -> None:
    save(bench, "file", b"a")
    live = bench.open("file")
    with live.lock:
        bench.store.files.truncate(live, 0)
    bench.write(live, b"b")
    bench.close(live)
    bench.killed()
    bench.settle()
    bench.killed()
    assert versions(bench, "file") == {1: b"a", 2: b"b"}


def test_restoring_a_version_makes_a_new_one_and_keeps_tags_and_number(bench: Bench) -> None:
    save(bench, "file", b"a", b"bb")
    ino = bench.entry("file").ino
    bench.store.attributes.set(ino, b"user.team", b"payments")
    changes = restore(bench, "file", 1)
    assert (bench.read("file"), bench.entry("file").size, bench.entry("file").ino) == (b"a", 1, ino)
    assert versions(bench, "file") == {1: b"a", 2: b"bb", 3: b"a"}
    assert bench.store.attributes.get(ino, b"user.team") == b"payments"
    assert changes.grown == {ino}
    bench.killed()
    assert bench.read("file") == b"a"


def test_restoring_what_it_holds_changes_nothing(bench: Bench) -> None:
    save(bench, "file", b"a", b"b")
    assert restore(bench, "file", 2) == Changes()
    assert versions(bench, "file") == {1: b"a", 2: b"b"}


def test_what_cannot_be_restored_is_refused(bench: Bench) -> None:
    save(bench, "file", b"a", b"b")
    with pytest.raises(NotFound, match="there are 1 to 2"):
        restore(bench, "file", 3)
    live = bench.open("file")
    with pytest.raises(MountBusy, match="is being written"):
        restore(bench, "file", 1)
    bench.close(live)
    with pytest.raises(IsADirectory):
        bench.store.restoring.put_version(names("job"), 1, Changes())


def test_what_was_closed_a_moment_ago_is_not_lost_to_a_restore(bench: Bench) -> None:
    save(bench, "file", b"a", b"b")
    live = bench.open("file")
    bench.write(live, b"c")
    bench.close(live)
    with pytest.raises(MountBusy, match="is being stored"):
        restore(bench, "file", 1)
    bench.settle()
    restore(bench, "file", 1)
    assert versions(bench, "file") == {1: b"a", 2: b"b", 3: b"c", 4: b"a"}


def test_without_the_setting_the_trash_has_it(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    save(bench, "file", b"a", b"b")
    assert versions(bench, "file") == {}
    assert trashed(bench.store, "job/file") == ["overwritten"]


def test_the_content_of_a_version_goes_with_the_last_that_needs_it(bench: Bench) -> None:
    save(bench, "file", b"a" * 100_000, b"b")
    bench.store.tree.unlink(bench.job, b"file")
    for removed in list(bench.store.restoring.bin.all()):
        bench.store.restoring.forget(removed)
    bench.settle()
    assert bench.store.catalog.here_bytes() == 0
