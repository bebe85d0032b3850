"""Entries get other names and places: within a job, between jobs, over another, or in exchange."""

from collections.abc import Mapping

from mountfs import namespace
from mountfs.errors import AlreadyExists, InvalidArgument, IsADirectory, NotADirectory, NotEmpty, NotFound, NotHere
from mountfs.model import ROOT_INO, Entry, Kind
from mountfs.store.tree.looking import text
from mountfs.store.tree.removing import Removing


class Renaming(Removing):
    """Rename, as the kernel knows it, and `replace` for one who says which."""

    def rename(
        self,
        parent: int,
        name: bytes,
        new_parent: int,
        new_name: bytes,
        *,
        replace: bool = True,
        exchange: bool = False,
    ) -> None:
        """Give an entry another name; what had that name goes, or with `exchange` gets the old one."""
        namespace.check_name(new_name)
        source = self.lookup(parent, name)
        target = self.find(new_parent, new_name)
        if exchange and target is None:
            raise NotFound(f"not found: {text(new_name)}")
        if target is not None and not replace:
            raise AlreadyExists(f"exists already: {text(new_name)}")
        self._check_place(source, new_parent, new_name)
        if target is not None and target.ino == source.ino:
            return
        if exchange and target is not None:
            self._check_place(target, parent, name)
            self._check_movable(source, new_parent)
            self._check_movable(target, parent)
            self._exchange(source, target)
            return
        self._check_movable(source, new_parent)
        if target is not None:
            self._check_replaceable(source, target)
        self._move(source, target, new_parent, new_name)

    def replace(self, parent: int, name: bytes, new_name: bytes) -> None:
        """Give a file the name of another in its directory, for one who says which: also of what others wrote."""
        source, target = self.lookup(parent, name), self.find(parent, new_name)
        self._check_place(source, parent, new_name)
        if target is not None and target.kind == Kind.DIRECTORY:
            raise IsADirectory(f"is a directory: {text(new_name)}")
        if target is not None:
            self.refuse_if_pinned(target)
        self._move(source, target, parent, new_name)

    def _check_place(self, entry: Entry, parent: int, name: bytes) -> None:
        if parent == ROOT_INO:
            if entry.kind != Kind.DIRECTORY:
                self._refuse_in_root(parent, name)
            namespace.check_job_name(name)
        self._check_length(parent, name)
        ancestor = parent
        while entry.kind == Kind.DIRECTORY and ancestor != ROOT_INO:
            if ancestor == entry.ino:
                raise InvalidArgument("a directory cannot be moved below itself")
            ancestor = self.entry(ancestor).parent

    def _check_movable(self, entry: Entry, parent: int) -> None:
        """Raises Protected; NotHere for another job where the content is in the bucket alone."""
        self._refuse_to_move_pinned(entry, parent)
        if not self._owing.active:
            return
        self.refuse_if_others(entry)
        if entry.parent != ROOT_INO != parent and self._ledger.path(entry.parent)[0] == self._ledger.path(parent)[0]:
            return
        if self._is_only_named(entry):
            raise NotHere(f"{text(entry.name)} is not read here yet")
        absent = self._ledger.catalog.absent_at(entry.ino)
        if absent is not None:
            raise NotHere(f"the content of {text(absent)} is not on this machine: `mv` copies it to another job")

    def _refuse_to_move_pinned(self, entry: Entry, parent: int) -> None:
        """What is pinned keeps its name, and so do the directories above it: it would be looked for where it was.

        What a directory above it pins stays below that one, under any name: tools write a temporary file first.
        """
        holder = self.pins.at_or_below(entry)
        if holder is None:
            holder = self.pins.above(entry.parent)
            if holder is not None and self.pins.is_below(parent, holder):
                return
        if holder is not None:
            raise self._held_by(holder, entry)

    def _check_replaceable(self, source: Entry, target: Entry) -> None:
        name = text(target.name)
        if source.kind == Kind.DIRECTORY:
            if target.kind != Kind.DIRECTORY:
                raise NotADirectory(f"not a directory: {name}")
            if self._ledger.has_children(target.ino):
                raise NotEmpty(f"not empty: {name}")
        elif target.kind == Kind.DIRECTORY:
            raise IsADirectory(f"is a directory: {name}")
        self._refuse_if_only_named(target)
        self.refuse_if_pinned(target)
        self.refuse_if_others(target)

    def _move(self, source: Entry, target: Entry | None, parent: int, name: bytes) -> None:
        if source.kind == Kind.DIRECTORY:
            self._lengths.clear()
        now = self._ledger.clock.now_ns()
        old_tags = self.layout_tags(source.parent, source.name, source.kind)
        with self._ledger.transaction():
            self._leave_history(source)
            said = self._owing.renamed(source, target, parent, name, overwrites=self._writes_over(source, target))
            if target is not None:
                self._take_replaced(source, target)
                self._ledger.catalog.delete_entry(target.ino)
                self._ledger.forget_time(target.ino)
            self._ledger.catalog.move_entry(source.ino, parent=parent, name=name, ctime_ns=now)
            self._settle_alias(source.parent, source.name)
            self._settle_alias(parent, name)
            self._retag(source.ino, old_tags, self.layout_tags(parent, name, source.kind))
            self._ledger.touch_directory(source.parent)
            self._ledger.touch_directory(parent)
        self._ledger.changes += 1
        if target is not None:
            self.let_go(target.ino)
        self._renamed(source.ino, parent, name, now, said)

    def _writes_over(self, source: Entry, target: Entry | None) -> bool:
        """Whether a file that takes the place of another goes on with its history: a save by temporary file."""
        return self._versions.enabled and target is not None and source.kind == target.kind == Kind.FILE

    def _take_replaced(self, source: Entry, target: Entry) -> None:
        """Keep what `source` takes the place of, and what the file had before."""
        acknowledged = self._acknowledged(target)
        if not self._writes_over(source, target):
            self._trash.take(acknowledged, "replaced")
        elif not self._versions.replaced(acknowledged, source.ino):
            self._trash.keep(acknowledged, "replaced")

    def _leave_history(self, entry: Entry) -> None:
        """In the bucket a history is that of a path."""
        if self._owing.active:
            self._versions.removed(entry)

    def _retag(self, ino: int, old: Mapping[str, bytes], new: Mapping[str, bytes]) -> None:
        """What the old name said goes, unless somebody has said otherwise since; what the new one says comes."""
        for key in old.keys() | new.keys():
            held = self._ledger.catalog.register(ino, f"tag:{key}")
            if old.get(key) != new.get(key) and held in (None, old.get(key)) and (held, new.get(key)) != (None, None):
                self._owing.tagged(ino, f"tag:{key}", new.get(key))

    def _exchange(self, a: Entry, b: Entry) -> None:
        self._lengths.clear()
        now = self._ledger.clock.now_ns()
        place_a, place_b = (a.parent, a.name), (b.parent, b.name)
        tags_a, tags_b = self.layout_tags(*place_a, a.kind), self.layout_tags(*place_b, b.kind)
        with self._ledger.transaction():
            self._leave_history(a)
            self._leave_history(b)
            said = self._owing.exchanged(a, b) or (None, None)
            self._ledger.catalog.exchange_entries(a, b, ctime_ns=now)
            self._retag(a.ino, tags_a, self.layout_tags(*place_b, a.kind))
            self._retag(b.ino, tags_b, self.layout_tags(*place_a, b.kind))
            self._settle_alias(*place_a)
            self._settle_alias(*place_b)
            self._ledger.touch_directory(a.parent)
            self._ledger.touch_directory(b.parent)
        self._ledger.changes += 1
        self._renamed(a.ino, *place_b, now, said[0])
        self._renamed(b.ino, *place_a, now, said[1])
