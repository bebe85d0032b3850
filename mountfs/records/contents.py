"""What the content register of a path says: a file, a directory or a symlink."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mountfs.model import Codec, Digest
from mountfs.records.values import (
    HASH,
    MOST_INT,
    Fields,
    RecordRefused,
    Value,
    bytes_of_field,
    field_of_bytes,
    take_codec,
    take_digest,
    take_int,
)

MOST_TARGET_BYTES: Final = 4095


@dataclass(frozen=True, slots=True)
class FileContent:
    """A file; an empty one has no digest, and costs nothing."""

    digest: Digest | None
    size: int
    stored: int
    codec: Codec
    mtime_ns: int
    created_ns: int

    def to_value(self) -> Value:
        digest: Fields = {} if self.digest is None else {"digest": self.digest.hex()}
        return {
            "kind": "file", "size": self.size, "stored": self.stored, "codec": self.codec.value,
            "mtime": self.mtime_ns, "created_at": self.created_ns, **digest,
        }  # fmt: skip

    @classmethod
    def from_value(cls, value: Value) -> "FileContent":
        """Raises RecordRefused."""
        fields = _of_kind(value, "file")
        size, stored, codec = take_int(fields, "size"), take_int(fields, "stored"), take_codec(fields)
        digest = take_digest(fields) if "digest" in fields else None
        if (digest is None) != (size == 0) or (stored == 0) != (size == 0) or (codec is Codec.RAW and stored != size):
            raise RecordRefused(f"{size} bytes stored as {stored}, {'without' if digest is None else 'with'} a digest")
        return cls(digest, size, stored, codec, take_time(fields, "mtime"), take_time(fields, "created_at"))


@dataclass(frozen=True, slots=True)
class DirectoryContent:
    """A directory that was made; one that is only written below has no content register."""

    created_ns: int
    mtime_ns: int | None = None

    def to_value(self) -> Value:
        mtime: Fields = {} if self.mtime_ns is None else {"mtime": self.mtime_ns}
        return {"kind": "directory", "created_at": self.created_ns, **mtime}

    @classmethod
    def from_value(cls, value: Value) -> "DirectoryContent":
        """Raises RecordRefused."""
        fields = _of_kind(value, "directory")
        return cls(take_time(fields, "created_at"), take_time(fields, "mtime") if "mtime" in fields else None)


@dataclass(frozen=True, slots=True)
class SymlinkContent:
    """A symlink; its target may point anywhere, as everywhere."""

    target: bytes
    mtime_ns: int
    created_ns: int

    def to_value(self) -> Value:
        times: Fields = {"mtime": self.mtime_ns, "created_at": self.created_ns}
        return {"kind": "symlink", **times, **field_of_bytes("target", self.target)}

    @classmethod
    def from_value(cls, value: Value) -> "SymlinkContent":
        """Raises RecordRefused."""
        fields = _of_kind(value, "symlink")
        target = bytes_of_field(fields, "target")
        if not 0 < len(target) <= MOST_TARGET_BYTES or b"\0" in target:
            raise RecordRefused("no target of a symlink")
        return cls(target, take_time(fields, "mtime"), take_time(fields, "created_at"))


ContentValue = FileContent | DirectoryContent | SymlinkContent


def content_of(value: Value) -> ContentValue:
    """The content that a register holds. Raises RecordRefused, also for None: that is no content."""
    match value.get("kind") if isinstance(value, dict) else None:
        case "file":
            return FileContent.from_value(value)
        case "directory":
            return DirectoryContent.from_value(value)
        case "symlink":
            return SymlinkContent.from_value(value)
        case _:
            raise RecordRefused("neither file nor directory nor symlink")


def check_content(value: Value) -> None:
    """Accept what `content_of` would take. Raises RecordRefused."""
    if not (isinstance(value, dict) and _is_usual_file(value)):
        content_of(value)


def _is_usual_file(fields: Fields) -> bool:
    """Whether that is the content of a file beyond doubt: in a third of the time, and it is in nearly every record."""
    size, stored, mtime, created = (
        fields.get("size"),
        fields.get("stored"),
        fields.get("mtime"),
        fields.get("created_at"),
    )
    digest = fields.get("digest")
    return (
        (type(size) is int and type(stored) is int and type(mtime) is int and type(created) is int)
        and (0 < size <= MOST_INT and 0 < stored <= MOST_INT and 0 <= mtime <= MOST_INT and 0 <= created <= MOST_INT)
        and (fields.get("kind") == "file" and fields.get("codec") == "zstd")
        and (isinstance(digest, str) and HASH.fullmatch(digest) is not None)
    )


def take_time(fields: Mapping[str, Value], name: str) -> int:
    """Nanoseconds since the epoch, or before it: `touch -d 1960-01-01` is somebody's right. Raises RecordRefused."""
    return take_int(fields, name, least=-MOST_INT)


def _of_kind(value: Value, kind: str) -> Fields:
    if not isinstance(value, dict) or value.get("kind") != kind:
        raise RecordRefused(f"not of kind {kind}")
    return value
