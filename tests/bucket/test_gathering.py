"""Records are gathered in pieces, a bundle at a time, while people go on with what is being gathered."""

import os
from collections.abc import Callable

import pytest

from mountfs.bucket import loading
from mountfs.bucket.publishing import Published, publish
from mountfs.bucket.recovering import finish_interrupted
from mountfs.bucket.requests import Pause, Put, Request, Work, drive
from mountfs.errors import CacheFull, MountfsError
from mountfs.model import Entry, Owed
from mountfs.store.origins import Where
from mountfs.store.outbox import Due, Outbox
from tests.bucket.machines import Machine
from tests.bucket.simulated import SimulatedBucket

MINUTE_MS = 60_000


class Run:
    """A publish, step by step. `request` is what it asks for next."""

    def __init__(self, machine: Machine, job: str = "job") -> None:
        self._machine = machine
        self._steps = publish(machine.ground, machine.job(job))
        self.request: Request[object] = next(self._steps)
        self.published: Published | None = None

    def step(self) -> None:
        try:
            try:
                answer = self.request.run(self._machine.remote)
            except MountfsError as error:
                self.request = self._steps.throw(error)
            else:
                self.request = self._steps.send(answer)
        except StopIteration as stop:
            self.published = stop.value

    def to(self, kind: type[Request[object]]) -> None:
        while not isinstance(self.request, kind):
            self.step()
            assert self.published is None

    def until(self, is_so: Callable[[], bool]) -> None:
        while not is_so():
            self.step()
            assert self.published is None

    def end(self) -> None:
        while self.published is None:
            self.step()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The paths of which a record was made, each time it was."""
    paths: list[bytes] = []
    due = Outbox._due

    def noted(outbox: Outbox, entry: Entry, where: Where) -> Due | None:
        paths.append(where.path)
        return due(outbox, entry, where)

    monkeypatch.setattr(Outbox, "_due", noted)
    return paths


def gathering(machine: Machine, made: list[bytes], path: bytes) -> Run:
    """A run that stands still right after it has made a record of that path."""
    machine.ground.piece = 1
    run = Run(machine)
    run.until(lambda: path in made)
    assert isinstance(run.request, Pause)
    return run


# -- how much at once -----------------------------------------------------------------------------------------------


def test_others_are_let_go_first_after_each_piece_of_records(a: Machine, made: list[bytes]) -> None:
    for number in range(200):
        a.mkdir(f"job/{number}")
    run, most, before = Run(a), 0, 0
    while run.published is None:
        run.step()
        most, before = max(most, len(made) - before), len(made)
    assert len(made) > 200
    assert most <= a.ground.piece


def test_each_bundle_goes_on_where_the_last_one_stopped(
    a: Machine, b: Machine, made: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "MOST_RECORDS", 10)
    for number in range(34):
        a.mkdir(f"job/{number}")
    published = a.publish("job")
    assert (len(published.bundles), published.records, published.complete) == (4, 35, True)
    assert len(made) == 35 + 3, "one that did not fit is made anew"
    b.refresh("job")
    assert a.view("job") == b.view("job")


def test_no_more_records_are_made_ahead_than_one_bundle_takes(
    a: Machine, made: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "MOST_RECORDS", 10)
    for number in range(34):
        a.mkdir(f"job/{number}")
    run = Run(a)
    run.to(Put)
    assert len(made) == 11


def test_what_is_not_at_rest_is_looked_at_and_stays_owed(a: Machine, b: Machine) -> None:
    a.write("job/open", b"before")
    a.write("job/closed", b"closed")
    live = a.store.files.open(a.entry("job/open"), write=True, truncate=True)
    assert a.publish("job").complete
    assert a.job("job") in a.store.outbox.debts()
    a.store.files.release(live, write=True)
    a.publish("job")
    b.refresh("job")
    assert a.view("job") == b.view("job")
    assert a.job("job") not in a.store.outbox.debts()


# -- what happens meanwhile -----------------------------------------------------------------------------------------


def test_a_file_removed_while_others_are_gathered_does_not_come_back(a: Machine, b: Machine, made: list[bytes]) -> None:
    a.write("job/gone", b"1")
    a.write("job/other", b"2")
    run = gathering(a, made, b"gone")
    a.unlink("job/gone")
    run.end()
    a.publish("job")
    b.refresh("job")
    assert set(b.view("job")) == {"", "/other"}


def test_a_file_removed_while_its_record_is_on_its_way_does_not_come_back(a: Machine, b: Machine) -> None:
    a.write("job/gone", b"1")
    run = Run(a)
    run.to(Put)
    a.unlink("job/gone")
    run.end()
    a.publish("job")
    b.refresh("job")
    assert set(b.view("job")) == {""}


def test_a_file_renamed_while_others_are_gathered_shows_under_its_new_name_alone(
    a: Machine, b: Machine, made: list[bytes]
) -> None:
    a.write("job/old", b"1")
    a.write("job/other", b"2")
    run = gathering(a, made, b"old")
    a.rename("job/old", "job/new")
    run.end()
    a.publish("job")
    b.refresh("job")
    assert set(b.view("job")) == {"", "/new", "/other"}
    assert a.view("job") == b.view("job")


@pytest.mark.parametrize("what", ["content", "mode", "tag"])
def test_a_file_changed_while_others_are_gathered_is_not_taken_for_confirmed(
    a: Machine, b: Machine, made: list[bytes], what: str
) -> None:
    a.write("job/file", b"before")
    a.tag("job/file", name="before")
    a.write("job/other", b"2")
    run = gathering(a, made, b"file")
    match what:
        case "content":
            a.write("job/file", b"after")
        case "mode":
            a.chmod("job/file", 0o600)
        case "tag":
            a.tag("job/file", name="after")
    run.end()
    a.publish("job")
    b.refresh("job")
    assert a.view("job") == b.view("job")
    assert not a.store.outbox.owes(a.job("job"))


def test_a_directory_renamed_while_its_files_are_gathered_shows_under_its_new_name_alone(
    a: Machine, b: Machine, made: list[bytes]
) -> None:
    a.write("job/old/one", b"1")
    a.write("job/old/two", b"2")
    run = gathering(a, made, b"old/one")
    a.rename("job/old", "job/new")
    run.end()
    a.publish("job")
    b.refresh("job")
    assert set(b.view("job")) == {"", "/new", "/new/one", "/new/two"}
    assert a.view("job") == b.view("job")


def test_a_directory_renamed_while_its_files_are_on_their_way_leaves_nothing_behind(a: Machine, b: Machine) -> None:
    """What is in flight counts as known: looked at before the answer came, its old path is cleared all the same."""
    a.write("job/old/file", b"1")
    run = Run(a)
    run.to(Put)
    a.rename("job/old", "job/new")
    for ino in a.store.owing.moved_inos():
        for _ in a.store.owing.carrying(ino):
            pass
    run.end()
    a.publish("job")
    b.refresh("job")
    assert set(b.view("job")) == {"", "/new", "/new/file"}
    assert a.view("job") == b.view("job")


def test_what_went_while_it_was_packed_stops_nothing(a: Machine, b: Machine) -> None:
    """Its content may be gone by then: a file that was never in the bucket leaves no trash without days to keep it."""
    a.store.trash.keep_ms = 0
    a.write("job/gone", os.urandom(100_000))
    a.write("job/stays", b"2")
    run = Run(a)
    run.until(lambda: isinstance(run.request, Work))
    a.unlink("job/gone")
    assert a.store.catalog.damaged() == []
    run.end()
    b.refresh("job")
    assert b.read("job/stays") == b"2"
    assert a.store.catalog.damaged() == []


# -- when it is looked at in vain -----------------------------------------------------------------------------------


def test_what_waited_for_weeks_costs_nothing_to_find_out_where_nothing_did(a: Machine, made: list[bytes]) -> None:
    a.write("job/first", b"1")
    a.publish("job")
    made.clear()
    for number in range(20):
        a.mkdir(f"job/{number}")
    statements: list[str] = []
    a.store.catalog._db.set_trace_callback(statements.append)
    a.publish("job")
    a.store.catalog._db.set_trace_callback(None)
    assert len(made) == 20
    assert not [sql for sql in statements if "min(" in sql]


@pytest.mark.parametrize("what", ["entry", "register", "removal"])
def test_the_oldest_that_is_owed_is_found_wherever_it_is(a: Machine, bucket: SimulatedBucket, what: str) -> None:
    a.write("job/file", b"1")
    a.publish("job")
    bucket.now_ms += MINUTE_MS
    said_ms = a.ground.now_ms()
    match what:
        case "entry":
            a.chmod("job/file", 0o600)
        case "register":
            a.tag("job/file", name="value")
        case "removal":
            a.unlink("job/file")
    bucket.now_ms += MINUTE_MS
    for _ in a.store.outbox.finding_oldest():
        pass
    assert a.store.outbox.oldest_ms == said_ms


# -- what is undone -------------------------------------------------------------------------------------------------


def test_a_rename_that_could_not_be_written_is_remembered_nowhere(
    a: Machine, b: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    a.write("job/d/file", b"1")
    a.publish("job")

    def full(*_arguments: object, **_options: object) -> None:
        raise CacheFull("no space left on the disk that holds the catalog")

    with monkeypatch.context() as patch:
        patch.setattr(a.store.catalog, "move_entry", full)
        with pytest.raises(CacheFull):
            a.rename("job/d", "job/e")
    assert a.store.owing.moved_inos() == []
    assert a.ground.tables.owed_past(a.job("job")) == []
    a.publish("job")
    b.refresh("job")
    assert set(b.view("job")) == {"", "/d", "/d/file"}


def test_a_name_that_collided_is_remembered_as_the_rows_have_it(a: Machine) -> None:
    a.write("job/file", b"1")
    ino, parent = a.entry("job/file").ino, a.entry("job").ino

    def note_in_vain() -> None:
        with a.store.ledger.transaction():
            a.store.owing.note_alias(ino, parent, b"name")
            raise CacheFull("no space left on the disk that holds the catalog")

    with pytest.raises(CacheFull):
        note_in_vain()
    assert a.store.owing.alias_of(ino) is None
    assert a.store.owing.alias_at(parent, b"name") is None


def test_a_confirmation_that_could_not_be_written_leaves_it_owed(a: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    a.write("job/file", b"1")

    def full(*_arguments: object, **_options: object) -> None:
        raise CacheFull("no space left on the disk that holds the catalog")

    with monkeypatch.context() as patch:
        patch.setattr(a.ground.tables, "confirm_past", full)
        with pytest.raises(CacheFull):
            a.publish("job")
    assert a.entry("job/file").owed & Owed.CONTENT
    assert a.store.outbox.owes(a.job("job"))
    assert a.publish("job").complete
    assert not a.entry("job/file").owed & Owed.ANY


# -- what a crash leaves --------------------------------------------------------------------------------------------


def test_who_dies_while_it_notes_where_contents_lie_knows_it_after_the_restart(a: Machine) -> None:
    a.write("job/file", b"content")
    run = Run(a)
    run.until(lambda: bool(a.ground.tables.unfinished()))
    content = a.store.catalog.content(a.entry("job/file").content or 0)
    assert content is not None
    assert content.digest is not None
    with a.store.catalog.transaction():
        a.store.catalog.bucket._run("DELETE FROM placed", ())
    a.killed()
    finish_interrupted(a.ground)
    assert a.ground.tables.places(a.job("job"), content.digest)
    assert drive(publish(a.ground, a.job("job")), a.remote).complete


def test_what_the_rows_owe_is_found_though_it_was_forgotten(a: Machine, b: Machine) -> None:
    a.write("job/kept", b"kept")
    a.write("job/tagged", b"tagged")
    a.write("other/gone", b"gone")
    a.publish("job")
    a.publish("other")
    outbox = a.store.outbox
    assert sum(outbox.forgotten()) == 0
    assert outbox.debts() == {}
    a.write("job/kept", b"changed")
    a.tag("job/tagged", branch="main")
    a.unlink("other/gone")
    a.store.ledger.drain()
    assert a.store.owing.take_fresh() != (set(), set())  # and nobody notes them
    assert outbox.debts() == {}
    assert sum(outbox.forgotten()) == 3
    assert sum(outbox.forgotten()) == 0
    a.publish("job")
    a.publish("other")
    for job in ("job", "other"):
        b.refresh(job)
        assert b.view(job) == a.view(job)
