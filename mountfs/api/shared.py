"""Beside the direct route: the store is read as it is here, without its lock, by any number at a time."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from mountfs import journal, namespace
from mountfs.api.files import ContentFile
from mountfs.api.keys import Key, Names
from mountfs.api.pieces import Data
from mountfs.api.reading import ArtifactStore
from mountfs.catalog import Catalog
from mountfs.contents import ContentFiles, PlainReader, ReadsRanges, in_memory
from mountfs.errors import (
    AlreadyMounted,
    ContentLost,
    CorruptContent,
    DeadlineExceeded,
    NotFound,
    NotMounted,
    Protected,
    RemoteUnavailable,
)
from mountfs.model import Artifact, Entry, Place
from mountfs.namespace import TypeRules
from mountfs.statedir import StateDirectory
from mountfs.store.interrupted import Left, left
from mountfs.store.recovery import applied

NOT_SETTLED_SECONDS = 5.0


class SharedStore(ArtifactStore):
    """Reads a store that nobody serves, without its lock: any number at a time, beside one that writes."""

    def __init__(
        self, state: Path, *, mountpoint: Path, rules: TypeRules, holder: AlreadyMounted | None = None,
        understands: Callable[[Callable[[int, int], None]], None],
    ) -> None:  # fmt: skip
        """`holder`: who holds the store, where it has a bucket, which only that process asks.

        `understands` takes the lock and has all reports read that nobody has looked at.
        """
        catalog = Catalog.open(StateDirectory(state).catalog, read_only=True)
        super().__init__(mountpoint=mountpoint, state=state, catalog=catalog, rules=rules)
        self._contents = ContentFiles(state)
        self._holder = holder
        self.knows_all = holder is None
        self._understands = understands
        self._has_understood = False

    def is_complete(self) -> bool:
        """Whether the catalog holds everything: neither the journal nor a draft has more, and the index knows it."""
        number, epoch = applied(self._catalog)
        pending = journal.replay(StateDirectory(self.state).journal, after=number, epoch=epoch, over_gaps=False)
        return not self._catalog.unsettled() and not self._catalog.index.is_behind() and next(pending, None) is None

    def put(
        self,
        key: Key,
        data: Data,
        *,
        type: str | None = None,
        tags: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        mime_type: str | None = None,
        expires: str | None = None,
    ) -> Artifact:
        raise read_only()

    def delete(self, key: Key) -> bool:
        raise read_only()

    def tag(self, key: Key, **tags: object) -> None:
        raise read_only()

    def untag(self, key: Key, *keys: str) -> None:
        raise read_only()

    def _set_pinned(self, names: Names, value: bytes) -> None:
        raise read_only()

    def _patience_seconds(self) -> float | None:
        return None

    def path(self, key: Key) -> Path:
        raise NotMounted(f"nothing is mounted at {self.mountpoint}: an artifact has a path only in a mount")

    def flush(self, key: Key | None = None, *, timeout: float | None = None) -> None:
        raise read_only()

    def left(self) -> Sequence[Left]:
        """Not what another process is just dropping."""
        if left(self._catalog) and StateDirectory(self.state).holder() is None:
            return left(self._catalog)  # it may have ended meanwhile
        return ()

    def close(self) -> None:
        self._catalog.close()

    def _ask(self, op: str, *, timeout: float | None = None, **arguments: object) -> dict[str, object]:
        raise read_only()

    def _index(self) -> None:
        """Whoever opened the store has seen to it (`is_complete`), but for reports that nobody has read."""
        self.understand()

    def understand(self) -> None:
        """Once: what hinders it now will do so a moment later."""
        if not self._has_understood and self._catalog.reports.count_unread():
            self._understands(self.on_reading)
        self._has_understood = True

    def _look(self, jobs: Sequence[bytes]) -> None:
        """Whoever holds the store does; here is what it knows."""

    def _look_at_root(self) -> None:
        if self._holder is not None:
            raise AlreadyMounted(f"not all jobs of the bucket are known here, and {self._holder}")

    def _be_sure(self, job: bytes) -> None:
        if self._holder is not None:
            raise AlreadyMounted(f"{namespace.join_key((job,))}: not known here, and {self._holder}")

    def _refresh(self) -> None:
        """Each statement reads what is committed by then."""

    def _await_digest(self, names: Names) -> None:
        """Whoever is storing it knows; here it is not known yet."""

    def _open(self, names: Names, entry: Entry) -> BinaryIO:
        key = namespace.join_key(names)
        if entry.content is None:
            return ContentFile.opened(key, PlainReader(b""))
        try:
            return ContentFile.opened(key, self._reader(names, entry.content))
        except (CorruptContent, ContentLost) as error:
            raise type(error)(f"{key}: {error}") from error

    def _reader(self, names: Names, content_id: int) -> ReadsRanges:
        deadline = time.monotonic() + NOT_SETTLED_SECONDS
        while time.monotonic() < deadline:
            content = self._catalog.content(content_id)
            if content is not None and content.place == Place.CATALOG:
                return in_memory(content, self._catalog.content_data(content_id))
            if content is not None and content.place == Place.FILE:
                return self._contents.open(content)
            if content is not None and content.place == Place.BUCKET:
                raise RemoteUnavailable(
                    f"the content is in the bucket alone, and {self._holder or 'is not asked for here'}"
                )
            time.sleep(0.01)  # another process is just storing it
            entry = self._facts.find(names)
            if entry is None or entry.content is None:
                raise NotFound(f"not found: {namespace.join_key(names)}")
            content_id = entry.content
        raise DeadlineExceeded("another process is still storing it: try again")


def read_only() -> Protected:
    """The refusal of whatever would write."""
    return Protected("this store was opened to read only")
