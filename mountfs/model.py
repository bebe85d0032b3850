"""The words of mountfs as values: parsed once at the edge, compared and passed around inside.

No clock, no I/O, no library. Sizes are bytes, times are nanoseconds since the epoch unless the name says
otherwise.
"""

import enum
import hashlib
from dataclasses import dataclass, field
from typing import NewType

Ino = NewType("Ino", int)
"""Inode number: primary key of an entry, stable over restarts, never reused."""

ROOT_INO = Ino(1)


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

    `key` is `<job>/<path>`; `sha256` is lower-case hex and None only while the hash is still running.
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

    @property
    def compressed(self) -> bool:
        return self.codec == Codec.ZSTD
