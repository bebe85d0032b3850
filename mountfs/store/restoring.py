"""Bringing back what is in the trash: published anew, so that it counts as a change made now.

◆ Its content is not relied on where it lay: publishing copies it under a new name, for the old object may be on its
way out.
"""

import json

from mountfs import namespace
from mountfs.catalog.bucket import Trashed
from mountfs.errors import AlreadyExists, NotADirectory, NotFound
from mountfs.model import ROOT_INO, Entry, Kind
from mountfs.store.ledger import Ledger
from mountfs.store.owing import Owing
from mountfs.store.tree import Owner, Tree


class Restoring:
    """On the loop's thread."""

    def __init__(self, ledger: Ledger, owing: Owing, tree: Tree) -> None:
        self._ledger = ledger
        self._catalog = ledger.catalog
        self._tables = ledger.catalog.bucket
        self._owing = owing
        self._tree = tree

    def restore(self, number: int) -> Entry:
        """Bring one piece of the trash back to its path. Raises NotFound, AlreadyExists, NotADirectory."""
        row = self._tables.trash(number)
        if row is None:
            raise NotFound("it is no longer in the trash")
        *parents, name = [row.job, *row.path.split(b"/")]
        parent = self._directory(parents, Owner(row.uid, row.gid))
        if self._tree.find(parent, name) is not None:
            raise AlreadyExists(f"exists already: {namespace.join_key((*parents, name))}")
        with self._ledger.transaction():
            entry = self._entry(row, parent, name)
            self._catalog.put_entries([entry])
            self._tables.forget_trash([row.id])
            for register, value in json.loads(row.registers).items():
                self._owing.tagged(entry.ino, register, value.encode("utf-8", "surrogateescape"))
            self._ledger.touch_directory(parent)
        self._ledger.changes += 1
        self._owing.fresh.add(entry.ino)
        return entry

    def _entry(self, row: Trashed, parent: int, name: bytes) -> Entry:
        said = self._owing.created(parent, name)
        now = self._ledger.clock.now_ns()
        return Entry(
            self._ledger.new_ino(), parent, name, row.kind, row.mode, row.uid, row.gid, row.size, row.mtime_ns,
            row.mtime_ns, now, row.birth_ns, row.content, row.target, said.stamp, owed=said.owed,
        )  # fmt: skip

    def _directory(self, names: list[bytes], owner: Owner) -> int:
        """The directory it was in, made again where it is gone too."""
        ino: int = ROOT_INO
        for name in names:
            found = self._tree.find(ino, name)
            if found is None:
                found = self._tree.make_directory(ino, name, 0o755, owner)
            elif found.kind != Kind.DIRECTORY:
                raise NotADirectory(f"not a directory: {name.decode(errors='replace')}")
            ino = found.ino
        return ino
