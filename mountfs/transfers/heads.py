"""Jobs by a tag, as the bucket tells of them: for handlers, which wait no longer than `Looks` lets them.

An answer is good for `refresh_seconds`, and for all who ask meanwhile; heads that were read are not read again. One
question without an answer marks the bucket down, and then nobody waits (DESIGN, "Who may wait").
"""

import logging
from dataclasses import dataclass, field

import trio

from mountfs.bucket.heads import JobHead, KnownHeads, find_jobs
from mountfs.errors import MountfsError, RemoteUnavailable
from mountfs.transfers.carrier import Carrier
from mountfs.transfers.looks import Looks

log = logging.getLogger(__name__)

MOST_WAITING = 32  # handlers: the others are refused, so that those about other names go on
MOST_TAGS = 1_000  # of which the answers are remembered


@dataclass(slots=True)
class _Asked:
    """One question, and its answer as soon as it is there; `when` it was put."""

    limit: int
    when: float
    done: trio.Event = field(default_factory=trio.Event)
    found: list[JobHead] = field(default_factory=list)
    error: MountfsError | None = None

    def holds(self, limit: int) -> bool:
        """Whether it answers for the newest `limit`, too."""
        return self.limit >= limit or (self.done.is_set() and self.error is None and len(self.found) < self.limit)


class Heads:
    """On the loop."""

    def __init__(self, carrier: Carrier, looks: Looks, nursery: trio.Nursery, *, refresh_seconds: float) -> None:
        self._carrier = carrier
        self._looks = looks
        self._nursery = nursery
        self._refresh_seconds = refresh_seconds
        self._asked: dict[tuple[str, bytes], _Asked] = {}
        self._waiting = 0
        self.known: KnownHeads = {}

    async def newest(self, key: str, value: bytes, *, limit: int) -> list[JobHead]:
        """The newest jobs with that tag, for a handler. Raises RemoteUnavailable, RemoteDenied."""
        if self._carrier.down is not None:
            raise self._carrier.lack(f"jobs with {key}={_shown(value)} cannot be looked for: {self._carrier.down}")
        if self._waiting >= MOST_WAITING:
            raise RemoteUnavailable(f"{MOST_WAITING} others look for jobs in the bucket already: try again")
        asked = self._begun(key, value, limit)
        self._waiting += 1
        try:
            if not await self._looks.wait_for(asked.done):
                raise RemoteUnavailable(f"jobs with {key}={_shown(value)} are still being looked for: try again")
        finally:
            self._waiting -= 1
        if asked.error is not None:
            raise type(asked.error)(str(asked.error))
        return asked.found[:limit]

    def _begun(self, key: str, value: bytes, limit: int) -> _Asked:
        """The question, put now unless that was done a moment ago."""
        now = trio.current_time()
        asked = self._asked.get((key, value))
        if asked is None or not asked.holds(limit) or (asked.done.is_set() and self._is_old(asked, now)):
            if len(self._asked) >= MOST_TAGS:
                self._asked = {tag: one for tag, one in self._asked.items() if not self._is_old(one, now)}
            asked = self._asked[key, value] = _Asked(limit, now)
            self._nursery.start_soon(self._ask, key, value, asked)
        return asked

    def _is_old(self, asked: _Asked, now: float) -> bool:
        return asked.error is not None or now - asked.when > self._refresh_seconds

    async def _ask(self, key: str, value: bytes, asked: _Asked) -> None:
        try:
            asked.found = await self.ask(key, value, limit=asked.limit)
        except MountfsError as error:
            asked.error = error
        except Exception as error:  # a bug here must not take the mount away from its users
            log.exception("a bug in looking for jobs")
            asked.error = MountfsError(f"a bug: {error!r}")
        finally:
            asked.done.set()

    async def ask(self, key: str, value: bytes, *, limit: int, is_beginning: bool = False) -> list[JobHead]:
        """The same of the bucket as it is now, for as long as that takes; `is_beginning`: of values that begin so."""
        steps = find_jobs(key, value, limit=limit, beginning=is_beginning, known=self.known)
        try:
            return await self._carrier.run(steps, urgent=True)
        except RemoteUnavailable as error:
            raise RemoteUnavailable(f"jobs with {key}={_shown(value)} cannot be looked for: {error}") from error


def _shown(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
