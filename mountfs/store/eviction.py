"""Which contents may leave this machine because the bucket has them, and how they leave.

What it keeps true (DESIGN, invariants 1 and 2): the content of every artifact is here or in the bucket, and what is
published is said of a content in a job, not of the content: a record of another job may still need it from here.
"""

from collections.abc import Iterable

from mountfs.contents import ContentFiles
from mountfs.model import Content, Entry, Owed, Place
from mountfs.store.ledger import Ledger
from mountfs.store.owing import Owing
from mountfs.store.settler import Leftover, Settler


class Eviction:
    """On the loop's thread."""

    def __init__(self, ledger: Ledger, owing: Owing, contents: ContentFiles, settler: Settler) -> None:
        self._ledger = ledger
        self._catalog = ledger.catalog
        self._tables = ledger.catalog.bucket
        self._owing = owing
        self._contents = contents
        self._settler = settler

    def may_evict(self, content: Content) -> bool:
        """Whether the bucket has it for every artifact that names it. Ask again right before `evict`."""
        if content.digest is None or content.place not in (Place.CATALOG, Place.FILE):
            return False
        if self._tables.is_held_back(content.id):
            return False
        entries = self._catalog.entries_with(content.digest)
        if any(self.is_owed(entry) for entry in entries):
            return False
        jobs = {self._owing.where(entry.ino).job for entry in entries}
        if not jobs:
            return any(self._tables.is_placed(content.digest, job) for job in self._tables.trash_jobs(content.id))
        return all(self._tables.is_placed(content.digest, job) for job in jobs)

    def is_owed(self, entry: Entry) -> bool:
        """◆ Whether a record that names the content of an entry is not in the bucket yet, in whatever job.

        What lies below a renamed directory owes it as soon as somebody looks.
        """
        return bool(entry.owed & Owed.CONTENT) or not self._owing.is_carried(entry.ino)

    def evict(self, contents: Iterable[Content]) -> int:
        """These are in the bucket alone from now on; the bytes that they cost here.

        Files go once that is durable (`Settler.take_leftovers`); who has one open goes on reading it.
        """
        chosen = list(contents)
        files = [
            self._contents.doom_name(content.digest, content.codec)
            for content in chosen
            if content.place == Place.FILE and content.digest is not None
        ]
        with self._ledger.transaction():
            self._catalog.doom(files)
            for content in chosen:
                self._catalog.evict(content.id)
        self._settler.leftovers.extend(Leftover(file=name) for name in files)
        return sum(content.stored for content in chosen)
