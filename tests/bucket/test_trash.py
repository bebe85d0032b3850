"""What is removed or overwritten stays restorable for the grace, and is published anew when it comes back."""

import os
from collections.abc import Callable

import pytest

from mountfs.bucket.gathering import fetch_content
from mountfs.bucket.ground import DAY_MS
from mountfs.bucket.requests import drive
from mountfs.bucket.stale import set_aside
from mountfs.errors import IsADirectory, NotFound, Protected
from mountfs.model import Entry, Place
from mountfs.store.paths import Changes
from mountfs.store.store import Store
from tests.bucket.machines import Machine
from tests.bucket.simulated import SimulatedBucket

GRACE_DAYS = 7
MakeMachine = Callable[..., Machine]


def names(key: str) -> tuple[bytes, ...]:
    return tuple(key.encode().split(b"/"))


def restore(machine: Machine, key: str, to: str = "") -> list[Entry]:
    """As the daemon does it, without a network."""
    restoring = machine.store.restoring
    chosen = restoring.choose(names(key))
    target = names(to or key)
    put_back = [
        restoring.put_back(removed, names=target + removed.names[len(names(key)) :], changes=Changes())
        for removed in chosen
    ]
    machine.store.ledger.drain()
    return put_back


def trashed(store: Store, key: str) -> list[str]:
    """Why each of what can be brought back of a key went, newest first."""
    return [removed.reason for removed in store.restoring.bin.at(names(key))]


# -- what comes back --------------------------------------------------------------------------------------------


def test_a_removed_file_comes_back_with_all_that_was_said_of_it(a: Machine, b: Machine) -> None:
    a.write("job/report.xml", b"<testsuite/>")
    a.chmod("job/report.xml", 0o640)
    a.tag("job/report.xml", branch="main")
    a.publish("job")
    before = a.view("job")
    a.unlink("job/report.xml")
    a.publish("job")
    restore(a, "job/report.xml")
    a.publish("job")
    b.refresh("job")
    assert a.view("job") == b.view("job") == before
    assert b.read("job/report.xml") == b"<testsuite/>"


def test_what_was_overwritten_comes_back_and_what_took_its_place_goes_to_the_trash(a: Machine) -> None:
    a.write("job/file", b"first")
    a.write("job/file", b"second")
    restore(a, "job/file")
    assert a.read("job/file") == b"first"
    restore(a, "job/file")
    assert a.read("job/file") == b"second"


def test_what_a_rename_replaced_comes_back(a: Machine) -> None:
    a.write("job/file", b"old")
    a.write("job/file.tmp", b"new")
    a.rename("job/file.tmp", "job/file")
    restore(a, "job/file")
    assert a.read("job/file") == b"old"


def test_what_another_machine_overwrote_or_removed_comes_back_here(a: Machine, make_machine: MakeMachine) -> None:
    b = make_machine(protect_others=False)
    a.write("job/one", b"one")
    a.write("job/two", b"two")
    a.publish("job")
    b.refresh("job")
    b.write("job/one", b"other")
    b.unlink("job/two")
    b.publish("job")
    a.refresh("job")
    assert a.read("job/one") == b"other"
    assert trashed(a.store, "job/one") == ["overwritten elsewhere"]
    assert trashed(a.store, "job/two") == ["removed elsewhere"]
    restore(a, "job/two")
    assert a.read("job/two") == b"two"


def test_a_whole_job_comes_back_with_its_tags(a: Machine, b: Machine) -> None:
    a.write("job/a/one", b"1")
    a.write("job/a/b/two", b"2")
    a.symlink("job/link", "a/one")
    a.tag("job", branch="main")
    before = a.view("job")
    a.store.tree.remove_tree(a.entry("job"))
    restore(a, "job")
    assert a.view("job") == before
    a.publish("job")
    b.refresh("job")
    assert b.view("job") == before


def test_a_directory_brings_back_only_what_is_not_there(a: Machine) -> None:
    a.write("job/dir/kept", b"kept")
    a.write("job/dir/gone", b"gone")
    a.write("job/dir/kept", b"newer")
    a.unlink("job/dir/gone")
    restore(a, "job/dir")
    assert (a.read("job/dir/kept"), a.read("job/dir/gone")) == (b"newer", b"gone")


def test_it_comes_back_under_another_key_in_another_job(a: Machine, b: Machine) -> None:
    a.write("job/file", b"content")
    a.unlink("job/file")
    restore(a, "job/file", to="other/dir/copy")
    a.publish("other")
    b.refresh("other")
    assert b.read("other/dir/copy") == b"content"


def test_an_older_one_of_several_is_named_by_its_number(a: Machine) -> None:
    for content in (b"1", b"2", b"3"):
        a.write("job/file", content)
    oldest = a.store.restoring.bin.at(names("job/file"))[-1]
    (chosen,) = a.store.restoring.choose(names("job/file"), number=oldest.number)
    a.store.restoring.put_back(chosen, names=None, changes=Changes())
    assert a.read("job/file") == b"1"


def test_content_that_is_in_the_bucket_alone_is_copied_there_when_it_is_published(
    a: Machine, b: Machine, bucket: SimulatedBucket
) -> None:
    large = os.urandom(5 << 20)
    a.write("job/large", large)
    a.write("job/small", b"small")
    a.publish("job")
    a.unlink("job/large")
    a.unlink("job/small")
    a.publish("job")
    for removed in a.store.restoring.bin.below(names("job")):
        assert removed.content is not None
        content = a.store.catalog.content(removed.content)
        assert content is not None
        a.store.eviction.evict([content])
    restore(a, "job/large")
    restore(a, "job/small")
    bucket.requests.clear()
    a.publish("job")
    b.refresh("job")
    assert any(kind == "copy" for kind, _ in bucket.requests)
    assert not any(kind == "put_large" for kind, _ in bucket.requests)
    assert (b.read("job/large"), b.read("job/small")) == (large, b"small")


def test_what_was_set_aside_is_published_anew(a: Machine, b: Machine) -> None:
    a.write("job/file", b"content")
    a.tag("job/file", branch="main")
    due = [due for due in a.store.outbox.walking(a.job("job")) if due is not None and due.path == b"file"]
    drive(set_aside(a.ground, a.job("job"), due, "it waited for weeks"), a.remote)
    with pytest.raises(NotFound):
        a.entry("job/file")
    restore(a, "job/file")
    a.publish("job")
    b.refresh("job")
    assert b.read("job/file") == b"content"
    assert b.view("job")["/file"][-1] == {"tag:branch": b"main"}
    assert a.ground.tables.aside() == []


# -- what does not ------------------------------------------------------------------------------------------------


def test_restoring_over_a_directory_is_refused(a: Machine) -> None:
    a.write("job/name", b"content")
    a.unlink("job/name")
    a.mkdir("job/name")
    with pytest.raises(IsADirectory, match="--as"):
        restore(a, "job/name")


def test_restoring_over_what_another_machine_wrote_is_refused(a: Machine, b: Machine) -> None:
    a.write("job/file", b"mine")
    a.unlink("job/file")
    b.write("job/file", b"theirs")
    b.publish("job")
    a.refresh("job")
    with pytest.raises(Protected):
        restore(a, "job/file")
    restore(a, "job/file", to="job/mine")
    assert (a.read("job/file"), a.read("job/mine")) == (b"theirs", b"mine")


# -- how long ---------------------------------------------------------------------------------------------------


def test_after_the_grace_it_is_gone_and_its_content_too(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/file", b"content")
    a.unlink("job/file")
    bucket.now_ms += GRACE_DAYS * DAY_MS - 1000
    a.store.trash.expire()
    assert trashed(a.store, "job/file") == ["removed"]
    bucket.now_ms += 2000
    a.store.trash.expire()
    a.store.settler.reclaim()
    assert trashed(a.store, "job/file") == []
    assert a.store.catalog.here_bytes() == 0


def test_the_grace_of_the_bucket_counts_and_not_the_settings(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/file", b"content")
    a.unlink("job/file")
    with a.store.ledger.transaction():
        a.store.catalog.set_meta("grace_ms", str(30 * DAY_MS))
    bucket.now_ms += 20 * DAY_MS
    a.store.trash.expire()
    assert trashed(a.store, "job/file") == ["removed"]


def test_the_content_of_what_is_in_the_trash_is_found_in_the_bucket(a: Machine, b: Machine) -> None:
    """A job that only the trash names is looked at too."""
    b.write("job/file", b"content")
    b.publish("job")
    a.refresh("job")
    a.store.tree.remove_tree(a.entry("job"))
    (removed,) = a.store.restoring.choose(names("job/file"))
    assert removed.content is not None
    content = a.store.catalog.content(removed.content)
    assert content is not None
    assert content.place == Place.BUCKET
    drive(fetch_content(a.ground, removed.content), a.remote)
    fetched = a.store.catalog.content(removed.content)
    assert fetched is not None
    assert fetched.place == Place.CATALOG
