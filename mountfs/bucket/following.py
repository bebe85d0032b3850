"""Following the feed, for machines that want the whole index: what was told since, taken into the rows.

What it keeps true: the cursor moves on only when everything before it is in the rows, or noted to be read. What the
feed missed the daily listing finds (`scanning.py`).
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mountfs import objects
from mountfs.bucket import feed
from mountfs.bucket.feed import CLOSED_MS, SIDE_BY_SIDE
from mountfs.bucket.folding import Here, fold_parts
from mountfs.bucket.ground import DAY_MS, Ground
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import Pause, Steps
from mountfs.bucket.scanning import OVERLAP_MS
from mountfs.clock import RUNS_AHEAD_MS
from mountfs.errors import CatalogError
from mountfs.remote.protocol import Listed
from mountfs.store.bulk import Bulk
from mountfs.store.paths import Changes
from mountfs.store.told import Piece, Told

log = logging.getLogger(__name__)

BEHIND_MS = 25 * DAY_MS  # who is further behind cannot trust the feed to have all of it
SCAN_MS = DAY_MS
GROUP_BYTES = 16 << 20  # stored bytes of parts that are read at a time
ROUNDS = 4
CURSOR, SCANNED = "feed_cursor", "feed_scanned"


@dataclass(slots=True)
class Followed:
    """What was followed so far. `refused` are the last sentences about lines and parts that cannot be right."""

    parts: int = 0
    records: int = 0
    refusals: int = 0
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """Parts to be read now, and the server's time at which they were looked for."""

    parts: list[Listed]
    began_ms: int


class Follower:
    """The cursor of one machine, and what it has seen behind it."""

    def __init__(self, ground: Ground, bulk: Bulk, *, owner: tuple[int, int], recorded_owner: bool) -> None:
        self._ground = ground
        self._bulk = bulk
        self._owner = owner
        self._recorded_owner = recorded_owner
        self._seen: dict[str, int] = {}  # parts that were read, with the time in their names
        self._lost = ground.catalog.lost
        self.followed = Followed()
        self.cursor_ms = self._noted(CURSOR)  # server's time up to which the feed was followed; 0: never
        self.scanned_ms = self._noted(SCANNED)  # and of the last complete listing of `jobs/`

    # -- where we are -------------------------------------------------------------------------------------

    def _noted(self, name: str) -> int:
        return int(self._ground.catalog.meta(name) or 0)

    @property
    def is_complete(self) -> bool:
        """Whether the rows had the whole index once, so that a listing of them is no short list."""
        return self.cursor_ms > 0 and self.scanned_ms > 0

    def is_scan_due(self) -> bool:
        now_ms = self._ground.now_ms()
        return now_ms - self.scanned_ms > SCAN_MS or now_ms - self.cursor_ms > BEHIND_MS

    def advance(self, plan: Plan) -> None:
        """Everything of a plan is in the rows."""
        if plan.began_ms - self.cursor_ms <= CLOSED_MS:
            keep = plan.began_ms - OVERLAP_MS
            self._seen = {key: when_ms for key, when_ms in self._seen.items() if when_ms >= keep}
        self.cursor_ms = self._note(CURSOR, plan.began_ms)

    def scanned(self, began_ms: int) -> None:
        self.scanned_ms = self._note(SCANNED, began_ms)

    def forget(self) -> None:
        """Begin anew, as a machine that never followed."""
        self._seen = {}
        self.cursor_ms, self.scanned_ms = self._note(CURSOR, 0), self._note(SCANNED, 0)

    def _note(self, name: str, ms: int) -> int:
        with self._ground.catalog.transaction():
            self._ground.catalog.set_meta(name, str(ms))
        return ms

    # -- what there is to read ----------------------------------------------------------------------------

    def look(self) -> Steps[Plan]:
        """Parts that were not read yet: those of the last minutes, or, after a gap, of all hours and days since."""
        began_ms, cursor_ms = self._ground.now_ms(), self.cursor_ms
        if cursor_ms and began_ms - cursor_ms <= CLOSED_MS:  # nothing since then can have been merged
            found = yield from self._latest(cursor_ms - OVERLAP_MS, began_ms)
        else:
            found = yield from self._since(max(cursor_ms - OVERLAP_MS, 0))
        return Plan([part for part in found if part.key not in self._seen], began_ms)

    def _latest(self, since_ms: int, now_ms: int) -> Steps[list[Listed]]:
        found: list[Listed] = []
        for hour in dict.fromkeys(objects.hour(ms) for ms in (since_ms, now_ms)):
            found += yield from feed.parts(hour, after_ms=since_ms)
        return found

    def _since(self, since_ms: int) -> Steps[list[Listed]]:
        """Hours first: what is merged meanwhile is found in its day."""
        hours, _days = yield from feed.periods()
        found: list[Listed] = []
        for hour in hours:
            if hour >= objects.hour(since_ms):
                found += yield from feed.parts(hour, after_ms=since_ms)
        _hours, days = yield from feed.periods()
        for day in days:
            if day >= objects.day(since_ms):
                found += yield from feed.parts(day)
        return found

    def groups(self, plan: Plan) -> Iterator[list[Listed]]:
        """Parts that are read together: twenty, or as many as memory takes, but never none."""
        group: list[Listed] = []
        size = 0
        for part in plan.parts:
            if group and (size + part.size > GROUP_BYTES or len(group) >= 2 * SIDE_BY_SIDE):
                yield group
                group, size = [], 0
            group.append(part)
            size += part.size
        if group:
            yield group

    def here(self) -> Here:
        """What of this machine shows in rows, for whoever folds."""
        return Here(
            self._ground.store_id, self._owner, self._recorded_owner, frozenset(self._ground.tables.writers()),
            self._ground.now_ms() + RUNS_AHEAD_MS,
        )  # fmt: skip

    # -- into the rows ------------------------------------------------------------------------------------

    def take(self, piece: Piece) -> None:
        """Bring a piece into the rows, a few milliseconds of the loop; for good with `keep`, or before somebody else
        changes something."""
        changes = Changes()
        with self._ground.ledger.held():
            self.followed.records += piece.records
            self.followed.refusals += len(piece.refused)
            self.followed.refused = [*self.followed.refused, *piece.refused][-20:]
            self._ground.stamps.observe(piece.stamp)
            told, heard = self._sorted(piece.told)
            heard |= self._bulk.take(told, changes)
            self._ground.catalog.feed.hear(heard)
        self._ground.changed(changes)

    def keep(self) -> None:
        """What was taken stays. Raises CatalogError when some of it could not be written, so that it is read again."""
        self._ground.ledger.commit_held()
        if self._ground.catalog.lost != self._lost:
            self._lost = self._ground.catalog.lost
            raise CatalogError("what the feed told could not be written: is the disk full?")

    def _sorted(self, told: Sequence[Told]) -> tuple[list[Told], set[int]]:
        """(what goes into the rows, jobs that have to be read because a reading is under way that may not know it)."""
        jobs = self._ground.catalog.bulk.jobs([one.job for one in told])
        taken: list[Told] = []
        heard: set[int] = set()
        for one in told:
            job = jobs.get(one.job)
            if job is not None and self._ground.catalog.feed.known(job).issuperset(one.sources):
                continue
            if job is not None and (self._ground.reading[job] or job in self._ground.applying):
                heard.add(job)
            else:
                taken.append(one)
        return taken, heard

    def have_read(self, group: Iterable[Listed]) -> None:
        """All of these was taken. Raises CatalogError where it could not be kept."""
        self.keep()
        for part in group:
            named = objects.parse_feed(part.key)
            self._seen[part.key] = named.when_ms if named is not None else 0
            self.followed.parts += 1


def follow(follower: Follower, ground: Ground) -> Steps[None]:
    """Follow the feed to its end, and read the jobs of which it told while they were being read."""
    for _ in range(ROUNDS):
        plan = yield from follower.look()
        vanished = False
        for group in follower.groups(plan):
            got, gone = yield from feed.fetch(group)
            vanished |= gone
            for piece in fold_parts([data for _part, data in got], follower.here()):
                follower.take(piece)
                yield Pause()
            follower.have_read(part for part, _data in got)
        if not vanished:
            follower.advance(plan)
            break
    for job, times in ground.catalog.feed.heard():
        yield from read_heard(ground, job, times)


def read_heard(ground: Ground, job: int, times: int) -> Steps[None]:
    """Read a job of which the feed told something that is not in the rows."""
    yield from refresh(ground, job)
    with ground.catalog.transaction():
        ground.catalog.feed.forget_heard(job, times)
