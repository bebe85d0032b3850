"""Places: where in the bucket the stored bytes of a content lie, and the lines of manifests that say so."""

import hashlib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mountfs.bundle.archive import MOST_MEMBERS, MOST_OBJECT_BYTES, header_bytes
from mountfs.codec import FRAME_BYTES
from mountfs.errors import CorruptContent
from mountfs.model import Codec, Digest
from mountfs.namespace import PLAIN_TEXT
from mountfs.objects import LargeName, parse_object
from mountfs.records import (
    Fields,
    RecordRefused,
    Value,
    canonical,
    from_base64,
    parse_line,
    take_codec,
    take_digest,
    take_hash,
    take_int,
    to_base64,
)

_KNOWN: Final = frozenset({"digest", "codec", "size", "stored", "object", "offset", "sum", "sums", "dead_since"})


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a content in one job.

    `object` is the name of a large object under the same job; None for a member of the bundle whose manifest this
    is, with its data at `offset`. `sum` is the SHA-256 of the stored bytes in hex; `sums`, of raw content, what
    `codec.pack_sums` made. `dead_since_ms` is the server's time since when nothing refers to it, as far as merges know.
    `line` is the line that said all this.
    """

    digest: Digest
    codec: Codec
    size: int
    stored: int
    object: str | None
    offset: int
    sum: str
    sums: bytes
    dead_since_ms: int | None
    line: bytes = b""


@dataclass(frozen=True, slots=True)
class Member:
    """A content on its way into a bundle, `data` as it is stored.

    `line` is what its old bundle said of it, when it comes from one: what we do not know in there goes along.
    `mime` is what its first bytes tell, where it came to stay here.
    """

    digest: Digest
    codec: Codec
    size: int
    data: bytes
    sum: str = ""
    sums: bytes = b""
    dead_since_ms: int | None = None
    line: bytes = b""
    mime: str = PLAIN_TEXT

    @classmethod
    def carried(cls, place: Place, data: bytes, *, dead_since_ms: int | None) -> "Member":
        """A member of another bundle, as a merge carries it. Raises CorruptContent when these are not its bytes."""
        check_member(place, data)
        return cls(place.digest, place.codec, place.size, data, place.sum, place.sums, dead_since_ms, place.line)

    def placed(self, offset: int) -> Place:
        """The place that it has in the bundle now. Raises RecordRefused."""
        checksum = self.sum or hashlib.sha256(self.data).hexdigest()
        place = Place(
            self.digest, self.codec, self.size, len(self.data), None, offset, checksum, self.sums,
            self.dead_since_ms, self.line,
        )  # fmt: skip
        return with_line(place)


def member_name(digest: Digest, codec: Codec) -> str:
    """The name of a content in the ZIP: `<sha256>.zst`, or `<sha256>` if raw."""
    return f"{digest.hex()}.zst" if codec is Codec.ZSTD else digest.hex()


def with_line(place: Place) -> Place:
    """The place with the line that says it, and what its old line said that we do not know.

    Raises RecordRefused for a place that readers would refuse.
    """
    fields: Fields = {
        "digest": place.digest.hex(), "codec": place.codec.value, "size": place.size, "stored": place.stored,
        "sum": place.sum,
    }  # fmt: skip
    if place.object is None:
        fields["offset"] = place.offset
    else:
        fields["object"] = place.object
    if place.sums:
        fields["sums"] = to_base64(place.sums)
    if place.dead_since_ms is not None:
        fields["dead_since"] = place.dead_since_ms
    if place.line:
        fields |= {name: value for name, value in parse_line(place.line).items() if name not in _KNOWN}
    return place_of(fields, canonical(fields).encode())


def place_of(fields: Mapping[str, Value], line: bytes) -> Place:
    """The place that a parsed line says, as far as one line can be judged. Raises RecordRefused."""
    digest, codec, named = take_digest(fields), take_codec(fields), fields.get("object")
    size = take_int(fields, "size", least=1)
    stored = take_int(fields, "stored", least=1)
    dead_since_ms = take_int(fields, "dead_since") if "dead_since" in fields else None
    if codec is Codec.RAW and stored != size:
        raise RecordRefused(f"{size} raw bytes stored as {stored}")
    if named is not None and not _is_large(named, digest, codec):
        raise RecordRefused("object: no name of a large object with that content")
    offset = take_int(fields, "offset", most=MOST_OBJECT_BYTES) if named is None else 0
    return Place(
        digest, codec, size, stored, named if isinstance(named, str) else None, offset,
        take_hash(fields, "sum"), _sums(fields, codec, size), dead_since_ms, line,
    )  # fmt: skip


def _is_large(name: Value, digest: Digest, codec: Codec) -> bool:
    found = parse_object(name) if isinstance(name, str) else None
    return isinstance(found, LargeName) and (found.digest, found.codec) == (digest, codec)


def _sums(fields: Mapping[str, Value], codec: Codec, size: int) -> bytes:
    """Raw content has a checksum for each piece; what is compressed carries them itself."""
    sums = from_base64(fields["sums"]) if "sums" in fields else b""
    if len(sums) != (4 * -(-size // FRAME_BYTES) if codec is Codec.RAW else 0):
        raise RecordRefused(f"sums: {len(sums)} bytes of checksums for {size} bytes, codec {codec.value}")
    return sums


class Ground:
    """What the places of one manifest take up, so that no two of them can both be right where only one is."""

    def __init__(self, end: int) -> None:
        """`end`: where in the bundle the members end."""
        self._end = end
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._names: set[str] = set()

    def take(self, place: Place) -> None:
        """Give that place its ground. Raises RecordRefused when it lies outside, or another is there already."""
        name = place.object or member_name(place.digest, place.codec)
        if name in self._names:
            raise RecordRefused(f"{name} for a second time")
        if place.object is None:
            # with the header before it, so that members leave no room between them for a lie
            self._take(place.offset - header_bytes(name), place.offset + place.stored)
        self._names.add(name)

    def _take(self, start: int, end: int) -> None:
        if start < 0 or end > self._end:
            raise RecordRefused(f"bytes {start} to {end}; members end at {self._end}")
        if len(self._starts) == MOST_MEMBERS:
            raise RecordRefused(f"more than {MOST_MEMBERS} members")
        at = bisect_left(self._ends, start + 1)
        if at < len(self._starts) and self._starts[at] < end:
            raise RecordRefused(f"bytes {start} to {end} are another member's")
        self._starts.insert(at, start)
        self._ends.insert(at, end)


def check_member(place: Place, data: bytes) -> None:
    """Return only when these are the stored bytes of that place, whole; CorruptContent otherwise."""
    if len(data) != place.stored:
        raise CorruptContent(f"integrity check failed: {len(data)} stored bytes instead of {place.stored}")
    if hashlib.sha256(data).hexdigest() != place.sum:
        raise CorruptContent("integrity check failed: stored bytes of another checksum than recorded")


def member_in(bundle: bytes, place: Place) -> bytes:
    """The stored bytes of a member, from its whole bundle. Raises CorruptContent."""
    if place.object is not None:
        raise ValueError(f"{place.object} is an object of its own")
    data = bundle[place.offset : place.offset + place.stored]
    check_member(place, data)
    return data
