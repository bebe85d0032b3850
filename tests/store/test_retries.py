"""What could not be settled is settled later; what was acknowledged meanwhile is never at stake."""

import errno
import os
from collections.abc import Callable, Iterator

import pytest

from mountfs.errors import CacheFull
from tests.store.conftest import Bench

SMALL, MEDIUM, LARGE = b"small " * 100, os.urandom(60_000), os.urandom(300_000)
CONTENTS = {"small": SMALL, "medium": MEDIUM, "large": LARGE}
DEFECTS = ["mountfs.settling.behind.os.fdatasync", "mountfs.contents.os.fdatasync", "mountfs.contents.os.rename"]


@pytest.fixture
def full_bench(bench: Bench) -> Iterator[Bench]:
    """Three closed files, none of them settled."""
    for name, content in CONTENTS.items():
        bench.save(name, content)
    yield bench
    assert {name: bench.read(name) for name in CONTENTS} == CONTENTS


def refuse(number: int) -> Callable[..., None]:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refused


@pytest.mark.parametrize("call", DEFECTS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_settling_is_tried_again_after_the_disk_refused(
    full_bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(call, refuse(number))
        settle_as_the_daemon_does(full_bench)
    for live in full_bench.store.files.live.values():
        live.due = 0.0 if live.due is not None else None
    full_bench.settle()
    assert full_bench.store.settler.idle()
    assert full_bench.store.catalog.unsettled() == []


def settle_as_the_daemon_does(bench: Bench) -> None:
    """Errors are logged there, and the round begins anew."""
    for _ in CONTENTS:
        try:
            bench.store.settler.settle_all()
        except (CacheFull, OSError):
            continue


def test_what_was_refused_survives_a_kill(full_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("mountfs.contents.os.rename", refuse(errno.EIO))
        settle_as_the_daemon_does(full_bench)
    full_bench.killed()
    full_bench.settle()
    assert full_bench.store.catalog.unsettled() == []


def test_an_overtaken_content_is_not_settled(bench: Bench) -> None:
    bench.save("one", b"first")
    live = bench.open("one")
    bench.write(live, b"second")
    bench.settle_with(lambda: bench.close(live))
    bench.settle()
    assert bench.read("one") == b"second"
