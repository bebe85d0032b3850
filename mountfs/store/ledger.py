"""The newest state of every entry: what the journal holds and the catalog does not yet, and the catalog below it.

Whoever asks for an entry asks here. A new state (`put`) goes into the journal and waits in memory; it reaches the
catalog in groups (`drain`). Operations that the journal has no word for (remove, rename, tags, drafts) run in
`transaction`, which drains first: so whatever follows the last applied record number may be replayed in order.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mountfs.catalog import Catalog
from mountfs.clock import Clock, Stamps
from mountfs.journal import Journal
from mountfs.model import Content, Entry, Kind
from mountfs.settling import Settled
from mountfs.store.whereabouts import DIRECTORIES_KEPT, Up, Whereabouts


@dataclass(slots=True)
class _Waiting:
    """A content that only the journal holds."""

    segment: int
    offset: int
    size: int
    ino: int
    settled: Settled | None = None

    def as_content(self, content_id: int) -> Content:
        return Content.in_journal(content_id, self.size, segment=self.segment, offset=self.offset)


class Ledger:
    """Entries by ino and by name. Values handed out are not to be changed; `put` takes a changed copy."""

    def __init__(self, catalog: Catalog, journal: Journal, clock: Clock, stamps: Stamps) -> None:
        self.catalog = catalog
        self.journal = journal
        self.clock = clock
        self.stamps = stamps
        self._entries: dict[int, Entry] = {}
        self._numbers: dict[int, int] = {}  # of the journal record that holds each waiting entry
        self._names: dict[tuple[int, bytes], int] = {}  # entries that the catalog has no row of
        self._children: Counter[int] = Counter()
        self._contents: dict[int, _Waiting] = {}
        self._directories: dict[int, Entry] = {}  # rows read from the catalog: every create asks for its directory
        self._whereabouts = Whereabouts(catalog, self._up)
        self._absent: tuple[int, bytes] | None = None  # the name last looked for in vain: create asks after lookup did
        self._directory_times: dict[int, int] = {}
        self._replaced: list[tuple[int, int, int]] = []
        self.on_replaced: Callable[[int, int, int], None] = lambda ino, old, new: None
        self.before_write: Callable[[list[Entry]], None] = lambda entries: None
        self.on_owed: Callable[[int], None] = lambda ino: None
        self.waiting_since: float | None = None
        self._lost = catalog.lost
        self.changes = 0  # names that came or went: a listing that was read ahead compares it
        ino, content = catalog.last_ids()
        self._next_ino, self._next_content = ino + 1, content + 1

    # -- identity -----------------------------------------------------------------------------------------

    def new_ino(self) -> int:
        self._next_ino += 1
        return self._next_ino - 1

    def new_inos(self, count: int) -> int:
        """The first of so many in a row."""
        self._next_ino += count
        return self._next_ino - count

    @property
    def last_ino(self) -> int:
        """The highest that was given out."""
        return self._next_ino - 1

    def new_content_id(self) -> int:
        self._next_content += 1
        return self._next_content - 1

    def reserve_ids(self, *, ino: int, content: int) -> None:
        """Never give these, or lower ones, out again."""
        self._next_ino = max(self._next_ino, ino + 1)
        self._next_content = max(self._next_content, content + 1)

    # -- questions ----------------------------------------------------------------------------------------

    def entry(self, ino: int) -> Entry | None:
        found = self._entries.get(ino) or self._directories.get(ino)
        if found is None:
            found = self.catalog.entry(ino)
            if found is not None and found.kind == Kind.DIRECTORY and len(self._directories) < DIRECTORIES_KEPT:
                self._directories[ino] = found
        return self._with_times(found) if found is not None else None

    def child(self, parent: int, name: bytes) -> Entry | None:
        ino = self._names.get((parent, name))
        if ino is not None:
            return self._with_times(self._entries[ino])
        if self._absent == (parent, name):
            return None
        found = self.catalog.child(parent, name)
        if found is None:
            self._absent = (parent, name)
            return None
        return self._with_times(self._entries.get(found.ino, found))

    def children(self, parent: int, *, after: bytes, limit: int) -> list[Entry]:
        """The next entries of a directory in byte order of their names."""
        if self._children[parent]:
            self.drain()
        found = self.catalog.children(parent, after=after, limit=limit)
        waiting = self._entries
        if not waiting and not self._directory_times:
            return found
        return [self._with_times(waiting.get(e.ino, e)) for e in found]

    def has_children(self, parent: int) -> bool:
        return self._children[parent] > 0 or self.catalog.has_children(parent)

    def _with_times(self, entry: Entry) -> Entry:
        time_ns = self._directory_times.get(entry.ino)
        if time_ns is None:
            return entry
        entry = entry.copy()
        entry.mtime_ns = entry.ctime_ns = time_ns
        return entry

    def content(self, content_id: int) -> Content | None:
        waiting = self._contents.get(content_id)
        if waiting is None:
            return self.catalog.content(content_id)
        return waiting.as_content(content_id)

    def is_waiting(self, content_id: int) -> bool:
        return content_id in self._contents

    def waiting_count(self) -> int:
        return len(self._entries)

    def waiting(self, ino: int) -> Entry | None:
        """The state of an entry that the catalog does not have yet."""
        return self._entries.get(ino)

    def path(self, ino: int) -> tuple[bytes, ...]:
        """The names from the root down to an entry; () for the root. Of an entry without a name: ()."""
        return self._whereabouts.path(ino) or ()

    def climb(self, ino: int) -> Iterator[Up]:
        """An entry's directory and its name in it, that directory's directory, and so on, up to the root."""
        return self._whereabouts.climb(ino)

    def _up(self, ino: int) -> Up | None:
        if self.catalog.is_changing:  # in a rename only the rows are what they will be; all that waited is among them
            entry = self.catalog.entry(ino) or self._entries.get(ino)
        else:
            entry = self._entries.get(ino) or self._directories.get(ino) or self.catalog.entry(ino)
        return None if entry is None else (entry.parent, entry.name)

    # -- changes ------------------------------------------------------------------------------------------

    def put(self, entry: Entry, content: bytes | None = None, *, is_new: bool = False) -> None:
        """Make this the state of the entry; survives the death of the daemon on return. Raises CacheFull.

        `content` are the plain bytes of `entry.content` when that id is new.
        """
        self.commit_held()  # the record may presuppose it
        segment, offset = self.journal.append(entry, content)
        old = self._entries.get(entry.ino)
        if old is not None and old.content != entry.content and old.content in self._contents:
            del self._contents[old.content]
        if content is not None and entry.content is not None:
            self._contents[entry.content] = _Waiting(segment, offset, len(content), entry.ino)
        self._numbers[entry.ino] = self.journal.number
        self._wait(entry, is_new=is_new)

    def put_now(self, entry: Entry) -> None:
        """The same without waiting for others, in a transaction of the caller's, who has more to say in it."""
        self._write([entry])
        if entry.owed:
            self.on_owed(entry.ino)

    def _wait(self, entry: Entry, *, is_new: bool) -> None:
        self._entries[entry.ino] = entry
        if entry.owed:
            self.on_owed(entry.ino)
        if self.waiting_since is None:
            self.waiting_since = self.clock.monotonic()
        if is_new:
            self._names[entry.parent, entry.name] = entry.ino
            self._absent = None
            self._children[entry.parent] += 1
            self.changes += 1

    def touch_directory(self, ino: int) -> None:
        """The entries of a directory changed: its mtime and ctime move; written with the next group."""
        self._directory_times[ino] = self.clock.now_ns()

    def forget_time(self, ino: int) -> None:
        """The times of a directory were set on purpose: what was to be written no longer counts."""
        self._directory_times.pop(ino, None)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything that waits, and what the caller does, all or nothing.

        What waits is forgotten only once it is committed: a full disk costs the caller's change, not what was
        acknowledged before it.
        """
        self._replaced.clear()
        with self.catalog.transaction():
            drained = self._write_all_waiting()
            yield
            self._write_directory_times()
            self._note_applied(self.journal.number, self.journal.epoch + 1)
        self.journal.epoch += 1
        self._forget(drained)
        self._tell_replaced()
        self._directory_times.clear()
        self._directories.clear()
        self._absent = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """As `transaction`, for what can be done again: it outlives the daemon once `commit_held` was called."""
        if self._entries or self._directory_times:
            with self.transaction():
                yield
            return
        with self.catalog.held():
            yield
            self._note_applied(self.journal.number, self.journal.epoch + 1)
        self.journal.epoch += 1
        self._directories.clear()
        self._absent = None

    def commit_held(self) -> None:
        """What was held is durable, or gone: then no record of the journal may presuppose it."""
        self.catalog.commit_held()
        if self.catalog.lost != self._lost:
            self._lost = self.catalog.lost
            self.journal.epoch = int((self.catalog.meta("applied") or "0 0").partition(" ")[2])

    def _note_applied(self, number: int, epoch: int) -> None:
        self.catalog.set_meta("applied", f"{number} {epoch}")
        self.catalog.set_meta("stamp", self.stamps.last)

    def drain(self) -> None:
        """Bring everything that waits into the catalog."""
        self.commit_held()
        if self._entries or self._directory_times:
            with self.transaction():
                pass

    def drain_settled(self, results: list[Settled]) -> list[Settled]:
        """Bring in what needs no more work: entries without new content, and these. Returns those it knew not."""
        others = []
        for result in results:
            waiting = self._contents.get(result.content_id)
            if waiting is None:
                others.append(result)
            else:
                waiting.settled = result
        ready = [e for e in self._entries.values() if self._is_ready(e)]
        if not ready:
            return others
        self._replaced.clear()
        with self.catalog.transaction():
            self._write(ready)
            rest = self._numbers.keys() - {e.ino for e in ready}
            applied = min((self._numbers[i] for i in rest), default=self.journal.number + 1) - 1
            self._note_applied(applied, self.journal.epoch)
            self._write_directory_times()
        self._forget(ready)
        self._tell_replaced()
        for ino in self._directory_times:
            self._directories.pop(ino, None)
        self._directory_times.clear()
        return others

    def _is_ready(self, entry: Entry) -> bool:
        waiting = self._contents.get(entry.content) if entry.content is not None else None
        return waiting is None or waiting.settled is not None

    def _write_all_waiting(self) -> list[Entry]:
        waiting = list(self._entries.values())
        if waiting:
            self._write(waiting)
        return waiting

    def _write(self, entries: list[Entry]) -> None:
        """Rows for these entries; the values in memory stay as they are until the transaction is through."""
        self.before_write(entries)
        known = self._write_contents(entries)
        rows = []
        for entry in entries:
            same = known.get(entry.content) if entry.content is not None else None
            if same is not None and entry.content is not None:
                self._replaced.append((entry.ino, entry.content, same))
                entry = replace(entry, content=same)
            rows.append(entry)
        self.catalog.put_entries(rows)

    def _write_contents(self, entries: list[Entry]) -> dict[int, int]:
        """Insert their contents in the form they have by now; by id, those that an equal one stands for."""
        known: dict[int, int] = {}
        ids: dict[tuple[bytes, str], int] = {}
        rows: list[Content] = []
        data: list[tuple[int, bytes]] = []
        for entry in entries:
            waiting = self._contents.get(entry.content) if entry.content is not None else None
            if waiting is None or entry.content is None:
                continue
            done = waiting.settled
            if done is None:
                rows.append(waiting.as_content(entry.content))
                continue
            key = (done.digest, done.codec)
            same = ids.get(key) or self.catalog.content_id(done.digest, done.codec)
            if same is not None:
                known[entry.content] = same
                self.bring_back(same, done)
                continue
            ids[key] = entry.content
            self.catalog.mimes.put(done.digest, done.mime)
            rows.append(done.as_content())
            if done.data is not None:
                data.append((entry.content, done.data))
        self.catalog.insert_contents(rows, data, now_s=self.now_s())
        return known

    def bring_back(self, content_id: int, done: Settled) -> None:
        """An equal content is known: where it is in the bucket alone, what was just written is here from now on.

        The bucket has it for another job perhaps, and there not for as long as this one needs it.
        """
        self.catalog.mimes.put(done.digest, done.mime)
        self.catalog.bring(content_id, done.codec, done.sums, done.size, done.stored, done.data, now_s=self.now_s())

    def now_s(self) -> int:
        """This machine's time, as contents note their last reads."""
        return self.clock.now_ns() // 1_000_000_000

    def _write_directory_times(self) -> None:
        if self._directory_times:
            self.catalog.touch_directories((time_ns, ino) for ino, time_ns in self._directory_times.items())

    def replaced(self, ino: int, old: int, new: int) -> None:
        """In this transaction an entry came to name an equal content: who holds the old id is told after it."""
        self._replaced.append((ino, old, new))

    def _tell_replaced(self) -> None:
        """Ids in memory follow: an entry put back with the id of a content that is gone would lose its bytes."""
        told, self._replaced = self._replaced, []
        for ino, old, new in told:
            self.on_replaced(ino, old, new)

    def _forget(self, entries: list[Entry]) -> None:
        for entry in entries:
            if self._entries.get(entry.ino) is not entry:
                continue
            del self._entries[entry.ino]
            self._numbers.pop(entry.ino, None)
            self._directories.pop(entry.ino, None)
            if self._names.pop((entry.parent, entry.name), None) is not None:
                self._children[entry.parent] -= 1
        waiting = {e.content for e in self._entries.values()}
        for content_id in [c for c in self._contents if c not in waiting]:
            del self._contents[content_id]
        if not self._entries:
            self.waiting_since = None
            self._children.clear()
