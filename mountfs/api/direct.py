"""The direct route: nothing is mounted, so the store is opened here, under its lock.

`DirectStore` writes and settles before it returns; `SharedStore` only reads, beside others that do so too.
"""

import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from mountfs import journal, namespace
from mountfs.api.keys import Key, Names, names_of, writable_names_of
from mountfs.api.pieces import Data, mode_of, pieces_of, umask
from mountfs.api.reading import ArtifactStore, ContentFile
from mountfs.api.said import About, attributes_of, no_tags_on_symlink, tag_attributes
from mountfs.catalog import Catalog
from mountfs.contents import ContentFiles, PlainReader, ReadsRanges, in_memory
from mountfs.errors import (
    ArtifactTooLarge,
    CacheFull,
    ContentLost,
    CorruptContent,
    DeadlineExceeded,
    IsADirectory,
    NotFound,
    NotMounted,
    Protected,
    QuotaExceeded,
)
from mountfs.model import ROOT_INO, Artifact, Entry, Kind, Place, Standing
from mountfs.statedir import StateDirectory
from mountfs.store.recovery import applied
from mountfs.store.store import Store
from mountfs.store.tree import Owner

NOT_SETTLED_SECONDS = 5.0


class DirectStore(ArtifactStore):
    """A store that this process holds until `close`."""

    def __init__(self, store: Store, *, mountpoint: Path) -> None:
        super().__init__(
            mountpoint=mountpoint, state=store.state.path, catalog=store.catalog, types=store.options.types
        )
        self._store = store
        self._closed = False
        self._owner = Owner(*store.options.owner)
        store.settler.settle_all()  # what the last holder left

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
        names = writable_names_of(key, self.mountpoint)
        attributes = attributes_of(About(type, tags, metadata, mime_type, expires), types=self._types)
        with self._lock:
            parent = self.make_directories(names[:-1])
            self._refuse_directory(parent.ino, names)
            try:
                self.write(parent.ino, names[-1], data, attributes)
            except (ArtifactTooLarge, QuotaExceeded, CacheFull) as error:
                raise error.__class__(f"{namespace.join_key(names)}: {error}") from error
            self._settle()
            return self._artifact(names)

    def _refuse_directory(self, parent: int, names: Names) -> None:
        found = self._store.tree.find(parent, names[-1])
        if found is not None and found.kind == Kind.DIRECTORY:
            raise IsADirectory(f"{namespace.join_key(names)} is a directory")

    def make_directories(self, names: Names) -> Entry:
        """The directory of that key, made with its parents where they are missing."""
        tree = self._store.tree
        entry = tree.entry(ROOT_INO)
        for name in names:
            found = tree.find(entry.ino, name) if entry.kind == Kind.DIRECTORY else None
            entry = found or tree.make_directory(entry.ino, name, 0o777 & ~umask(), self._owner)
        return entry

    def write(self, parent: int, name: bytes, data: Data, attributes: Mapping[bytes, bytes]) -> Entry:
        """Write under a name of its own, then rename over: a reader, or the next start, sees all or nothing."""
        tree, files = self._store.tree, self._store.files
        draft = f".put-{secrets.token_hex(8)}".encode()
        live = tree.create_file(parent, draft, mode_of(data, umask()), self._owner)
        try:
            for attribute, value in attributes.items():
                self._store.attributes.set(live.ino, attribute, value)
            offset = 0
            for piece in pieces_of(data):
                with live.lock:
                    files.prepare_write(live, offset, len(piece))
                    files.write(live, offset, bytes(piece))
                offset += len(piece)
            with live.lock:
                files.publish(live, Standing.CLOSED)
            tree.rename(parent, draft, parent, name)
        except BaseException:
            tree.unlink(parent, draft)
            raise
        finally:
            files.release(live, write=True)
        return tree.lookup(parent, name)

    def delete(self, key: Key) -> bool:
        names = names_of(key, self.mountpoint)
        with self._lock:
            try:
                entry = self._store.tree.walk(names)
            except NotFound:
                return False
            self._store.tree.remove_tree(entry)
            self._store.settler.reclaim()
            return True

    def tag(self, key: Key, **tags: object) -> None:
        attributes = tag_attributes(tags)
        with self._lock:
            ino = self._tagged(key).ino
            for name, value in attributes.items():
                self._store.attributes.set(ino, name, value)

    def untag(self, key: Key, *keys: str) -> None:
        names = tag_attributes(dict.fromkeys(keys, ""))
        with self._lock:
            ino = self._tagged(key).ino
            for name in names:
                self._store.attributes.remove(ino, name)

    def _tagged(self, key: Key) -> Entry:
        names = names_of(key, self.mountpoint)
        entry = self._store.tree.walk(names)
        if entry.kind == Kind.SYMLINK:
            raise no_tags_on_symlink(namespace.join_key(names))
        return entry

    def path(self, key: Key) -> Path:
        raise NotMounted(f"nothing is mounted at {self.mountpoint}: an artifact has a path only in a mount")

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._store.settler.settle_all()
                self._store.close()

    def _settle(self) -> None:
        self._store.settler.settle_all()
        self._store.ledger.drain()

    def _refresh(self) -> None:
        self._store.ledger.drain()

    def _await_digest(self, names: Names) -> None:
        self._settle()

    def _open(self, names: Names, entry: Entry) -> BinaryIO:
        key = namespace.join_key(names)
        if entry.content is None:
            return ContentFile.opened(key, PlainReader(b""))
        try:
            return ContentFile.opened(key, self._store.files.open_content(entry.content))
        except (CorruptContent, ContentLost) as error:
            self._mark_damaged(entry.content)
            raise type(error)(f"{key}: {error}") from error

    def _mark_damaged(self, content: int) -> None:
        with self._store.ledger.transaction():
            self._store.catalog.mark_damaged(content)


class SharedStore(ArtifactStore):
    """Reads a store that nobody serves, without its lock: any number at a time, beside one that writes."""

    def __init__(self, state: Path, *, mountpoint: Path, types: Mapping[str, str]) -> None:
        catalog = Catalog.open(StateDirectory(state).catalog, read_only=True)
        super().__init__(mountpoint=mountpoint, state=state, catalog=catalog, types=types)
        self._contents = ContentFiles(state)

    def is_complete(self) -> bool:
        """Whether the catalog holds everything: neither the journal nor a draft has more."""
        number, epoch = applied(self._catalog)
        pending = journal.replay(StateDirectory(self.state).journal, after=number, epoch=epoch, over_gaps=False)
        return not self._catalog.unsettled() and next(pending, None) is None

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
        raise _read_only()

    def delete(self, key: Key) -> bool:
        raise _read_only()

    def tag(self, key: Key, **tags: object) -> None:
        raise _read_only()

    def untag(self, key: Key, *keys: str) -> None:
        raise _read_only()

    def path(self, key: Key) -> Path:
        raise NotMounted(f"nothing is mounted at {self.mountpoint}: an artifact has a path only in a mount")

    def close(self) -> None:
        self._catalog.close()

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
            time.sleep(0.01)  # another process is just storing it
            entry = self._facts.find(names)
            if entry is None or entry.content is None:
                raise NotFound(f"not found: {namespace.join_key(names)}")
            content_id = entry.content
        raise DeadlineExceeded("another process is still storing it: try again")


def _read_only() -> Protected:
    return Protected("this store was opened to read only")
