"""Repeats, limits and counts around a remote, with a clock of the test's own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mountfs.errors import ObjectMissing, RemoteUnavailable
from mountfs.remote.counting import Counting
from mountfs.remote.directory import DirectoryRemote
from mountfs.remote.limited import Limited
from mountfs.remote.protocol import Answered, Remote, Source, Upload, ignore
from mountfs.remote.retrying import LONGEST_PAUSE_SECONDS, Retrying
from tests.remote.faulty import Faulty, When, in_turn
from tests.remote.test_conformance import TEN, Bytes, noise


@pytest.fixture
def directory(tmp_path: Path) -> DirectoryRemote:
    made = DirectoryRemote(tmp_path / "bucket")
    made.create()
    return made


class Time:
    """Passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def retrying(inner: Remote, passing: Time, *, deadline_seconds: float = 60, closing: bool = False) -> Retrying:
    return Retrying(
        inner,
        deadline_seconds=deadline_seconds,
        closing=lambda: closing,
        monotonic=passing.monotonic,
        sleep=passing.sleep,
        jitter=lambda: 1.0,
    )


def always(when: When) -> Callable[[str], When]:
    return lambda kind: when


# --- Retrying ---


def test_pauses_double_up_to_a_limit_and_the_deadline_ends_them(directory: DirectoryRemote) -> None:
    passing = Time()
    with pytest.raises(RemoteUnavailable):
        retrying(Faulty(directory, always("before")), passing).server_ms()
    assert passing.slept[:4] == [0.2, 0.4, 0.8, 1.6]
    assert max(passing.slept) == LONGEST_PAUSE_SECONDS
    assert sum(passing.slept) <= 60


def test_the_jitter_is_full(directory: DirectoryRemote) -> None:
    passing = Time()
    chances = iter([0.0, 0.5, 1.0])
    remote = Retrying(
        Faulty(directory, in_turn("before", "before", "before")),
        deadline_seconds=60,
        monotonic=passing.monotonic,
        sleep=passing.sleep,
        jitter=lambda: next(chances),
    )
    remote.server_ms()
    assert passing.slept == [0.0, 0.2, 0.8]


def test_what_succeeds_does_not_pause(directory: DirectoryRemote) -> None:
    passing = Time()
    retrying(directory, passing).put("key", TEN)
    assert passing.slept == []


def test_a_no_is_not_asked_for_twice(directory: DirectoryRemote) -> None:
    counting = Counting(directory)
    with pytest.raises(ObjectMissing):
        retrying(counting, Time()).get("key", most_bytes=1)
    assert counting.counts().requests == {"get": 1}


def test_closing_ends_the_repeats(directory: DirectoryRemote) -> None:
    passing = Time()
    with pytest.raises(RemoteUnavailable):
        retrying(Faulty(directory, always("before")), passing, closing=True).server_ms()
    assert passing.slept == []


def test_the_deadline_of_an_upload_counts_from_its_last_progress(tmp_path: Path) -> None:
    """Ten attempts of nine seconds each, every one of which gets a part further."""
    passing = Time()
    attempts = 0

    class Halting(DirectoryRemote):
        def put_large(
            self,
            key: str,
            source: Source,
            *,
            resume: Upload | None = None,
            noted: Callable[[Upload], None] = ignore,
            progress: Callable[[int], None] = ignore,
            content_type: str | None = None,
            content_encoding: str | None = None,
        ) -> Answered:
            nonlocal attempts
            attempts += 1
            passing.now += 9
            progress(attempts)
            if attempts < 10:
                raise RemoteUnavailable("cut off")
            return Answered(0)

    retrying(Halting(tmp_path), passing, deadline_seconds=5).put_large("key", Bytes(noise(10)))
    assert attempts == 10


@pytest.mark.parametrize("when", ["before", "after"])
def test_creating_is_told_truly_whatever_became_of_the_first_answer(directory: DirectoryRemote, when: When) -> None:
    retrying(Faulty(directory, in_turn(when)), Time()).put("mountfs.json", b"mine", if_absent=True)
    assert directory.get("mountfs.json", most_bytes=4).data == b"mine"


def test_a_repeat_also_looks_twice_whether_the_object_is_its_own(directory: DirectoryRemote) -> None:
    plan = in_turn("after", None, "before", None)  # put done, put refused, get fails, put refused, get
    retrying(Faulty(directory, plan), Time()).put("mountfs.json", b"mine", if_absent=True)


# --- Limited ---


def test_no_more_than_so_many_at_a_time(directory: DirectoryRemote) -> None:
    lock = threading.Lock()
    now, most = 0, 0
    both = threading.Barrier(2, timeout=10)

    def plan(kind: str) -> When:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        both.wait()  # two are always inside at once; a third would break the count
        with lock:
            now -= 1
        return None

    limited = Limited(Faulty(directory, plan), requests=2, queue_seconds=30)
    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(limited.server_ms) for _ in range(12)]:
            done.result(30)
    assert most == 2


def test_who_waits_too_long_for_a_turn_is_told_to_come_back(directory: DirectoryRemote) -> None:
    release, inside = threading.Event(), threading.Event()

    def plan(kind: str) -> When:
        inside.set()
        release.wait(10)
        return None

    limited = Limited(Faulty(directory, plan), requests=1, queue_seconds=0.05)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(limited.server_ms)
        assert inside.wait(10)
        with pytest.raises(RemoteUnavailable):
            limited.server_ms()
        release.set()
        first.result(10)
    limited.server_ms()


def test_a_failure_gives_its_place_back(directory: DirectoryRemote) -> None:
    limited = Limited(Faulty(directory, in_turn("before", "after")), requests=1, queue_seconds=0.05)
    for _ in range(2):
        with pytest.raises(RemoteUnavailable):
            limited.server_ms()
    limited.server_ms()


# --- Counting ---


def test_requests_failures_and_bytes_are_counted(directory: DirectoryRemote) -> None:
    remote = Counting(directory)
    remote.put("a", TEN)
    remote.put_large("b", Bytes(noise(500)))
    remote.get_tail("a", 4)
    remote.get("a", most_bytes=10)
    with pytest.raises(ObjectMissing):
        remote.get("none", most_bytes=10)
    counts = remote.counts()
    assert counts.requests == {"put": 1, "put_large": 1, "get_tail": 1, "get": 2}
    assert counts.failures == {"ObjectMissing": 1}
    assert (counts.up_bytes, counts.down_bytes, counts.total_requests) == (510, 14, 5)


def test_decorators_say_of_themselves_what_they_are_around(directory: DirectoryRemote) -> None:
    remote = Retrying(Limited(Counting(directory), requests=1, queue_seconds=1), deadline_seconds=1)
    assert (remote.where, remote.capabilities) == (directory.where, directory.capabilities)
    assert repr(remote).startswith("Retrying(Limited(Counting(DirectoryRemote(")
