"""A machine as the protocol knows one: a store, its ground, and runs of the protocol in the order a test wants."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from mountfs.bucket.gathering import fetch_content
from mountfs.bucket.ground import DAY_MS, Ground
from mountfs.bucket.publishing import Published, publish
from mountfs.bucket.reading import Refreshed, refresh
from mountfs.bucket.requests import drive
from mountfs.model import ROOT_INO, Entry, Kind, Place, Standing
from mountfs.remote.protocol import Remote
from mountfs.store.options import Options
from mountfs.store.store import Store
from mountfs.store.tree import Owner
from tests.dying import die

STORE_ID = "0123456789abcdef0123456789abcdef"
OWNER = Owner(1000, 1000)


class SetClock:
    """The clock of one machine, set by the test."""

    def __init__(self, now: Callable[[], int], *, skew_ms: int = 0) -> None:
        self._now = now
        self.skew_ms = skew_ms

    def now_ns(self) -> int:
        return (self._now() + self.skew_ms) * 1_000_000

    def monotonic(self) -> float:
        return self._now() / 1000


class Machine:
    """Files of jobs, by `job/path`, and the protocol carried out against one remote."""

    def __init__(
        self, path: Path, remote: Remote, clock: SetClock, *, grace_ms: int = 7 * DAY_MS, **options: object
    ) -> None:
        self.path = path
        self.remote = remote
        self.clock = clock
        self.grace_ms = grace_ms
        self.options = Options(has_bucket=True, owner=(os.getuid(), os.getgid()), **options)  # type: ignore[arg-type]
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.path, self.options, clock=self.clock)
        self.ground = Ground(
            self.store.ledger, self.store.owing, self.store.paths, self.store.outbox, self.store.contents,
            self.store.room, STORE_ID, self.grace_ms,
        )  # fmt: skip

    def killed(self) -> None:
        """The process dies, and the next one starts."""
        die(self.store)
        self.open()

    def close(self) -> None:
        self.store.settler.settle_all()
        self.store.close()

    # -- what people do -----------------------------------------------------------------------------------

    def _place(self, key: str) -> tuple[int, bytes]:
        *parents, name = key.encode().split(b"/")
        ino: int = ROOT_INO
        for parent in parents:
            found = self.store.tree.find(ino, parent)
            ino = (found or self.store.tree.make_directory(ino, parent, 0o755, OWNER)).ino
        return ino, name

    def write(self, key: str, data: bytes) -> None:
        parent, name = self._place(key)
        found = self.store.tree.find(parent, name)
        if found is None:
            live = self.store.tree.create_file(parent, name, 0o644, OWNER)
        else:
            live = self.store.files.open(found, write=True, truncate=True)
        with live.lock:
            if data:
                self.store.files.prepare_write(live, 0, len(data))
                self.store.files.write(live, 0, data)
            self.store.files.publish(live, Standing.CLOSED)
            self.store.files.release(live, write=True)
        self.store.settler.settle_all()
        self.store.ledger.drain()

    def entry(self, key: str) -> Entry:
        return self.store.tree.walk(tuple(key.encode().split(b"/")))

    def mkdir(self, key: str) -> None:
        parent, name = self._place(key)
        self.store.tree.make_directory(parent, name, 0o755, OWNER)

    def symlink(self, key: str, target: str) -> None:
        parent, name = self._place(key)
        self.store.tree.make_symlink(parent, name, target.encode(), OWNER)

    def unlink(self, key: str) -> None:
        self.store.tree.unlink(*self._place(key))
        self.store.settler.reclaim()

    def rmdir(self, key: str) -> None:
        self.store.tree.remove_directory(*self._place(key))

    def rename(self, old: str, new: str) -> None:
        self.store.tree.rename(*self._place(old), *self._place(new))

    def chmod(self, key: str, mode: int) -> None:
        self.store.tree.set_attributes(self.entry(key).ino, mode=mode)

    def utime(self, key: str, mtime_ns: int) -> None:
        self.store.tree.set_attributes(self.entry(key).ino, mtime_ns=mtime_ns)

    def tag(self, key: str, **tags: str) -> None:
        for name, value in tags.items():
            self.store.attributes.set(self.entry(key).ino, f"user.{name}".encode(), value.encode())

    def untag(self, key: str, name: str) -> None:
        self.store.attributes.remove(self.entry(key).ino, f"user.{name}".encode())

    def read(self, key: str) -> bytes:
        """The content, from the bucket where it is not here."""
        entry = self.entry(key)
        if entry.content is None:
            return b""
        content = self.store.catalog.content(entry.content)
        assert content is not None
        if content.place == Place.BUCKET:
            drive(fetch_content(self.ground, entry.content), self.remote)
        reader = self.store.files.open_content(entry.content)
        return reader.read(0, reader.size)

    # -- the protocol -------------------------------------------------------------------------------------

    def job(self, name: str) -> int:
        return self.ground.tables.make_job(name.encode())

    def publish(self, job: str) -> Published:
        return drive(publish(self.ground, self.job(job)), self.remote)

    def refresh(self, job: str) -> Refreshed:
        return drive(refresh(self.ground, self.job(job)), self.remote)

    def view(self, job: str) -> dict[str, tuple[object, ...]]:
        """All that is seen of a job: kind, mode, time of the content, digest or target, own tags; by path."""
        self.store.ledger.drain()
        seen: dict[str, tuple[object, ...]] = {}
        root = self.store.tree.find(ROOT_INO, job.encode())
        stack = [(root, "")] if root is not None else []
        while stack:
            entry, path = stack.pop()
            seen[path] = self._seen(entry)
            if entry.kind == Kind.DIRECTORY:
                for child in self.store.ledger.children(entry.ino, after=b"", limit=100_000):
                    stack.append((child, f"{path}/{child.name.decode()}"))
        return seen

    def _seen(self, entry: Entry) -> tuple[object, ...]:
        content = self.store.ledger.content(entry.content) if entry.content is not None else None
        tags = {n: v for n, v in self.store.catalog.registers(entry.ino).items() if not n.startswith("@")}
        time = entry.mtime_ns if entry.kind != Kind.DIRECTORY else 0
        what = content.digest.hex() if content is not None and content.digest else (entry.target or b"").decode()
        return Kind(entry.kind).name, stat.filemode(entry.mode)[1:], time, entry.size, what, tags
