"""What cannot be right in the bucket and costs nothing but itself: counted and named, for `status` and `doctor`.

Bundles that cannot be read (cut, foreign, of a newer format) are left alone and looked at again in a while: what was
damaged on its way is whole the next time. What a manifest says of a large object may be found a lie only when all of
the object was read: that is remembered, so that nobody reads it a second time. Stamps that run ahead of the server fold
like any others; who wrote them is remembered, since it is his clock that is wrong.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from mountfs.catalog import Catalog
from mountfs.clock import milliseconds_of, writer_of
from mountfs.store.origins import Where

AGAIN_SECONDS = 60.0  # a bundle that could not be read
WRITERS_KEPT = 16
WRONG_KEPT = 1024  # objects that hold another content: the oldest are found out anew
AHEAD = "stamps_ahead"  # in the catalog's `meta`


@dataclass(frozen=True, slots=True)
class Ahead:
    """A writer whose clock runs ahead: the last such stamp that was seen, and where."""

    writer: str
    key: str
    stamp_ms: int


@dataclass(slots=True)
class Oddities:
    """Of all jobs that were read since the start."""

    _refused: dict[int, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    _unread: dict[tuple[int, str], float] = field(default_factory=dict)  # until when a bundle is left alone
    _wrong: dict[tuple[int, str, bytes], str] = field(default_factory=dict)  # (job, object, digest)
    _lied: dict[Where, str] = field(default_factory=dict)  # what a record said, and the bytes do not bear out

    def refuse(self, job: int, name: str, sentences: Collection[str]) -> None:
        """Lines of a bundle that cannot be right; all others were believed."""
        if sentences:
            self._refused.setdefault(job, {})[name] = tuple(sentences)

    def leave_alone(self, job: int, name: str, reason: str, *, now: float) -> None:
        """A bundle that cannot be read."""
        self._unread[job, name] = now + AGAIN_SECONDS
        self.refuse(job, name, (f"left alone: {reason}",))

    def is_left_alone(self, job: int, name: str, *, now: float) -> bool:
        return self._unread.get((job, name), now) > now

    def forget_but(self, job: int, names: Collection[str]) -> None:
        """Only these objects are listed now."""
        known = self._refused.get(job, {})
        for name in [name for name in known if name not in names]:
            del known[name]
            self._unread.pop((job, name), None)
        for place in [place for place in self._wrong if place[0] == job and place[1] not in names]:
            del self._wrong[place]

    def read(self, job: int, name: str) -> None:
        """That bundle is whole after all."""
        if self._unread.pop((job, name), None) is not None:
            self._refused.get(job, {}).pop(name, None)

    def is_wrong(self, job: int, name: str, digest: bytes) -> bool:
        """Whether that object was found to hold another content than a manifest says."""
        return (job, name, digest) in self._wrong

    def wrong(self, job: int, name: str, digest: bytes, sentence: str) -> None:
        """An object was read to its end, and does not hold the content that a manifest says."""
        self._wrong[job, name, digest] = sentence
        if len(self._wrong) > WRONG_KEPT:
            del self._wrong[next(iter(self._wrong))]

    def lied(self, where: Where, sentence: str) -> None:
        """The bytes of a path came, and a record had said something else of them."""
        self._lied[where] = sentence
        if len(self._lied) > WRONG_KEPT:
            del self._lied[next(iter(self._lied))]

    def of(self, job: int) -> list[str]:
        return [f"{name}: {said}" for name, sentences in self._refused.get(job, {}).items() for said in sentences]

    def has(self, job: int) -> bool:
        """Whether anything is named of that job."""
        wrong = any(place[0] == job for place in self._wrong) or any(where.job == job for where in self._lied)
        return wrong or bool(self._refused.get(job))

    def all(self) -> Iterator[tuple[int, str]]:
        """(job, sentence) of each refusal."""
        for job in self._refused:
            for sentence in self.of(job):
                yield job, sentence
        for (job, _name, _digest), sentence in self._wrong.items():
            yield job, sentence
        for where, sentence in self._lied.items():
            yield where.job, sentence


def note_ahead(catalog: Catalog, where: Where, job_name: bytes, stamp: str) -> None:
    """Remember that this stamp runs ahead. Inside a transaction."""
    known = {ahead.writer: ahead for ahead in stamps_ahead(catalog)}
    if len(known) >= WRITERS_KEPT and writer_of(stamp) not in known:
        return
    key = b"/".join(filter(None, (job_name, where.path))).decode(errors="replace")
    known[writer_of(stamp)] = Ahead(writer_of(stamp), key, milliseconds_of(stamp))
    catalog.set_meta(AHEAD, json.dumps([[one.writer, one.key, one.stamp_ms] for one in known.values()]))


def stamps_ahead(catalog: Catalog) -> list[Ahead]:
    """Writers whose stamps ran ahead when they were read, the latest of each."""
    return [Ahead(str(writer), str(key), int(ms)) for writer, key, ms in json.loads(catalog.meta(AHEAD) or "[]")]
