"""What the bucket is to be told of what happens here, noted in the transaction in which it happens.

Entries carry bits for what of them the bucket lacks (`model.Owed`), their registers a mark; what went leaves a clear
in `past`. Records are made of that when a job is published. Where the bucket knows an entry under another path, because
a directory above it was renamed, `moved` says which (`origin`) until all below it was looked at (`carrying`).

Without a bucket nothing is noted: everything is owed at once when the store gets one.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mountfs.clock import Stamps, writer_of
from mountfs.model import Entry, Kind, Owed
from mountfs.store.ledger import Ledger
from mountfs.store.origins import Origins, Where

BASE = "@base"  # register of this machine alone: what the bucket had of an entry when the first change was made here


@dataclass(frozen=True, slots=True)
class Said:
    """The stamp under which a change is told, and the bits it owes."""

    stamp: str
    owed: int


class Owing(Origins):
    """Methods named for an event are called in its transaction, before the rows change."""

    def __init__(self, ledger: Ledger, stamps: Stamps) -> None:
        super().__init__(ledger)
        self._stamps = stamps
        self.active = False
        self.on_carried: Callable[[Entry], None] = lambda entry: None
        self._in_flight: Counter[int] = Counter()  # by ino: bundles that it is in, from when its record is made
        self.fresh: set[int] = set()  # entries that changed since the uploader last looked
        self.fresh_jobs: set[int] = set()  # jobs that something went from
        self._with_past: set[int] = set()
        self._own: set[str] = {stamps.writer}

    def begin(self) -> None:
        """There is a bucket: note what happens from now on."""
        self.active = True
        with self._catalog.transaction():
            self._tables.add_writer(self._stamps.writer)
        self._own = self._tables.writers()
        self._recall()
        self._with_past = self._tables.jobs_with_past()  # one too many does no harm
        self._ledger.before_write = self._note_bases
        self._ledger.on_owed = self.fresh.add
        self._catalog.on_rollback = self._recall

    # -- what is on its way -------------------------------------------------------------------------------

    def sets_out(self, ino: int) -> None:
        """A record of this entry was made, and may arrive: from now on a removal has to be told."""
        self._in_flight[ino] += 1

    def is_back(self, inos: Iterable[int]) -> None:
        """The bundle that these set out for is there and marked, or will never be sent, or may be there for all that
        is known, which is noted."""
        for ino in inos:
            self._in_flight[ino] -= 1
            if not self._in_flight[ino]:
                del self._in_flight[ino]

    # -- what the bucket knows -----------------------------------------------------------------------------

    def known(self, entry: Entry) -> bool:
        """Whether the bucket may hold anything at the path of an entry."""
        return bool(entry.owed & (Owed.KNOWN | Owed.CLEAR)) or entry.ino in self._in_flight

    def is_others(self, entry: Entry) -> bool:
        """Whether another machine wrote what is there now, and nobody took its job over here."""
        if not self.active or not entry.stamp or writer_of(entry.stamp) in self._own:
            return False
        return not self._tables.is_adopted(self.where(entry.ino).job)

    def cleared(self, where: Where, stamp: str) -> None:
        """The bucket has this clear; a later one that is owed stays."""
        if stamp > max((row.stamp for row in self._tables.past(where.job, where.path) if not row.register), default=""):
            self._tables.put_past(where.job, where.path, "", stamp)
            self._with_past.add(where.job)

    def others_below(self, directory: Entry) -> bytes | None:
        """The name of something that another machine wrote, the directory itself or below it; as `is_others`."""
        job = self.where(directory.ino).job
        if not self.active or not self._tables.is_shared(job) or self._tables.is_adopted(job):
            return None
        return self._catalog.others_at(directory.ino)

    def is_own_writer(self, writer: str) -> bool:
        return writer in self._own

    def has_past(self, job: int) -> None:
        """Rows of a path's past were written for this job."""
        self._with_past.add(job)

    def may_have_past(self, job: int) -> bool:
        """Whether some path of a job has a past."""
        return job in self._with_past

    # -- events -------------------------------------------------------------------------------------------

    def created(self, parent: int, name: bytes) -> Said:
        """A new entry at a path: what it owes."""
        if not self.active:
            return Said(self._stamps.next(), 0)
        if not self._with_past:
            return Said(self._stamps.next(), Owed.ALL)
        top, voids = self._past(self.below(parent, name))
        return Said(self._stamps.next(above=top), Owed.ALL | (Owed.CLEAR if voids else 0))

    def _past(self, where: Where) -> tuple[str, bool]:
        """(the highest stamp known of a path that is no entry, whether registers are left that no clear voids)."""
        if where.job not in self._with_past:
            return "", False
        rows = self._tables.past(where.job, where.path)
        clear = max((row.stamp for row in rows if not row.register), default="")
        left = any(row.register and row.stamp >= clear for row in rows)
        return max((row.stamp for row in rows), default=""), left

    def published(self, entry: Entry) -> None:
        """A content is acknowledged: its stamp and what it owes, set in the value that is to be stored."""
        entry.mode_stamp = entry.mode_stamp or entry.stamp
        entry.owner_stamp = entry.owner_stamp or entry.stamp
        entry.mtime_stamp = None
        if entry.owed & Owed.CLEAR:
            self._part_with_clear(entry)
        entry.stamp = self._stamps.next(above=_highest(entry))
        if self.active:
            entry.owed |= Owed.CONTENT
            if not self.known(entry):
                entry.mode_stamp = entry.owner_stamp = None
                entry.owed |= Owed.ALL

    def _part_with_clear(self, entry: Entry) -> None:
        """The clear that was to go with the content keeps its stamp: a later one would void what was set since."""
        where = self.where(entry.ino)
        with self._catalog.transaction():
            self._tables.put_past(where.job, where.path, "", entry.stamp, owed=True, base=self.base_of(entry))
        entry.owed &= ~Owed.CLEAR
        self._with_past.add(where.job)
        self.fresh_jobs.add(where.job)

    def changed(self, entry: Entry, registers: int) -> dict[str, object]:
        """Mode, owner or mtime of an entry change (bits of `Owed`): the fields to set beside them."""
        stamp = self._stamps.next(above=_highest(entry))
        if self.active and not self.known(entry):  # it has one stamp, and goes as one record
            return {
                "stamp": stamp, "mode_stamp": None, "owner_stamp": None, "mtime_stamp": None,
                "owed": entry.owed | Owed.ALL,
            }  # fmt: skip
        values: dict[str, object] = {}
        for bit, name in ((Owed.MODE, "mode_stamp"), (Owed.OWNER, "owner_stamp"), (Owed.MTIME, "mtime_stamp")):
            if registers & bit:
                values[name] = stamp
        if self.active:
            values["owed"] = entry.owed | registers
        return values

    def tagged(self, ino: int, register: str, value: bytes | None) -> None:
        """Set a register of an entry; None takes it away."""
        before = self._tables.all_registers(ino)
        old = next((stamp for name, _value, stamp, _owed in before if name == register), "")
        stamp = self._stamps.next(above=old)
        if not self.active or register.startswith("@"):
            if value is None:
                self._catalog.delete_register(ino, register)
            else:
                self._catalog.set_register(ino, register, value, stamp)
            return
        entry = self._catalog.entry(ino)
        if entry is not None and entry.owed & Owed.KNOWN:
            self._note_base(entry)
        self._catalog.set_register(ino, register, value, stamp, owed=True)
        self.fresh.add(ino)

    def removed(self, entry: Entry) -> None:
        """An entry goes: a clear tells the bucket, where it may know of it."""
        if not self.active:
            return
        if self.known(entry) and entry.stamp:  # a directory that exists only so leaves no word
            self._clear(entry, pair=None)
        self.forget_alias(entry.ino)
        if self._moved.pop(entry.ino, None) is not None:
            self._tables.forget_moved(entry.ino)

    def _clear(self, entry: Entry, *, pair: int | None) -> None:
        """Tell the bucket that nothing of an entry is left where it knows it."""
        where, left = self._origin(entry.ino)
        base = self.base_of(entry)
        if not left:
            top = max(self._past(where)[0], self._highest_of(entry))
            self._put_clear(where, self._stamps.next(above=top), pair=pair, base=base)
        elif all(row.register or row.stamp <= left for row in self._tables.past(where.job, where.path)):
            # It went with a directory, at that time: what was made at its path since then stays.
            had = max((stamp for _name, stamp in json.loads(base or "[]")), default="")
            self._put_clear(where, left if had < left else self._stamps.next(above=had), pair=pair, base=base)

    def _put_clear(self, where: Where, stamp: str, *, pair: int | None, base: str | None) -> None:
        self._tables.drop_past(where.job, where.path)
        self._tables.put_past(where.job, where.path, "", stamp, owed=True, pair=pair, base=base)
        self._with_past.add(where.job)
        self.fresh_jobs.add(where.job)

    def renamed(
        self, source: Entry, target: Entry | None, parent: int, name: bytes, *, overwrites: bool = False
    ) -> Said | None:
        """An entry takes the path of `target`, or a free one; what it owes under it. None: without a bucket.

        With `overwrites` no clear is told: all of the path is said anew, and what it had before is its history.
        """
        if not self.active:
            return None
        old, new = self.origin(source.ino), self.below(parent, name)
        if self.known(source) and source.stamp:
            self._clear(source, pair=source.ino)
        self.forget_alias(source.ino)
        said = self._moves_to(source, new, target, overwrites=overwrites)
        if source.kind == Kind.DIRECTORY and source.ino not in self._moved and self._ledger.has_children(source.ino):
            self._note_moved(source.ino, old)
        if target is not None and self._moved.pop(target.ino, None) is not None:
            self._tables.forget_moved(target.ino)
        return said

    def exchanged(self, a: Entry, b: Entry) -> tuple[Said, Said] | None:
        """Two entries take each other's path."""
        if not self.active:
            return None
        places = self.origin(a.ino), self.origin(b.ino)
        here = self.below(a.parent, a.name), self.below(b.parent, b.name)
        bases = self.base_of(a), self.base_of(b)
        for entry, origin, now in ((a, places[0], here[0]), (b, places[1], here[1])):
            if self.known(entry) and entry.stamp and origin != now:
                self._clear(entry, pair=entry.ino)
            self.forget_alias(entry.ino)
            if entry.kind == Kind.DIRECTORY and entry.ino not in self._moved:
                self._note_moved(entry.ino, origin)
        said = self._moves_to(a, here[1], b), self._moves_to(b, here[0], a)
        for entry, base in ((a, bases[1]), (b, bases[0])):
            self._set_base(entry.ino, base)
        return said

    def _moves_to(self, source: Entry, new: Where, target: Entry | None, *, overwrites: bool = False) -> Said:
        top, voids = self._past(new)
        base = None
        if target is not None:
            top, voids = max(top, self._highest_of(target)), voids or (self.known(target) and not overwrites)
            base = self.base_of(target)
        stamp = self._stamps.next(above=max(top, self._highest_of(source)))
        owed = Owed.ALL | (Owed.CLEAR if voids else 0)
        self._tables.restamp(source.ino, stamp, owed)
        if target is not None and overwrites and not voids:
            self._take_away_registers(target, source, stamp)
        self._set_base(source.ino, base)
        self.fresh.add(source.ino)
        return Said(stamp, owed)

    def _take_away_registers(self, target: Entry, source: Entry, stamp: str) -> None:
        """Where no clear does it, each register that a path had and no longer has is told to be gone."""
        left = {name for name, *_rest in self._tables.all_registers(source.ino)}
        for name, *_rest in self._tables.all_registers(target.ino):
            if name not in left:
                self._catalog.set_register(source.ino, name, None, stamp, owed=True)

    def _note_moved(self, ino: int, origin: Where) -> None:
        stamp = self._stamps.next()
        self._moved[ino] = (origin.job, origin.path, stamp)
        self._tables.note_moved(ino, origin.job, origin.path, stamp)
        self.fresh.add(ino)

    def restamp_owed(self, entry: Entry) -> None:
        """What an entry owes is said anew, now."""
        self._tables.restamp_owed(entry.ino, self._stamps.next(above=self._highest_of(entry)))

    def restamp_past(self, job: int, path: bytes, register: str) -> None:
        """A clear that is owed, or a register of a path that is no more, is said anew, now."""
        for row in self._tables.past(job, path):
            if row.register == register and row.owed:
                stamp = self._stamps.next(above=row.stamp)
                self._tables.put_past(job, path, register, stamp, row.value, owed=True, pair=row.pair, base=row.base)

    def clear_path(self, where: Where, *, above: str) -> None:
        """Tell the bucket that nothing is at a path, whatever it has there."""
        top = max(self._past(where)[0], above)
        self._tables.put_past(where.job, where.path, "", self._stamps.next(above=top), owed=True)
        self._with_past.add(where.job)
        self.fresh_jobs.add(where.job)

    # -- what is below a renamed directory ----------------------------------------------------------------

    def carrying(self, ino: int) -> Iterator[None]:
        """Give all below a renamed directory what they owe at their new paths; one entry a step, repeatable."""
        stack = [ino]
        while stack:
            directory = stack.pop()
            after = b""
            while page := self._ledger.children(directory, after=after, limit=256):
                for child in page:
                    if child.ino in self._moved:
                        continue  # looked at by itself
                    if child.kind == Kind.DIRECTORY:
                        stack.append(child.ino)
                    self._carry(child)
                    yield
                after = page[-1].name
        with self._ledger.transaction():
            self._tables.forget_moved(ino)
        self._moved.pop(ino, None)
        self.fresh.add(ino)

    def _carry(self, child: Entry) -> None:
        with self._ledger.transaction():
            entry = self._ledger.entry(child.ino)
            if entry is None:
                return
            self.fresh.add(entry.ino)  # it may belong to another job now
            if not self.known(entry) or not entry.stamp:
                return
            self.on_carried(entry)
            self._clear(entry, pair=entry.ino)
            self._moves_to(entry, self.where(entry.ino), None)

    def take_fresh(self) -> tuple[set[int], set[int]]:
        """(entries, jobs) that changed since the last call."""
        taken = set(self.fresh), set(self.fresh_jobs)
        self.fresh.clear()  # the ledger adds to this very set
        self.fresh_jobs.clear()
        return taken

    def forget_bases(self, entries: list[Entry]) -> list[int]:
        """What was changed before it was sent is in the bucket: what comes next starts from there. Those of which
        nothing more is owed."""
        paid = []
        for entry in entries:
            row = self._catalog.entry(entry.ino)
            if row is not None and not row.owed & Owed.ANY and not self._tables.owed_registers(entry.ino):
                self._catalog.delete_register(entry.ino, BASE)
                paid.append(entry.ino)
        return paid

    # -- what the bucket had ------------------------------------------------------------------------------

    def base_of(self, entry: Entry) -> str | None:
        """Which registers the bucket had of a path before anything was changed here, as text; None: no such path."""
        noted = self._catalog.register(entry.ino, BASE)
        if noted is not None:
            return noted.decode() or None
        if not entry.owed & Owed.KNOWN:
            return None
        return self._stamps_text(entry)

    def may_have_landed(self, ino: int) -> None:
        """The bucket may have an entry by now: what it had of the path before stays on record. In a transaction."""
        entry = self._catalog.entry(ino)
        if entry is None or entry.owed & Owed.KNOWN:
            return
        if self._catalog.register(ino, BASE) is None:
            self._catalog.set_register(ino, BASE, b"", "")
        self._tables.mark_known(ino)

    def _stamps_text(self, entry: Entry) -> str:
        said = {
            "content": entry.stamp,
            "mode": entry.mode_stamp or entry.stamp,
            "owner": entry.owner_stamp or entry.stamp,
            "mtime": entry.mtime_stamp or entry.stamp,
        }
        said.update((name, stamp) for name, _value, stamp, _owed in self._tables.all_registers(entry.ino))
        return stamps_text(said)

    def _set_base(self, ino: int, base: str | None) -> None:
        if base is None:
            self._catalog.delete_register(ino, BASE)
        else:
            self._catalog.set_register(ino, BASE, base.encode(), "")

    def _note_base(self, entry: Entry) -> None:
        """`entry` is as it was before the change, and nothing of it was owed."""
        if entry.owed & Owed.ANY or self._tables.owed_registers(entry.ino):
            return
        self._set_base(entry.ino, self._stamps_text(entry))

    def _note_bases(self, entries: list[Entry]) -> None:
        for entry in entries:
            if entry.owed & Owed.KNOWN and entry.owed & Owed.ANY:
                before = self._catalog.entry(entry.ino)
                if before is not None:
                    self._note_base(before)

    def _highest_of(self, entry: Entry) -> str:
        registers = self._tables.all_registers(entry.ino)
        return max([_highest(entry), *(stamp for _name, _value, stamp, _owed in registers)])


def stamps_text(stamps: dict[str, str]) -> str:
    """The registers of a path and their stamps, in one form, to be compared later."""
    return json.dumps(sorted((name, stamp) for name, stamp in stamps.items() if stamp), separators=(",", ":"))


def _highest(entry: Entry) -> str:
    return max(entry.stamp, entry.mode_stamp or "", entry.owner_stamp or "", entry.mtime_stamp or "")
