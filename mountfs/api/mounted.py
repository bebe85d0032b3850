"""The mounted route: a daemon holds the store. What is asked is read beside it, what changes goes through its mount."""

import contextlib
import errno
import io
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mountfs import namespace
from mountfs.api.asking import follow
from mountfs.api.heads import of_answer
from mountfs.api.keys import Key, Names, names_of, writable_names_of
from mountfs.api.pieces import PIECE_BYTES, Data, mode_of, pieces_of, umask
from mountfs.api.reading import ArtifactStore
from mountfs.api.said import PINNED, About, attributes_of, no_tags_on_symlink, tag_attributes
from mountfs.catalog import Catalog
from mountfs.compare.baseline import Candidate
from mountfs.daemon import client
from mountfs.errors import (
    AlreadyExists,
    ArtifactTooLarge,
    CacheFull,
    CorruptContent,
    DeadlineExceeded,
    InvalidArgument,
    IsADirectory,
    MountfsError,
    NameTooLong,
    NotADirectory,
    NotEmpty,
    NotFound,
    NotMounted,
    Protected,
    QuotaExceeded,
    ReadOnlyView,
    RemoteDenied,
    RemoteUnavailable,
    TagNotFound,
    TagTooLarge,
)
from mountfs.model import Artifact, Entry
from mountfs.namespace import TypeRules
from mountfs.statedir import StateDirectory

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer  # collections.abc.Buffer from Python 3.12 on

_KINDS: dict[int, tuple[type[MountfsError], str]] = {
    errno.ENOENT: (NotFound, "not found"),
    errno.EEXIST: (AlreadyExists, "exists already"),
    errno.ENOTEMPTY: (NotEmpty, "not empty"),
    errno.ENOTDIR: (NotADirectory, "not a directory"),
    errno.EISDIR: (IsADirectory, "is a directory"),
    errno.EROFS: (ReadOnlyView, "a view is read-only"),
    errno.EPERM: (Protected, "refused"),
    errno.EACCES: (Protected, "permission denied"),
    errno.EINVAL: (InvalidArgument, "not accepted"),
    errno.ENAMETOOLONG: (NameTooLong, "a name of more than 255 bytes"),
    errno.EFBIG: (ArtifactTooLarge, "exceeds limit of one artifact"),
    errno.E2BIG: (TagTooLarge, "too many tags, or a tag too large"),
    errno.EDQUOT: (QuotaExceeded, "the quota is used up"),
    errno.ENOSPC: (CacheFull, "no space left on the disk that holds the state directory"),
    errno.ENODATA: (TagNotFound, "no such tag"),
    errno.ENOTCONN: (NotMounted, "the daemon of the mount has ended: mount again"),
    errno.ETIMEDOUT: (RemoteUnavailable, "the bucket does not answer in time"),
}

HEADS_SECONDS = 120.0  # `sync.patience_seconds` and more
URL_SECONDS = 3600.0  # a large content may have to be uploaded first
INDEX_SECONDS = 600.0  # a catalog of before there was an index is read whole, once
DELETE_SECONDS = 3600.0  # a million artifacts take minutes, in which others are served

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class MountedStore(ArtifactStore):
    """A store behind a live mount."""

    def __init__(self, state: Path, *, mountpoint: Path, rules: TypeRules) -> None:
        catalog = Catalog.open(StateDirectory(state).catalog, read_only=True)
        super().__init__(mountpoint=mountpoint, state=state, catalog=catalog, rules=rules)

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
        self._refuse_if_pinned(names)
        with self._translated(names), self._directory(names[:-1], make=True) as directory:
            self._write(directory, names, data, attributes)
        return self.metadata(namespace.join_key(names))

    def _write(self, directory: int, names: Names, data: Data, attributes: Mapping[bytes, bytes]) -> None:
        """Write under a name of its own, then rename over: a reader sees all or nothing."""
        draft = f".put-{secrets.token_hex(8)}"
        try:
            with open(draft, "xb", buffering=0, opener=lambda path, flags: _openat(path, flags, directory)) as file:
                os.fchmod(file.fileno(), mode_of(data, umask()))
                for attribute, value in attributes.items():
                    os.setxattr(file.fileno(), attribute, value)
                for piece in pieces_of(data):
                    _write_all(file, piece)
            self._rename(directory, os.fsencode(draft), names)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft, dir_fd=directory)
            raise

    def _rename(self, directory: int, draft: bytes, names: Names) -> None:
        """Over what another machine wrote the daemon does it: the mount takes this for a tool that wipes a tree."""
        try:
            os.rename(draft, names[-1], src_dir_fd=directory, dst_dir_fd=directory)
        except PermissionError:
            if not self._has_bucket():
                raise
            draft_key = namespace.join_key((*names[:-1], draft))
            client.ask(self.state, "replace", key=namespace.join_key(names), draft=draft_key)

    def delete(self, key: Key) -> bool:
        names = names_of(key, self.mountpoint)
        try:
            client.ask(self.state, "delete", timeout=DELETE_SECONDS, key=namespace.join_key(names))
        except NotFound:
            return False
        return True

    def tag(self, key: Key, **tags: object) -> None:
        names = names_of(key, self.mountpoint)
        attributes = tag_attributes(tags)
        with self._tagged(names) as path:
            for name, value in attributes.items():
                os.setxattr(path, name, value, follow_symlinks=False)

    def untag(self, key: Key, *keys: str) -> None:
        names = names_of(key, self.mountpoint)
        attributes = tag_attributes(dict.fromkeys(keys, ""))
        with self._tagged(names) as path:
            for name in attributes:
                os.removexattr(path, name, follow_symlinks=False)

    def _set_pinned(self, names: Names, value: bytes) -> None:
        with self._tagged(names) as path:
            os.setxattr(path, PINNED, value, follow_symlinks=False)

    def _patience_seconds(self) -> float | None:
        found = client.ask(self.state, "barrier").get("patience_seconds")
        return None if found is None else float(str(found))

    @contextlib.contextmanager
    def _tagged(self, names: Names) -> Iterator[bytes]:
        """A path of what is tagged that no symlink of the store is part of."""
        try:
            with self._translated(names), self._directory(names[:-1], make=False) as directory:
                if stat.S_ISLNK(os.stat(names[-1], dir_fd=directory, follow_symlinks=False).st_mode):
                    raise no_tags_on_symlink(namespace.join_key(names))
                yield b"/proc/self/fd/%d/%s" % (directory, names[-1])
        except NotFound:
            self._be_sure(names[0])
            raise

    @contextlib.contextmanager
    def _directory(self, names: Names, *, make: bool) -> Iterator[int]:
        """A directory, opened name by name: a symlink on the way is no directory, as on the direct route."""
        directory = os.open(self.mountpoint, _DIRECTORY)
        try:
            for name in names:
                below = _open_directory(directory, name, make=make)
                os.close(directory)
                directory = below
            yield directory
        finally:
            os.close(directory)

    def path(self, key: Key) -> Path:
        return self._path(names_of(key, self.mountpoint))

    def flush(self, key: Key | None = None, *, timeout: float | None = None) -> None:
        keys = [] if key is None else [namespace.join_key(names_of(key, self.mountpoint))]
        ask = partial(client.ask, self.state)
        if not follow(ask, "flush", seconds=timeout, told=_heard, keys=keys):
            raise RemoteUnavailable(
                f"not in the bucket within {timeout:g} seconds; it is kept, and sent when it can be"
            )

    def close(self) -> None:
        self._catalog.close()

    def _url(self, names: Names, *, seconds: int, plain: bool) -> str | None:
        if not self._has_bucket():
            return None
        key = namespace.join_key(names)
        return str(client.ask(self.state, "url", timeout=URL_SECONDS, key=key, seconds=seconds, plain=plain)["url"])

    def _ask(self, op: str, *, timeout: float | None = None, **arguments: object) -> dict[str, object]:
        return client.ask(self.state, op, timeout=timeout, **arguments)

    def _index(self) -> None:
        client.ask(self.state, "barrier", indexed=True, timeout=INDEX_SECONDS)

    def _look(self, jobs: Sequence[bytes]) -> None:
        """Whoever looks into a job through the mount has the daemon look in the bucket."""
        if not self._has_bucket():
            return
        client.ask(self.state, "barrier")  # a daemon that hangs would keep us for ever
        for job in jobs:
            with self._asking((job,)):
                _look_into(os.path.join(os.fsencode(self.mountpoint), job))

    def _look_at_root(self) -> None:
        if self._has_bucket():
            client.ask(self.state, "barrier")
            with self._asking(()):
                _look_into(os.fsencode(self.mountpoint))

    def _be_sure(self, job: bytes) -> None:
        if not self._has_bucket():
            return
        bucket = client.ask(self.state, "status").get("bucket")
        if isinstance(bucket, dict) and bucket.get("down"):
            raise RemoteUnavailable(f"{namespace.join_key((job,))}: not known here, and: {bucket['down']}")

    def _has_bucket(self) -> bool:
        return self._catalog.meta("owes") is not None

    @contextlib.contextmanager
    def _asking(self, names: Names) -> Iterator[None]:
        """Nothing of that name is an answer too; anything else is the bucket's."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return
        except OSError as error:
            raise self._meant(error, namespace.join_key(names) if names else str(self.mountpoint)) from error

    def _path(self, names: Names) -> Path:
        return self.mountpoint.joinpath(*map(os.fsdecode, names))

    def _refresh(self) -> None:
        states = client.ask(self.state, "barrier").get("states")
        self._facts.jobs = states if isinstance(states, dict) else {}

    def heads(self, key: str, value: bytes, *, limit: int, is_beginning: bool = False) -> Sequence[Candidate]:
        if self.knows_all or not self._has_bucket():
            return []
        said = value.decode("utf-8", "surrogateescape")
        answer = client.ask(
            self.state, "heads", timeout=HEADS_SECONDS, key=key, value=said, limit=limit, beginning=is_beginning
        )
        return of_answer(answer)

    def expect(self, inos: Sequence[int]) -> None:
        if self._has_bucket():
            client.ask(self.state, "expect", inos=list(inos))

    def _await_digest(self, names: Names) -> None:
        """Asking for the fact waits for it, and for nothing else."""
        with contextlib.suppress(OSError), self._directory(names[:-1], make=False) as directory:
            path = b"/proc/self/fd/%d/%s" % (directory, names[-1])
            os.getxattr(path, b"user.mountfs.sha256", follow_symlinks=False)

    def _open(self, names: Names, entry: Entry) -> BinaryIO:
        """By its directory: mountpoint and key may be longer together than a path that a system call takes."""
        with self._translated(names), self._directory(names[:-1], make=False) as directory:
            fd = os.open(names[-1], os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory)
            return io.BufferedReader(_MountFile(fd, namespace.join_key(names), self._meant), buffer_size=PIECE_BYTES)

    @contextlib.contextmanager
    def _translated(self, names: Names) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._meant(error, namespace.join_key(names)) from error

    def _meant(self, error: OSError, key: str) -> MountfsError:
        """The error behind an errno, with the daemon's own sentence where it remembers one."""
        if error.errno == errno.EACCES and (said := self._refusal(RemoteDenied, of=key)):
            return RemoteDenied(f"{key}: {said}")
        kind, sentence = _KINDS.get(error.errno or 0, (DeadlineExceeded, error.strerror or "failed"))
        return kind(f"{key}: {self._refusal(kind) or sentence}")

    def _refusal(self, kind: type[MountfsError], *, of: str | None = None) -> str | None:
        with contextlib.suppress(MountfsError):
            refusals = client.ask(self.state, "status", timeout=5).get("refusals")
            for refusal in reversed(refusals if isinstance(refusals, list) else []):
                if of is not None and refusal.get("path") != of:
                    continue
                # the kernel does not say who writes: then the pid is 0
                if refusal.get("pid") in (os.getpid(), 0) and refusal.get("error") == kind.__name__:
                    return str(refusal["sentence"])
        return None


class _MountFile(io.FileIO):
    """A file of the mount whose damage is CorruptContent, as on the other route; `meant` says what another error is."""

    def __init__(self, fd: int, key: str, meant: Callable[[OSError, str], MountfsError]) -> None:
        super().__init__(fd, "rb")
        self._key = key
        self._meant = meant

    def readinto(self, buffer: "Buffer") -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise self._read_error(error) from error

    def readall(self) -> bytes:
        try:
            return super().readall() or b""
        except OSError as error:
            raise self._read_error(error) from error

    def _read_error(self, error: OSError) -> MountfsError:
        if error.errno == errno.EIO:
            said = "integrity check failed; `mountfs show` and the log of the daemon say more"
            return CorruptContent(f"{self._key}: {said}")
        return self._meant(error, self._key)


def _look_into(path: bytes) -> None:
    """The first entry is enough: who opens a directory waits until it is known what lies in it."""
    with os.scandir(path) as entries:
        next(entries, None)


def _heard(answer: Mapping[str, object]) -> None:
    """How far it is: nobody asked."""


def _open_directory(parent: int, name: bytes, *, make: bool) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=parent)
    return os.open(name, _DIRECTORY, dir_fd=parent)


def _openat(path: str, flags: int, directory: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666, dir_fd=directory)


def _write_all(file: io.FileIO, piece: bytes | memoryview) -> None:
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]
