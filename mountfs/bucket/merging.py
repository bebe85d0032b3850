"""Merging bundles of a job: noted durably, put under a new name, the sources deleted after one more look.

Phases, in the table `merging`: `noted` (sources and the new name are chosen, nothing is in the bucket yet), `put` (it
may be), `deleting` (it is, and was while all sources were). Each is noted before it begins, so that a merge that was
interrupted goes on, or is undone, at any later time; and any number of machines may merge the same bundles at once.
"""

import enum
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mountfs import bundle
from mountfs.bucket.census import read_stored
from mountfs.bucket.ground import Ground, place_row
from mountfs.bucket.keeping import Carried, Plan, plan_merge
from mountfs.bucket.requests import Delete, Get, Put, Range, Request, Steps, Together, Work, ask, listing
from mountfs.bucket.survey import Survey, knowledge
from mountfs.bundle import Member, Packed
from mountfs.errors import CorruptContent, MountfsError, ObjectMissing, RemoteDenied
from mountfs.remote.protocol import Fetched

log = logging.getLogger(__name__)

GAP_BYTES = 1 << 20  # read along rather than asked for in two requests


class Verdict(enum.Enum):
    """What to do after a look at a merge whose output was put."""

    FORGET = "the output is not there: it never arrived, or was merged on already"
    UNDO = "a source is not there: somebody else merged it, or deleted the job"
    DELETE = "all are there: the sources may go"


class _Unreadable(Exception):
    """A source holds other bytes than its manifest says."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(str(error))
        self.name = name


def merge(ground: Ground, job: int, seen: Survey, sources: Sequence[str]) -> Steps[bool]:
    """Merge these bundles of a job; whether it was done. Raises RemoteUnavailable, RemoteDenied."""
    plan = yield from _planned(ground, job, seen, sources)
    name = merged_name(ground, sources)
    if name is None:
        return False
    _note(ground, job, name, sources, "noted")
    try:
        packed = yield from _packed(ground, job, name, plan, seen)
    except ObjectMissing:  # merged on by somebody else
        _forget(ground, job)
        return False
    except (_Unreadable, CorruptContent) as error:
        _leave_alone(ground, job, sources, error)
        return False
    if not is_recent(ground, seen):
        _forget(ground, job)
        return False
    yield from _put(ground, job, packed, sources)
    return (yield from finish(ground, job))


def is_recent(ground: Ground, seen: Survey) -> bool:
    """Whether what was read is young enough to be worth a merge; saves work, nothing more."""
    return ground.now_ms() - seen.began_ms < ground.half_ms


def merged_name(ground: Ground, sources: Sequence[str]) -> str | None:
    """◆ A name that sorts after all sources: a LIST in pages that came too late for a source has not passed it yet."""
    name = ground.bundle_name(after=max(sources))
    return name if name > max(sources) else None


def _planned(ground: Ground, job: int, seen: Survey, sources: Sequence[str]) -> Steps[Plan]:
    stored = [(name, seen.manifests[name]) for name in sorted(sources)]
    name, known = ground.tables.job_name(job), knowledge(ground, seen)

    def work() -> Plan:
        read = read_stored(stored, store_id=ground.store_id, job=name)
        return plan_merge([manifest for _name, manifest in read], known)

    return (yield from ask(Work(work)))


# -- phases -------------------------------------------------------------------------------------------------------


def _note(ground: Ground, job: int, name: str, sources: Sequence[str], phase: str) -> None:
    with ground.catalog.transaction():
        ground.tables.note_merge(job, name, json.dumps(sorted(sources)), phase)


def _forget(ground: Ground, job: int) -> None:
    with ground.catalog.transaction():
        ground.tables.forget_merge(job)


def _leave_alone(ground: Ground, job: int, sources: Sequence[str], error: Exception) -> None:
    """Bundles that cannot be merged stay as they are."""
    names = [error.name] if isinstance(error, _Unreadable) else sources
    log.warning("%s%s: not merged: %s", ground.prefix(job), ", ".join(names), error)
    ground.untouched.update((job, name) for name in names)
    _forget(ground, job)


def _put(ground: Ground, job: int, packed: Packed, sources: Sequence[str]) -> Steps[None]:
    name = packed.manifest.name
    _note(ground, job, name, sources, "put")
    try:
        answered = yield from ask(Put(ground.key(job, name), packed.data))
    except RemoteDenied:  # an answer: it is not there
        _forget(ground, job)
        raise
    with ground.catalog.transaction():
        landed = ground.tables.add_bundle(
            job, name, bytes=len(packed.data), modified_ms=answered.server_ms, manifest=packed.manifest_stored,
            standing="whole", told=True,
        )  # fmt: skip
        ground.tables.add_places(job, landed, map(place_row, packed.manifest.places))


def finish(ground: Ground, job: int) -> Steps[bool]:
    """Go on with the merge that is noted for a job, if there is one; whether its sources are gone."""
    noted = ground.tables.merge_of(job)
    if noted is None:
        return False
    name, sources, phase = noted[0], json.loads(noted[1]), noted[2]
    if phase == "noted":
        _forget(ground, job)
        return False
    length = len(ground.prefix(job))
    there = {found.key[length:] for found in (yield from listing(ground.prefix(job)))}
    match look_again(name, sources, there, is_deleting=phase == "deleting"):
        case Verdict.DELETE:
            _note(ground, job, name, sources, "deleting")
            yield from ask(Delete(tuple(ground.key(job, source) for source in sources)))
            _forget(ground, job)
            return True
        case Verdict.UNDO:
            yield from ask(Delete((ground.key(job, name),)))
            _forget(ground, job)
        case Verdict.FORGET:
            _forget(ground, job)
    return False


def look_again(name: str, sources: Iterable[str], there: Iterable[str], *, is_deleting: bool) -> Verdict:
    """◆ What a new LIST says of a merge. One that has begun to delete its sources is never undone."""
    found = set(there)
    if name not in found:
        return Verdict.FORGET
    return Verdict.DELETE if is_deleting or found.issuperset(sources) else Verdict.UNDO


# -- the output ---------------------------------------------------------------------------------------------------


def _packed(ground: Ground, job: int, name: str, plan: Plan, seen: Survey) -> Steps[Packed]:
    members: list[Member] = []
    for source, carried in _by_source(plan.members):
        members += yield from _fetched(ground, job, source, carried, seen.bundles[source].bytes)
    job_name = ground.tables.job_name(job)

    def work() -> Packed:
        return bundle.pack(
            store_id=ground.store_id, job=job_name, name=name, members=members, large=plan.large,
            records=plan.records, carried=plan.lines,
        )  # fmt: skip

    return (yield from ask(Work(partial(_translated, work))))


def _translated(work: Callable[[], Packed]) -> Packed:
    """What does not fit in one bundle is an error of ours."""
    try:
        return work()
    except ValueError as error:
        raise CorruptContent(str(error)) from error


def _by_source(members: Iterable[Carried]) -> Iterator[tuple[str, list[Carried]]]:
    found: dict[str, list[Carried]] = {}
    for member in members:
        found.setdefault(member.source, []).append(member)
    return iter(found.items())


@dataclass(frozen=True, slots=True)
class Run:
    """Members that one request brings: the bytes from `start` to `end` of their bundle."""

    start: int
    end: int
    members: tuple[Carried, ...]


def runs_of(members: Iterable[Carried]) -> list[Run]:
    """Members that lie close together come together."""
    runs: list[Run] = []
    for member in sorted(members, key=lambda m: m.place.offset):
        start, end = member.place.offset, member.place.offset + member.place.stored
        if runs and start - runs[-1].end <= GAP_BYTES:
            last = runs.pop()
            runs.append(Run(last.start, max(last.end, end), (*last.members, member)))
        else:
            runs.append(Run(start, end, (member,)))
    return runs


def _fetched(ground: Ground, job: int, source: str, carried: list[Carried], size: int) -> Steps[list[Member]]:
    """The members of one source: all of it where most is carried, else in ranges."""
    key, runs = ground.key(job, source), runs_of(carried)
    if 2 * sum(run.end - run.start for run in runs) >= size:
        runs = [Run(0, size, tuple(carried))]
        requests: list[Request[Fetched]] = [Get(key, bundle.MOST_OBJECT_BYTES)]
    else:
        requests = [Range(key, run.start, run.end - run.start) for run in runs]
    answers = yield from ask(Together(requests))
    members: list[Member] = []
    for run, answer in zip(runs, answers, strict=True):
        if isinstance(answer, MountfsError):
            raise answer
        assert isinstance(answer, Fetched)
        try:
            members += yield from ask(Work(partial(_cut, run, answer.data)))
        except CorruptContent as error:
            raise _Unreadable(source, error) from error
    return members


def _cut(run: Run, data: bytes) -> list[Member]:
    members = []
    for member in run.members:
        at = member.place.offset - run.start
        stored = data[at : at + member.place.stored]
        members.append(Member.carried(member.place, stored, dead_since_ms=member.dead_since_ms))
    return members
