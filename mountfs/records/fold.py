"""The fold: from records, in whatever order and however often they came, to what is true of each path.

`clear` voids strictly older registers, not those of its own record; of each register the highest stamp counts; a path
exists while its content is set. States merge as records do, so that any grouping gives the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mountfs.records.contents import ContentValue, DirectoryContent, content_of
from mountfs.records.record import Record
from mountfs.records.values import Value, canonical

Win = tuple[bytes, str, str]
"""A path, one of its registers, and the stamp of the record that has the last word on it."""


@dataclass(slots=True)
class PathState:
    """What is known of one path: the highest `clear`, and of each register its stamp and value. Mutable."""

    clear: str = ""
    registers: dict[str, tuple[str, Value]] = field(default_factory=dict)

    def apply(self, record: Record) -> bool:
        """Take in one record of this path; whether anything changed."""
        changed = record.clear and self._void(record.stamp)
        for name, value in record.set.items():
            changed |= self._take(name, record.stamp, value)
        return changed

    def merge(self, other: "PathState") -> bool:
        """Take in all that another state of this path knows; whether anything changed."""
        changed = self._void(other.clear)
        for name, (stamp, value) in other.registers.items():
            changed |= self._take(name, stamp, value)
        return changed

    def _void(self, clear: str) -> bool:
        if clear <= self.clear:
            return False
        self.clear = clear
        self.registers = {name: held for name, held in self.registers.items() if held[0] >= clear}
        return True

    def _take(self, name: str, stamp: str, value: Value) -> bool:
        held = self.registers.get(name)
        if stamp < self.clear or (held is not None and not _outdoes(stamp, value, held)):
            return False
        self.registers[name] = (stamp, value)
        return True

    @property
    def exists(self) -> bool:
        return self.value("content") is not None

    def value(self, register: str) -> Value:
        """What the register holds; None when it is not set, or was taken away."""
        held = self.registers.get(register)
        return None if held is None else held[1]

    def content(self) -> ContentValue | None:
        """The content as a typed value; None when the path does not exist. Raises RecordRefused."""
        value = self.value("content")
        return None if value is None else content_of(value)

    def mtime_ns(self) -> int | None:
        """The later said, by stamp, of the content's own mtime and the register `mtime`. Raises RecordRefused."""
        content_stamp = self.registers.get("content", ("", None))[0]
        stamp, mtime = self.registers.get("mtime", ("", None))
        if isinstance(mtime, int) and stamp >= content_stamp:
            return mtime
        content = self.content()
        if content is not None and content.mtime_ns is not None:
            return content.mtime_ns
        return mtime if isinstance(mtime, int) else None


def _outdoes(stamp: str, value: Value, held: tuple[str, Value]) -> bool:
    """Whether this word counts against that one; two at one stamp go by their text, so that order never matters."""
    return stamp > held[0] if stamp != held[0] else canonical(value) > canonical(held[1])


def fold(records: Iterable[Record]) -> dict[bytes, PathState]:
    """What is true of each path that the records name, paths that no longer exist too."""
    states: dict[bytes, PathState] = {}
    for record in records:
        state = states.get(record.path)
        if state is None:
            state = states[record.path] = PathState()
        state.apply(record)
    return states


def winning(records: Iterable[Record]) -> set[Win]:
    """Which stamp has the last word on which register: what a merge keeps of its sources.

    Two records that set one register at one stamp both win: which value counts is decided again by each fold.
    """
    return {
        (path, register, stamp)
        for path, state in fold(records).items()
        for register, (stamp, _) in state.registers.items()
    }


def in_order(states: Mapping[bytes, PathState]) -> list[bytes]:
    """Parents before children where they come, children before parents where they go.

    What comes is first: a directory that only what lies in it keeps alive is empty at no time, and stays the same one.
    Only a file that takes the place of a directory comes when that is empty.
    """
    paths = sorted(states, key=_depth)
    going = [path for path in reversed(paths) if not states[path].exists]
    above: set[bytes] = set()
    for path in going:
        while path and (path := path.rpartition(b"/")[0]) not in above:
            above.add(path)
    coming = [path for path in paths if states[path].exists]
    last = {path for path in coming if path in above and not _is_directory(states[path])}
    return [*(path for path in coming if path not in last), *going, *(path for path in coming if path in last)]


def _depth(path: bytes) -> tuple[int, bytes]:
    return path.count(b"/") + bool(path), path


def _is_directory(state: PathState) -> bool:
    return isinstance(state.content(), DirectoryContent)
