"""Which contents may leave this machine because the bucket has them, and how they leave.

What it keeps true (DESIGN, invariants 1 and 2): the content of every artifact is here or in the bucket, and what is
published is said of a content in a job, not of the content: a record of another job may still need it from here.
"""

import contextlib
import enum
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeVar

from mountfs.contents import ContentFiles
from mountfs.errors import CacheFull, MountfsError
from mountfs.model import ROOT_INO, Content, Entry, Owed, Place
from mountfs.store.files import Files
from mountfs.store.ledger import Ledger
from mountfs.store.owing import Owing
from mountfs.store.settler import Leftover, Settler

T = TypeVar("T")

NEVER_READ = (-1, 0)
"""Before the first content in the order in which they go."""
FIRST_BYTES = 4 << 20  # of files that go before their rows, when the catalog cannot be written: room for one log


class Stays(enum.StrEnum):
    """Why a content stays on this machine."""

    ABSENT = "it is not here"
    UNPUBLISHED = "the bucket does not have it yet"
    HELD = "a draft, an open file or a record that was set aside needs it"
    UNPLACED = "no place of it in the bucket is known"
    TRASH = "nothing but the trash of this machine has it"
    PINNED = "pinned"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A content of this machine, and what keeps it here; None: nothing."""

    content: Content
    read_s: int
    stays: Stays | None


@dataclass(slots=True)
class Page:
    """Some contents in the order in which they go; `after` is where the next page begins, None after the last."""

    entries: list[CacheEntry] = field(default_factory=list)
    after: tuple[int, int] | None = None


def choose_victims(entries: Iterable[CacheEntry], *, excess_bytes: int) -> list[CacheEntry]:
    """The first of these, which are in the order of their last reads, whose removal frees `excess_bytes`.

    Content that is not in the bucket yet is never picked: the local copy is the only one.
    """
    victims = []
    for entry in entries:
        if excess_bytes <= 0:
            break
        if entry.stays is None:
            victims.append(entry)
            excess_bytes -= entry.content.stored
    return victims


class Eviction:
    """On the loop's thread."""

    def __init__(
        self, ledger: Ledger, owing: Owing, files: Files, contents: ContentFiles, settler: Settler,
        drop_ballast: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._catalog = ledger.catalog
        self._tables = ledger.catalog.bucket
        self._owing = owing
        self._files = files
        self._contents = contents
        self._settler = settler
        self._drop_ballast = drop_ballast

    # -- deciding -----------------------------------------------------------------------------------------

    def may_evict(self, content: Content) -> bool:
        """Whether the bucket has it for every artifact that names it. Ask again right before `evict`."""
        return self.judged([content]) == [None]

    def judged(self, contents: Sequence[Content], *, pinned: Collection[int] = ()) -> list[Stays | None]:
        """What keeps each of these here; None: it may go. `pinned` are entries that stay with all below them."""
        here = [content.id for content in contents if content.place in (Place.CATALOG, Place.FILE)]
        held = self._tables.held_back(here) | self._written_on()
        named: dict[int, list[Entry]] = {}
        for content_id, entry in self._catalog.naming(here):
            named.setdefault(content_id, []).append(entry)
        jobs: dict[int, set[int]] = {}
        for content_id, job in self._tables.wanted_by_trash(here):
            jobs.setdefault(content_id, set()).add(job)
        for content_id, ino in self._catalog.versions.needing(here):
            jobs.setdefault(content_id, set()).add(self._owing.where(ino).job)
        of_directory: dict[int, int] = {}
        found: list[Stays | None] = []
        for content in contents:
            entries = named.get(content.id, [])
            wanting = jobs.get(content.id, set()) | {self._job_of(entry, of_directory) for entry in entries}
            found.append(self._judge(content, entries, wanting, held=held, pinned=pinned))
        return found

    def _judge(
        self, content: Content, entries: list[Entry], jobs: AbstractSet[int], *, held: AbstractSet[int],
        pinned: Collection[int],
    ) -> Stays | None:  # fmt: skip
        if content.digest is None or content.place not in (Place.CATALOG, Place.FILE):
            return Stays.ABSENT
        if content.id in held:
            return Stays.HELD
        if any(self.is_owed(entry) for entry in entries):
            return Stays.UNPUBLISHED
        if not jobs or not all(self._tables.is_placed(content.digest, job) for job in jobs):
            return Stays.UNPLACED if entries else Stays.TRASH
        if pinned and any(self._is_below(entry, pinned) for entry in entries):
            return Stays.PINNED
        return None

    def _job_of(self, entry: Entry, of_directory: dict[int, int]) -> int:
        """The job that an entry lies in; entries of one directory ask once."""
        job = of_directory.get(entry.parent)
        if job is None:
            job = of_directory[entry.parent] = self._owing.where(entry.ino).job
        return job

    def jobs_owing(self, content: Content) -> set[int]:
        """Jobs that have not brought a content into the bucket yet."""
        entries = self._catalog.entries_with(content.digest or b"")
        return {self._owing.where(entry.ino).job for entry in entries if self.is_owed(entry)}

    def is_owed(self, entry: Entry) -> bool:
        """◆ Whether a record that names the content of an entry is not in the bucket yet, in whatever job.

        What lies below a renamed directory owes it as soon as somebody looks.
        """
        return bool(entry.owed & Owed.CONTENT) or not self._owing.is_carried(entry.ino)

    def _written_on(self) -> AbstractSet[int]:
        """Contents to which an open file, when it is written to, goes back after a crash."""
        found: set[int] = set()
        for live in self._files.live.values():
            if live.draft_base is not None:
                found.add(live.draft_base)
            if live.writers and live.acknowledged.content is not None:
                found.add(live.acknowledged.content)
        return found

    def _is_below(self, entry: Entry, inos: Collection[int]) -> bool:
        ino = entry.ino
        while ino != ROOT_INO:
            if ino in inos:
                return True
            found = self._ledger.entry(ino)
            if found is None:
                return False
            ino = found.parent
        return False

    def pinned(self) -> AbstractSet[int]:
        """Entries that somebody pinned."""
        return self._catalog.pinned_inos()

    def page(self, after: tuple[int, int], *, pinned: Collection[int], limit: int) -> Page:
        """The next contents in the order in which they go: least recently read first."""
        self.drain()
        found = self._catalog.least_recently_read(after, limit=limit)
        contents = [content for _read_s, content in found]
        stays = self._with_ballast(lambda: self.judged(contents, pinned=pinned))  # it may have to note a job
        entries = [CacheEntry(content, read_s, why) for (read_s, content), why in zip(found, stays, strict=True)]
        last = entries[-1] if len(entries) == limit else None
        return Page(entries, (last.read_s, last.content.id) if last is not None else None)

    # -- acting -------------------------------------------------------------------------------------------

    def evict(self, contents: Iterable[Content]) -> int:
        """These are in the bucket alone from now on; the bytes that they cost here. Raises CacheFull.

        Files go once that is durable (`Settler.take_leftovers`); who has one open goes on reading it. On a full disk
        the ballast goes, which is there for this; where it is gone, files go first.
        """
        chosen = list(contents)
        self._open_for_readers({content.id for content in chosen})
        files = [
            self._contents.doom_name(content.digest, content.codec)
            for content in chosen
            if content.place == Place.FILE and content.digest is not None
        ]
        try:
            self._let_go(chosen, files)
        except CacheFull:
            if not self._drop_ballast() and not self._files_first():
                raise
            self._let_go(chosen, files)
        self._settler.leftovers.extend(Leftover(file=name) for name in files)
        return sum(content.stored for content in chosen)

    def _let_go(self, chosen: list[Content], files: list[str]) -> None:
        with self._ledger.transaction():
            self._catalog.doom(files)
            for content in chosen:
                self._catalog.evict(content.id)

    def drain(self) -> None:
        """What waits, into the catalog: only then is it known what may go. The ballast is for this too."""
        self._with_ballast(self._ledger.drain)

    def _with_ballast(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except CacheFull:
            if not self._drop_ballast():
                raise
            return work()

    def _files_first(self) -> bool:
        """Nothing can be written any more: some files that may go do, and their rows follow. Whether there were any.

        That the bucket has them is made durable before. A crash in between leaves rows without files: who reads one
        gets it from the bucket, like anything that rotted here.
        """
        going = self._some_files()
        if not going:
            return False
        self._settler.sync_catalog()
        self._open_for_readers({content.id for content in going})
        names = [self._contents.doom_name(content.digest, content.codec) for content in going if content.digest]
        self._contents.remove(names)
        self._let_go(going, names)
        self._settler.leftovers.extend(Leftover(file=name) for name in names)
        return True

    def _some_files(self) -> list[Content]:
        """The first that may go and that free enough for the catalog to be written."""
        found: list[Content] = []
        pinned = self.pinned()
        after: tuple[int, int] | None = NEVER_READ
        while after is not None:
            page = self.page(after, pinned=pinned, limit=256)
            for entry in page.entries:
                if entry.stays is None and self._is_file(entry.content):
                    found.append(entry.content)
                if sum(content.stored for content in found) >= FIRST_BYTES:
                    return found
            after = page.after
        return found

    def _is_file(self, content: Content) -> bool:
        if content.place != Place.FILE or content.digest is None:
            return False
        return not self._settler.is_coming(self._contents.doom_name(content.digest, content.codec))

    def _open_for_readers(self, going: AbstractSet[int]) -> None:
        """Who has a file open and has not read yet reads on from what is still here."""
        for live in self._files.live.values():
            if live.handles and live.acknowledged.content in going:
                with contextlib.suppress(MountfsError):  # whoever reads it gets the error
                    self._files.reader(live)

    def evict_now(self, excess_bytes: int, *, pages: int = sys.maxsize) -> int:
        """Free so many bytes, in one go: where nobody is served meanwhile. What could be freed; at most so many `pages`
        are looked at."""
        freed, pinned = 0, self.pinned()
        after: tuple[int, int] | None = NEVER_READ
        while after is not None and freed < excess_bytes and pages > 0:
            pages -= 1
            page = self.page(after, pinned=pinned, limit=256)
            victims = choose_victims(page.entries, excess_bytes=excess_bytes - freed)
            freed += self.evict(victim.content for victim in victims)
            after = page.after
        return freed
