"""What the bucket says of a path, and the rows that show it: records in, entries and registers out, and back.

Rows follow the fold whatever the order in which records come (`pathstates.py` says how the fold lies in them). Inside
a transaction, on the loop's thread.

Content that comes from elsewhere comes under a new inode number: who has the old one open goes on reading that, and
no page of the two is ever mixed.
"""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

from mountfs.clock import nanoseconds_of, writer_of
from mountfs.model import ROOT_INO, Content, Digest, Entry, Kind, Owed, Place
from mountfs.namespace import NAME_MAX
from mountfs.records import (
    ContentValue,
    FileContent,
    PathState,
    Record,
    SymlinkContent,
    Value,
    canonical,
)
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.origins import Where
from mountfs.store.owing import Owing
from mountfs.store.pathstates import OWED_NAMES, PathStates
from mountfs.store.registers import (
    FIELDS,
    MODES,
    beside,
    beside_mtime,
    kind_of,
    register_of_value,
)
from mountfs.store.trash import Trash
from mountfs.store.versions import Versions

CONFLICTS = "conflicts"
"""How many contents of this machine lost against others', in the catalog's meta."""


@dataclass(slots=True)
class Changes:
    """What the kernel may remember and no longer holds."""

    names: set[tuple[int, bytes]] = field(default_factory=set)  # (parent, name) that came, went, or is another now
    inos: set[int] = field(default_factory=set)  # attributes that changed
    grown: set[int] = field(default_factory=set)  # files with more at their end: pages may hold the old one
    postponed: bool = False  # somebody is writing a file whose content changed elsewhere


class Paths(PathStates):
    """See the module's docstring."""

    def __init__(
        self, ledger: Ledger, owing: Owing, files: Files, trash: Trash, versions: Versions, *,
        owner: tuple[int, int], recorded_owner: bool,
    ) -> None:  # fmt: skip
        super().__init__(ledger.catalog, owing)
        self._ledger = ledger
        self._files = files
        self._trash = trash
        self.versions = versions
        self._owner = owner
        self._recorded_owner = recorded_owner
        self.on_conflict: Callable[[Where, str, str], None] = lambda where, winner, loser: None

    # -- applying -----------------------------------------------------------------------------------------

    def fold(self, where: Where, said: PathState, changes: Changes) -> None:
        """Fold what was said of a path into its rows, all of it at once: what is removed and made again stays."""
        entry = self.find(where)
        old = self.state(where, entry)
        new = PathState(old.clear, dict(old.registers))
        if new.merge(PathState(said.clear, self._news(said, old))):
            self.set(where, entry, old, new, changes)
        elif entry is not None and not entry.owed & Owed.KNOWN and said.registers:
            self._tables.mark_known(entry.ino)
            self._files.restamped(entry.ino)

    @staticmethod
    def _news(said: PathState, old: PathState) -> dict[str, tuple[str, Value]]:
        """What is not here already under the same stamp: rows do not keep every word of it."""
        held = old.registers
        return {name: new for name, new in said.registers.items() if name not in held or held[name][0] != new[0]}

    def confirm(self, where: Where, record: Record) -> None:
        """The bucket has this record: what it says, and still is so here, is no longer owed."""
        entry = self.find(where)
        past = ["", *record.set] if record.clear else [*record.set]
        self._tables.confirm_past(where.job, ((where.path, register, record.stamp) for register in past))
        if entry is None:
            return
        if entry.owed & Owed.CLEAR and record.clear and record.stamp == entry.stamp:
            self._owing.cleared(where, record.stamp)
        bits = 0
        for bit, name in OWED_NAMES:
            if name in record.set:
                bits |= bit | (Owed.CLEAR if bit == Owed.CONTENT else 0)
        stamp = record.stamp
        self._tables.confirm_entries([(entry.ino, stamp, stamp, stamp, stamp, bits)])
        names = [register_of_value(name, None)[0] for name in record.set if name not in FIELDS]
        self._tables.confirm_registers((entry.ino, name, stamp) for name in names)
        self._files.restamped(entry.ino)

    def set(self, where: Where, entry: Entry | None, old: PathState, new: PathState, changes: Changes) -> None:
        """Bring the rows of a path from one state to another that the bucket brought about."""
        if new.clear > old.clear:
            self._tables.put_past(where.job, where.path, "", new.clear)
            self._owing.has_past(where.job)
            if entry is not None:
                self.versions.removed(entry, before=new.clear)
        elif new.clear < old.clear:  # it went from the bucket with its bundle: a machine that reads it now knows none
            self._tables.drop_past(where.job, where.path, "")
            if new.clear:
                self._tables.put_past(where.job, where.path, "", new.clear)
        if not new.exists:
            self._end(where, entry, old, new, changes)
        elif entry is None:
            self._begin(where, new, self.owed_state(where, None), changes)
        else:
            self._change(where, entry, old, new, changes)

    def _keep_registers(self, where: Where, entry: Entry | None, registers: dict[str, tuple[str, Value]]) -> None:
        """What is said of a path that is no more; what of it the bucket lacks is owed on: the path may come back."""
        owed = self.owed_state(where, entry).registers
        self._tables.drop_registers(where.job, where.path)
        for name, (stamp, value) in registers.items():
            is_owed = owed.get(name, ("", None))[0] == stamp
            self._tables.put_past(where.job, where.path, name, stamp, canonical(value), owed=is_owed)
            self._owing.has_past(where.job)
            if is_owed:
                self._owing.fresh_jobs.add(where.job)

    # -- a path that no longer exists -----------------------------------------------------------------------

    def _end(self, where: Where, entry: Entry | None, old: PathState, new: PathState, changes: Changes) -> None:
        self._keep_registers(where, entry, new.registers)
        if entry is None:
            return
        if entry.kind == Kind.DIRECTORY and self._catalog.has_children(entry.ino):
            self._imply(entry)
            changes.inos.add(entry.ino)
            return
        if self._is_written(entry):
            changes.postponed = True
            return
        self._delete(entry, "removed elsewhere", changes)
        self._tidy(entry.parent, changes)

    def _imply(self, entry: Entry) -> None:
        """A directory that exists only because something below it does."""
        row = entry.copy()
        row.stamp, row.mode_stamp, row.owner_stamp, row.mtime_stamp = "", None, None, None
        row.owed &= ~Owed.ANY
        self._catalog.put_entries([row])
        self._tables.drop_shared_registers(entry.ino)

    def _is_written(self, entry: Entry) -> bool:
        live = self._files.live.get(entry.ino)
        return live is not None and bool(live.writers or live.changed)

    def _delete(self, entry: Entry, reason: str, changes: Changes) -> None:
        self._trash.take(entry, reason)
        self._catalog.delete_entry(entry.ino)
        self._detach(entry, changes)

    def _detach(self, entry: Entry, changes: Changes) -> None:
        """Whoever has it open goes on reading what is open."""
        self._ledger.forget_time(entry.ino)
        self._owing.forget_alias(entry.ino)
        changes.names.add((entry.parent, entry.name))
        live = self._files.live.get(entry.ino)
        if live is not None:
            self._files.detach(live)

    def _tidy(self, ino: int, changes: Changes) -> None:
        """Directories that nobody made go with the last thing in them; a file that had to step aside comes back."""
        while ino != ROOT_INO:
            directory = self._catalog.entry(ino)
            if directory is None or directory.stamp or self._catalog.has_children(ino) or directory.owed & Owed.ANY:
                return
            self._catalog.delete_entry(ino)
            self._detach(directory, changes)
            aliased = self._owing.alias_at(directory.parent, directory.name)
            if aliased is not None:
                self._rename(aliased, directory.name, changes)
                self._owing.forget_alias(aliased)
                return
            ino = directory.parent

    def _rename(self, ino: int, name: bytes, changes: Changes) -> None:
        entry = self._catalog.entry(ino)
        assert entry is not None
        self._catalog.move_entry(ino, parent=entry.parent, name=name, ctime_ns=entry.ctime_ns)
        changes.names.update([(entry.parent, entry.name), (entry.parent, name)])

    # -- a path that is new -----------------------------------------------------------------------------------

    def _begin(self, where: Where, new: PathState, owed: PathState, changes: Changes) -> None:
        self._tables.drop_registers(where.job, where.path)
        names = self._names(where)
        parent = self._parents(names[:-1], changes)
        name = names[-1]
        content = new.content()
        assert content is not None
        taken = self._catalog.child(parent, name)
        if taken is not None:  # a directory that something lies in: it keeps the name
            name = self._free_name(parent, name, writer_of(new.registers["content"][0]))
        ino = self._ledger.new_ino()
        owing = {name for name, held in owed.registers.items() if new.registers.get(name, ("", None))[0] == held[0]}
        entry = self._entry(ino, parent, name, new, content)
        entry.owed |= sum(bit for bit, register in OWED_NAMES if register in owing)
        self._catalog.put_entries([entry])
        if taken is not None:
            self._owing.note_alias(ino, parent, names[-1])
        self._put_registers(ino, new, owed=owing)
        if owing:
            self._owing.fresh.add(ino)
        self._touch(parent, new.registers["content"][0])
        changes.names.add((parent, name))

    def _parents(self, names: tuple[bytes, ...], changes: Changes) -> int:
        """The directory at a path, made where nobody has."""
        found, entry = self._walk.as_far_as(names)
        ino = entry.ino
        if entry.kind != Kind.DIRECTORY:
            self._step_aside(entry, changes)
            found, ino = found - 1, entry.parent
        for name in names[found:]:
            ino = self._implied(ino, name, changes)
        return ino

    def imply_job(self, job: int, changes: Changes) -> None:
        """Show a job of which only the name is known."""
        entry = self._implied(ROOT_INO, self._tables.job_name(job), changes)
        self._catalog.touch_directories([(0, entry)])

    def forget_implied(self, where: Where, changes: Changes) -> None:
        """Take away a directory that nobody made and that holds nothing."""
        entry = self.find(where)
        if entry is not None and not entry.stamp and not self._catalog.has_children(entry.ino):
            self._catalog.delete_entry(entry.ino)
            self._detach(entry, changes)

    def _implied(self, parent: int, name: bytes, changes: Changes) -> int:
        ino = self._ledger.new_ino()
        now = self._ledger.clock.now_ns()
        uid, gid = self._owner
        self._catalog.put_entries(
            [Entry(ino, parent, name, Kind.DIRECTORY, 0o755, uid, gid, 0, now, now, now, now, None, None, "")]
        )
        changes.names.add((parent, name))
        return ino

    def _step_aside(self, entry: Entry, changes: Changes) -> None:
        """A file whose name a directory needs shows under another one; its records keep the path."""
        name = self._free_name(entry.parent, entry.name, writer_of(entry.stamp))
        self._rename(entry.ino, name, changes)
        self._owing.note_alias(entry.ino, entry.parent, entry.name)

    def _free_name(self, parent: int, name: bytes, writer: str) -> bytes:
        suffix = f"~{writer or '0'}".encode()
        shown = name[: NAME_MAX - len(suffix)] + suffix
        number = 1
        while self._catalog.child(parent, shown) is not None:
            number += 1
            more = suffix + f"~{number}".encode()
            shown = name[: NAME_MAX - len(more)] + more
        return shown

    def _entry(self, ino: int, parent: int, name: bytes, state: PathState, content: ContentValue) -> Entry:
        stamp = state.registers["content"][0]
        kind = kind_of(content)
        uid, gid = self._owner_of(state)
        mtime_ns = state.mtime_ns() or 0
        mode = state.value("mode")
        content_id, size = self.content_of(content)
        target = content.target if isinstance(content, SymlinkContent) else None
        return Entry(
            ino, parent, name, kind, mode if isinstance(mode, int) else MODES[kind], uid, gid,
            len(target) if target is not None else size, mtime_ns, mtime_ns,
            max(mtime_ns, nanoseconds_of(max(s for s, _v in state.registers.values()))),
            content.created_ns, content_id, target, stamp,
            mode_stamp=beside(state, "mode", stamp), owner_stamp=beside(state, "owner", stamp),
            mtime_stamp=beside_mtime(state, stamp), owed=Owed.KNOWN,
        )  # fmt: skip

    def _owner_of(self, state: PathState) -> tuple[int, int]:
        """What this machine wrote keeps its numbers; a stranger's mean nothing here, unless asked for."""
        stamp, value = state.registers.get("owner", ("", None))
        if isinstance(value, list) and (self._recorded_owner or self._owing.is_own_writer(writer_of(stamp))):
            uid, gid = value
            return int(str(uid)), int(str(gid))
        return self._owner

    def content_of(self, content: ContentValue) -> tuple[int | None, int]:
        """The content and its plain size: the one that its bytes have, where they are here."""
        if not isinstance(content, FileContent) or content.digest is None:
            return None, 0
        known, size = self._catalog.content_and_size(content.digest, content.codec)
        if known is not None:
            return known, content.size if size is None else size
        made = self._ledger.new_content_id()
        self._catalog.insert_contents(
            [Content(made, Place.BUCKET, Digest(content.digest), content.size, content.stored, content.codec)]
        )
        return made, content.size

    def resized(self, inos: Iterable[int]) -> Changes:
        """The bytes of these came, and a record had said another size than they have. The caller shows the changes."""
        changes = Changes(inos=set(inos))
        for ino in changes.inos:
            self._files.reread(ino)
        return changes

    def _put_registers(self, ino: int, state: PathState, *, owed: Container[str]) -> None:
        for name, (stamp, value) in state.registers.items():
            if name not in FIELDS:
                self._put_register(ino, name, stamp, value, owed=name in owed)

    def _put_register(self, ino: int, name: str, stamp: str, value: Value, *, owed: bool = False) -> None:
        local, raw = register_of_value(name, value)
        self._catalog.set_register(ino, local, raw, stamp, owed=owed)

    def _touch(self, ino: int, stamp: str) -> None:
        """A directory moves with its entries, unless its time was set on purpose after that."""
        directory = self._catalog.entry(ino)
        when = nanoseconds_of(stamp)
        if directory is None or ino == ROOT_INO or when <= directory.mtime_ns:
            return
        if (directory.mtime_stamp or directory.stamp) < stamp:
            self._catalog.touch_directories([(when, ino)])

    # -- a path that changed ----------------------------------------------------------------------------------

    def _change(self, where: Where, entry: Entry, old: PathState, new: PathState, changes: Changes) -> None:
        content = new.content()
        assert content is not None
        is_new_content = new.registers["content"][0] != old.registers.get("content", ("", None))[0]
        if not entry.stamp:
            entry, old = self._take_up(where, entry, old)
        if kind_of(content) == Kind.DIRECTORY and (directory := self._kept_its_name(entry)) is not None:
            self._trash.take(entry, "became a directory")
            self._tables.hand_registers(entry.ino, directory.ino)
            self._catalog.delete_entry(entry.ino)
            self._detach(entry, changes)
            self._alter(directory, old, new, content, changes)
            return
        if is_new_content and kind_of(content) != Kind.DIRECTORY and entry.kind == Kind.DIRECTORY:
            if self._catalog.has_children(entry.ino):  # the directory keeps the name
                owed = self.owed_state(where, entry)
                self._imply(entry)
                self._begin(where, new, owed, changes)
                return
        elif is_new_content and self._is_written(entry):
            changes.postponed = True
            return
        if not is_new_content or (entry.kind == Kind.DIRECTORY and kind_of(content) == Kind.DIRECTORY):
            self._alter(entry, old, new, content, changes)
        elif isinstance(content, FileContent) and self._grows(entry, new, content):
            self._grow(entry, old, new, content, changes)
        else:
            self._replace(where, entry, old, new, content, changes)

    def _take_up(self, where: Where, entry: Entry, old: PathState) -> tuple[Entry, PathState]:
        """Nobody had made it, and what was said of it lay in `past`: what of that is owed goes on with the entry."""
        owed = self.owed_state(where, entry).registers
        self._tables.drop_registers(where.job, where.path)
        row = entry.copy()
        row.owed |= sum(bit for bit, name in OWED_NAMES if name in owed)
        for name, (stamp, value) in owed.items():
            if name not in FIELDS:
                self._put_register(entry.ino, name, stamp, value, owed=True)
        if owed:
            self._owing.fresh.add(entry.ino)
        return row, PathState(old.clear, dict(owed))

    def _kept_its_name(self, entry: Entry) -> Entry | None:
        """The directory for which a file had to step aside."""
        name = self._owing.alias_of(entry.ino)
        return None if name is None else self._catalog.child(entry.parent, name)

    def _alter(self, entry: Entry, old: PathState, new: PathState, content: ContentValue, changes: Changes) -> None:
        """The same file under the same number, with other attributes."""
        row = self._entry(entry.ino, entry.parent, entry.name, new, content)
        row.content, row.size, row.target, row.standing = entry.content, entry.size, entry.target, entry.standing
        row.owed = Owed.KNOWN | self._still_owed(entry, old, new)
        if row.mtime_ns != entry.mtime_ns and (row.mtime_stamp or row.stamp) == (entry.mtime_stamp or entry.stamp):
            row.mtime_ns = entry.mtime_ns  # a directory's moves with its entries
        self._catalog.put_entries([row])
        self._change_registers(entry.ino, old, new)
        self._files.reread(entry.ino)
        changes.inos.add(entry.ino)

    def _grows(self, entry: Entry, new: PathState, content: FileContent) -> bool:
        """Whether what is here is the beginning of what comes: a log that is followed keeps its number."""
        said = new.registers["content"][1]
        earlier = said.get("extends") if isinstance(said, dict) else None
        if not isinstance(earlier, list) or entry.kind != Kind.FILE or content.size < entry.size:
            return False
        known = self._catalog.content(entry.content) if entry.content is not None else None
        return known is not None and known.digest is not None and known.digest.hex() in earlier

    def _grow(self, entry: Entry, old: PathState, new: PathState, content: FileContent, changes: Changes) -> None:
        row = self._entry(entry.ino, entry.parent, entry.name, new, content)
        row.owed = Owed.KNOWN | self._still_owed(entry, old, new)
        self.versions.overwritten(entry)
        self._catalog.put_entries([row])
        self._change_registers(entry.ino, old, new)
        self._files.grown(entry.ino)
        changes.grown.add(entry.ino)

    def _count_conflict(self, where: Where, *, loser: str, winner: str) -> None:
        """What this machine wrote and nobody has seen yet lost against what another wrote later: it is in the trash."""
        self._catalog.set_meta(CONFLICTS, str(int(self._catalog.meta(CONFLICTS) or 0) + 1))
        self.on_conflict(where, winner, loser)

    def _replace(
        self, where: Where, entry: Entry, old: PathState, new: PathState, content: ContentValue, changes: Changes
    ) -> None:
        """Other content: another number, under the same name."""
        row = self._entry(self._ledger.new_ino(), entry.parent, entry.name, new, content)
        row.owed = Owed.KNOWN | self._still_owed(entry, old, new)
        if entry.owed & Owed.CLEAR and new.clear == entry.stamp:
            self._tables.put_past(where.job, where.path, "", entry.stamp, owed=True)
            self._owing.has_past(where.job)
        if entry.owed & Owed.CONTENT:
            self._count_conflict(where, loser=entry.stamp, winner=row.stamp)
        if entry.stamp < new.clear or not self.versions.replaced(entry, row.ino):
            self._trash.keep(entry, "overwritten elsewhere")
        self._tables.hand_registers(entry.ino, row.ino)
        self._catalog.delete_entry(entry.ino)
        self._catalog.put_entries([row])
        self._owing.hand_alias(entry.ino, row.ino)
        self._owing.fresh.add(row.ino)  # what of it is owed still is
        self._change_registers(row.ino, old, new)
        self._touch(entry.parent, row.stamp)
        self._detach(entry, changes)

    def _change_registers(self, ino: int, old: PathState, new: PathState) -> None:
        for name in old.registers.keys() - new.registers.keys() - FIELDS:
            self._catalog.delete_register(ino, register_of_value(name, None)[0])
        for name, held in new.registers.items():
            if name not in FIELDS and old.registers.get(name, ("", None))[0] != held[0]:
                self._put_register(ino, name, *held)

    @staticmethod
    def _still_owed(entry: Entry, old: PathState, new: PathState) -> int:
        """What of this machine's the other's record did not outdo."""
        owed = entry.owed & Owed.ANY
        for bit, name in OWED_NAMES:
            if name == "content":
                bit |= Owed.CLEAR
            if old.registers.get(name, ("", None))[0] != new.registers.get(name, ("", None))[0]:
                owed &= ~bit
        return owed
