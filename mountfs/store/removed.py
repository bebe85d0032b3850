"""What can be brought back, one value for all of it: from the trash, or from what could not be published."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mountfs.catalog import Catalog
from mountfs.catalog.bucket import Aside
from mountfs.catalog.trash import Trashed
from mountfs.model import Entry, Kind
from mountfs.records import DirectoryContent, FileContent, PathState, RecordRefused, SymlinkContent, decode_record, fold
from mountfs.store.registers import register_of_value

SET_ASIDE = "set aside: "
PAGE = 500
_FIELDS = frozenset({"content", "mode", "owner", "mtime"})
_LAST = (1 << 62, 1 << 62)


@dataclass(frozen=True, slots=True)
class Removed:
    """One path as it was. `kind` is None where only attributes were set aside, or a removal.

    `trash` and `aside` name the rows that keep it; `number` is what a user may ask for it by.
    """

    names: tuple[bytes, ...]
    kind: int | None
    mode: int | None
    owner: tuple[int, int] | None
    size: int
    mtime_ns: int
    birth_ns: int
    content: int | None
    target: bytes | None
    gone_ms: int
    reason: str
    registers: Mapping[str, bytes] = field(default_factory=dict)
    trash: int | None = None
    aside: tuple[int, ...] = ()

    @property
    def number(self) -> str:
        return str(self.trash) if self.trash is not None else f"a{min(self.aside)}"

    @property
    def is_removal(self) -> bool:
        """It was set aside as a removal: there is nothing to bring back."""
        return self.kind is None and self.mode is None and self.owner is None and not self.registers


def of_trash(row: Trashed) -> Removed:
    registers = {
        name: text.encode("utf-8", "surrogateescape") for name, text in json.loads(row.registers).items()
    }  # fmt: skip
    return Removed(
        names_at(row.job, row.path), row.kind, row.mode, (row.uid, row.gid), row.size, row.mtime_ns, row.birth_ns,
        row.content, row.target, row.gone_ms, row.reason, registers, trash=row.id,
    )  # fmt: skip


def of_aside(rows: Iterable[Aside]) -> Iterator[Removed]:
    """What was set aside, path by path: the fold of its records."""
    by_path: dict[tuple[bytes, bytes], list[Aside]] = {}
    for row in rows:
        by_path.setdefault((row.job, row.path), []).append(row)
    for (job, path), same in by_path.items():
        state = fold(decode_record(row.record.encode()) for row in same).get(path, PathState())
        yield _of_state(names_at(job, path), state, same)


def _of_state(names: tuple[bytes, ...], state: PathState, rows: list[Aside]) -> Removed:
    kind, size, birth_ns, target = _content_of(state)
    mode, owner = state.value("mode"), state.value("owner")
    registers = {}
    for name in state.registers.keys() - _FIELDS:
        register, raw = register_of_value(name, state.value(name))
        if raw is not None:
            registers[register] = raw
    return Removed(
        names, kind, mode if isinstance(mode, int) else None,
        (int(str(owner[0])), int(str(owner[1]))) if isinstance(owner, list) else None,
        size, state.mtime_ns() or 0, birth_ns, next((r.content for r in reversed(rows) if r.content is not None), None),
        target, max(row.set_ms for row in rows), SET_ASIDE + rows[-1].reason, registers,
        aside=tuple(row.id for row in rows),
    )  # fmt: skip


def _content_of(state: PathState) -> tuple[int | None, int, int, bytes | None]:
    """(kind, size, when it was made, target of a symlink)."""
    try:
        content = state.content()
    except RecordRefused:
        content = None
    match content:
        case FileContent():
            return Kind.FILE, content.size, content.created_ns, None
        case SymlinkContent():
            return Kind.SYMLINK, len(content.target), content.created_ns, content.target
        case DirectoryContent():
            return Kind.DIRECTORY, 0, content.created_ns, None
        case None:
            return None, 0, 0, None


def names_at(job: bytes, path: bytes) -> tuple[bytes, ...]:
    return (job, *path.split(b"/")) if path else (job,)


class Bin:
    """Questions about all that can be brought back. Reads only."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def at(self, names: tuple[bytes, ...]) -> list[Removed]:
        """What was at that very path, newest first."""
        job, path = names[0], b"/".join(names[1:])
        found = [of_trash(row) for row in self._catalog.trash.at(job, path)]
        found += of_aside(self._catalog.trash.aside_at(job, path))
        return sorted(found, key=_newness, reverse=True)

    def below(self, names: tuple[bytes, ...]) -> list[Removed]:
        """Of each path at and below that one what was there last; parents before children."""
        newest: dict[tuple[bytes, ...], Removed] = {}
        for removed in sorted(self.all_below(names), key=_newness):
            newest[removed.names] = removed
        return [newest[key] for key in sorted(newest)]

    def all_below(self, names: tuple[bytes, ...]) -> list[Removed]:
        """Everything that ever was at and below a path."""
        job, path = names[0], b"/".join(names[1:])
        found = [of_trash(row) for row in self._catalog.trash.below(job, path)]
        return [*found, *of_aside(self._catalog.trash.aside_below(job, path))]

    def newest(self) -> int:
        """The number of what went to the trash last; 0 where it is empty."""
        return max((row.id for row in self._catalog.trash.page(before=_LAST, limit=1)), default=0)

    def all(self) -> Iterator[Removed]:
        """Everything, what went last first; what was set aside before all that."""
        yield from of_aside(self._catalog.trash.all_aside())
        before = _LAST
        while page := self._catalog.trash.page(before=before, limit=PAGE):
            yield from map(of_trash, page)
            before = (page[-1].gone_ms, page[-1].id)


def _newness(removed: Removed) -> tuple[int, bool, int]:
    """What is set aside is also shown as the bucket has it: its own word counts. A file goes after its versions."""
    return removed.gone_ms, bool(removed.aside), removed.trash or 0


def entry_of(removed: Removed, ino: int, parent: int, name: bytes, *, owner: tuple[int, int], now_ns: int) -> Entry:
    """The entry that brings it back; its stamp is for the caller to say."""
    uid, gid = removed.owner or owner
    default = {Kind.DIRECTORY: 0o755, Kind.SYMLINK: 0o777}.get(Kind(removed.kind or Kind.FILE), 0o644)
    return Entry(
        ino, parent, name, removed.kind or Kind.FILE, default if removed.mode is None else removed.mode, uid, gid,
        removed.size, removed.mtime_ns, removed.mtime_ns, now_ns, removed.birth_ns, removed.content, removed.target, "",
    )  # fmt: skip
