"""A record as a value and as a line."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mountfs.errors import MountfsError
from mountfs.namespace import check_name
from mountfs.namespace.keys import shown
from mountfs.records.registers import check_register
from mountfs.records.values import (
    Fields,
    RecordRefused,
    Value,
    bytes_of_field,
    canonical,
    field_of_bytes,
    parse_line,
)

STAMP: Final = re.compile(r"(?!f{12})[0-9a-f]{12}-[0-9a-f]{4}-[0-9a-f]{8}")
"""The last millisecond is no stamp: there would be none of the same width above it."""

MOST_PATH_BYTES: Final = 4096
MOST_REGISTERS: Final = 512  # of one record: 64 tags and 256 other attributes leave room

_PLAIN_PATH: Final = re.compile(rb"[A-Za-z0-9_-][^/\0]{0,254}(?:/[A-Za-z0-9_-][^/\0]{0,254})*")
"""Nearly every path; the others are looked at name by name."""


@dataclass(frozen=True, slots=True)
class Record:
    """One change to one path at one stamp. `path` is below the job, b"" the job itself.

    `line` is the record as it was written, without a newline; merges pass it on byte for byte. b"" until then.
    """

    path: bytes
    stamp: str
    clear: bool
    set: Mapping[str, Value]
    line: bytes = b""

    def encoded(self) -> bytes:
        """The record as a line: as it was written, or compact JSON with sorted keys."""
        if self.line:
            return self.line
        fields: Fields = {"stamp": self.stamp, "set": dict(self.set), **field_of_bytes("path", self.path)}
        if self.clear:
            fields["clear"] = True
        return canonical(fields).encode()


def decode_record(line: bytes) -> Record:
    """The record that a line holds. Raises RecordRefused with the reason."""
    return record_of(parse_line(line), line)


def record_of(fields: Mapping[str, Value], line: bytes) -> Record:
    """The record of a line that was parsed already. Raises RecordRefused."""
    stamp, clear, registers = fields.get("stamp"), fields.get("clear", False), fields.get("set", {})
    if not isinstance(stamp, str) or not STAMP.fullmatch(stamp):
        raise RecordRefused("no stamp")
    if not isinstance(clear, bool):
        raise RecordRefused("clear: neither true nor false")
    path = bytes_of_field(fields, "path")
    _check_path(path)
    if not isinstance(registers, dict) or len(registers) > MOST_REGISTERS:
        raise RecordRefused(f"set: no object of up to {MOST_REGISTERS} registers")
    for name, value in registers.items():
        try:
            check_register(name, value)
        except RecordRefused as error:
            raise RecordRefused(f"{shown(path)}: register {shown(name)}: {error}") from None
    if not path:
        _check_job(registers.get("content"))
    return Record(path, stamp, clear, registers, line)


def _check_path(path: bytes) -> None:
    if len(path) > MOST_PATH_BYTES:
        raise RecordRefused(f"a path of {len(path)} bytes; allowed: up to {MOST_PATH_BYTES}")
    if path and not _PLAIN_PATH.fullmatch(path):
        _check_names(path)


def _check_names(path: bytes) -> None:
    try:
        for name in path.split(b"/"):
            check_name(name)
    except MountfsError as error:
        raise RecordRefused(f"path {shown(path)}: {error}") from None


def _check_job(content: Value) -> None:
    if isinstance(content, dict) and content.get("kind") != "directory":
        raise RecordRefused("a job that is no directory")


_NS: Final = rb"(0|[1-9][0-9]{0,17}|1[0-9]{18})"
_SIZE: Final = rb"([1-9][0-9]{0,17})"
_ID: Final = rb"(0|[1-9][0-9]{0,8})"
_NAME: Final = rb"[A-Za-z0-9_-][ !#-.0-\[\]-~]{0,254}"
_USUAL_FILE: Final = re.compile(
    rb'\{"path":"(' + _NAME + rb"(?:/" + _NAME + rb')*)","set":\{"content":\{"codec":"zstd","created_at":' + _NS
    + rb',"digest":"([0-9a-f]{64})","kind":"file","mtime":(?:0|[1-9][0-9]{0,17}|1[0-9]{18}),"size":' + _SIZE
    + rb',"stored":' + _SIZE
    + rb'\},"mode":([0-9]|[1-9][0-9]{1,2}|[1-3][0-9]{3}),"mtime":' + _NS + rb',"owner":\[' + _ID + rb"," + _ID
    + rb'\]\},(?:"sig":"[^"\\\x00-\x1f\x7f-\xff]{0,1000}",)?"stamp":"(' + STAMP.pattern.encode() + rb')"\}'
)  # fmt: skip
"""A compressed file as `Record.encoded` writes it: nearly every line of most jobs."""


def match_usual_file(line: bytes) -> re.Match[bytes] | None:
    """(path, created_at, digest, size, stored, mode, mtime, uid, gid, stamp) of a line that tells of a file and nothing
    unusual; None says nothing: `decode_record` judges then.

    For whoever reads hundreds of thousands: what it matches `decode_record` accepts, in five times the time.
    """
    found = _USUAL_FILE.fullmatch(line)
    return found if found is not None and found.end(1) - found.start(1) <= MOST_PATH_BYTES else None
