"""What the bucket lacks, by job, and the records that are made of it.

Of a job a batch is made of what is settled and at rest; what is being written, or lies below a renamed directory that
was not looked at yet, waits. A record is made anew each time: nothing is queued but the marks that `owing` left.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from mountfs.catalog.bucket import Past
from mountfs.clock import milliseconds_of
from mountfs.model import Codec, Content, Entry, Owed, Standing
from mountfs.records import FileContent, Record, Value
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.owing import Owing, Where
from mountfs.store.paths import OWED_NAMES, Paths
from mountfs.store.registers import value_of_register


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
    base: str | None = None

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

    def debts(self) -> dict[int, Debt]:
        """Jobs that owe something, by id."""
        now = self._ledger.clock.monotonic()
        fresh, jobs = self._owing.take_fresh()
        names: dict[bytes, int] = {}
        for ino in fresh:
            path = self._ledger.path(ino)
            if not path:
                continue
            job = names.get(path[0])
            if job is None:
                job = names[path[0]] = self._tables.make_job(path[0])
            self._debt(job, now).inos.add(ino)
        for job in jobs:
            self._debt(job, now)
        return self._debts

    def _debt(self, job: int, now: float) -> Debt:
        debt = self._debts.setdefault(job, Debt(now, now))
        debt.last = now
        return debt

    # -- what of a job ------------------------------------------------------------------------------------

    def batch(self, job: int) -> list[Due]:
        """All of a job that can go out now: first what is, then what is no more."""
        self.debts()
        self._ledger.drain()
        due = []
        debt = self._debts.get(job)
        rested = set()
        for ino in sorted(debt.inos) if debt is not None else ():
            entry = self._catalog.entry(ino)
            if entry is None or self._owing.where(ino).job != job:
                rested.add(ino)
                if entry is not None:
                    self._owing.fresh.add(ino)  # it went to another job: that one owes it now
                continue
            found = self._due(entry)
            if found is not None:
                due.append(found)
            elif not self._is_owed(entry):
                rested.add(ino)
        if debt is not None:
            debt.inos -= rested
        past = [self._due_past(row) for row in self._tables.owed_past(job)]
        if debt is not None and not debt.inos and not past:
            del self._debts[job]
        return due + past

    def _is_owed(self, entry: Entry) -> bool:
        return bool(entry.owed & Owed.ANY) or bool(self._tables.owed_registers(entry.ino))

    def is_at_rest(self, entry: Entry) -> bool:
        """Whether it is settled, closed and where it belongs."""
        live = self._files.live.get(entry.ino)
        if live is not None and (live.writers or live.changed):
            return False
        if entry.standing == Standing.PROVISIONAL or not self._owing.is_carried(entry.ino):
            return False
        content = self._catalog.content(entry.content) if entry.content is not None else None
        return content is None or content.digest is not None

    def _due(self, entry: Entry) -> Due | None:
        snapshot = None
        if not self.is_at_rest(entry):
            snapshot = self._snapshot(entry)
            if snapshot is None:
                return None
        owed = entry.owed
        said = self._paths.registers_of(entry) if owed & Owed.ANY else {}
        if snapshot is not None and "content" in said:
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
        where = self._owing.where(entry.ino)
        named = snapshot[0] if snapshot is not None else entry.content
        content = self._catalog.content(named) if owed & Owed.CONTENT and named is not None else None
        records = tuple(
            Record(where.path, stamp, bool(owed & Owed.CLEAR) and stamp == entry.stamp, sets[stamp])
            for stamp in sorted(sets)
        )
        return Due(
            where.path, records, entry, tuple((name, stamp) for name, _raw, stamp in registers), content,
            base=self._owing.base_of(entry),
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
            return Due(row.path, (Record(row.path, row.stamp, True, {}),), waits_for=row.pair, base=row.base)
        value: Value = json.loads(row.value or "null")
        return Due(row.path, (Record(row.path, row.stamp, False, {row.register: value}),))

    def waits(self, due: Due) -> bool:
        """Whether the other half of its rename is not in the bucket yet."""
        if due.waits_for is None:
            return False
        entry = self._catalog.entry(due.waits_for)
        return entry is not None and bool(entry.owed & Owed.CONTENT)

    # -- what waited too long -----------------------------------------------------------------------------

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

    def confirm(self, job: int, sent: Iterable[Due]) -> None:
        """The bucket has these: what was not changed since is no longer owed. In a transaction."""
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
        self._owing.forget_bases(entries)
        for entry in entries:
            self._tables.drop_snapshot(entry.ino)
        for entry in entries:
            self._files.restamped(entry.ino)
