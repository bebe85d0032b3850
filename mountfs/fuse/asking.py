"""Questions of views: put to the index in a worker thread, once it holds what was acknowledged before them.

What `.latest` has to ask of the bucket is asked on the loop, between two hops: meanwhile no thread waits, and others
are answered. Where a link leads is said from the tree as it is now, so that it is right at once after a rename.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import trio

from mountfs.catalog.search import Search
from mountfs.errors import DeadlineExceeded, MountfsError, RemoteUnavailable, Stale
from mountfs.fuse.shown import Shown
from mountfs.fuse.waiting import Waiting
from mountfs.model import Entry
from mountfs.store.store import Store
from mountfs.transfers.bucket import Bucket
from mountfs.views.answers import Answers, Held, Place
from mountfs.views.candidates import of_heads
from mountfs.views.choosing import Answer, AskHeads, Done, ReadJob, Request, Steps, advance
from mountfs.views.nodes import Names, Node, Sense, node_at

T = TypeVar("T")
"""Of the index, before others are let through."""


class Asking:
    """On the loop. Raises DeadlineExceeded where the index does not catch up, or the answer takes too long.

    With a bucket that has jobs which the index lacks also RemoteUnavailable, RemoteDenied: no view of `.latest` answers
    as if they were not.
    """

    def __init__(self, store: Store, waiting: Waiting, bucket: Bucket | None) -> None:
        self._store = store
        self._waiting = waiting
        self._bucket = bucket
        self._began_ns = time.time_ns()
        self._one = trio.CapacityLimiter(1)  # one connection, one question at a time
        self._answers: Answers | None = None
        self._search: Search | None = None

    def node(self, place: Place) -> Node:
        """The view that a place is in. Raises Stale, QueryError."""
        node = node_at(place.view, self._sense())
        if node is None:
            raise Stale("there is no such view")
        return node

    async def find(self, place: Place, name: bytes) -> Shown | None:
        node = self.node(place) if place.names else node_at((name,), self._sense())
        if node is None:
            return None
        if not place.names:
            return self._directory(Held(name, name, place=Place((name,), 1)))
        held = await self._ask(lambda answers: answers.find(node, place, name))
        return None if held is None else self._shown(place, held)

    async def page(self, place: Place, *, after: bytes, limit: int) -> list[Shown]:
        node = self.node(place)
        found = await self._ask(lambda answers: answers.page(node, place, after=after, limit=limit))
        shown = [self._shown(place, held) for held in found]
        return [one for one in shown if one is not None]

    def directory(self, place: Place) -> Shown:
        """A directory of a view, which was found before."""
        return self._directory(Held(place.names[-1], place.names[-1], place=place))

    def link(self, place: Place, ino: int) -> Shown | None:
        """A link that was found in a place before; None where what it leads to has gone."""
        names = self._store.ledger.path(ino)
        entry = self._store.ledger.entry(ino)
        if not names or entry is None:
            return None
        return Shown(names[-1], names[-1], place, ino, _target(place, names), _time(entry))

    def _directory(self, held: Held) -> Shown:
        assert held.place is not None
        return Shown(held.name, held.after, held.place, 0, None, self._began_ns)

    def _shown(self, place: Place, held: Held) -> Shown | None:
        if held.place is not None:
            return self._directory(held)
        link = self.link(place, held.entry)
        return None if link is None else Shown(held.name, held.after, place, held.entry, link.target, link.time_ns)

    def _sense(self) -> Sense:
        options = self._store.options
        return Sense(self._store.ledger.clock.now_ns(), dict(options.types), options.retention)

    # -- the index ----------------------------------------------------------------------------------------

    async def _ask(self, question: Callable[[Answers], Steps[T]]) -> T:
        lacking = self._bucket if self._bucket is not None and self._bucket.lacks_index() else None
        late: MountfsError = DeadlineExceeded(f"no answer within {self._waiting.seconds:g} seconds")
        with trio.move_on_after(self._waiting.seconds):
            steps = question(await self._opened())
            turn = await self._advance(steps, None, knows_all=lacking is None)
            while not isinstance(turn, Done):
                assert lacking is not None
                late = RemoteUnavailable("the bucket is still being asked: try again")
                turn = await self._advance(steps, await _answer(lacking, turn), knows_all=False)
            return turn.value
        raise late

    async def _opened(self) -> Answers:
        async with self._one:
            if self._answers is None:
                self._search = await trio.to_thread.run_sync(Search.open, self._store.state.catalog)
                self._answers = Answers(self._search, self._sense)
        return self._answers

    async def _advance(self, steps: Steps[T], answer: Answer, *, knows_all: bool) -> Request | Done[T]:
        """In a thread, once the index has caught up."""
        await self.catch_up()
        async with self._one:
            go_on = partial(advance, steps, answer, knows_all=knows_all)
            return await trio.to_thread.run_sync(go_on, abandon_on_cancel=False)

    async def catch_up(self) -> None:
        """Bring into the index what was acknowledged so far."""
        self._store.ledger.drain()
        while self._store.indexer.step():
            await trio.lowlevel.checkpoint()

    def close(self) -> None:
        if self._search is not None:
            self._search.close()


async def _answer(bucket: Bucket, request: Request) -> Answer:
    match request:
        case AskHeads():
            return of_heads(await bucket.heads.newest(request.key, request.value, limit=request.limit))
        case ReadJob():
            await bucket.read_job(request.job)
            return None


def _target(place: Place, names: Names) -> bytes:
    """From the directory of a view to an entry of the same mount."""
    return b"../" * len(place.names) + os.fsencode(b"/".join(names))


def _time(entry: Entry) -> int:
    return entry.mtime_ns
