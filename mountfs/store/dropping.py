"""What retention decided, carried out: a report goes only while it still is what was judged.

A decision is made beside the store, seconds before. So each report is looked at again, and of each artifact whether
somebody has written it meanwhile: then it stays, and the answer says so. All goes to the trash, what other machines
wrote too; directories that became empty go with it, and so does the job. On the loop's thread, in steps.

A report goes whole: with its first artifact a note is written, and each later one counts in it. What a killed process
left half gone is finished from there by the next (`finish`), before anything else goes. The note stays until who wants
to know of it was told.

Somebody who brings something of it back, or pins it, ends the note: what is still here stays (`brought_back`,
`pinned`). So before each artifact the note is looked at again.
"""

import contextlib
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from mountfs import namespace
from mountfs.catalog.going import Going
from mountfs.catalog.search import Member, Units
from mountfs.clock import milliseconds_of
from mountfs.errors import CacheFull, InvalidArgument, Protected
from mountfs.model import ROOT_INO, Entry, Kind
from mountfs.store.facts import Facts
from mountfs.store.ledger import Ledger
from mountfs.store.paths import Changes
from mountfs.store.removed import Removed
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


@dataclass(frozen=True, slots=True)
class Expired:
    """What one job lost: of which types, how much, and why; `reasons` has one for each report or artifact."""

    notes: tuple[int, ...]
    job: str
    types: tuple[str, ...]
    artifacts: int
    size: int
    stored: int
    reasons: tuple[str, ...]
    is_gone: bool


@dataclass(slots=True)
class Dropped:
    """What went, what was left and why, and what the kernel may no longer remember.

    `finished`: by job, how many of the artifacts went on behalf of a process that was killed.
    """

    artifacts: int = 0
    jobs: list[str] = field(default_factory=list)
    finished: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)


class Dropping:
    """The index must have caught up when it begins: `drop` and `finish` read it.

    `tells`: somebody wants to be told of what goes from now on.
    """

    def __init__(self, ledger: Ledger, tree: Tree, facts: Facts) -> None:
        self.tells = False
        self._ledger = ledger
        self._tree = tree
        self._facts = facts
        self._units: Units = ledger.catalog.units
        self._notes = ledger.catalog.going
        self._telling: set[int] = set()

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
                note = self._note(report, key[0], newest_ms=standing.newest_ms)
                yield from self._drop_report(note, key, done)
            yield
        for one in dated:
            yield from self._drop_dated(one, done)

    def is_unfinished(self) -> bool:
        """Whether something that began to go is still here in part: its process was killed, or its disk was full."""
        return bool(self._notes.all(is_over=False))

    def finish(self, done: Dropped) -> Iterator[None]:
        """Go on with that, as `drop` does. What was decided counts, however the policy may read by now."""
        pinned = self._units.pinned()
        for note in self._notes.all(is_over=False):
            going = yield from self._tidy(note, done)
            key = None if note.path else self._units.key_in(note.job, _text(note.type))
            if key is None:
                self._end(going)
            elif key in pinned:
                done.skipped.append((_what(note), "it was pinned since it began to go"))
                self._end(going)
            else:
                yield from self._go_on(going, key, done)
            yield

    def _go_on(self, going: Going, key: tuple[int, int], done: Dropped) -> Iterator[None]:
        job, before = self._ledger.entry(going.job), done.artifacts
        try:
            yield from self._drop_report(going, key, done)
        finally:
            done.finished[_text(going.name if job is None else job.name)] += done.artifacts - before

    # -- what ends it -----------------------------------------------------------------------------------------

    def brought_back(self, removed: Iterable[Removed], *, key: tuple[bytes, ...]) -> None:
        """Somebody brings these back, by that key: of their reports, or of the whole job, nothing more goes."""
        notes = self._notes.all(is_over=False)
        if not notes:
            return
        slugs = {self._type_of(one) for one in removed if one.kind is not None}
        self._end_all(
            note for note in notes if self._is_of(note, key[0]) and (len(key) == 1 or _text(note.type) in slugs)
        )

    def pinned(self, ino: int) -> None:
        """Somebody has pinned that: of its report nothing more goes; of a directory, nothing of its job."""
        notes = self._notes.all(is_over=False)
        entry = self._ledger.entry(ino) if notes else None
        if entry is None:
            return
        names = self._ledger.path(ino)
        said = self._ledger.catalog.register(ino, "type")
        slug = None if entry.kind == Kind.DIRECTORY else self._slug(names, entry.content, said)
        with contextlib.suppress(CacheFull):  # then whoever goes on with it sees the pin
            self._end_all(note for note in notes if self._is_of(note, names[0]) and slug in (None, _text(note.type)))

    def _end_all(self, notes: Iterable[Going]) -> None:
        for note in notes:
            self._end(note)

    def _is_of(self, note: Going, job: bytes) -> bool:
        """A job may have another name than when that was decided."""
        entry = self._ledger.entry(note.job)
        return job == note.name or (entry is not None and job == entry.name)

    def _type_of(self, removed: Removed) -> str:
        return self._slug(removed.names, removed.content, removed.registers.get("type"))

    def _slug(self, names: tuple[bytes, ...], content: int | None, said: bytes | None) -> str:
        told = self._facts.told(self._ledger.content(content)) if content is not None else None
        return self._facts.type_of(names, said, told)

    def _has_ended(self, going: Going) -> bool:
        return going.id is not None and not self._notes.is_open(going.id)

    # -- one by one -------------------------------------------------------------------------------------------

    def _being_written(self) -> set[tuple[int, int] | None]:
        inos = self._tree.inos_being_written()
        return {self._units.key_of(ino) for ino in inos}

    def _note(self, why: Condemned | Outdated, job: int, *, newest_ms: int) -> Going:
        """What is written down of it with the first entry that goes."""
        path = why.path if isinstance(why, Outdated) else ""
        name, slug, reason = _raw(why.job), _raw(why.type), _raw(why.reason)
        return Going(None, job, name, slug, _raw(path), newest_ms, reason, tells=self.tells)

    def _drop_report(self, going: Going, key: tuple[int, int], done: Dropped) -> Iterator[None]:
        last: Member | None = None
        while page := self._units.members(key, after=last, limit=PAGE):
            for last in page:
                if self._has_ended(going):
                    done.skipped.append((_what(going), "somebody has brought it back or pinned it meanwhile"))
                    return
                if last.published_ms > going.newest_ms:
                    continue  # it came while others went
                going = self._take(last, going, done)
                yield
                going = yield from self._tidy(going, done)
        self._end(going)

    def _drop_dated(self, one: Outdated, done: Dropped) -> Iterator[None]:
        member = self._units.member(one.job, one.path)
        if member is None:
            done.skipped.append((str(one), "it is gone already"))
        elif member.expires_s != one.expires_s:
            done.skipped.append((str(one), "its date has changed since that was decided"))
        else:
            job = self._tree.walk(namespace.split_key(one.job)).ino
            going = self._take(member, self._note(one, job, newest_ms=member.published_ms), done)
            self._end((yield from self._tidy(going, done)))
        yield

    def _take(self, member: Member, going: Going, done: Dropped) -> Going:
        """Remove one artifact, and note that with it; the note as it is then."""
        entry = self._ledger.entry(member.ino)
        if entry is None or entry.kind == Kind.DIRECTORY:
            return going
        if milliseconds_of(entry.stamp) != member.published_ms or self._tree.is_being_written(entry.ino):
            done.skipped.append((self._key(entry.ino), "somebody has written it meanwhile"))
            return going
        after = replace(
            going, artifacts=going.artifacts + 1, size=going.size + member.size, stored=going.stored + member.stored,
            directory=entry.parent,
        )  # fmt: skip
        try:
            after = self._expire(entry, after)
        except Protected as error:
            done.skipped.append((self._key(entry.ino), str(error)))
            return going
        done.artifacts += 1
        done.changes.names.add((entry.parent, entry.name))
        return after

    def _tidy(self, going: Going, done: Dropped) -> Generator[None, None, Going]:
        """Remove the directory of what went last if nothing is left in it, and those above it that are empty then."""
        while going.id is not None and not self._has_ended(going):
            entry = self._ledger.entry(going.directory)
            if entry is None or entry.ino == ROOT_INO or self._ledger.has_children(entry.ino):
                return going
            try:
                going = self._expire(entry, replace(going, directory=entry.parent))
            except Protected:
                return going  # it is pinned itself
            done.changes.names.add((entry.parent, entry.name))
            if entry.parent == ROOT_INO:
                done.jobs.append(namespace.join_key((entry.name,)))
            yield
        return going

    def _expire(self, entry: Entry, note: Going) -> Going:
        """An entry goes, and with it what is known of that. Raises Protected."""
        numbers: list[int] = []
        self._tree.expire(entry, REASON, note=lambda: numbers.append(self._notes.put(note)))
        return replace(note, id=numbers[-1])

    def _end(self, going: Going) -> None:
        """Nothing more of it goes: the note stays only for whoever is to be told of what went."""
        if going.id is None or self._has_ended(going):
            return
        with self._ledger.catalog.transaction():
            if going.tells:
                self._notes.put(replace(going, is_over=True))
            else:
                self._notes.forget([going.id])

    # -- who is told ----------------------------------------------------------------------------------------

    def expired(self) -> list[Expired]:
        """What went and nobody was told of, job by job; each once, until the store is opened again."""
        jobs: dict[int, list[Going]] = {}
        for note in self._notes.all(is_over=True):
            if note.id is not None and note.id not in self._telling:
                self._telling.add(note.id)
                jobs.setdefault(note.job, []).append(note)
        return [_expired(notes, is_gone=self._ledger.entry(job) is None) for job, notes in jobs.items()]

    def told(self, expired: Expired) -> None:
        """The notes of this are struck out."""
        with contextlib.suppress(CacheFull):  # else it is told once more, by the next start
            with self._ledger.catalog.transaction():
                self._notes.forget(expired.notes)
            self._telling.difference_update(expired.notes)

    def _key(self, ino: int) -> str:
        names = self._ledger.path(ino)
        return namespace.join_key(names) if names else f"inode {ino}"


def _expired(notes: Sequence[Going], *, is_gone: bool) -> Expired:
    return Expired(
        tuple(note.id for note in notes if note.id is not None), _text(notes[-1].name),
        tuple(sorted({_text(note.type) for note in notes})), sum(note.artifacts for note in notes),
        sum(note.size for note in notes), sum(note.stored for note in notes),
        tuple(dict.fromkeys(f"{_what(note)}: {_text(note.reason)}" for note in notes)), is_gone,
    )  # fmt: skip


def _what(note: Going) -> str:
    job = _text(note.name)
    return f"{job}/{_text(note.path)}" if note.path else f"{_text(note.type)} of {job}"


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(raw: bytes) -> str:
    return bytes(raw).decode("utf-8", "surrogateescape")


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
