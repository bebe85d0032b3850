"""Reports that nobody has looked at: which there are, what is known of them without looking, and what they said.

A daemon reads them behind its writers, as it has time. Where there is none, `Understanding.all` reads them before a
question is answered, in a child process, each with its limits and all of them within a time.
"""

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mountfs.catalog import Catalog
from mountfs.catalog.reports import Told, Unread
from mountfs.contents import ReadsRanges
from mountfs.errors import CacheFull, MountfsError
from mountfs.reports.candidates import MOST_BYTES, TOO_LARGE
from mountfs.reports.model import Unknown
from mountfs.store.files import Files
from mountfs.store.indexer import Indexer

if TYPE_CHECKING:
    from mountfs.reports.process import Reader

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
MOST_SECONDS: Final = 60.0
"""For one question; what is not read by then is read before the next one, a while later."""
REST_SECONDS: Final = 60.0

Shows = Callable[[int, int], None]
"""How many were read, of how many."""


def next_unread(catalog: Catalog) -> list[Unread]:
    """A few of them, the newest first."""
    with catalog.transaction():
        return catalog.reports.next_unread(AT_ONCE)


def known(catalog: Catalog, unread: Unread) -> Told | None:
    """What is said of it without reading it; None: it has to be read."""
    if catalog.reports.is_read(unread.digest):  # the same in another form
        return catalog.reports.of_digest(unread.digest)
    return TOO_LARGE if unread.size > MOST_BYTES else None


def note(catalog: Catalog, unread: Unread, told: Told | None) -> None:
    """What it says; None: it could not be opened, and nobody looks again."""
    with catalog.transaction():
        catalog.reports.forget(unread.id)
        if told is not None:
            catalog.reports.put(unread.digest, told)


class Understanding:
    """Of a store that this process alone holds, on one thread."""

    def __init__(self, catalog: Catalog, files: Files, indexer: Indexer) -> None:
        self._catalog = catalog
        self._files = files
        self._indexer = indexer
        self._not_before = float("-inf")

    def all(self, shows: Shows, *, seconds: float = MOST_SECONDS) -> None:
        """Have all that are settled read, and in the index. What hinders that is said in the log. Raises CacheFull."""
        if self._catalog.is_holding:
            return
        self._indexer.catch_up()
        total = self._catalog.reports.count_unread()
        if not total or time.monotonic() < self._not_before:
            return
        from mountfs.reports.process import Reader

        try:
            with Reader() as reader:
                self._read_until(reader, time.monotonic() + seconds, total, shows)
        except (OSError, _NoReader) as error:
            self._not_before = time.monotonic() + REST_SECONDS
            log.warning("reports cannot be read: %s", error)
        self._indexer.catch_up()

    def _read_until(self, reader: "Reader", until: float, total: int, shows: Shows) -> None:
        done = 0
        while found := next_unread(self._catalog):
            for unread in found:
                if time.monotonic() > until:
                    self._not_before = time.monotonic() + REST_SECONDS
                    log.warning("%d reports are not read yet: a later command reads on", max(0, total - done))
                    shows(total, total)
                    return
                note(self._catalog, unread, known(self._catalog, unread) or self._read(reader, unread))
                done += 1
                shows(done, max(done, total))
        shows(total, total)

    def _read(self, reader: "Reader", unread: Unread) -> Told | None:
        _assure(reader)
        try:
            return reader.summarize(_Whole(self._files.open_content(unread.id)), unread.size)
        except CacheFull:
            raise
        except MountfsError as error:
            log.info("a report is not read: %s", error)
            return None


class _NoReader(Exception):
    """No child works here."""


def _assure(reader: "Reader") -> None:
    """One that cannot even read nothing is not asked: what it answered would be no answer. Raises OSError."""
    if reader.pid is None and reader.summarize(_Nothing(), 0) != Unknown():
        raise _NoReader("a process that is to read them does not answer")


class _Nothing:
    """An empty report: whoever reads it, can read."""

    def read(self, size: int, /) -> bytes:
        return b""


class _Whole:
    """A content from its beginning."""

    def __init__(self, source: ReadsRanges) -> None:
        self._source = source
        self._offset = 0

    def read(self, size: int, /) -> bytes:
        piece = self._source.read(self._offset, size)
        self._offset += len(piece)
        return piece
