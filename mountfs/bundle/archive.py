"""The ZIP around a bundle: members stored as they are, none of them compressed again, the manifest last.

What it keeps true: the same members make the same bytes; where the data of a member lies is known when it is added;
and the last bytes of an object tell where its manifest lies, or that it is no bundle. Only this layout is read: what
another program has packed anew is foreign.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from mountfs.errors import CorruptContent, MountfsError

MANIFEST_NAME: Final = "manifest.jsonl.zst"

TAIL_BYTES: Final = 256 << 10
"""What to ask for first: it holds directory and manifest of about 1,000 members; a longer one needs a second read."""

MOST_OBJECT_BYTES: Final = 256 << 20
MOST_STORED_MANIFEST_BYTES: Final = 64 << 20
MOST_MEMBERS: Final = 0xFFFE
"""The manifest included; with one more the directory would need the ZIP64 form."""

_LOCAL: Final = struct.Struct("<IHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<IHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<IHHHHIIH")
_LOCAL_MAGIC: Final = 0x04034B50
_CENTRAL_MAGIC: Final = 0x02014B50
_END_MAGIC: Final = 0x06054B50
_VERSION: Final = 10  # 1.0: stored members need no more
_MADE_BY: Final = 3 << 8 | 20  # Unix, so that `unzip` takes the permissions below
_NEVER: Final = 0x21  # 1980-01-01, the first day of ZIP
_READABLE: Final = 0o100644 << 16

MANIFEST_HEADER_BYTES: Final = _LOCAL.size + len(MANIFEST_NAME)
_LAST_BYTES: Final = _CENTRAL.size + len(MANIFEST_NAME) + _END.size


class DoesNotFit(MountfsError, ValueError):
    """More than one bundle takes: whoever packs makes two of it."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A range of an object."""

    offset: int
    length: int

    def within(self, tail: bytes, *, object_bytes: int) -> bytes | None:
        """These bytes, if the object's last ones hold them all."""
        at = self.offset - (object_bytes - len(tail))
        return None if at < 0 else tail[at : at + self.length]


def header_bytes(name: str) -> int:
    """What stands before the data of a member of that name."""
    return _LOCAL.size + len(name)


def overhead_bytes(name: str) -> int:
    """What a member of that name costs beside its data: for whoever plans how much fits."""
    return _LOCAL.size + _CENTRAL.size + 2 * len(name)


class Archive:
    """A ZIP that is being written."""

    def __init__(self) -> None:
        self.size = 0
        self._pieces: list[bytes] = []
        self._directory: list[bytes] = []

    def add(self, name: str, data: bytes) -> int:
        """Append a member, and say where its data begins."""
        raw = name.encode("ascii")
        told = (_VERSION, 0, 0, 0, _NEVER, zlib.crc32(data), len(data), len(data), len(raw), 0)
        self._directory.append(_CENTRAL.pack(_CENTRAL_MAGIC, _MADE_BY, *told, 0, 0, 0, _READABLE, self.size) + raw)
        self._pieces += (_LOCAL.pack(_LOCAL_MAGIC, *told) + raw, data)
        offset = self.size + _LOCAL.size + len(raw)
        self.size = offset + len(data)
        return offset

    def finish(self) -> bytes:
        """All of it. Raises DoesNotFit for what `find_manifest` would not read."""
        count, directory = len(self._directory), b"".join(self._directory)
        end = _END.pack(_END_MAGIC, 0, 0, count, count, len(directory), self.size, 0)
        total = self.size + len(directory) + len(end)
        if count > MOST_MEMBERS or total > MOST_OBJECT_BYTES:
            raise DoesNotFit(f"{count} members, {total} bytes: allowed are {MOST_MEMBERS} and {MOST_OBJECT_BYTES}")
        return b"".join([*self._pieces, directory, end])


def find_manifest(tail: bytes, *, object_bytes: int) -> Extent:
    """Where in a bundle its manifest lies, told by its last bytes: TAIL_BYTES of them, or the whole object.

    Raises CorruptContent for what was cut off and for what no `Archive` wrote.
    """
    if object_bytes > MOST_OBJECT_BYTES:
        raise _no_bundle(f"{object_bytes} bytes; allowed: up to {MOST_OBJECT_BYTES}")
    if not _LAST_BYTES <= len(tail) <= object_bytes:
        raise _no_bundle(f"{object_bytes} bytes, of which {len(tail)} were read")
    directory_offset = _check_end(tail[-_END.size :], object_bytes)
    extent = _last_member(tail[-_LAST_BYTES : -_END.size])
    if extent.offset + extent.length != directory_offset:
        raise _no_bundle("its manifest does not end where its directory begins")
    _check_local_header(tail, extent, object_bytes)
    return extent


def _check_end(raw: bytes, object_bytes: int) -> int:
    """Where the directory begins, from the end record."""
    magic, disk, first_disk, here, count, length, offset, comment = _END.unpack(raw)
    if magic != _END_MAGIC:
        raise _no_bundle("no end record: cut off, or another file")
    if disk or first_disk or comment or here != count or not 0 < count <= MOST_MEMBERS:
        raise _no_bundle("an end record of another kind of ZIP")
    if length < count * _CENTRAL.size or offset + length + _END.size != object_bytes:
        raise _no_bundle(f"a directory of {length} bytes at {offset} in {object_bytes}")
    return int(offset)


def _last_member(raw: bytes) -> Extent:
    """Where the data of the manifest lies, from its entry in the directory."""
    magic, _, _, flags, method, _, _, _, stored, plain, name, extra, comment, disk, _, _, at = _CENTRAL.unpack_from(raw)
    if magic != _CENTRAL_MAGIC or name != len(MANIFEST_NAME) or raw[_CENTRAL.size :] != MANIFEST_NAME.encode():
        raise _no_bundle(f"its last member is not {MANIFEST_NAME}")
    if flags or method or extra or comment or disk or stored != plain:
        raise _no_bundle("its manifest is not stored as it is")
    if not 0 < stored <= MOST_STORED_MANIFEST_BYTES:
        raise _no_bundle(f"a manifest of {stored} bytes; allowed: up to {MOST_STORED_MANIFEST_BYTES}")
    return Extent(at + MANIFEST_HEADER_BYTES, stored)


def _check_local_header(tail: bytes, extent: Extent, object_bytes: int) -> None:
    header = Extent(extent.offset - MANIFEST_HEADER_BYTES, MANIFEST_HEADER_BYTES)
    raw = header.within(tail, object_bytes=object_bytes)
    if raw is not None and (_LOCAL.unpack_from(raw)[0] != _LOCAL_MAGIC or raw[_LOCAL.size :] != MANIFEST_NAME.encode()):
        raise _no_bundle("no manifest where its directory says")


def _no_bundle(what: str) -> CorruptContent:
    return CorruptContent(f"integrity check failed: no bundle: {what}")
