"""Entries by inode and by name as they are now, and what may lie where: the ground of all that changes names."""

from mountfs import namespace
from mountfs.errors import NameTooLong, NotADirectory, NotFound, Protected, Stale
from mountfs.model import ROOT_INO, Entry, Kind
from mountfs.records import MOST_PATH_BYTES
from mountfs.statedir import StateDirectory
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.options import Options
from mountfs.store.owing import Owing
from mountfs.store.pins import Pins
from mountfs.store.room import Room
from mountfs.store.trash import Trash
from mountfs.store.walking import Walk

LENGTHS_KEPT = 10_000  # of the paths of directories that something was made in


class Looking:
    """Raises the errors of the table in DESIGN §5, as all of the tree does."""

    def __init__(
        self, ledger: Ledger, owing: Owing, files: Files, room: Room, state: StateDirectory, options: Options,
        trash: Trash,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._owing = owing
        self._files = files
        self._room = room
        self._state = state
        self._options = options
        self._trash = trash
        self._versions = trash.versions
        self._layouts = namespace.Layouts(options.layouts)
        self.pins = Pins(ledger.catalog, ledger.entry)
        self._walk = Walk(ledger.catalog, ledger.entry, self.find)
        self._lengths: dict[int, int] = {}  # of the paths of directories, until one is renamed

    def find(self, parent: int, name: bytes) -> Entry | None:
        """The entry of that name as it is now, open files included."""
        if len(name) > namespace.NAME_MAX:
            namespace.check_name(name)
        found = self._ledger.child(parent, name)
        if found is None:
            return None
        live = self._files.live.get(found.ino)
        return found if live is None else live.entry

    def lookup(self, parent: int, name: bytes) -> Entry:
        found = self.find(parent, name)
        if found is None:
            raise NotFound(f"not found: {text(name)}")
        return found

    def entry(self, ino: int) -> Entry:
        live = self._files.live.get(ino)
        if live is not None:
            return live.entry
        found = self._ledger.entry(ino)
        if found is None:
            raise Stale(f"not found: inode {ino}")
        return found

    def links(self, ino: int) -> int:
        live = self._files.live.get(ino)
        return 0 if live is not None and live.unlinked else 1

    def is_being_written(self, ino: int) -> bool:
        """Whether somebody has it open for writing, or what was written is not published yet."""
        live = self._files.live.get(ino)
        return live is not None and not live.unlinked and (live.writers > 0 or live.dirty)

    def inos_being_written(self) -> list[int]:
        return [ino for ino in self._files.live if self.is_being_written(ino)]

    def page(self, parent: int, *, after: bytes, limit: int) -> list[Entry]:
        """The next entries of a directory in byte order of their names, as they are now."""
        live = self._files.live
        found = self._ledger.children(parent, after=after, limit=limit)
        return [live[e.ino].entry if e.ino in live else e for e in found] if live else found

    def walk(self, names: tuple[bytes, ...]) -> Entry:
        """The entry at a path below the root."""
        found, entry = self.as_far_as(names)
        if found == len(names):
            return entry
        if entry.kind != Kind.DIRECTORY:
            raise NotADirectory(f"not a directory: {text(entry.name)}")
        raise NotFound(f"not found: {text(names[found])}")

    def as_far_as(self, names: tuple[bytes, ...]) -> tuple[int, Entry]:
        """How many names of a path lead somewhere, and the entry that the last of these is."""
        return self._walk.as_far_as(names)

    # -- what may lie where ----------------------------------------------------------------------------------------

    def _refuse_in_root(self, parent: int, name: bytes) -> None:
        if parent == ROOT_INO:
            raise Protected(f"{text(name)}: the root holds jobs only; make a directory for the job")

    def _check_length(self, parent: int, name: bytes) -> None:
        """No path below a job is longer than a record can say. (What a directory takes along when it is renamed is not
        looked at, for that may be a million entries: what then cannot be said is set aside when it is published.)"""
        length = self._length_below_job(parent) + len(name)
        if length > MOST_PATH_BYTES:
            raise NameTooLong(f"a path of {length} bytes below its job; allowed: up to {MOST_PATH_BYTES}")

    def _length_below_job(self, directory: int) -> int:
        """Of the path of a directory, with the slash behind it. Remembered: to ask costs 45 µs, a tenth of a create."""
        known = self._lengths.get(directory)
        if known is None:
            _job, *below = self._ledger.path(directory) or (b"",)
            if len(self._lengths) >= LENGTHS_KEPT:
                self._lengths.clear()
            known = self._lengths[directory] = sum(map(len, below)) + len(below)
        return known

    def layout_tags(self, parent: int, name: bytes, kind: int) -> dict[str, bytes]:
        """The tags that the settings' layouts see in a name at this place."""
        if not self._layouts:
            return {}
        below = (*self._ledger.path(parent), name)[1:]
        return self._layouts.tags_of_last(below, is_directory=kind == Kind.DIRECTORY)


def text(name: bytes) -> str:
    """A name in a sentence."""
    return name.decode(errors="replace")
