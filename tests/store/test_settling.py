"""Settling beside writers, readers and removers: whatever happens meanwhile, what was acknowledged stays readable."""

import os

from tests.store.conftest import OWNER, Bench

PLAIN = b"the same text twice over. " * 40
LARGE = os.urandom(200_000)
OTHER = os.urandom(200_000)


def test_equal_contents_are_stored_once(bench: Bench) -> None:
    bench.save("one", PLAIN)
    bench.save("two", PLAIN)
    bench.settle()
    assert bench.entry("one").content == bench.entry("two").content
    assert bench.read("two") == PLAIN


def test_an_equal_content_that_was_about_to_go_is_used_again(bench: Bench) -> None:
    bench.save("one", LARGE)
    bench.settle()
    bench.store.tree.unlink(bench.job, b"one")
    bench.save("two", LARGE)
    bench.settle()
    assert bench.read("two") == LARGE


def test_a_file_that_is_changed_again_while_its_equal_content_settles_survives_chmod_and_kill(bench: Bench) -> None:
    bench.save("one", PLAIN)
    bench.settle()
    bench.save("two", PLAIN)
    live = bench.open("two")
    bench.store.files.release(live, write=True)
    bench.settle_with(lambda: bench.write(bench.open("two"), b"not acknowledged"))
    bench.store.tree.set_attributes(bench.entry("two").ino, mode=0o600)
    bench.store.ledger.drain()
    bench.killed()
    assert bench.read("two") == PLAIN


def test_chmod_of_such_a_file_survives_a_kill_too(bench: Bench) -> None:
    bench.save("one", PLAIN)
    bench.settle()
    bench.save("two", PLAIN)
    bench.settle_with(lambda: bench.write(bench.open("two"), b"not acknowledged"))
    bench.store.tree.set_attributes(bench.entry("two").ino, mode=0o600)
    bench.killed()
    assert bench.entry("two").mode == 0o600


def test_a_file_open_for_reading_while_its_equal_content_from_before_a_kill_settles_survives_chmod(
    bench: Bench,
) -> None:
    bench.save("one", PLAIN)
    bench.save("two", PLAIN)
    bench.killed()
    for name in ("one", "two"):
        bench.store.files.open(bench.entry(name), write=False)
    bench.settle()
    for name in ("one", "two"):
        bench.store.tree.set_attributes(bench.entry(name).ino, mode=0o600)
    bench.settle()
    bench.killed()
    assert (bench.read("one"), bench.read("two")) == (PLAIN, PLAIN)


def test_a_draft_that_somebody_reads_while_it_is_settled_can_be_written_again(bench: Bench) -> None:
    bench.save("log", LARGE)
    live = bench.store.files.open(bench.entry("log"), write=True)
    bench.store.files.release(live, write=True)
    reader = bench.store.files.open(bench.entry("log"), write=False)
    bench.settle_with(reader.lock.acquire)
    reader.lock.release()
    again = bench.open("log")
    bench.write(again, b"more", offset=len(LARGE))
    bench.close(again)
    bench.killed()
    bench.settle()
    assert bench.read("log") == LARGE + b"more"


def test_room_made_while_an_equal_content_is_adopted_does_not_delete_it(bench: Bench) -> None:
    bench.save("one", LARGE)
    bench.settle()
    bench.store.tree.unlink(bench.job, b"one")
    bench.save("two", LARGE)
    bench.settle_with(bench.store.settler.reclaim)
    assert bench.read("two") == LARGE


def test_a_file_removed_while_it_is_settled_leaves_nothing(bench: Bench) -> None:
    bench.save("one", LARGE)
    bench.settle_with(lambda: bench.store.tree.unlink(bench.job, b"one"))
    bench.settle()
    assert [path for path in (bench.path / "contents").rglob("*") if path.is_file()] == []
    assert list((bench.path / "drafts").iterdir()) == []


def test_a_file_replaced_while_it_is_settled_has_the_new_content(bench: Bench) -> None:
    bench.save("one", LARGE)
    bench.save("new", OTHER)
    bench.settle_with(lambda: bench.store.tree.rename(bench.job, b"new", bench.job, b"one"))
    bench.settle()
    assert bench.read("one") == OTHER


def test_a_file_renamed_while_it_is_settled_keeps_its_new_name(bench: Bench) -> None:
    bench.save("one", PLAIN)
    bench.settle_with(lambda: bench.store.tree.rename(bench.job, b"one", bench.job, b"two"))
    bench.killed()
    assert bench.read("two") == PLAIN


def test_a_large_file_that_is_changed_when_it_had_just_been_settled_is_settled_again(bench: Bench) -> None:
    text = PLAIN * 3_000
    bench.save("log", text)

    def append() -> None:
        live = bench.open("log")
        bench.write(live, b"more", offset=len(text))
        bench.close(live)

    bench.settle_with(append)
    bench.settle()
    assert bench.store.settler.idle()
    assert bench.read("log") == text + b"more"


def test_a_copy_that_is_changed_when_it_had_just_been_settled_leaves_the_original_alone(bench: Bench) -> None:
    bench.save("original", LARGE)
    bench.settle()
    bench.save("copy", LARGE)

    def change() -> None:
        live = bench.open("copy")
        bench.write(live, b"changed")
        bench.close(live)

    bench.settle_with(change)
    bench.settle()
    assert bench.read("original") == LARGE


def test_a_tree_is_removed_in_steps_between_which_others_work(bench: Bench) -> None:
    """A job of 20,000 files took five seconds, and nobody else was served meanwhile."""
    folder = bench.store.tree.make_directory(bench.job, b"folder", 0o755, OWNER)
    for number in range(300):
        bench.store.files.release(bench.store.tree.create_file(folder.ino, b"%d" % number, 0o644, OWNER), write=True)
    steps = bench.store.tree.removing_tree(folder)
    assert [next(steps) for _ in range(10)] == [1] * 10
    bench.save("elsewhere", b"x")
    late = bench.store.tree.create_file(folder.ino, b"late", 0o644, OWNER)
    bench.store.files.release(late, write=True)
    bench.store.tree.unlink(folder.ino, b"99")
    assert sum(steps) == 300 - 10 + 1 - 1
    assert [entry.name for entry in bench.store.tree.page(bench.job, after=b"", limit=10)] == [b"elsewhere"]


def test_a_tag_set_before_a_file_is_settled_moves_ctime_for_good(bench: Bench) -> None:
    """Found by the gate: `ctime` went back to that of the last write once the file was settled."""
    bench.save("file", PLAIN)
    before = bench.entry("file").ctime_ns
    bench.store.attributes.set(bench.entry("file").ino, b"user.branch", b"main")
    bench.settle()
    assert bench.entry("file").ctime_ns > before
