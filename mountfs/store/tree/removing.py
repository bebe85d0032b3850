"""Entries go: to the trash where they may come back, and never what another machine wrote by the way.

What is pinned stays and keeps its name, as do the directories above it; what is below it stays there. Its content may
be written to all the same: a pin says that nothing of it ever expires, not that it is finished.
"""

from collections.abc import Callable, Iterator

from mountfs import namespace
from mountfs.catalog import checkpoint
from mountfs.errors import CacheFull, IsADirectory, NotADirectory, NotEmpty, Protected
from mountfs.model import ROOT_INO, Entry, Kind
from mountfs.store.owing import Said
from mountfs.store.tree.looking import Looking, text


class Removing(Looking):
    """Unlink, rmdir, and whole trees."""

    def unlink(self, parent: int, name: bytes) -> Entry:
        """Remove a file or symlink; who has it open goes on reading and writing it."""
        entry = self.lookup(parent, name)
        if entry.kind == Kind.DIRECTORY:
            raise IsADirectory(f"is a directory: {text(name)}")
        self.refuse_if_pinned(entry)
        self.refuse_if_others(entry)
        self._remove(entry)
        return entry

    def discard(self, parent: int, name: bytes) -> None:
        """Remove a draft that its maker takes back: of what nobody was promised nothing is protected."""
        self._remove(self.lookup(parent, name))

    def expire(self, entry: Entry, reason: str, *, note: Callable[[], object]) -> None:
        """Remove a file, a symlink or an empty directory, whoever wrote it. Raises Protected for what is pinned.

        `note` is called in the transaction in which it goes.
        """
        self.refuse_if_pinned(entry)
        self._remove(entry, reason, note)

    def remove_directory(self, parent: int, name: bytes) -> Entry:
        entry = self.lookup(parent, name)
        if entry.kind != Kind.DIRECTORY:
            raise NotADirectory(f"not a directory: {text(name)}")
        if self._ledger.has_children(entry.ino):
            raise NotEmpty(f"not empty: {text(name)}")
        self._refuse_if_only_named(entry)
        self.refuse_if_pinned(entry)
        self.refuse_if_others(entry)
        self._remove(entry)
        return entry

    def refuse_if_pinned(self, entry: Entry) -> None:
        """What is pinned keeps its name, with all below it and the directories above it. Raises Protected."""
        holder = self.pins.holding(entry)
        if holder is not None:
            raise self._held_by(holder, entry)

    def _held_by(self, holder: int, entry: Entry) -> Protected:
        key = namespace.join_key(self._ledger.path(holder))
        said = f"{key} is pinned" if holder == entry.ino else f"{text(entry.name)} stays while {key} is pinned"
        return Protected(f"{said}: `mountfs unpin {key}` lets it go")

    def _refuse_if_only_named(self, entry: Entry) -> None:
        """A job of the bucket into which nobody here has looked is not as empty as it seems."""
        if self._is_only_named(entry):
            raise NotEmpty(f"{text(entry.name)}, a job of the bucket, was not read here: `mountfs delete` removes it")

    def _is_only_named(self, entry: Entry) -> bool:
        implied = self._owing.active and entry.parent == ROOT_INO and not entry.stamp
        return implied and not self._ledger.has_children(entry.ino)

    def refuse_if_others(self, entry: Entry) -> None:
        """What another machine wrote is not removed, renamed or replaced by the way. Raises Protected."""
        if not self._options.protect_others or not self._owing.active:
            return
        if entry.kind == Kind.DIRECTORY and self._ledger.has_children(entry.ino):
            theirs = self._owing.others_below(entry)
        else:
            theirs = entry.name if self._owing.is_others(entry) else None
        if theirs is not None:
            job, *_ = self._ledger.path(entry.ino)
            raise Protected(
                f"{text(theirs)} was written by another machine: `mountfs delete` removes it,"
                f" `mountfs adopt {text(job)}` makes the job this machine's own"
            )

    def _remove(self, entry: Entry, reason: str = "removed", note: Callable[[], object] | None = None) -> None:
        try:
            self._delete_row(entry, reason, note)
        except CacheFull:
            if not self._make_log_room():
                raise
            self._delete_row(entry, reason, note, keep=False)
            self._state.make_ballast()
        self._ledger.changes += 1
        self.let_go(entry.ino)

    def _make_log_room(self) -> bool:
        """The disk is full, and what was removed cannot be written down: in the room of the ballast the log is carried
        over, now, and begins anew. Whether anything came of it. Milliseconds, for a log is short."""
        dropped = self._state.drop_ballast()
        frames, carried = checkpoint(self._state.catalog, truncate=True)
        return dropped or 0 < frames == carried

    def _delete_row(
        self, entry: Entry, reason: str, note: Callable[[], object] | None, *, keep: bool = True
    ) -> None:  # fmt: skip
        with self._ledger.transaction():
            self.take_away(entry, reason, keep=keep)
            if note is not None:
                note()

    def take_away(self, entry: Entry, reason: str, *, keep: bool = True) -> None:
        """The row of an entry goes, and to the trash. In a transaction; after it `let_go`."""
        if keep:
            self._trash.take(self._acknowledged(entry), reason)
        self._owing.removed(entry)
        self._ledger.catalog.delete_entry(entry.ino)
        self._ledger.forget_time(entry.ino)
        self._ledger.touch_directory(entry.parent)
        self._settle_alias(entry.parent, entry.name)

    def _settle_alias(self, parent: int, name: bytes) -> None:
        """A file that had stepped aside for a directory gets its name back, or goes where another has taken it. In a
        transaction."""
        aside = self._owing.aside_for(parent, name)
        if aside is None:
            return
        taken = self._ledger.catalog.child(parent, name)
        if taken is None:
            self._ledger.catalog.move_entry(aside.ino, parent=parent, name=name, ctime_ns=aside.ctime_ns)
            self._owing.forget_alias(aside.ino)
            self._renamed(aside.ino, parent, name, aside.ctime_ns, None)
        elif taken.kind != Kind.DIRECTORY:
            self._trash.take(self._acknowledged(aside), "replaced")
            self._owing.forget_alias(aside.ino)
            self._ledger.catalog.delete_entry(aside.ino)
            self.let_go(aside.ino)
        self._ledger.changes += 1

    def _renamed(self, ino: int, parent: int, name: bytes, now: int, said: Said | None) -> None:
        live = self._files.live.get(ino)
        if live is not None:
            current = live.own_entry()
            live.acknowledged = live.acknowledged.copy()
            for entry in (current, live.acknowledged):
                entry.parent, entry.name, entry.ctime_ns = parent, name, now
            if said is not None:
                self._files.restamped(ino)

    def _acknowledged(self, entry: Entry) -> Entry:
        """As it was closed last, where it is being written."""
        live = self._files.live.get(entry.ino)
        return entry if live is None else live.acknowledged

    def let_go(self, ino: int) -> None:
        """An entry has no row any more: who has it open goes on with it."""
        live = self._files.live.get(ino)
        if live is not None:
            live.own_entry().ctime_ns = self._ledger.clock.now_ns()
            self._files.detach(live)

    def remove_tree(self, entry: Entry) -> int:
        """Remove an entry and all below it, deepest first; how many artifacts went. Raises Protected."""
        return sum(self.removing_tree(entry))

    def removing_tree(self, entry: Entry) -> Iterator[int]:
        """The same, one entry a step, so that others may be served in between: 1 for each artifact that went."""
        self.refuse_if_pinned(entry)
        stack = [entry]
        while stack:
            current = stack[-1]
            page = self.page(current.ino, after=b"", limit=256) if current.kind == Kind.DIRECTORY else []
            for child in page:
                now = self._ledger.entry(child.ino)
                if now is None or now.parent != current.ino:
                    continue  # somebody else was quicker
                if now.kind == Kind.DIRECTORY:
                    stack.append(now)
                    continue
                self._remove(now)
                yield 1
            if page:
                continue
            stack.pop()
            if current.ino != ROOT_INO and self._ledger.entry(current.ino) is not None:
                self._remove(current)
                yield int(current.kind != Kind.DIRECTORY)
