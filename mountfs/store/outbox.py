"""What the bucket lacks, by job, and the records that are made of it.

Records are made of what is settled and at rest; what is being written, or lies below a renamed directory that was not
looked at yet, waits. They are made anew each time, one after the other, as they are needed: nothing is queued but the
marks that `owing` left, so that a backlog of any length costs neither memory nor, in one go, the loop's time.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mountfs.catalog.bucket import Past
from mountfs.clock import milliseconds_of
from mountfs.model import ROOT_INO, Codec, Content, Entry, Owed, Standing
from mountfs.records import FileContent, Record, Value
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.origins import Where
from mountfs.store.owing import Owing
from mountfs.store.paths import Paths
from mountfs.store.pathstates import OWED_NAMES
from mountfs.store.registers import value_of_register

PAGE = 64  # rows of what is past that are read at a time
LOOKED_AT = 500  # entries of which one statement asks: a millisecond
AGED = 2_000  # entries among which the oldest stamp is looked for in one go: two milliseconds


@dataclass(frozen=True, slots=True)
class Subject:
    """What a record is made of: an entry, or a register ("": the clear) of a path that is no entry."""

    path: bytes
    ino: int | None
    register: str = ""
    waits_for: int | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """Records of one path that go out together, and what is confirmed when they have arrived.

    `content` is what the newest of them names and the bucket may lack; `waits_for` an entry whose content has to be
    there first, because this clear is the other half of its rename.
    """

    path: bytes
    records: tuple[Record, ...]
    entry: Entry | None = None
    registers: tuple[tuple[str, str], ...] = ()
    content: Content | None = None
    waits_for: int | None = None

    @property
    def subject(self) -> Subject:
        if self.entry is not None:
            return Subject(self.path, self.entry.ino)
        return Subject(self.path, None, self.register, self.waits_for)

    @property
    def register(self) -> str:
        """Of a path that is no entry: the register of which this is; "" for its clear."""
        return next(iter(self.records[0].set), "")

    @property
    def oldest_ms(self) -> int:
        """When the first of it was said, by its stamp."""
        return min(milliseconds_of(record.stamp) for record in self.records)


@dataclass(slots=True)
class Debt:
    """What is known of a job's debt: enough to decide when it is paid."""

    since: float
    last: float
    inos: set[int] = field(default_factory=set)


class Outbox:
    """See the module's docstring. On the loop's thread."""

    def __init__(self, ledger: Ledger, owing: Owing, paths: Paths, files: Files) -> None:
        self._ledger = ledger
        self._catalog = ledger.catalog
        self._tables = ledger.catalog.bucket
        self._owing = owing
        self._paths = paths
        self._files = files
        self._debts: dict[int, Debt] = {}
        self._directories: dict[int, Where] = {}  # where they are, as long as no transaction came between
        self._epoch = -1
        self._oldest = ""

    # -- which jobs ---------------------------------------------------------------------------------------

    def scan(self) -> None:
        """Find again what was owed before a restart."""
        after = 0
        while page := self._tables.owed_inos(after=after):
            self._owing.fresh.update(page)
            after = page[-1]
        after = 0
        while page := self._tables.owed_register_inos(after=after):
            self._owing.fresh.update(page)
            after = page[-1]
        self._owing.fresh_jobs.update(self._tables.jobs_with_owed_past())

    def forgotten(self) -> Iterator[int]:
        """A net below `owing`: what the rows owe and is not remembered, remembered again; how much of it, by steps.

        Whoever is told that the bucket has everything was told so by the rows.
        """
        before = self._remembered()
        for owed in (self._tables.owed_inos, self._tables.owed_register_inos):
            after = 0
            while page := owed(after=after, limit=LOOKED_AT):
                missing = set(page) - before
                if missing:  # or it came while others were looked at
                    missing -= self._remembered()
                self._owing.fresh |= missing
                yield len(missing)
                after = page[-1]
        without = set(self._tables.jobs_with_owed_past()) - self.debts().keys()
        self._owing.fresh_jobs |= without
        yield len(without)

    def _remembered(self) -> set[int]:
        return set().union(*(debt.inos for debt in self.debts().values()))

    def debts(self) -> dict[int, Debt]:
        """Jobs that owe something, by id."""
        now = self._ledger.clock.monotonic()
        fresh, jobs = self._owing.take_fresh()
        for ino, parent in self._parents(fresh):
            where = self._owing.where(ino) if parent == ROOT_INO else self._directory(parent)
            self._debt(where.job, now).inos.add(ino)
        for job in jobs:
            self._debt(job, now)
        return self._debts

    def _parents(self, inos: Iterable[int]) -> Iterator[tuple[int, int]]:
        """(ino, parent) of these, as far as they are there."""
        stored = []
        for ino in inos:
            waiting = self._ledger.waiting(ino)
            if waiting is not None:
                yield ino, waiting.parent
            elif ino != ROOT_INO:
                stored.append(ino)
        for start in range(0, len(stored), LOOKED_AT):
            found = self._tables.placed_at(stored[start : start + LOOKED_AT])
            yield from ((ino, parent) for ino, (parent, _name) in found.items())

    def _directory(self, ino: int) -> Where:
        """Where a directory is; remembered until something is changed. Not in a transaction."""
        if self._epoch != self._ledger.journal.epoch:
            self._epoch = self._ledger.journal.epoch
            self._directories.clear()
        found = self._directories.get(ino)
        if found is None:
            found = self._directories[ino] = self._owing.where(ino)
        return found

    def _where(self, entry: Entry) -> Where:
        """As `Owing.where`, for one of many."""
        if entry.parent == ROOT_INO:
            return self._owing.where(entry.ino)
        above = self._directory(entry.parent)
        name = self._owing.alias_of(entry.ino) or entry.name
        return Where(above.job, above.path + b"/" + name if above.path else name)

    def _debt(self, job: int, now: float) -> Debt:
        debt = self._debts.setdefault(job, Debt(now, now))
        debt.last = now
        return debt

    # -- what of a job ------------------------------------------------------------------------------------

    def walking(self, job: int) -> Iterator[Due | None]:
        """All of a job that can go out now, one after the other, whatever happens in between: first what is, then what
        is no more. None: a step that found nothing to say."""
        self.debts()
        self._ledger.drain()
        debt = self._debts.get(job)
        for ino in sorted(debt.inos) if debt is not None else ():
            yield self._due_of(job, ino)
        after: tuple[bytes, str] | None = None
        while page := self._tables.owed_past(job, after=after, limit=PAGE):
            yield from map(self._due_past, page)
            after = page[-1].path, page[-1].register
        debt = self._debts.get(job)
        if debt is not None and not debt.inos and not self._tables.has_owed_past(job):
            del self._debts[job]

    def owes(self, job: int) -> bool:
        """Whether anything of it can go out now."""
        return any(due is not None for due in self.walking(job))

    def remade(self, job: int, subject: Subject) -> Due | None:
        """What is due of that now."""
        if subject.ino is not None:
            return self._due_of(job, subject.ino)
        for row in self._tables.past(job, subject.path):
            if row.register == subject.register and row.owed:
                return self._due_past(row)
        return None

    def there(self, dues: Sequence[Due]) -> list[Due]:
        """Those of these, a few hundred at most, whose entries have not gone or been renamed since; and all others."""
        now = self._tables.placed_at([due.entry.ino for due in dues if due.entry is not None])
        return [
            due
            for due in dues
            if due.entry is None or now.get(due.entry.ino) == (due.entry.parent, due.entry.name)
        ]  # fmt: skip

    def _due_of(self, job: int, ino: int) -> Due | None:
        if self._ledger.waiting(ino) is not None:
            return None  # it has just changed
        entry = self._catalog.entry(ino)
        where = self._where(entry) if entry is not None else None
        if entry is None or where is None or where.job != job:
            self._rests(job, ino)
            if entry is not None:
                self._owing.fresh.add(ino)  # it went to another job: that one owes it now
            return None
        due = self._due(entry, where)
        if due is None and not self._is_owed(entry):
            self._rests(job, ino)
        return due

    def _rests(self, job: int, ino: int) -> None:
        """Nothing of it is owed there any more."""
        debt = self._debts.get(job)
        if debt is not None:
            debt.inos.discard(ino)

    def _is_owed(self, entry: Entry) -> bool:
        return bool(entry.owed & Owed.ANY) or bool(self._tables.owed_registers(entry.ino))

    def _is_at_rest(self, entry: Entry, content: Content | None) -> bool:
        """Whether it is settled, closed and where it belongs."""
        live = self._files.live.get(entry.ino)
        if live is not None and (live.writers or live.changed):
            return False
        if entry.standing == Standing.PROVISIONAL or not self._owing.is_carried(entry.ino):
            return False
        return content is None or content.digest is not None

    def _due(self, entry: Entry, where: Where) -> Due | None:
        content = self._catalog.content(entry.content) if entry.content is not None else None
        snapshot = None
        if not self._is_at_rest(entry, content):
            snapshot = self._snapshot(entry)
            if snapshot is None:
                return None
        owed = entry.owed
        said = self._paths.fields_of(entry, content) if owed & Owed.ANY else {}
        if snapshot is not None:
            content = self._catalog.content(snapshot[0])
            if "content" in said:
                said["content"] = (entry.stamp, self._grown(entry, *snapshot))
        sets: dict[str, dict[str, Value]] = {}
        for bit, name in OWED_NAMES:
            if owed & bit and name in said:
                stamp, value = said[name]
                sets.setdefault(stamp, {})[name] = value
        registers = self._tables.owed_registers(entry.ino)
        for name, raw, stamp in registers:
            sets.setdefault(stamp, {})[name.removeprefix("?")] = value_of_register(name, raw)
        if not sets:
            return None
        records = tuple(
            Record(where.path, stamp, bool(owed & Owed.CLEAR) and stamp == entry.stamp, sets[stamp])
            for stamp in sorted(sets)
        )
        return Due(
            where.path, records, entry, tuple((name, stamp) for name, _raw, stamp in registers),
            content if owed & Owed.CONTENT else None,
        )  # fmt: skip

    def _snapshot(self, entry: Entry) -> tuple[int, str] | None:
        """(content, extends) of the state in which an open file is published, where that is its acknowledged one."""
        found = self._tables.snapshot(entry.ino)
        if found is None or found[1] != entry.stamp or not self._owing.is_carried(entry.ino):
            return None
        return found[0], found[2]

    def _grown(self, entry: Entry, content_id: int, extends: str) -> Value:
        content = self._catalog.content(content_id)
        assert content is not None
        said = FileContent(
            content.digest, content.size, content.stored, Codec(content.codec), entry.mtime_ns, entry.birth_ns
        ).to_value()
        earlier: Value = json.loads(extends)
        return {**said, "extends": earlier} if isinstance(said, dict) and earlier else said

    @staticmethod
    def _due_past(row: Past) -> Due:
        if not row.register:
            return Due(row.path, (Record(row.path, row.stamp, True, {}),), waits_for=row.pair)
        value: Value = json.loads(row.value or "null")
        return Due(row.path, (Record(row.path, row.stamp, False, {row.register: value}),))

    def waits(self, due: Due) -> bool:
        """Whether the other half of its rename is not in the bucket yet."""
        if due.waits_for is None:
            return False
        entry = self._catalog.entry(due.waits_for)
        return entry is not None and bool(entry.owed & Owed.CONTENT)

    # -- what waited too long -----------------------------------------------------------------------------

    @property
    def oldest_ms(self) -> int:
        """Nothing that is owed, in any job, was said before this; 0: that is not known."""
        return milliseconds_of(self._oldest)

    def finding_oldest(self) -> Iterator[None]:
        """Find out, in steps. Stamps only rise: what is said later is above it too, until the store is closed."""
        self._ledger.drain()
        lowest, end = self._ledger.stamps.next(), self._ledger.last_ino
        for job in sorted(self._tables.jobs_with_owed_past()):
            after: tuple[bytes, str] | None = None
            while page := self._tables.owed_past(job, after=after, limit=LOOKED_AT):
                lowest = min(lowest, *(row.stamp for row in page))
                after = page[-1].path, page[-1].register
                yield
        for inos, oldest in (
            (self._tables.owed_inos, self._tables.oldest_owed),
            (self._tables.owed_register_inos, self._tables.oldest_owed_register),
        ):
            last = 0
            while last < end and (found := inos(after=last, limit=AGED)):
                first, last = found[0], found[-1]
                lowest = min(lowest, oldest(first, last) or lowest)
                yield
        self._oldest = lowest

    def forget_oldest(self) -> None:
        """Something is older."""
        self._oldest = ""

    def base_of(self, job: int, due: Due) -> str | None:
        """Which registers the bucket had of its path before anything was changed here; None: no such path."""
        if due.entry is not None:
            return self._owing.base_of(due.entry)
        return next((row.base for row in self._tables.past(job, due.path) if row.register == due.register), None)

    def restamp(self, job: int, dues: Iterable[Due]) -> None:
        """Say all of this anew, now. In a transaction."""
        dues = list(dues)
        for due in sorted(dues, key=lambda due: due.entry is not None):  # a clear stays below what came after it
            if due.entry is None:
                self._owing.restamp_past(job, due.path, due.register)
            else:
                self._owing.restamp_owed(due.entry)
                self._files.restamped(due.entry.ino)

    def give_up(self, dues: Iterable[Due], job: int) -> None:
        """None of this is owed any more, although the bucket does not have it. In a transaction."""
        for due in dues:
            if due.entry is None:
                self._tables.drop_past(job, due.path, due.register)
                continue
            self._tables.owe_nothing(due.entry.ino)
            self._files.restamped(due.entry.ino)

    def restamped(self, ino: int) -> None:
        """Marks of an entry changed in the catalog: the values of an open file follow."""
        self._files.restamped(ino)

    # -- what has arrived ---------------------------------------------------------------------------------

    def confirm(self, job: int, sent: Iterable[Due]) -> list[int]:
        """The bucket has these: what was not changed since is no longer owed. In a transaction; the entries of which
        nothing more is owed are for `paid`, after it."""
        sent = list(sent)
        entries = [due.entry for due in sent if due.entry is not None]
        for due in sent:
            if due.entry is not None and due.entry.owed & Owed.CLEAR:
                self._owing.cleared(Where(job, due.path), due.entry.stamp)
        self._tables.confirm_entries(
            (
                e.ino, e.stamp, e.mode_stamp or e.stamp, e.owner_stamp or e.stamp, e.mtime_stamp or e.stamp,
                e.owed & Owed.ANY,
            )
            for e in entries
        )  # fmt: skip
        self._tables.confirm_registers(
            (due.entry.ino, name, stamp) for due in sent if due.entry is not None for name, stamp in due.registers
        )
        past = [due for due in sent if due.entry is None]
        self._tables.confirm_past(job, ((due.path, due.register, due.records[0].stamp) for due in past))
        paid = self._owing.forget_bases(entries)
        for entry in entries:
            self._tables.drop_snapshot(entry.ino)
        for entry in entries:
            self._files.restamped(entry.ino)
        return paid

    def paid(self, job: int, inos: Iterable[int]) -> None:
        """What `confirm` answered, once its transaction is through: none of these has to be looked at again."""
        debt = self._debts.get(job)
        if debt is not None:
            debt.inos.difference_update(inos)
