"""Which job is the newest that will do: the one way to find it, for `.latest/`, for baselines and for `mountfs get`.

The index may know some of the jobs only. Then the bucket's heads tell of the others, and before a job is taken it is
read: what it says itself decides, not what a head or a row of long ago says of it; a head that a machine wrote which
knew a part of the job may say a later beginning than it has, never an earlier one. These are steps: they yield what has
to be asked of the bucket, and whoever drives them asks in his own way.
"""

import bisect
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeAlias, TypeVar

from mountfs.bucket.heads import MOST_TOP
from mountfs.catalog.search import Search
from mountfs.compare.baseline import Candidate, Wanted, fits
from mountfs.namespace import Age, age_of
from mountfs.views.candidates import candidate, newest_jobs

T = TypeVar("T")

HEADS: Final = (3, 30, 300)
"""Heads that are asked for, one after the other: each is a request, and mostly the newest is the one."""


@dataclass(frozen=True, slots=True)
class AskHeads:
    """The newest `limit` jobs with a tag, as the bucket tells of them; the answer is None where the index knows all.

    None of them began earlier than any that it does not tell of.
    """

    key: str
    value: bytes
    limit: int
    is_beginning: bool = False


@dataclass(frozen=True, slots=True)
class ReadJob:
    """What a job holds now, in the index; there is no answer but that."""

    job: bytes


Request: TypeAlias = AskHeads | ReadJob
Answer: TypeAlias = Sequence[Candidate] | None
Steps: TypeAlias = Generator[Request, Answer, T]


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What the steps came to."""

    value: T


def advance(steps: Steps[T], answer: Answer = None, *, knows_all: bool) -> Request | Done[T]:
    """Go on, up to the next thing that is to be asked; where the index `knows_all` that is nothing."""
    try:
        while True:
            request = steps.send(answer)
            if not knows_all:
                return request
            answer = None
    except StopIteration as stop:
        return Done(stop.value)


def look_for(search: Search, wanted: Wanted, *, enough: int = 1) -> Steps[list[Candidate]]:
    """The jobs with that tag, newest first, up to the first that will do, or so many of them."""
    looked: dict[bytes, Candidate | None] = {}
    read: dict[bytes, Candidate | None] = {}
    found = 0
    for limit in HEADS:
        heads = yield AskHeads(wanted.key, wanted.value, limit, wanted.is_beginning)
        is_all = heads is None or len(heads) < limit
        jobs = _NewestOfBoth(search, wanted, heads or (), is_all=is_all)
        while (said := jobs.take()) is not None:
            if said.job in looked:
                continue
            if heads is not None and said.job not in read:
                read[said.job] = yield from _read(search, wanted, said)
            job = read.get(said.job, said)
            if job is not None and job.began_ns < said.began_ns:
                jobs.put_back(job)  # who told of it knew a part of it only: others may be newer
                continue
            looked[said.job] = job
            found += job is not None and fits(job, wanted)
            if found == enough:
                return _known(looked)
        if is_all:
            break
    return _known(looked)


def _known(looked: dict[bytes, Candidate | None]) -> list[Candidate]:
    return [job for job in looked.values() if job is not None]


class _NewestOfBoth:
    """Those that the bucket tells of and those that it does not, newest first, as far back as it was asked."""

    def __init__(self, search: Search, wanted: Wanted, heads: Sequence[Candidate], *, is_all: bool) -> None:
        self._waiting = sorted(heads, key=_age)
        self._oldest_ns = 0 if is_all or not heads else self._waiting[0].began_ns
        self._index = _of_index(search, wanted, {head.job for head in heads}, self._oldest_ns)
        self._next = next(self._index, None)

    def take(self) -> Candidate | None:
        """The next; None: there is none, or older ones that nobody asked for may be newer than it."""
        told = self._waiting[-1] if self._waiting else None
        known = self._next
        if known is not None and (told is None or _age(known) > _age(told)):
            self._next = next(self._index, None)
            return known
        return self._waiting.pop() if told is not None and told.began_ns >= self._oldest_ns else None

    def put_back(self, job: Candidate) -> None:
        """It comes again, when its turn has come."""
        bisect.insort(self._waiting, job, key=_age)


def _age(job: Candidate) -> Age:
    return age_of(job.began_ns, job.job)


def _of_index(search: Search, wanted: Wanted, told: set[bytes], oldest_ns: int) -> Iterator[Candidate]:
    for then in newest_jobs(search, wanted.key, wanted.value, is_beginning=wanted.is_beginning):
        if then.began_ns < oldest_ns:
            return
        if then.name not in told:
            yield candidate(search, then, wanted)


def _read(search: Search, wanted: Wanted, said: Candidate) -> Steps[Candidate | None]:
    """A job, after it was read where it may be the one: so say the bucket, or the index. None: it is gone."""
    known = _of_name(search, said, wanted)
    if not _may_be(said, wanted) and (known is None or not fits(known, wanted)):
        return said
    yield ReadJob(said.job)
    return _of_name(search, said, wanted)


def _may_be(head: Candidate, wanted: Wanted) -> bool:
    """A head names the first names of a job only."""
    if wanted.name is not None and len(head.names) >= MOST_TOP:
        head = replace(head, names=head.names | {wanted.name})
    return fits(head, wanted)


def _of_name(search: Search, said: Candidate, wanted: Wanted) -> Candidate | None:
    """The same job as the index knows it."""
    ino = search.job_ino(said.job)
    found = None if ino is None else search.values.job_of(ino)
    return None if found is None else candidate(search, found[0], wanted)
