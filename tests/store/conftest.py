"""A store on a temporary directory, and the few words in which its tests are written."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.model import Entry, Standing
from mountfs.store.live import LiveFile
from mountfs.store.options import Options
from mountfs.store.store import Store
from mountfs.store.tree import Owner
from tests.crash.invariants import read_file
from tests.dying import die

OWNER = Owner(1000, 1000)


class Bench:
    """One store that may be killed and opened again; `job/` is there from the start."""

    def __init__(self, path: Path, options: Options) -> None:
        self.path = path
        self.options = options
        self.store = Store.open(path, options)
        self.job = self.store.tree.make_directory(1, b"job", 0o755, OWNER).ino

    def killed(self) -> None:
        """The daemon dies, and the next one starts."""
        die(self.store)
        self.store = Store.open(self.path, self.options)

    def restarted(self) -> None:
        self.store.settler.settle_all()
        self.store.close()
        self.store = Store.open(self.path, self.options)

    def entry(self, name: str) -> Entry:
        return self.store.tree.lookup(self.job, name.encode())

    def read(self, name: str) -> bytes:
        return read_file(self.store, self.entry(name))

    def create(self, name: str) -> LiveFile:
        return self.store.tree.create_file(self.job, name.encode(), 0o644, OWNER)

    def open(self, name: str) -> LiveFile:
        return self.store.files.open(self.entry(name), write=True)

    def write(self, live: LiveFile, data: bytes, *, offset: int = 0) -> None:
        with live.lock:
            self.store.files.prepare_write(live, offset, len(data))
            self.store.files.write(live, offset, data)

    def publish(self, live: LiveFile) -> None:
        with live.lock:
            self.store.files.publish(live, Standing.CLOSED)

    def close(self, live: LiveFile) -> None:
        self.publish(live)
        with live.lock:
            self.store.files.release(live, write=True)

    def save(self, name: str, data: bytes) -> None:
        """Create, write, close."""
        live = self.create(name)
        if data:
            self.write(live, data)
        self.close(live)

    def settle(self) -> None:
        self.store.settler.settle_all()
        self.store.ledger.drain()

    def settle_with(self, meanwhile: Callable[[], object]) -> None:
        """Settle one group; `meanwhile` happens on the loop when the worker has done its part."""
        settler = self.store.settler
        jobs = settler.take(hurry=True)
        results = settler.work(jobs)
        if settler.doom(results):
            settler.adopt(results)
        meanwhile()
        settler.commit(jobs, results)


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """`make_bench(quota_bytes=…)`: a store with these options."""
    made: list[Bench] = []

    def make(**options: object) -> Bench:
        made.append(Bench(tmp_path / f"state-{len(made)}", Options(**options)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for bench in made:
        bench.store.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
