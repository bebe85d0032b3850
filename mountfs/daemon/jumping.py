"""Artifacts whose size jumped, noticed behind the writes, and told once each (event `size_jump`).

What was published here is gone through in its order, once it was left alone for a moment: by then its job has its tags,
and what is written in many pieces is whole. The index is asked in a worker thread. How far that has come is kept, so
that a restart neither repeats nor skips; what came before anybody wanted to be told is not looked at.
"""

import contextlib
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final, TypeVar

import trio

from mountfs import namespace
from mountfs.catalog.search import JobThen, Search
from mountfs.catalog.search.sizes import Came, Cursor
from mountfs.clock import writer_of
from mountfs.daemon.background import Background
from mountfs.errors import MountfsError
from mountfs.events import JumpRule, Published, SizeJump, size_jump
from mountfs.store.store import Store
from mountfs.views.candidates import newest_jobs

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOKED: Final = "sizes_looked_at"
"""In the catalog's notes: up to where artifacts were looked at, and which of them were told of last."""

LOOK_SECONDS: Final = 1.0
QUIET_MS: Final = 3000
AT_ONCE: Final = 500
"""Artifacts of a look: 4 ms with 100,000 of them, and 0.12 ms more for each that is large."""
MOST_JOBS: Final = 50
"""Of a branch that are asked what lay at that place, newest first."""
TOLD_KEPT: Final = 200


class Jumping:
    """`tell` is called on the loop's thread."""

    def __init__(
        self, store: Store, background: Background, rule: JumpRule, tell: Callable[[SizeJump], None], *, wanted: bool
    ) -> None:
        self._store = store
        self._background = background
        self._rule = rule
        self._tell = tell
        self._wanted = wanted
        self._after: Cursor = (0, 0)
        self._told: OrderedDict[str, None] = OrderedDict()

    async def run(self) -> None:
        """Until cancelled; where nobody wants to be told, it ends at once."""
        if not self._recall():
            return
        while True:
            try:
                while await self.look():
                    pass
            except MountfsError as error:
                log.info("sizes are compared later: %s", error)
            except Exception:  # a bug here must not take the mount away from its users
                log.exception("a bug in comparing sizes")
            await trio.sleep(LOOK_SECONDS)

    async def look(self) -> bool:
        """Go through the next that were left alone for a moment; whether there may be more."""
        upto_ms = self._store.stamps.now_ms() - QUIET_MS
        if upto_ms <= self._after[0] or self._store.catalog.is_holding:
            return False
        await self._background.index()
        came = await self._ask(lambda search: search.sizes.came(self._after, upto_ms=upto_ms, limit=AT_ONCE))
        candidates = [one for one in came if self._is_looked_at(one)]
        found = await self._ask(lambda search: list(self._jumps(search, candidates))) if candidates else []
        for key, event in found:
            self._told[key] = None
            log.info("%s", event.text)
            self._tell(event)
        if came:
            self._note(came[-1].cursor)
        return len(came) == AT_ONCE

    def _is_looked_at(self, one: Came) -> bool:
        """What others wrote their machines tell of; what is smaller than a jump cannot be one."""
        is_ours = not self._store.owing.active or self._store.owing.is_own_writer(writer_of(one.stamp))
        is_large = one.size >= max(1, self._rule.least_bytes)
        return bool(one.is_whole) and is_large and is_ours and _key(one) not in self._told

    # -- in a worker thread ---------------------------------------------------------------------------------

    async def _ask(self, question: Callable[[Search], T]) -> T:
        return await trio.to_thread.run_sync(partial(self._answer, question), abandon_on_cancel=False)

    def _answer(self, question: Callable[[Search], T]) -> T:
        with contextlib.closing(Search.open(self._store.state.catalog)) as search:
            return question(search)

    def _jumps(self, search: Search, candidates: Sequence[Came]) -> Iterator[tuple[str, SizeJump]]:
        usual = _Usual(search)
        for one in candidates:
            job = search.values.job_of(one.ino)
            if job is None:
                continue  # it went meanwhile
            branch = usual.branch_of(one.job)
            sizes = search.sizes.before(one, usual.jobs_of(branch))
            now = Published(
                namespace.join_key((job[0].name,)), _text(one.path), _text(one.type), _text(branch), one.size
            )
            event = size_jump(now, list(islice(sizes, self._rule.last)), rule=self._rule)
            if event is not None:
                yield _key(one), event

    # -- how far it has come --------------------------------------------------------------------------------

    def _recall(self) -> bool:
        """Whether there is anything to do."""
        said = self._store.catalog.meta(LOOKED)
        if not self._wanted:
            if said:
                self._write("")
            return False
        if said:
            looked = json.loads(said)
            self._after = (int(looked["ms"]), int(looked["ino"]))
            self._told = OrderedDict.fromkeys(looked["told"])
        else:
            self._note((self._store.stamps.now_ms(), 0))
        return True

    def _note(self, after: Cursor) -> None:
        self._after = after
        while len(self._told) > TOLD_KEPT:
            self._told.popitem(last=False)
        self._write(json.dumps({"ms": after[0], "ino": after[1], "told": list(self._told)}))

    def _write(self, said: str) -> None:
        with self._store.catalog.transaction():
            self._store.catalog.set_meta(LOOKED, said)


class _Usual:
    """The jobs with which one of a branch is compared, each branch asked for once."""

    def __init__(self, search: Search) -> None:
        self._search = search
        self._jobs: dict[bytes, list[JobThen]] = {}

    def branch_of(self, job: int) -> bytes:
        """b"" for a job that says none."""
        return self._search.values.job_tags(job).get("branch", b"")

    def jobs_of(self, branch: bytes) -> list[JobThen]:
        """Newest first, without those of pull requests."""
        if branch not in self._jobs:
            newest = newest_jobs(self._search, "branch", branch or None, most=MOST_JOBS)
            self._jobs[branch] = [job for job in newest if self._is_of(job.ino, branch)]
        return self._jobs[branch]

    def _is_of(self, job: int, branch: bytes) -> bool:
        tags = self._search.values.job_tags(job)
        return "pr" not in tags and tags.get("branch", b"") == branch


def _key(one: Came) -> str:
    """Of its place, short: some hundreds of them are kept."""
    return hashlib.sha256(b"%d/%s" % (one.job, one.path)).hexdigest()[:16]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
