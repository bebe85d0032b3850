"""What the rows say of a path, as the fold of its records says it.

The state of a path is the fold of all its records (`records.PathState`). Of a path that exists it lies in its entry,
its registers and, for the clear, in `past`; of one that does not, in `past` alone.
"""

import json

from mountfs.catalog import Catalog
from mountfs.model import Codec, Content, Entry, Kind, Owed
from mountfs.records import ContentValue, DirectoryContent, FileContent, PathState, SymlinkContent, Value
from mountfs.store.origins import Where
from mountfs.store.owing import BASE, Owing, stamps_text
from mountfs.store.registers import NEVER, value_of_register
from mountfs.store.walking import Walk

OWED_NAMES = ((Owed.CONTENT, "content"), (Owed.MODE, "mode"), (Owed.OWNER, "owner"), (Owed.MTIME, "mtime"))


def content_value(entry: Entry, content: Content | None) -> ContentValue:
    """The content register of a settled entry; `content` is the one it names."""
    match entry.kind:
        case Kind.DIRECTORY:
            return DirectoryContent(entry.birth_ns, entry.mtime_ns)
        case Kind.SYMLINK:
            return SymlinkContent(entry.target or b"", entry.mtime_ns, entry.birth_ns)
    if content is None:
        return FileContent(None, 0, 0, Codec.RAW, entry.mtime_ns, entry.birth_ns)
    return FileContent(content.digest, entry.size, content.stored, Codec(content.codec), entry.mtime_ns, entry.birth_ns)


class PathStates:
    """See the module's docstring."""

    def __init__(self, catalog: Catalog, owing: Owing) -> None:
        self._catalog = catalog
        self._tables = catalog.bucket
        self._owing = owing
        self._walk = Walk(catalog, catalog.entry, catalog.child)

    def find(self, where: Where) -> Entry | None:
        """The entry at a path, as the rows have it."""
        *above, last = self._names(where)
        found, directory = self._walk.as_far_as(tuple(above))  # where a file shows under another name, it has this one
        if found < len(above) or directory.kind != Kind.DIRECTORY:
            return None
        aliased = self._owing.alias_at(directory.ino, last)
        return self._catalog.entry(aliased) if aliased is not None else self._catalog.child(directory.ino, last)

    def _names(self, where: Where) -> tuple[bytes, ...]:
        return self._tables.job_name(where.job), *(where.path.split(b"/") if where.path else [])

    def state(self, where: Where, entry: Entry | None) -> PathState:
        """The state of a path from its rows; `entry` is what is there."""
        state = PathState()
        for row in self._tables.past(where.job, where.path):
            if not row.register:
                state.clear = row.stamp
            elif entry is None or not entry.stamp:
                state.registers[row.register] = (row.stamp, json.loads(row.value or "null"))
        if entry is None:
            return state
        if entry.owed & Owed.CLEAR:
            state.clear = max(state.clear, entry.stamp)
        state.registers.update(self.registers_of(entry))
        return state

    def owed_state(self, where: Where, entry: Entry | None) -> PathState:
        """What this machine says of a path and the bucket has not confirmed."""
        state = PathState()
        for row in self._tables.past(where.job, where.path):
            if row.owed and not row.register:
                state.clear = row.stamp
            elif row.owed and (entry is None or not entry.stamp):
                state.registers[row.register] = (row.stamp, json.loads(row.value or "null"))
        if entry is None:
            return state
        owed = {name for name, _raw, _stamp in self._tables.owed_registers(entry.ino)}
        owed = {name.removeprefix("?") for name in owed}
        for bit, name in OWED_NAMES:
            if entry.owed & bit:
                owed.add(name)
        if entry.owed & Owed.CLEAR:
            state.clear = max(state.clear, entry.stamp)
        state.registers.update((name, held) for name, held in self.registers_of(entry).items() if name in owed)
        return state

    def registers_of(self, entry: Entry) -> dict[str, tuple[str, Value]]:
        """All registers of an entry as records have them."""
        content = self._catalog.content(entry.content) if entry.content is not None else None
        found = self.fields_of(entry, content)
        for name, raw, stamp, _owed in self._tables.all_registers(entry.ino):
            found[name.removeprefix("?")] = (stamp, value_of_register(name, raw))
        return found

    @staticmethod
    def fields_of(entry: Entry, content: Content | None) -> dict[str, tuple[str, Value]]:
        """Those of its registers that are columns of its row; `content` is the one it names."""
        found: dict[str, tuple[str, Value]] = {}
        if entry.stamp:
            found["content"] = (entry.stamp, content_value(entry, content).to_value())
        for name, stamp, value in (
            ("mode", entry.mode_stamp, entry.mode),
            ("owner", entry.owner_stamp, [entry.uid, entry.gid]),
            ("mtime", entry.mtime_stamp, entry.mtime_ns),
        ):
            if (stamp or entry.stamp) not in ("", NEVER):
                found[name] = (stamp or entry.stamp, value)  # type: ignore[assignment]
        return found

    @staticmethod
    def stamps(state: PathState) -> str | None:
        """Which registers a path has, as `Owing.base_of` says it; None where it does not exist."""
        if not state.exists:
            return None
        said = {name: stamp for name, (stamp, _value) in state.registers.items()}
        said["mtime"] = max(said.get("mtime", ""), said["content"])
        return stamps_text(said)


assert BASE.startswith("@")  # what is this machine's alone is in no record
