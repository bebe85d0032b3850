"""Promises of cleaning up, on a store without a mount: what was judged goes, and nothing that is not so any more."""

from collections.abc import Callable, Iterable
from itertools import islice

import pytest

from mountfs import open_store
from mountfs.errors import MountfsError, Protected
from mountfs.model import ROOT_INO, Kind
from mountfs.retention import Report
from mountfs.store.dropping import Condemned, Dropped, Outdated
from mountfs.store.paths import Changes
from mountfs.store.removed import Bin
from mountfs.store.store import Store
from tests.dying import die
from tests.store.conftest import OWNER, Bench

PAST, PAST_S = b"2020-01-01T00:00:00Z", 1_577_836_800


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """`job` with two logs, one of them in a directory of its own, and a test result."""
    bench = make_bench()
    logs = bench.store.tree.make_directory(bench.job, b"logs", 0o755, OWNER).ino
    for parent, name in ((bench.job, b"a.log"), (logs, b"b.log"), (bench.job, b"junit.xml")):
        live = bench.store.tree.create_file(parent, name, 0o644, OWNER)
        bench.write(live, b"content of " + name)
        bench.close(live)
    bench.settle()
    return bench


def index(bench: Bench) -> None:
    bench.store.ledger.drain()
    bench.store.indexer.catch_up()


def reports(bench: Bench) -> dict[str, Report]:
    index(bench)
    return {report.type: report for report in bench.store.catalog.units.reports()}


def judged(bench: Bench, slug: str) -> Condemned:
    report = reports(bench)[slug]
    return Condemned(report.job, report.type, report.published_ns, report.artifacts, "too old")


def drop(bench: Bench, reports: Iterable[Condemned] = (), dated: Iterable[Outdated] = ()) -> Dropped:
    index(bench)
    done = Dropped()
    for _ in bench.store.dropping.drop(reports, dated, done):
        pass
    return done


def names(bench: Bench, parent: int) -> list[bytes]:
    return [entry.name for entry in bench.store.tree.page(parent, after=b"", limit=100)]


def test_a_report_goes_whole_with_the_directory_that_became_empty(bench: Bench) -> None:
    done = drop(bench, [judged(bench, "build-logs")])
    assert (done.artifacts, done.jobs, done.skipped) == (2, [], [])
    assert names(bench, bench.job) == [b"junit.xml"]


def test_a_job_of_which_all_went_is_gone(bench: Bench) -> None:
    done = drop(bench, [judged(bench, "build-logs"), judged(bench, "test-results")])
    assert (done.artifacts, done.jobs) == (3, ["job"])
    assert names(bench, ROOT_INO) == []
    assert (ROOT_INO, b"job") in done.changes.names


def test_what_went_is_in_the_trash_with_the_reason(bench: Bench) -> None:
    drop(bench, [judged(bench, "build-logs")])
    assert sorted((removed.names, removed.reason) for removed in Bin(bench.store.catalog).all()) == [
        ((b"job", b"a.log"), "expired"),
        ((b"job", b"logs", b"b.log"), "expired"),
    ]


def test_a_report_that_grew_since_it_was_judged_stays(bench: Bench) -> None:
    before = judged(bench, "build-logs")
    bench.save("c.log", b"new")
    done = drop(bench, [before])
    assert done.artifacts == 0
    assert done.skipped == [("build-logs of job", "it has changed since that was decided")]


def test_a_report_of_which_an_artifact_was_written_again_stays(bench: Bench) -> None:
    before = judged(bench, "build-logs")
    live = bench.open("a.log")
    bench.write(live, b"other")
    bench.close(live)
    assert drop(bench, [before]).skipped == [("build-logs of job", "it has changed since that was decided")]


def test_a_report_in_which_somebody_writes_stays(bench: Bench) -> None:
    before = judged(bench, "build-logs")
    live = bench.open("a.log")
    assert drop(bench, [before]).skipped == [("build-logs of job", "somebody is writing in it")]
    with live.lock:
        bench.store.files.release(live, write=True)
    assert drop(bench, [before]).artifacts == 2


def test_a_report_that_was_pinned_meanwhile_stays(bench: Bench) -> None:
    before = judged(bench, "build-logs")
    logs = bench.entry("logs").ino
    bench.store.attributes.set(logs, b"user.mountfs.pinned", b"1")
    assert drop(bench, [before]).skipped == [("build-logs of job", "it was pinned since that was decided")]


def test_what_is_gone_already_is_no_error(bench: Bench) -> None:
    before = judged(bench, "build-logs")
    assert drop(bench, [before]).artifacts == 2
    assert drop(bench, [before]).skipped == [("build-logs of job", "it is gone already")]


def test_what_is_written_while_others_go_stays(bench: Bench) -> None:
    """The one writes between two steps: what was to go after it, and was written, is not lost."""
    before = judged(bench, "build-logs")
    done = Dropped()
    steps = bench.store.dropping.drop([before], [], done)
    next(steps)
    assert bench.store.tree.find(bench.job, b"a.log") is None
    logs = bench.entry("logs").ino
    live = bench.store.files.open(bench.store.tree.lookup(logs, b"b.log"), write=True)
    bench.write(live, b"late")
    bench.close(live)
    bench.save("c.log", b"new")
    for _ in steps:
        index(bench)
    assert done.artifacts == 1
    assert done.skipped == [("job/logs/b.log", "somebody has written it meanwhile")]
    assert names(bench, bench.job) == [b"c.log", b"junit.xml", b"logs"]


# -- killed in the middle --------------------------------------------------------------------------------------------


def killed_after(bench: Bench, steps: int, condemned: Iterable[Condemned], dated: Iterable[Outdated] = ()) -> bool:
    """Drop, and die after so many steps; whether there were as many."""
    index(bench)
    dropping = bench.store.dropping.drop(condemned, dated, Dropped())
    done = sum(1 for _ in islice(dropping, steps))
    dropping.close()  # type: ignore[attr-defined]
    bench.killed()
    bench.store.dropping.tells = True
    return done == steps


def finish(bench: Bench) -> Dropped:
    index(bench)
    done = Dropped()
    for _ in bench.store.dropping.finish(done):
        pass
    return done


def test_a_report_that_began_to_go_goes_whole_whenever_its_process_is_killed(
    make_bench: Callable[..., Bench],
) -> None:
    """With all that somebody is to be told, once; a second look finds nothing to do."""
    for steps in range(9):
        bench = make_bench()
        before = [judged(three(bench), "build-logs")]
        bench.store.dropping.tells = True
        killed_after(bench, steps, before)
        finish(bench)
        told = bench.store.dropping.expired()
        if steps == 0:
            assert (len(names(bench, bench.job)), told) == (3, [])
            continue
        assert names(bench, bench.job) == [b"junit.xml"], f"killed after {steps} steps"
        size = sum(len(f"content of {name}") for name in ("a.log", "b.log", "c.log"))
        assert [(one.job, one.types, one.artifacts, one.size, one.is_gone) for one in told] == [
            ("job", ("build-logs",), 3, size, False)
        ]
        assert told[0].reasons == ("build-logs of job: too old",)
        assert bench.store.dropping.expired() == []
        bench.store.dropping.told(told[0])
        bench.killed()
        assert not bench.store.dropping.is_unfinished()
        assert bench.store.dropping.expired() == []


def three(bench: Bench) -> Bench:
    """Three logs, two of them deep, and a test result."""
    make = bench.store.tree.make_directory
    deep = make(make(bench.job, b"logs", 0o755, OWNER).ino, b"deep", 0o755, OWNER).ino
    also = make(bench.job, b"more", 0o755, OWNER).ino
    for parent, name in ((bench.job, b"junit.xml"), (deep, b"a.log"), (also, b"b.log"), (deep, b"c.log")):
        live = bench.store.tree.create_file(parent, name, 0o644, OWNER)
        bench.write(live, b"content of " + name)
        bench.close(live)
    bench.settle()
    return bench


def test_who_was_not_told_before_a_kill_is_told_after_it(bench: Bench) -> None:
    bench.store.dropping.tells = True
    drop(bench, [judged(bench, "build-logs")])
    first = bench.store.dropping.expired()
    bench.killed()
    assert bench.store.dropping.expired() == first
    assert [one.artifacts for one in first] == [2]


def test_a_date_that_came_is_told_of_after_a_kill_too_and_its_directory_goes(bench: Bench) -> None:
    log = bench.store.tree.lookup(bench.entry("logs").ino, b"b.log")
    bench.store.attributes.set(log.ino, b"user.mountfs.expires_at", PAST)
    bench.store.dropping.tells = True
    assert killed_after(bench, 1, [], [Outdated("job", "logs/b.log", PAST_S, "build-logs", "its date")])
    finish(bench)
    assert names(bench, bench.job) == [b"a.log", b"junit.xml"]
    assert [one.reasons for one in bench.store.dropping.expired()] == [("job/logs/b.log: its date",)]


def test_a_command_that_writes_without_a_mount_finishes_it_first(bench: Bench) -> None:
    killed_after(bench, 1, [judged(bench, "build-logs")])
    die(bench.store)
    with open_store({"state": str(bench.path), "mountpoint": str(bench.path.with_name("mnt"))}) as store:
        store.tag("job", branch="main")
        assert [artifact.key for artifact in store.list()] == ["job/junit.xml"]
    bench.store = Store.open(bench.path, bench.options)


def test_what_was_written_after_the_kill_stays(bench: Bench) -> None:
    assert killed_after(bench, 1, [judged(bench, "build-logs")])
    logs = bench.entry("logs").ino
    live = bench.store.files.open(bench.store.tree.lookup(logs, b"b.log"), write=True)
    bench.write(live, b"late")
    bench.close(live)
    bench.save("c.log", b"new")
    assert finish(bench).artifacts == 0
    assert names(bench, bench.job) == [b"c.log", b"junit.xml", b"logs"]
    assert not bench.store.dropping.is_unfinished()


# -- brought back, or pinned, after the kill ----------------------------------------------------------------------


def bring_back(bench: Bench, *key: bytes) -> None:
    """As `mountfs restore` does."""
    restoring = bench.store.restoring
    chosen = restoring.choose(key)
    bench.store.dropping.brought_back(chosen, key=key)
    for removed in chosen:
        restoring.put_back(removed, names=None, changes=Changes())


def test_a_report_that_was_brought_back_after_a_kill_stays_whole_whenever_that_was(
    make_bench: Callable[..., Bench],
) -> None:
    """And what had gone is told, once, as it was."""
    for steps in range(1, 7):
        bench = make_bench()
        before = [judged(three(bench), "build-logs")]
        bench.store.dropping.tells = True
        killed_after(bench, steps, before)
        gone = 3 - logs_there(bench)
        if gone == 3:
            break
        bring_back(bench, b"job")
        assert not bench.store.dropping.is_unfinished()
        for _ in range(2):
            assert finish(bench).artifacts == 0
            assert logs_there(bench) == 3, f"killed after {steps} steps"
            bench.killed()
        assert [(one.artifacts, one.is_gone) for one in bench.store.dropping.expired()] == [(gone, False)]
    assert steps > 2


def logs_there(bench: Bench) -> int:
    return len(list(_logs(bench, bench.job)))


def _logs(bench: Bench, directory: int) -> Iterable[bytes]:
    for entry in bench.store.tree.page(directory, after=b"", limit=100):
        if entry.kind == Kind.DIRECTORY:
            yield from _logs(bench, entry.ino)
        elif entry.name.endswith(b".log"):
            yield entry.name


def test_one_artifact_brought_back_ends_the_dropping_of_its_report_and_of_no_other(bench: Bench) -> None:
    bench.store.tree.unlink(bench.job, b"junit.xml")
    killed_after(bench, 1, [judged(bench, "build-logs")])
    bring_back(bench, b"job", b"junit.xml")
    assert bench.store.dropping.is_unfinished()
    bring_back(bench, b"job", b"a.log")
    assert finish(bench).artifacts == 0
    assert names(bench, bench.job) == [b"a.log", b"junit.xml", b"logs"]


def test_a_report_that_is_brought_back_while_it_goes_is_whole(bench: Bench) -> None:
    before = judged(bench, "build-logs")
    done = Dropped()
    steps = bench.store.dropping.drop([before], [], done)
    next(steps)
    bring_back(bench, b"job")
    for _ in steps:
        pass
    assert (done.artifacts, logs_there(bench)) == (1, 2)
    assert done.skipped == [("build-logs of job", "somebody has brought it back or pinned it meanwhile")]
    assert not bench.store.dropping.is_unfinished()


def test_one_artifact_brought_back_while_a_directory_just_became_empty_keeps_the_rest(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    steps = bench.store.dropping.drop([judged(three(bench), "build-logs")], [], Dropped())
    next(steps)
    next(steps)  # `more` is empty now, and about to go
    bring_back(bench, b"job", b"logs", b"deep", b"a.log")
    for _ in steps:
        pass
    assert (logs_there(bench), bench.store.dropping.is_unfinished()) == (2, False)


def test_a_pin_after_a_kill_keeps_what_is_still_there_and_unpinning_does_not_drop_it(bench: Bench) -> None:
    for pinned in (bench.job, bench.entry("logs").ino):
        killed_after(bench, 1, [judged(bench, "build-logs")])
        bench.store.attributes.set(pinned, b"user.mountfs.pinned", b"1")
        bench.store.attributes.set(pinned, b"user.mountfs.pinned", b"0")
        assert not bench.store.dropping.is_unfinished()
        assert finish(bench).artifacts == 0
        assert logs_there(bench) == 1
        bring_back(bench, b"job")


def test_a_pin_of_another_report_does_not_stop_it(bench: Bench) -> None:
    killed_after(bench, 1, [judged(bench, "build-logs")])
    bench.store.attributes.set(bench.entry("junit.xml").ino, b"user.mountfs.pinned", b"1")
    assert finish(bench).artifacts == 1


def test_a_pin_that_came_from_another_machine_counts_too(bench: Bench) -> None:
    killed_after(bench, 1, [judged(bench, "build-logs")])
    bench.store.attributes.on_pin = lambda ino: None
    bench.store.attributes.set(bench.entry("logs").ino, b"user.mountfs.pinned", b"1")
    done = finish(bench)
    assert done.skipped == [("build-logs of job", "it was pinned since it began to go")]
    assert (logs_there(bench), bench.store.dropping.is_unfinished()) == (1, False)


def test_where_nobody_wants_to_know_no_note_is_left(bench: Bench) -> None:
    drop(bench, [judged(bench, "build-logs")])
    assert (bench.store.dropping.expired(), bench.store.dropping.is_unfinished()) == ([], False)


def test_an_artifact_whose_date_has_come_goes_alone(bench: Bench) -> None:
    bench.store.attributes.set(bench.entry("a.log").ino, b"user.mountfs.expires_at", PAST)
    done = drop(bench, dated=[Outdated("job", "a.log", PAST_S)])
    assert (done.artifacts, done.skipped) == (1, [])
    assert names(bench, bench.job) == [b"junit.xml", b"logs"]


def test_an_artifact_whose_date_was_changed_meanwhile_stays(bench: Bench) -> None:
    bench.store.attributes.set(bench.entry("a.log").ino, b"user.mountfs.expires_at", b"2200-01-01")
    done = drop(bench, dated=[Outdated("job", "a.log", PAST_S), Outdated("job", "no-such.log", PAST_S)])
    assert done.skipped == [
        ("job/a.log", "its date has changed since that was decided"),
        ("job/no-such.log", "it is gone already"),
    ]


# -- pins --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pinned(bench: Bench) -> Bench:
    bench.store.attributes.set(bench.entry("logs").ino, b"user.mountfs.pinned", b"1")
    return bench


def test_what_a_pinned_directory_holds_is_not_removed(pinned: Bench) -> None:
    logs, tree = pinned.entry("logs").ino, pinned.store.tree
    with pytest.raises(Protected, match="`mountfs unpin job/logs`"):
        tree.unlink(logs, b"b.log")
    with pytest.raises(Protected, match=r"b\.log stays while job/logs is pinned"):
        tree.rename(pinned.job, b"a.log", logs, b"b.log")
    with pytest.raises(Protected, match="job/logs is pinned"):
        tree.remove_tree(tree.entry(logs))


def test_a_directory_in_which_something_is_pinned_is_not_removed(pinned: Bench) -> None:
    tree = pinned.store.tree
    with pytest.raises(Protected, match="job stays while job/logs is pinned"):
        tree.remove_tree(tree.entry(pinned.job))
    assert names(pinned, pinned.job) == [b"a.log", b"junit.xml", b"logs"]


def test_what_a_pinned_directory_holds_does_not_leave_it(pinned: Bench) -> None:
    logs, tree = pinned.entry("logs").ino, pinned.store.tree
    with pytest.raises(Protected, match="unpin"):
        tree.rename(logs, b"b.log", pinned.job, b"c.log")
    with pytest.raises(Protected, match="unpin"):
        tree.rename(logs, b"b.log", pinned.job, b"a.log", exchange=True)
    tree.rename(logs, b"b.log", logs, b"c.log")
    with pytest.raises(Protected, match="job/logs is pinned"):
        tree.rename(pinned.job, b"logs", pinned.job, b"other")
    with pytest.raises(Protected, match="job/logs is pinned"):
        tree.remove_tree(tree.entry(logs))


def test_what_is_pinned_may_be_written_to(pinned: Bench) -> None:
    logs = pinned.entry("logs").ino
    live = pinned.store.files.open(pinned.store.tree.lookup(logs, b"b.log"), write=True)
    pinned.write(live, b"more")
    pinned.close(live)


def test_an_empty_directory_that_is_pinned_stays(bench: Bench) -> None:
    made = bench.store.tree.make_directory(bench.job, b"empty", 0o755, OWNER).ino
    bench.store.attributes.set(made, b"user.mountfs.pinned", b"1")
    with pytest.raises(Protected):
        bench.store.tree.remove_directory(bench.job, b"empty")
    bench.store.attributes.set(made, b"user.mountfs.pinned", b"0")
    bench.store.tree.remove_directory(bench.job, b"empty")


def test_a_pin_of_its_own_keeps_a_file_and_its_name(bench: Bench) -> None:
    bench.store.attributes.set(bench.entry("a.log").ino, b"user.mountfs.pinned", b"1")
    bench.save("new", b"new")
    for act in (
        lambda: bench.store.tree.replace(bench.job, b"new", b"a.log"),
        lambda: bench.store.tree.unlink(bench.job, b"a.log"),
        lambda: bench.store.tree.rename(bench.job, b"a.log", bench.job, b"b.log"),
    ):
        with pytest.raises(MountfsError, match=r"job/a\.log is pinned: `mountfs unpin job/a\.log` lets it go"):
            act()
    assert bench.store.attributes.fact(bench.entry("a.log").ino, "pinned") == "1"
