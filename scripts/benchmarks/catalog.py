"""Fill a state directory with a catalog as a fleet of CI runners would leave it, without contents.

Runs follow each other, a hundred artifacts each, some of ten thousand, with the tags that views know. All content is
said to be in a bucket that there is not: what is measured here are names, not bytes.
"""

import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mountfs.catalog import checkpoint
from mountfs.model import ROOT_INO, Content, Digest, Entry, Ino, Kind, Owed, Place
from mountfs.store.store import Store
from mountfs.store.tree import Owner

OWNER = Owner(0, 0)
BEGAN_NS = 1_760_000_000 * 1_000_000_000
RUN_NS = 1800 * 1_000_000_000  # between two runs
LOG_BYTES = 64 << 20  # of the write-ahead log, which otherwise holds each piece of the index once more
SMALL, LARGE, LARGE_EVERY = 100, 10_000, 150
BRANCHES = ("main", "main", "main", "dev", "release/1.0")


@dataclass(frozen=True, slots=True)
class Run:
    """One job to be."""

    number: int
    artifacts: int

    @property
    def name(self) -> bytes:
        return b"build-%06d" % self.number

    @property
    def began_ns(self) -> int:
        return BEGAN_NS + self.number * RUN_NS


def runs(count: int) -> Iterator[Run]:
    """Jobs with so many artifacts together."""
    number = 0
    while count > 0:
        artifacts = min(count, LARGE if number % LARGE_EVERY == LARGE_EVERY - 1 else SMALL)
        yield Run(number, artifacts)
        count -= artifacts
        number += 1


@dataclass(slots=True)
class Filled:
    """What that took. `piece_ms`: of the processor, for each piece of the index."""

    seconds: float = 0.0
    piece_ms: list[float] = field(default_factory=list)
    size_bytes: int = 0


def fill(state: Path, count: int) -> Filled:
    """Make a store there and fill it, its search index too."""
    filled, began, dice = Filled(), time.monotonic(), random.Random(7)
    store = Store.open(state)
    try:
        for run in runs(count):
            with store.ledger.transaction():
                _fill_job(store, run, dice)
            _index(store, filled)
            if store.catalog.wal_bytes() > LOG_BYTES:
                store.sync_catalog()
                checkpoint(store.catalog.path, truncate=True)
    finally:
        store.close()
    filled.seconds = time.monotonic() - began
    filled.size_bytes = store.catalog.path.stat().st_size
    return filled


def _index(store: Store, filled: Filled) -> None:
    """As a mount does it behind its writers."""
    more = True
    while more:
        began = time.thread_time()
        more = store.indexer.step()
        if more:
            filled.piece_ms.append((time.thread_time() - began) * 1000)


def _fill_job(store: Store, run: Run, dice: random.Random) -> None:
    job = _directory(store, ROOT_INO, run.name, run.began_ns)
    stamp = _stamp(store, run.began_ns)
    for key, value in _tags(run, dice).items():
        store.catalog.set_register(job.ino, f"tag:{key}", value.encode(), stamp)
    made: dict[bytes, Entry] = {b"": job}
    contents, entries = [], [job]
    for index in range(run.artifacts):
        above, _, name = _path(index).rpartition(b"/")
        for directory in _missing(above, made):
            parent, _, last = directory.rpartition(b"/")
            made[directory] = _directory(store, made[parent].ino, last, run.began_ns)
            entries.append(made[directory])
        content, entry = _file(store, made[above].ino, name, run.began_ns + index * 10_000_000, dice)
        contents.append(content)
        entries.append(entry)
    store.catalog.insert_contents(contents)
    store.catalog.put_entries(entries)
    if run.number % 50 == 3:
        store.catalog.set_register(entries[-1].ino, "tag:flaky", b"yes", stamp)
        store.catalog.set_register(entries[-1].ino, "pinned", b"1", stamp)
    if run.number % 97 == 5:
        store.catalog.set_register(made[b"coverage"].ino, "tag:component", b"billing", stamp)


def _tags(run: Run, dice: random.Random) -> dict[str, str]:
    tags = {"commit": hashlib.sha1(b"%d" % (run.number // 2)).hexdigest(), "status": "success"}
    if dice.random() < 0.15:
        tags["status"] = "failed"
    if run.number % 2:
        return {**tags, "branch": f"feature/{run.number // 8}", "pr": str(run.number // 8)}
    return {**tags, "branch": dice.choice(BRANCHES)}


def _path(index: int) -> bytes:
    match index % 20:
        case 0:
            return b"junit-%d.xml" % index if index else b"junit.xml"
        case 1:
            return b"coverage/coverage-%d.xml" % index if index > 1 else b"coverage/coverage.xml"
        case 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9:
            return b"coverage/html/d_%d/file_%d.html" % (index // 500, index)
        case 10 | 11 | 12 | 13:
            return b"logs/step-%d.log" % index
        case 14:
            return b"bandit-%d.sarif" % index
        case 15:
            return b"screenshots/shot-%d.png" % index
        case 16:
            return b"bench/benchmark-%d.json" % index
        case _:
            return b"out/module_%d/data-%d.bin" % (index % 7, index)


def _missing(path: bytes, made: dict[bytes, Entry]) -> list[bytes]:
    parts = path.split(b"/") if path else []
    return [above for n in range(1, len(parts) + 1) if (above := b"/".join(parts[:n])) not in made]


def _stamp(store: Store, at_ns: int) -> str:
    return f"{at_ns // 1_000_000:012x}-0000-{store.stamps.writer}"


def _directory(store: Store, parent: int, name: bytes, at_ns: int) -> Entry:
    ino = Ino(store.ledger.new_ino())
    stamp = _stamp(store, at_ns)
    return Entry(ino, parent, name, Kind.DIRECTORY, 0o755, *OWNER_IDS, 0, at_ns, at_ns, at_ns, at_ns, None, None, stamp)


def _file(store: Store, parent: int, name: bytes, at_ns: int, dice: random.Random) -> tuple[Content, Entry]:
    size = int(dice.lognormvariate(9, 2)) + 1
    content = Content(
        store.ledger.new_content_id(), Place.BUCKET, Digest(dice.randbytes(32)), size, size // 4 + 1, "zstd"
    )
    ino = Ino(store.ledger.new_ino())
    stamp = _stamp(store, at_ns)
    entry = Entry(
        ino, parent, name, Kind.FILE, 0o644, *OWNER_IDS, size, at_ns, at_ns, at_ns, at_ns, content.id, None, stamp,
        owed=Owed.KNOWN,
    )  # fmt: skip
    return content, entry


OWNER_IDS = (OWNER.uid, OWNER.gid)
