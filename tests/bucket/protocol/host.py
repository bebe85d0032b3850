"""A machine under the scheduler: made from a template, with names that a replay gives again, and what it owes."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from mountfs.bucket.gathering import fetch_content
from mountfs.bucket.ground import Ground
from mountfs.bucket.recovering import finish_interrupted
from mountfs.bucket.requests import drive
from mountfs.errors import NotADirectory, NotFound
from mountfs.model import ROOT_INO, Digest, Owed, Place, Standing
from mountfs.records import PathState, Value
from mountfs.store.live import LiveFile
from mountfs.store.origins import Where
from tests.bucket.machines import Machine, SetClock
from tests.bucket.protocol.names import MINUTE
from tests.bucket.protocol.tasks import Task
from tests.bucket.protocol.truth import STORE_ID, Word
from tests.bucket.simulated import SimulatedBucket
from tests.dying import die

GRACE_MS = 60 * MINUTE
CLEARS_STAY_MS = 600 * MINUTE
LARGE_BYTES = 33_000


class Host(Machine):
    """`number`: which of the world's machines. Files are at the top of a job: `j/p`."""

    def __init__(self, number: int, path: Path, template: Path, bucket: SimulatedBucket, clock: SetClock) -> None:
        self.number = number
        self.is_online = True
        self.tasks: dict[tuple[str, str], Task] = {}
        self.held: dict[str, LiveFile] = {}
        self._names = 0
        shutil.copytree(template, path)
        super().__init__(path, bucket, clock, grace_ms=GRACE_MS, protect_others=False)

    def open(self) -> None:
        super().open()
        self.ground = Ground(
            self.store.ledger, self.store.owing, self.store.paths, self.store.outbox, self.store.contents,
            self.store.room, STORE_ID, GRACE_MS, piece=1, large_bytes=LARGE_BYTES,
            clears_stay_ms=CLEARS_STAY_MS, random=self._random,
        )  # fmt: skip
        finish_interrupted(self.ground)

    def _random(self) -> str:
        self._names += 1
        return f"{self.number:02x}{self._names:06x}"

    def killed(self) -> None:
        for task in self.tasks.values():
            task.close()
        self.tasks.clear()
        self.held.clear()
        super().killed()

    def close(self) -> None:
        for task in self.tasks.values():
            task.close()
        die(self.store)

    def heard(self, server_ms: int) -> None:
        now = self.clock.now_ns() // 1_000_000
        self.ground.stamps.heard(server_ms, began_ms=now, ended_ms=now)

    # -- what it says -------------------------------------------------------------------------------------

    def state(self, job: str, path: bytes) -> PathState:
        """What it takes a path to be."""
        where = Where(self.job(job), path)
        return self.ground.paths.state(where, self.ground.paths.find(where))

    def states(self, job: str) -> dict[bytes, PathState]:
        """All paths that it shows in a job, but directories that nobody made."""
        self.store.ledger.drain()
        found: dict[bytes, PathState] = {}
        root = self.store.ledger.child(ROOT_INO, job.encode())
        stack = [(root, b"")] if root is not None else []
        while stack:
            entry, path = stack.pop()
            if entry.stamp:
                found[path] = self.ground.paths.state(Where(self.job(job), path), entry)
            for child in self.store.catalog.children(entry.ino, limit=1000):
                name = self.ground.owing.alias_of(child.ino) or child.name
                stack.append((child, path + b"/" + name if path else name))
        return found

    def owed(self) -> dict[Word, Value]:
        """Every word that the bucket has not confirmed."""
        self.store.ledger.drain()
        tables = self.ground.tables
        words: dict[Word, Value] = {}
        for ino in {*tables.owed_inos(), *tables.owed_register_inos()}:
            where = self.ground.owing.where(ino)
            entry = self.store.catalog.entry(ino)
            assert entry is not None
            job = tables.job_name(where.job).decode()
            state = self.ground.paths.owed_state(where, entry)
            if entry.owed & Owed.CLEAR:
                words[Word(job, where.path, "", entry.stamp)] = None
            for name, (stamp, value) in state.registers.items():
                words[Word(job, where.path, name, stamp)] = value
        for number, raw in tables.jobs():
            for row in tables.owed_past(number):
                words[Word(raw.decode(), row.path, row.register, row.stamp)] = json.loads(row.value or "null")
        return words

    def aside(self) -> Iterator[tuple[str, str, str]]:
        """(job, record, reason) of what was set aside."""
        for _id, job, _path, _ms, reason, record in self.ground.tables.aside():
            yield self.ground.tables.job_name(job).decode(), record, reason

    def holds(self, digest: str) -> bool:
        """Whether the bytes of a content are here."""
        found = self.store.catalog.content_by_any(bytes.fromhex(digest), "none")
        content = self.store.catalog.content(found) if found is not None else None
        return content is not None and content.place != Place.BUCKET

    def fetched(self, job: str, path: bytes) -> bytes:
        """The content that a record of that path names, under whatever name it shows here."""
        entry = self.ground.paths.find(Where(self.job(job), path))
        assert entry is not None
        assert entry.content is not None
        drive(fetch_content(self.ground, entry.content), self.remote)
        reader = self.store.files.open_content(entry.content)
        return reader.read(0, reader.size)

    # -- what people do, beyond `Machine` -----------------------------------------------------------------

    def expire(self, job: str) -> None:
        self.store.tree.remove_tree(self.entry(job))
        self.store.settler.reclaim()

    def exchange(self, a: str, b: str) -> None:
        self.store.tree.rename(*self._place(a), *self._place(b), exchange=True)

    def hold(self, key: str, data: bytes) -> None:
        """Write into a file, and go on having it open."""
        files = self.store.files
        live = self.held[key] = files.open(self.entry(key), write=True, truncate=True)
        with live.lock:
            files.prepare_write(live, 0, len(data))
            files.write(live, 0, data)

    def let_go(self, key: str) -> None:
        """Close it."""
        live = self.held.pop(key)
        with live.lock:
            self.store.files.publish(live, Standing.CLOSED)
            self.store.files.release(live, write=True)
        self.store.settler.settle_all()
        self.store.ledger.drain()

    def restore(self, key: str, digest: bytes) -> bool:
        """The newest piece of trash of that path that has this content."""
        job, _, path = key.partition("/")
        for row in self.ground.catalog.trash.at(job.encode(), path.encode()):
            content = self.store.catalog.content(row.content) if row.content is not None else None
            if content is not None and content.digest == digest:
                self.store.restoring.restore(row.id)
                return True
        return False

    def evict(self, digest: Digest) -> bool:
        known = self.store.catalog.content_by_any(digest, "none")
        content = self.store.catalog.content(known) if known is not None else None
        if content is None or not self.store.eviction.may_evict(content):
            return False
        self.store.eviction.evict([content])
        self.store.settler.reclaim()
        return True

    def has(self, key: str) -> bool:
        try:
            self.entry(key)
        except (NotFound, NotADirectory):
            return False
        return True


def make_template(path: Path, clock: SetClock, bucket: SimulatedBucket) -> None:
    """A store that was opened once, to be copied: making one takes ten times as long."""
    Machine(path, bucket, clock, grace_ms=GRACE_MS).close()
    (path / "ballast").unlink(missing_ok=True)
