"""What retention decided, carried out: a report goes only while it still is what was judged.

A decision is made beside the store, seconds before. So each report is looked at again, and of each artifact whether
somebody has written it meanwhile: then it stays, and the answer says so. All goes to the trash, what other machines
wrote too; directories that became empty go with it, and so does the job. On the loop's thread, in steps.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mountfs import namespace
from mountfs.catalog.search import Member, Standing, Units
from mountfs.clock import milliseconds_of
from mountfs.errors import InvalidArgument, Protected
from mountfs.model import ROOT_INO, Entry, Kind
from mountfs.store.ledger import Ledger
from mountfs.store.paths import Changes
from mountfs.store.tree import Tree

REASON: Final = "expired"
PAGE: Final = 64


@dataclass(frozen=True, slots=True)
class Condemned:
    """A report that is to go, and what it was when that was decided."""

    job: str
    type: str
    published_ns: int
    artifacts: int
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.type} of {self.job}"


@dataclass(frozen=True, slots=True)
class Outdated:
    """An artifact that is to go alone, and the date it had when that was decided."""

    job: str
    path: str
    expires_s: int
    type: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.job}/{self.path}"


@dataclass(slots=True)
class Lost:
    """What one job lost: of which types, how much, and why; `reasons` has one for each report or artifact."""

    types: set[str] = field(default_factory=set)
    artifacts: int = 0
    size: int = 0
    stored: int = 0
    reasons: dict[str, None] = field(default_factory=dict)  # in their order, each once

    def add(self, why: Condemned | Outdated, member: Member) -> None:
        self.types.add(why.type)
        self.artifacts += 1
        self.size += member.size
        self.stored += member.stored
        self.reasons[f"{why}: {why.reason}"] = None


@dataclass(slots=True)
class Dropped:
    """What went, what was left and why, and what the kernel may no longer remember."""

    artifacts: int = 0
    lost: dict[str, Lost] = field(default_factory=dict)  # by job
    jobs: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)


class Dropping:
    """The index must have caught up when it begins: `drop` reads it."""

    def __init__(self, ledger: Ledger, tree: Tree) -> None:
        self._ledger = ledger
        self._tree = tree
        self._units: Units = ledger.catalog.units

    def drop(self, reports: Iterable[Condemned], dated: Iterable[Outdated], done: Dropped) -> Iterator[None]:
        """Drop these, an entry a step; `done` is filled on the way. Raises CacheFull."""
        pinned = self._units.pinned()
        for report in reports:
            key = self._units.key(report.job, report.type)
            standing = None if key is None else self._units.standing(key)
            if key is None or standing is None:
                done.skipped.append((str(report), "it is gone already"))
            elif (standing.artifacts, standing.published_ns) != (report.artifacts, report.published_ns):
                done.skipped.append((str(report), "it has changed since that was decided"))
            elif key in pinned:
                done.skipped.append((str(report), "it was pinned since that was decided"))
            elif key in self._being_written():
                done.skipped.append((str(report), "somebody is writing in it"))
            else:
                yield from self._drop_report(report, key, standing, done)
            yield
        for one in dated:
            yield from self._drop_dated(one, done)

    def _being_written(self) -> set[tuple[int, int] | None]:
        inos = self._tree.inos_being_written()
        return {self._units.key_of(ino) for ino in inos}

    def _drop_report(
        self, report: Condemned, key: tuple[int, int], standing: Standing, done: Dropped
    ) -> Iterator[None]:
        parents: set[int] = set()
        last: Member | None = None
        while page := self._units.members(key, after=last, limit=PAGE):
            for last in page:
                if last.published_ms > standing.newest_ms:
                    continue  # it came while others went
                self._take(last, report, parents, done)
                yield
        yield from self._tidy(parents, done)

    def _drop_dated(self, one: Outdated, done: Dropped) -> Iterator[None]:
        member = self._units.member(one.job, one.path)
        if member is None:
            done.skipped.append((str(one), "it is gone already"))
        elif member.expires_s != one.expires_s:
            done.skipped.append((str(one), "its date has changed since that was decided"))
        else:
            parents: set[int] = set()
            self._take(member, one, parents, done)
            yield from self._tidy(parents, done)
        yield

    def _take(self, member: Member, why: Condemned | Outdated, parents: set[int], done: Dropped) -> None:
        entry = self._ledger.entry(member.ino)
        if entry is None or entry.kind == Kind.DIRECTORY:
            return
        if milliseconds_of(entry.stamp) != member.published_ms or self._tree.is_being_written(entry.ino):
            done.skipped.append((self._key(entry.ino), "somebody has written it meanwhile"))
            return
        try:
            self._tree.expire(entry, REASON)
        except Protected as error:
            done.skipped.append((self._key(entry.ino), str(error)))
            return
        done.artifacts += 1
        done.lost.setdefault(why.job, Lost()).add(why, member)
        done.changes.names.add((entry.parent, entry.name))
        parents.add(entry.parent)

    def _tidy(self, directories: set[int], done: Dropped) -> Iterator[None]:
        """Remove directories that became empty, and those above them that became so by that."""
        while directories:
            entry = self._ledger.entry(directories.pop())
            if entry is None or entry.ino == ROOT_INO or not self._remove_if_empty(entry, done):
                continue
            directories.add(entry.parent)
            yield

    def _remove_if_empty(self, entry: Entry, done: Dropped) -> bool:
        if self._ledger.has_children(entry.ino):
            return False
        try:
            self._tree.expire(entry, REASON)
        except Protected:
            return False  # it is pinned itself
        done.changes.names.add((entry.parent, entry.name))
        if entry.parent == ROOT_INO:
            done.jobs.append(namespace.join_key((entry.name,)))
        return True

    def _key(self, ino: int) -> str:
        names = self._ledger.path(ino)
        return namespace.join_key(names) if names else f"inode {ino}"


def condemned(said: object) -> list[Condemned]:
    """Reports as a request names them. Raises InvalidArgument."""
    rows = _rows(said, 5)
    return [Condemned(str(job), str(slug), int(ns), int(count), str(why)) for job, slug, ns, count, why in rows]


def outdated(said: object) -> list[Outdated]:
    """The same of single artifacts."""
    rows = _rows(said, 5)
    return [Outdated(str(job), str(path), int(at), str(slug), str(why)) for job, path, at, slug, why in rows]


def _rows(said: object, width: int) -> list[list[str]]:
    rows = said if isinstance(said, list) else []
    if not all(isinstance(row, list) and len(row) == width for row in rows):
        raise InvalidArgument("expire: client and daemon are of different versions")
    return rows
