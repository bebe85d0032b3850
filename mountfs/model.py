"""The words of mountfs as values: parsed once at the edge, compared and passed around inside.

No I/O, no library, and no clock but where a question is about now. Sizes are bytes, times are nanoseconds since
the epoch unless the name says otherwise.
"""

import enum
import hashlib
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import NewType

Ino = NewType("Ino", int)
"""Inode number: primary key of an entry, stable over restarts, never reused."""

ROOT_INO = Ino(1)

SCHEMA = 1
"""The number of the shapes that programs are given, by `--json` and by virtual files alike."""


class Digest(bytes):
    """SHA-256 of plain bytes: always 32 of them, never a maybe-string."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> "Digest":
        if len(raw) != 32:
            raise ValueError(f"a digest has 32 bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def of(cls, plain: bytes | bytearray | memoryview) -> "Digest":
        return cls(hashlib.sha256(plain).digest())


class Kind(enum.IntEnum):
    """What an entry is. Hard links, devices, sockets and FIFOs do not exist here."""

    FILE = 1
    DIRECTORY = 2
    SYMLINK = 3


class Codec(enum.StrEnum):
    """How stored bytes relate to plain ones."""

    ZSTD = "zstd"
    RAW = "none"


class State(enum.StrEnum):
    """Where the content of an artifact stands on its way to the bucket (DESIGN §3)."""

    DRAFT = "draft"
    LOCAL = "local"
    UPLOADING = "uploading"
    REMOTE = "remote"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Everything known about one artifact, for callers of the API and `--json`.

    `key` is `<job>/<path>`; `sha256` is lower-case hex and None only while the hash is still running. `format` is that
    of a report; its `summary` has a `status`, parsed, unreadable or unknown, and is None while nobody has looked.
    """

    key: str
    job: str
    path: str
    kind: str
    type: str
    mime_type: str
    size: int
    stored_size: int
    sha256: str | None
    codec: str
    state: str
    created_at: str
    modified_at: str
    expires_at: str | None
    pinned: bool
    recovered: bool
    version: int
    uri: str
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, object] = field(default_factory=dict)
    damaged: bool = False
    format: str | None = None
    summary: dict[str, object] | None = None

    def is_expired(self, *, now: datetime | None = None) -> bool:
        """Whether `expires_at` has passed; never without one."""
        if self.expires_at is None:
            return False
        return datetime.fromisoformat(self.expires_at) <= (now or datetime.now(UTC))

    @property
    def compressed(self) -> bool:
        return self.codec == Codec.ZSTD

    @property
    def is_being_hashed(self) -> bool:
        """Whether its digest is known in a moment; that of a draft comes with its end."""
        return self.sha256 is None and self.kind == "file" and self.state != State.DRAFT

    def fields(self) -> dict[str, object]:
        """Its shape in JSON, the only one there is. Not copied: `asdict` takes as long as all questions about it."""
        return {**{name: getattr(self, name) for name in _ARTIFACT}, "compressed": self.compressed}


_ARTIFACT = tuple(each.name for each in fields(Artifact))


class Standing(enum.StrEnum):
    """How much the writer has said about the published content of an entry."""

    CLOSED = "closed"  # close(2) answered 0
    PROVISIONAL = "provisional"  # published by fsync or because the file is new; its writer has not closed it
    RECOVERED = "recovered"  # was provisional, or not yet synced, when the daemon or the machine died


class Owed:
    """Bits of `Entry.owed`: which of its registers the bucket has not confirmed, and what it knows of it at all."""

    CONTENT, MODE, OWNER, MTIME = 1, 2, 4, 8
    ALL = 15  # everything an entry is made of
    CLEAR = 16  # with its content goes a word that voids an earlier life of its path
    ANY = 31
    KNOWN = 32  # the bucket holds it, or may


class Place(enum.StrEnum):
    """Where the bytes of a content lie on this machine."""

    JOURNAL = "journal"  # plain, in a journal segment, waiting to be settled
    DRAFT = "draft"  # plain, in a draft file that may still grow
    CATALOG = "catalog"  # stored form, in the catalog itself (small)
    FILE = "file"  # stored form, in a file named by its digest
    BUCKET = "bucket"  # not here: evicted, or written by another machine


@dataclass(slots=True)
class Entry:
    """One name in the tree. Mutable: the live state of an open file is such a value too.

    `mode` holds permission bits only (07777); `size` is the plain size; `stored` what it costs on disk;
    `content` is the id of its content, None for directories, symlinks and empty files.
    `stamp` is that of the content register; the stamps of mode, owner and mtime are None where they are the same.
    A directory that exists only because something below it does has the empty stamp. `owed` are bits of `Owed`.
    """

    ino: int
    parent: int
    name: bytes
    kind: int
    mode: int
    uid: int
    gid: int
    size: int
    atime_ns: int
    mtime_ns: int
    ctime_ns: int
    birth_ns: int
    content: int | None
    target: bytes | None
    stamp: str
    standing: str = Standing.CLOSED
    mode_stamp: str | None = None
    owner_stamp: str | None = None
    mtime_stamp: str | None = None
    owed: int = 0
    stored: int = 0

    def copy(self) -> "Entry":
        """A value of its own; a fifth of the time of `dataclasses.replace`, and every write needs one."""
        return Entry(
            self.ino, self.parent, self.name, self.kind, self.mode, self.uid, self.gid, self.size,
            self.atime_ns, self.mtime_ns, self.ctime_ns, self.birth_ns, self.content, self.target, self.stamp,
            self.standing, self.mode_stamp, self.owner_stamp, self.mtime_stamp, self.owed, self.stored,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Content:
    """One content as the catalog knows it. `data` is not part of it: see `Catalog.content_data`."""

    id: int
    place: str
    digest: Digest | None
    size: int
    stored: int
    codec: str = Codec.RAW
    sums: bytes = b""
    segment: int = 0
    offset: int = 0
    damaged: bool = False

    @classmethod
    def in_journal(cls, content_id: int, size: int, *, segment: int, offset: int) -> "Content":
        """Plain bytes in a journal segment, not settled yet."""
        return cls(content_id, Place.JOURNAL, None, size, size, segment=segment, offset=offset)
