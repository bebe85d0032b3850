"""The direct route: nothing is mounted, so the store is opened here, under its lock.

It writes and settles before it returns, and asks the bucket where the settings name one.
"""

import contextlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from mountfs import namespace
from mountfs.api.dropping import DirectDropping
from mountfs.api.files import ContentFile
from mountfs.api.keys import Key, Names, names_of, writable_names_of
from mountfs.api.pieces import Data, mode_of, pieces_of, umask
from mountfs.api.reading import ArtifactStore
from mountfs.api.said import PINNED, About, attributes_of, no_tags_on_symlink, tag_attributes
from mountfs.api.shared import read_only as read_only_refusal
from mountfs.compare.baseline import Candidate
from mountfs.contents import PlainReader, ReadsRanges
from mountfs.errors import (
    ArtifactTooLarge,
    CacheFull,
    ConfigError,
    ContentLost,
    CorruptContent,
    IsADirectory,
    NotFound,
    NotMounted,
    QuotaExceeded,
    RemoteDenied,
    RemoteUnavailable,
)
from mountfs.model import ROOT_INO, Artifact, Entry, Kind, Standing
from mountfs.store.interrupted import Left
from mountfs.store.live import LiveFile
from mountfs.store.room import NoRoomYet
from mountfs.store.store import Store
from mountfs.store.tree import Owner
from mountfs.views.candidates import of_heads

if TYPE_CHECKING:
    from mountfs.api.bucket import DirectBucket

R = TypeVar("R")

NO_BUCKET = "this store has no bucket: the settings name none (storage.backend: s3 or directory)"


class DirectStore(ArtifactStore):
    """A store that this process holds until `close`.

    `bucket` is None where the settings name none. `read_only`: what others wrote is brought in, and nothing leaves.
    """

    def __init__(
        self, store: Store, *, mountpoint: Path, bucket: "DirectBucket | None" = None, read_only: bool = False
    ) -> None:  # fmt: skip
        super().__init__(mountpoint=mountpoint, state=store.state.path, catalog=store.catalog, rules=store.types)
        self._store = store
        self._bucket = bucket
        self._read_only = read_only
        self._closed = False
        self._owner = Owner(*store.options.owner)
        if bucket is not None:
            self._facts.jobs = bucket.states
            self.knows_all = False
        store.settler.settle_all()  # what the last holder left
        self._dropping = DirectDropping(store, bucket, index=self._index)

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
        self._begin_to_write()
        with self._lock:
            self._look(names[:1], once=True)  # what had that key there is replaced too
            self._refuse_if_pinned(names)
            parent = self.make_directories(names[:-1])
            self._refuse_directory(parent.ino, names)
            try:
                self.write(parent.ino, names[-1], data, attributes)
            except NoRoomYet as error:
                raise CacheFull(f"{namespace.join_key(names)}: {error}") from error
            except (ArtifactTooLarge, QuotaExceeded, CacheFull) as error:
                raise error.__class__(f"{namespace.join_key(names)}: {error}") from error
            self._settle()
            return self._artifact(names)

    def _refuse_to_write(self) -> None:
        if self._read_only:
            raise read_only_refusal()

    def _begin_to_write(self) -> None:
        """A cleanup that was killed is finished first. Not before a pin: that may be there to keep what is left."""
        self._refuse_to_write()
        with self._lock, contextlib.suppress(CacheFull):  # whoever cleans up hears of it
            if said := self._dropping.finish():
                self.on_finished(said)

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
                self._make_room(live, offset, len(piece))
                with live.lock:
                    files.write(live, offset, bytes(piece))
                offset += len(piece)
            with live.lock:
                files.publish(live, Standing.CLOSED)
            tree.replace(parent, draft, name)
        except BaseException:
            tree.discard(parent, draft)
            raise
        finally:
            files.release(live, write=True)
        return tree.lookup(parent, name)

    def _make_room(self, live: LiveFile, offset: int, length: int) -> None:
        """Before a write. What is here alone is brought into the bucket, when that makes room."""
        files = self._store.files
        try:
            with live.lock:
                files.prepare_write(live, offset, length)
        except NoRoomYet:
            if self._bucket is None:
                raise
            self._store.settler.settle_all()
            self._bucket.make_room(length)
            with live.lock:
                files.prepare_write(live, offset, length)

    def delete(self, key: Key) -> bool:
        names = names_of(key, self.mountpoint)
        self._begin_to_write()
        with self._lock:
            self._look(names[:1])
            try:
                entry = self._store.tree.walk(names)
            except NotFound:
                self._be_sure(names[0])
                return False
            self._store.tree.remove_tree(entry)
            self._store.settler.reclaim()
            return True

    def tag(self, key: Key, **tags: object) -> None:
        attributes = tag_attributes(tags)
        self._begin_to_write()
        with self._lock:
            ino = self._tagged(key).ino
            for name, value in attributes.items():
                self._store.attributes.set(ino, name, value)

    def untag(self, key: Key, *keys: str) -> None:
        names = tag_attributes(dict.fromkeys(keys, ""))
        self._begin_to_write()
        with self._lock:
            ino = self._tagged(key).ino
            for name in names:
                self._store.attributes.remove(ino, name)

    def _set_pinned(self, names: Names, value: bytes) -> None:
        self._refuse_to_write()
        with self._lock:
            self._store.attributes.set(self._tagged(namespace.join_key(names)).ino, PINNED, value)

    def _patience_seconds(self) -> float | None:
        return None if self._bucket is None else self._bucket.patience_seconds

    def _tagged(self, key: Key) -> Entry:
        names = names_of(key, self.mountpoint)
        self._look(names[:1])
        try:
            entry = self._store.tree.walk(names)
        except NotFound:
            self._be_sure(names[0])
            raise
        if entry.kind == Kind.SYMLINK:
            raise no_tags_on_symlink(namespace.join_key(names))
        return entry

    def path(self, key: Key) -> Path:
        raise NotMounted(f"nothing is mounted at {self.mountpoint}: an artifact has a path only in a mount")

    def flush(self, key: Key | None = None, *, timeout: float | None = None) -> None:
        if self._bucket is None:
            raise ConfigError(NO_BUCKET)
        self._refuse_to_write()
        with self._lock:
            self._settle()
            self._bucket.flush(None if key is None else self._jobs_of(key), timeout=timeout)

    def _jobs_of(self, key: Key) -> set[int]:
        """The job of a key. Raises NotFound for what neither is here nor owes anything."""
        names = names_of(key, self.mountpoint)
        job = self._catalog.bucket.job_id(names[0])
        owes = job is not None and job in self._store.outbox.debts()
        if not owes and self._facts.find(names) is None:
            raise NotFound(f"not found: {namespace.join_key(names)}")
        return {job} if job is not None else set()

    def _url(self, names: Names, *, seconds: int, plain: bool) -> str | None:
        if self._bucket is None:
            return None
        with self._lock:
            entry = self._store.tree.walk(names)
            content = self._catalog.content(entry.content) if entry.content is not None else None
            mime = self._facts.mime_of(names, self._catalog.register(entry.ino, "mime_type"), content)
            return self._bucket.url(entry, seconds=seconds, plain=plain, content_type=mime)

    def close(self) -> None:
        """What the bucket lacks is sent first, as far as that goes now; the rest is kept, and said in the log."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._store.settler.settle_all()
                if self._bucket is not None:
                    self._bucket.close()
            finally:
                self._store.close()

    def _settle(self) -> None:
        self._store.settler.settle_all()
        self._store.ledger.drain()

    def _refresh(self) -> None:
        self._store.ledger.drain()

    def _ask(self, op: str, *, timeout: float | None = None, **arguments: object) -> dict[str, object]:
        with self._lock:
            if op == "retention":
                return self._dropping.retention(knows_all=self.knows_all)
            self._refuse_to_write()
            return self._dropping.expire(arguments)

    def left(self) -> Sequence[Left]:
        with self._lock:
            return self._dropping.left()

    def _index(self) -> None:
        """What nobody has read yet is understood first: its type, and its numbers."""
        self._store.ledger.drain()
        self._store.understanding.all(self.on_reading)

    def understand(self) -> None:
        self._index()

    def _look(self, jobs: Sequence[bytes], *, once: bool = False) -> None:
        if self._bucket is not None:
            self._bucket.look(jobs, once=once)

    def _look_at_root(self) -> None:
        if self._bucket is not None:
            self._bucket.look_at_root()

    def _be_sure(self, job: bytes) -> None:
        error = self._bucket.unread(job) if self._bucket is not None else None
        if error is not None:
            raise type(error)(f"{namespace.join_key((job,))}: not known here, and the bucket was not read: {error}")

    def heads(self, key: str, value: bytes, *, limit: int, is_beginning: bool = False) -> Sequence[Candidate]:
        if self._bucket is None:
            return []
        with self._lock:
            return of_heads(self._bucket.heads(key, value, limit=limit, is_beginning=is_beginning))

    def expect(self, inos: Sequence[int]) -> None:
        if self._bucket is not None:
            with self._lock:
                self._bucket.expect(inos)

    def _await_digest(self, names: Names) -> None:
        self._settle()

    def _open(self, names: Names, entry: Entry) -> BinaryIO:
        key = namespace.join_key(names)
        if entry.content is None:
            return ContentFile.opened(key, PlainReader(b""))
        content = entry.content
        try:
            return ContentFile.opened(key, _Healing(lambda: self._reader(content), lambda: self._heal(content)))
        except (CorruptContent, ContentLost, RemoteUnavailable, RemoteDenied) as error:
            raise type(error)(f"{key}: {error}") from error

    def _reader(self, content: int) -> ReadsRanges:
        """From this machine, where the bucket's copy comes first if there is no other."""
        with self._lock:
            if self._bucket is not None:
                self._bucket.fetch(content)
                self._bucket.note_read(content)
            return self._store.files.open_content(content)

    def _heal(self, content: int) -> bool:
        """A content rotted here: take the bucket's, or mark it as damaged. Whether there is another now."""
        with self._lock:
            if self._bucket is not None and self._bucket.heal(content):
                return True
            with self._store.ledger.transaction():
                self._store.catalog.mark_damaged(content)
            return False


class _Healing:
    """A reader that goes on in another copy where one has rotted. Raises what `opens` raises."""

    def __init__(self, opens: Callable[[], ReadsRanges], heals: Callable[[], bool]) -> None:
        self._opens = opens
        self._heals = heals
        self._reader = self._healed(opens)
        self.size = self._reader.size

    def read(self, offset: int, length: int) -> bytes:
        return self._healed(lambda: self._reader.read(offset, length))

    def at_hand(self, offset: int, length: int) -> bool:
        return self._reader.at_hand(offset, length)

    def _healed(self, reads: Callable[[], R]) -> R:
        try:
            return reads()
        except (CorruptContent, ContentLost):
            if not self._heals():
                raise
            self._reader = self._opens()
            return reads()
