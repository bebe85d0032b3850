"""Fill a state directory with settled artifacts, straight into its catalog: through a mount a million takes an hour.

    python fill.py STATE COUNT

Jobs of 1,000 files with contents of their own of about 100 bytes, and a tag on each job.
"""

import sys
import time
from pathlib import Path

from mountfs import codec
from mountfs.model import ROOT_INO, Content, Entry, Ino, Kind, Place
from mountfs.store.store import Store
from mountfs.store.tree import Owner

FILES_OF_A_JOB = 1000
OWNER = Owner(0, 0)


def fill(state: Path, count: int) -> None:
    store = Store.open(state)
    try:
        for first in range(0, count, FILES_OF_A_JOB):
            _fill_job(store, first // FILES_OF_A_JOB, min(FILES_OF_A_JOB, count - first))
    finally:
        store.close()


def _fill_job(store: Store, number: int, files: int) -> None:
    job = store.tree.make_directory(ROOT_INO, b"job-%06d" % number, 0o755, OWNER)
    store.attributes.set(job.ino, b"user.branch", b"branch-%d" % (number % 10))
    contents, data, entries = [], [], []
    for index in range(files):
        plain = b"job %d, file %d: a line of text that says it\n" % (number, index)
        done = codec.encode(plain, level=3)
        content = store.ledger.new_content_id()
        size, stored = len(plain), len(done.stored)
        contents.append(Content(content, Place.CATALOG, done.digest, size, stored, done.codec, done.sums))
        data.append((content, done.stored))
        entries.append(_entry(store, job.ino, b"file-%04d.txt" % index, content, size))
    with store.ledger.transaction():
        store.catalog.insert_contents(contents, data)
        store.catalog.put_entries(entries)


def _entry(store: Store, parent: int, name: bytes, content: int, size: int) -> Entry:
    now = time.time_ns()
    ino = Ino(store.ledger.new_ino())
    stamp = store.stamps.next()
    return Entry(
        ino, parent, name, Kind.FILE, 0o644, OWNER.uid, OWNER.gid, size, now, now, now, now, content, None, stamp
    )


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]))
