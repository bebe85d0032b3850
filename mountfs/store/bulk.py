"""What the feed told brought into the rows: new paths many at a time, known ones as `paths` folds them.

A catch-up brings hundreds of thousands of paths that this catalog has never heard of. Nothing of them has to be
compared: their rows go in by `executemany`, a tenth of the time that folding them one by one takes. Inside a
transaction, on the loop's thread.
"""

from collections import Counter
from dataclasses import dataclass, field

from mountfs.clock import nanoseconds_of
from mountfs.model import ROOT_INO, Kind, Owed
from mountfs.records import PathState, SymlinkContent, Value, in_order
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.origins import Where
from mountfs.store.owing import Owing
from mountfs.store.paths import Changes, Paths
from mountfs.store.registers import MODES, NEVER, value_of_register
from mountfs.store.told import CODEC, DIGEST, KIND, MTIME, NAME, PARENT, SHORT, SIZE, STAMP, STORED, Register, Row, Told

LATE, MISSING = 0, -1  # no ino: looked at later, and all below it; not there


@dataclass(slots=True)
class _New:
    """Rows that go in together."""

    entries: list[tuple[int, int, Row]] = field(default_factory=list)  # (ino, parent, row)
    implied: list[Row] = field(default_factory=list)  # as they are inserted
    registers: list[tuple[int, str, bytes, str, int]] = field(default_factory=list)
    clears: list[tuple[int, bytes, str]] = field(default_factory=list)
    fresh: set[int] = field(default_factory=set)  # directories that nobody can have written into yet
    touched: dict[int, str] = field(default_factory=dict)  # others, with the highest stamp of what came into them


@dataclass(slots=True)
class _Late:
    """Paths of a job that have to be looked at one by one."""

    job: int
    states: dict[bytes, PathState] = field(default_factory=dict)


class Bulk:
    """See the module's docstring."""

    def __init__(self, ledger: Ledger, owing: Owing, paths: Paths, files: Files, *, owner: tuple[int, int]) -> None:
        self._ledger = ledger
        self._catalog = ledger.catalog
        self._tables = ledger.catalog.bucket
        self._bulk = ledger.catalog.bulk
        self._owing = owing
        self._paths = paths
        self._files = files
        self._owner = owner

    def take(self, told: list[Told], changes: Changes) -> set[int]:
        """Bring these into the rows; jobs of which something has to wait, because somebody is writing it."""
        names = [one.job for one in told]
        known = self._bulk.jobs(names)
        roots = self._bulk.children(ROOT_INO, names)
        jobs = {**known, **self._add_jobs(told, known)}
        new, late = _New(), []
        for one in told:
            if one.job in known or one.job in roots or one.others:
                late.append(self._plan(one, jobs[one.job], roots.get(one.job), new, changes))
            else:
                self._plan_all(one, jobs[one.job], new)
        self._insert(new)
        postponed = set()
        for found in late:
            if found.states and self._fold(found, changes):
                postponed.add(found.job)
        self._bulk.add_told([(jobs[one.job], name) for one in told for name in one.complete])
        self._ledger.changes += len(new.entries) + len(new.implied)
        return postponed

    def _add_jobs(self, told: list[Told], known: dict[bytes, int]) -> dict[bytes, int]:
        """Jobs that are not known get a row; the others learn that somebody else wrote in them."""
        made: dict[bytes, int] = {}
        rows: list[tuple[int, bytes, bool]] = []
        next_job = self._bulk.last_job() + 1
        for one in told:
            if one.job not in known and one.job not in made:
                made[one.job] = next_job + len(rows)
                rows.append((made[one.job], one.job, self._is_shared(one)))
        self._bulk.add_jobs(rows)
        self._bulk.share_jobs(known[one.job] for one in told if one.job in known and self._is_shared(one))
        return made

    def _is_shared(self, told: Told) -> bool:
        return not all(self._owing.is_own_writer(source[20:28]) for source in told.sources)  # <when>-<writer>-<n>.zip

    def children(self, parent: int, names: list[bytes]) -> dict[bytes, tuple[int, int]]:
        """By name: (ino, kind) of what a directory has of these."""
        return self._bulk.children(parent, names)

    # -- what is new --------------------------------------------------------------------------------------

    def _plan_all(self, told: Told, job: int, new: _New) -> None:
        """All rows of a job that nobody here has heard of are new."""
        first = self._ledger.new_inos(len(told.rows))
        for ino, row in enumerate(told.rows, first):
            above = row[PARENT]
            assert isinstance(above, int)
            parent = ROOT_INO if above < 0 else first + above
            if len(row) == SHORT:
                new.implied.append(self._implied(ino, parent, row))
            else:
                new.entries.append((ino, parent, row))
        for number, register, value, stamp in told.registers:
            new.registers.append((first + number, register, value or b"", stamp, value is None))
        new.clears += [(job, path, stamp) for path, stamp in told.clears]

    def _plan(self, told: Told, job: int, root: tuple[int, int] | None, new: _New, changes: Changes) -> _Late:
        """Decide which rows are new; the others are left to be folded."""
        late = _Late(job)
        registers, clears = _by_row(told.registers), dict(told.clears)
        rows = _Places(self, told.rows, root, new)
        has_past = self._owing.may_have_past(job)
        for number, row in enumerate(told.rows):
            path, found = rows.look(number)
            if len(row) == SHORT:
                continue
            if rows.is_late(number) or found is not None or (has_past and self._tables.past(job, path)):
                late.states[path] = _state_of(row, registers.get(number, ()), clears.get(path, ""))
                if found is None or not found[1] == row[KIND] == Kind.DIRECTORY:
                    rows.inos[number] = LATE
                continue
            ino, parent = self._ledger.new_ino(), rows.parent(number)
            rows.inos[number] = ino if row[KIND] == Kind.DIRECTORY else LATE
            new.entries.append((ino, parent, row))
            new.fresh.add(ino)
            if parent not in new.fresh and parent != ROOT_INO:
                new.touched[parent] = max(new.touched.get(parent, ""), str(row[STAMP]))
                changes.names.add((parent, row[NAME]))  # type: ignore[arg-type]
            for _row, register, value, stamp in registers.get(number, ()):
                new.registers.append((ino, register, value or b"", stamp, value is None))
            if path in clears:
                new.clears.append((job, path, clears[path]))
        for path, clear, held in told.others:
            late.states[path] = PathState(clear, dict(held))
        return late

    def imply(self, parent: int, row: Row, new: _New) -> int:
        """A directory that something new lies in, and nobody made as far as is known."""
        ino = self._ledger.new_ino()
        new.implied.append(self._implied(ino, parent, row))
        new.fresh.add(ino)
        return ino

    def _implied(self, ino: int, parent: int, row: Row) -> Row:
        name, time_ns = row[NAME], row[2]
        facts = (name, 2, MODES[Kind.DIRECTORY], *self._owner, 0, time_ns, time_ns, time_ns)
        return ino, parent, 0, time_ns, None, *facts, None, "", None, None, None

    def _insert(self, new: _New) -> None:
        named = self._contents([row for _ino, _parent, row in new.entries if row[DIGEST] is not None])
        entries: list[Row] = [
            (ino, parent, Owed.KNOWN, row[MTIME], named.ids.get(row[DIGEST]), *named.facts(row))  # type: ignore[arg-type]
            for ino, parent, row in new.entries
        ]
        self._bulk.add_entries(new.implied + entries)
        self._bulk.add_contents(
            [
                (named.ids[d], d, row[SIZE], row[STORED], row[CODEC], named.links[d])
                for d, row in sorted(named.made.items())
            ]
        )
        if new.registers:
            self._bulk.add_registers(new.registers)
        for job, path, stamp in new.clears:
            self._tables.put_past(job, path, "", stamp)
            self._owing.has_past(job)
        if new.touched:
            self._bulk.move_times((nanoseconds_of(stamp), ino, stamp) for ino, stamp in new.touched.items())

    def _contents(self, rows: list[Row]) -> "_Named":
        links: Counter[bytes] = Counter(row[DIGEST] for row in rows)  # type: ignore[misc]
        found = self._bulk.contents(list(links))
        ids = {digest: content for digest, (content, _size) in found.items()}
        sizes = {digest: size for digest, (_content, size) in found.items() if size is not None}
        made = {}
        for row in rows:
            digest = row[DIGEST]
            assert isinstance(digest, bytes)
            if digest not in ids:
                ids[digest], made[digest] = self._ledger.new_content_id(), row
        return _Named(ids, sizes, made, links)

    # -- what is known --------------------------------------------------------------------------------------

    def _fold(self, late: _Late, changes: Changes) -> bool:
        """Fold these into the rows one by one; whether something has to wait."""
        before, changes.postponed = changes.postponed, False
        for path in in_order(late.states):
            self._paths.fold(Where(late.job, path), late.states[path], changes)
        waits, changes.postponed = changes.postponed, before
        return waits


@dataclass(frozen=True, slots=True)
class _Named:
    """Contents that new rows name, by digest: the id, the plain size where the bytes are here and say so, the row of
    one that is to be made, and how many name it."""

    ids: dict[bytes, int]
    sizes: dict[bytes, int]
    made: dict[bytes, Row]
    links: Counter[bytes]

    def facts(self, row: Row) -> Row:
        """What an entry says, from its name to its last stamp; of sizes the known one, whatever a record claims."""
        size = self.sizes.get(row[DIGEST]) if self.sizes else None  # type: ignore[arg-type]
        if size is None or size == row[SIZE]:
            return row[NAME:DIGEST]
        return (*row[NAME:SIZE], size, *row[SIZE + 1 : DIGEST])


class _Places:
    """Where the rows of a job lie: the directory of each, and which of their names are taken."""

    def __init__(self, bulk: Bulk, rows: list[Row], root: tuple[int, int] | None, new: _New) -> None:
        self._bulk = bulk
        self._rows = rows
        self._root = root
        self._new = new
        self._paths: list[bytes] = []
        self._children: dict[int, dict[bytes, tuple[int, int]]] = {}
        self.inos: list[int] = []  # of directories; or MISSING: made with the first that lies in it; or LATE

    def look(self, number: int) -> tuple[bytes, tuple[int, int] | None]:
        """(path, (ino, kind) of what is there) of the next row."""
        row = self._rows[number]
        above, name = row[PARENT], row[NAME]
        assert isinstance(above, int)
        assert isinstance(name, bytes)
        if above < 0:
            path, found = b"", self._root
        else:
            path = self._paths[above] + b"/" + name if self._paths[above] else name
            found = self._child(above, name)
        self._paths.append(path)
        if found is None:
            self.inos.append(LATE if self.is_late(number) else MISSING)
        else:
            self.inos.append(found[0] if found[1] == Kind.DIRECTORY else LATE)
        return path, found

    def is_late(self, number: int) -> bool:
        """Whether what lies above a row has to be looked at first."""
        above = self._rows[number][PARENT]
        assert isinstance(above, int)
        return above >= 0 and self.inos[above] == LATE

    def _child(self, above: int, name: bytes) -> tuple[int, int] | None:
        parent = self.inos[above]
        if parent in (LATE, MISSING) or parent in self._new.fresh:
            return None
        found = self._children.get(above)
        if found is None:
            names = [row[NAME] for row in self._rows if row[PARENT] == above]
            found = self._children[above] = self._bulk.children(parent, names)  # type: ignore[arg-type]
        return found.get(name)

    def parent(self, number: int) -> int:
        """The directory of a row that is new, made where it is missing."""
        missing = []
        above = self._above(number)
        while above >= 0 and self.inos[above] == MISSING:
            missing.append(above)
            above = self._above(above)
        ino = self.inos[above] if above >= 0 else ROOT_INO
        for row in reversed(missing):
            ino = self.inos[row] = self._bulk.imply(ino, self._rows[row], self._new)
        return ino

    def _above(self, number: int) -> int:
        above = self._rows[number][PARENT]
        assert isinstance(above, int)
        return above


def _by_row(registers: list[Register]) -> dict[int, list[Register]]:
    found: dict[int, list[Register]] = {}
    for register in registers:
        found.setdefault(register[0], []).append(register)
    return found


def _state_of(row: Row, registers: list[Register] | tuple[()], clear: str) -> PathState:
    """What a row says, as a fold does."""
    _parent, _name, kind, mode, uid, gid, size, mtime, _ctime, birth, target, stamp, *beside = row
    mode_stamp, owner_stamp, mtime_stamp, digest, stored, codec = beside
    content = _content(kind, size, mtime, birth, target, digest, stored, codec)  # type: ignore[arg-type]
    held: dict[str, tuple[str, Value]] = {"content": (str(stamp), content)}
    if mode_stamp != NEVER:
        held["mode"] = (str(mode_stamp or stamp), int(mode or 0))
    if owner_stamp != NEVER:
        held["owner"] = (str(owner_stamp or stamp), [int(uid or 0), int(gid or 0)])
    if mtime_stamp is not None:
        held["mtime"] = (str(mtime_stamp), int(mtime or 0))
    for _row, register, value, said in registers:
        held[register.removeprefix("?")] = (said, value_of_register(register, value))
    return PathState(clear, held)


def _content(
    kind: int, size: int, mtime_ns: int, birth_ns: int, target: bytes | None, digest: bytes | None, stored: int,
    codec: str,
) -> Value:  # fmt: skip
    if kind == Kind.DIRECTORY:
        return {"kind": "directory", "created_at": birth_ns, "mtime": mtime_ns}
    if kind == Kind.SYMLINK:
        return SymlinkContent(target or b"", mtime_ns, birth_ns).to_value()
    said: dict[str, Value] = {
        "kind": "file", "size": size, "stored": stored, "codec": codec, "mtime": mtime_ns, "created_at": birth_ns
    }  # fmt: skip
    return said if digest is None else {**said, "digest": digest.hex()}
