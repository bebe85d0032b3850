"""What goes into one bundle: gathered in pieces out of what is due of a job, while people go on with it.

What it keeps true: from the moment a record is made until its bundle was answered for, its entry counts as in flight,
so that a removal is told; and no more records are held than one bundle takes.
"""

from mountfs import bundle
from mountfs.bucket.bodies import Body
from mountfs.bucket.ground import Ground
from mountfs.bucket.requests import Pause, Steps
from mountfs.bucket.stale import refuse_stale
from mountfs.bundle import Place
from mountfs.model import Content, Digest
from mountfs.records import Record
from mountfs.store.outbox import Due, Subject

SPARE_BYTES = 1 << 20  # of a bundle, for its manifest
MOST_RECORDS = 50_000
THERE_AT_ONCE = 500  # entries of which one statement asks: a millisecond


class Again(Exception):  # what was decided no longer holds: begin anew
    pass


class Load:
    """One bundle to be: what goes in, and what its records rely on."""

    def __init__(self, most_records: int | None = None) -> None:
        self._most_records = most_records or MOST_RECORDS
        self.due: list[Due] = []
        self.inos: set[int] = set()  # on their way, whether their records still go in or not
        self.bodies: dict[Digest, Body] = {}
        self.contents: dict[Digest, Content] = {}  # of this machine, among the bodies
        self.large: dict[Digest, Place] = {}
        self.read_ms = 0  # server's time of the reading relied on; 0: on none
        self.oldest_ms = 0  # and of the oldest thing relied on
        self.is_read_in_vain = False  # the job was read, and not all of it could be understood
        self._room = bundle.MOST_BUNDLE_BYTES - SPARE_BYTES
        self._records = 0
        self._seen: set[Digest | None] = set()

    def add(self, due: Due, *, large_bytes: int) -> bool:
        """Whether it fits; large contents count as nothing."""
        content = due.content
        size = 0
        if content is not None and content.stored <= large_bytes and content.digest not in self._seen:
            size = content.stored + 256
        is_full = self._records >= self._most_records or len(self._seen) >= bundle.MOST_MEMBERS - 2
        if self.due and (is_full or size > self._room):
            return False
        self._room -= size
        self._records += len(due.records)
        if content is not None:
            self._seen.add(content.digest)
        self.due.append(due)
        return True

    def records(self) -> list[Record]:
        return [record for due in self.due for record in due.records]

    def keep(self, due: list[Due]) -> None:
        """Only these of its records, and what they name."""
        self.due = due
        named = {one.content.digest for one in due if one.content is not None}
        self.bodies = {digest: body for digest, body in self.bodies.items() if digest in named}
        self.contents = {digest: content for digest, content in self.contents.items() if digest in named}
        self.large = {digest: place for digest, place in self.large.items() if digest in named}


class Walk:
    """Once through what is due of a job, as far as the bundles take it. `until`: only what was said by then."""

    def __init__(self, ground: Ground, job: int, *, until: str) -> None:
        self._ground = ground
        self._job = job
        self._until = until
        self._steps = ground.outbox.walking(job)
        self._left: Subject | None = None
        self.is_over = False
        self.found = False

    def next(self) -> Due | None:
        """The next step: what may go out now, or nothing."""
        due = self._next()
        if due is None or self._ground.outbox.waits(due):
            return None
        if self._until and due.records[0].stamp[: len(self._until)] > self._until:
            return None
        return due

    def _next(self) -> Due | None:
        left, self._left = self._left, None
        if left is not None:
            return self._ground.outbox.remade(self._job, left)
        try:
            return next(self._steps)
        except StopIteration:
            self.is_over = True
            return None

    def put_back(self, due: Due) -> None:
        """It did not fit: made anew for the next bundle."""
        self._left = due.subject


def gather(ground: Ground, walk: Walk, load: Load) -> Steps[None]:
    """As much of what is due as one bundle takes, in pieces.

    From the moment a record is made a removal of its entry has to be told, for it may arrive. What is changed after
    that goes out as it was, under the stamp that it had: it is not confirmed by that, and owed on.
    """
    number = 0
    while not walk.is_over:
        due = walk.next()
        if due is not None:
            if refuse_stale(ground, due):
                raise Again
            if not load.add(due, large_bytes=ground.large_bytes):
                walk.put_back(due)
                return
            walk.found = True
            if due.entry is not None:
                _set_out(ground, load, due.entry.ino)
        number += 1
        if number % ground.piece == 0:
            yield Pause()


def _set_out(ground: Ground, load: Load, ino: int) -> None:
    if ino not in load.inos:
        load.inos.add(ino)
        ground.owing.sets_out(ino)


def leave_out_gone(ground: Ground, load: Load) -> Steps[bool]:
    """Leave out what was removed or renamed since its record was made, for its content may go too; whether any was.

    The bucket need not hear of it: what is at those paths now, or that nothing is, has a word of its own.
    """
    there: list[Due] = []
    for start in range(0, len(load.due), THERE_AT_ONCE):
        if start:
            yield Pause()
        there += ground.outbox.there(load.due[start : start + THERE_AT_ONCE])
    if len(there) == len(load.due):
        return False
    load.keep(there)
    return True
