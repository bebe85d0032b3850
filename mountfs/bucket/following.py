"""Following the feed, for machines that want the whole index: what was told since, taken into the rows.

What it keeps true: the cursor moves on only when everything before it is in the rows, or noted to be read. What the
feed missed (a runner that died between bundle and feed, a prefix deleted by hand) the daily listing finds.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mountfs import objects
from mountfs.bucket import feed
from mountfs.bucket.dropping import say_gone
from mountfs.bucket.feed import CLOSED_MS, SIDE_BY_SIDE
from mountfs.bucket.folding import Here, fold_parts
from mountfs.bucket.ground import DAY_MS, Ground
from mountfs.bucket.naming import hidden_jobs, is_job_name, long_name
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import List, Pause, Steps, ask
from mountfs.clock import RUNS_AHEAD_MS
from mountfs.remote.protocol import Listed
from mountfs.store.bulk import Bulk
from mountfs.store.owing import Where
from mountfs.store.paths import Changes
from mountfs.store.told import Piece, Told

log = logging.getLogger(__name__)

OVERLAP_MS = 120_000  # so far a follower looks back for parts that landed late
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

    def take(self, *pieces: Piece) -> Changes:
        """Bring pieces into the rows, in one transaction: each is a few milliseconds of the loop."""
        changes = Changes()
        with self._ground.ledger.transaction():
            for piece in pieces:
                self.followed.records += piece.records
                self.followed.refusals += len(piece.refused)
                self.followed.refused = [*self.followed.refused, *piece.refused][-20:]
                self._ground.stamps.observe(piece.stamp)
                told, heard = self._sorted(piece.told)
                heard |= self._bulk.take(told, changes)
                self._ground.catalog.feed.hear(heard)
        return changes

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
        for part in group:
            named = objects.parse_feed(part.key)
            self._seen[part.key] = named.when_ms if named is not None else 0
            self.followed.parts += 1


def follow(follower: Follower, ground: Ground) -> Steps[Changes]:
    """Follow the feed to its end, and read the jobs of which it told while they were being read."""
    changes = Changes()
    for _ in range(ROUNDS):
        plan = yield from follower.look()
        vanished = False
        for group in follower.groups(plan):
            got, gone = yield from feed.fetch(group)
            vanished |= gone
            for piece in fold_parts([data for _part, data in got], follower.here()):
                add_changes(changes, follower.take(piece))
                yield Pause()
            follower.have_read(part for part, _data in got)
        if not vanished:
            follower.advance(plan)
            break
    for job, times in ground.catalog.feed.heard():
        add_changes(changes, (yield from read_heard(ground, job, times)))
    return changes


def read_heard(ground: Ground, job: int, times: int) -> Steps[Changes]:
    """Read a job of which the feed told something that is not in the rows."""
    found = yield from refresh(ground, job)
    with ground.catalog.transaction():
        ground.catalog.feed.forget_heard(job, times)
    return found.changes


def add_changes(changes: Changes, more: Changes) -> None:
    changes.names |= more.names
    changes.inos |= more.inos
    changes.grown |= more.grown
    changes.lost += more.lost


# -- the daily listing --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Scan:
    """What a listing of all jobs found: names of jobs whose bundles are not those that the rows know."""

    began_ms: int
    listed: int = 0
    differ: list[bytes] = field(default_factory=list)


def scan(ground: Ground, *, everything: bool = False) -> Steps[Scan]:
    """List the whole of `jobs/` and compare it with the rows; nothing is changed. `everything`: all jobs differ."""
    found = Scan(ground.now_ms())
    unseen = yield from _jobs_in_bucket(ground)
    part, names = "", set[str]()
    token: str | None = None
    while True:
        page = yield from ask(List(objects.JOBS, token=token))
        for listed in sorted(page.objects, key=lambda listed: listed.key):
            at = objects.job_part(listed.key)
            if at is None:
                continue
            if at != part:
                yield from _judge(ground, found, unseen, part, names, everything=everything)
                part, names = at, set()
            names.add(listed.key[len(objects.JOBS) + len(at) + 1 :])
        if page.token is None:
            break
        token = page.token
    yield from _judge(ground, found, unseen, part, names, everything=everything)
    found.differ += [ground.tables.job_name(job) for job in sorted(unseen)]
    return found


def _jobs_in_bucket(ground: Ground) -> Steps[set[int]]:
    """Jobs of which the rows know a bundle."""
    found: set[int] = set()
    after = 0
    while page := ground.catalog.feed.jobs_in_bucket(after, 500):
        found.update(page)
        after = page[-1]
        yield Pause()
    return found


def _judge(
    ground: Ground, found: Scan, unseen: set[int], part: str, names: Collection[str], *, everything: bool
) -> Steps[None]:
    """Compare the objects of one job with what the rows know of it."""
    if not part:
        return
    found.listed += 1
    if found.listed % 64 == 0:
        yield Pause()
    name = (yield from long_name(part)) if objects.is_cut(part) else objects.decode_name(part)
    if name is None or not is_job_name(name):
        return
    job = ground.tables.job_id(name)
    if job is not None:
        unseen.discard(job)
    if everything or not _is_known(ground, job, names, before_ms=found.began_ms - OVERLAP_MS):
        found.differ.append(name)


def _is_known(ground: Ground, job: int | None, names: Collection[str], *, before_ms: int) -> bool:
    """Whether the rows have the bundles that are there, but for young ones: those are on their way through the feed."""
    bundles = {n: b for n in names if isinstance(b := objects.parse_object(n), objects.BundleName)}
    known = ground.catalog.feed.known(job) if job is not None else set()
    return known <= bundles.keys() and all(n in known or b.when_ms >= before_ms for n, b in bundles.items())


def read_job(ground: Ground, name: bytes, *, anew: bool = False) -> Steps[Changes]:
    """Read a job that the listing showed to be otherwise. `anew`: all its rows are compared with what is there."""
    with ground.catalog.transaction():
        job = ground.tables.make_job(name)
        if anew:
            ground.tables.set_refold(job, True)
    found = yield from refresh(ground, job)
    is_nothing = not found.bundles and ground.paths.find(Where(job, b"")) is None
    if is_nothing and job not in ground.outbox.debts() and not ground.catalog.feed.is_heard(job):
        with ground.catalog.transaction():
            ground.tables.forget_job(job)
    return found.changes


def show_again(ground: Ground) -> Steps[None]:
    """Jobs that are hidden from those that list names only, and have something to see: somebody did not know of it."""
    for part in (yield from hidden_jobs()):
        name = objects.decode_name(part)
        job = ground.tables.job_id(name) if name is not None else None
        if job is not None and ground.paths.find(Where(job, b"")) is not None and ground.catalog.feed.known(job):
            yield from say_gone(ground, job, is_gone=False)


def read_differing(ground: Ground, found: Scan, *, anew: bool = False) -> Steps[Changes]:
    """Read all jobs that the listing showed to be otherwise, one after the other."""
    changes = Changes()
    for name in found.differ:
        add_changes(changes, (yield from read_job(ground, name, anew=anew)))
    return changes
