"""The manifest of a bundle: what it says of contents and records, written and read.

A line each: first what the bundle is, then contents, then records, then what was carried here without being
understood.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mountfs import codec
from mountfs.bundle.archive import (
    MANIFEST_HEADER_BYTES,
    MANIFEST_NAME,
    MOST_OBJECT_BYTES,
    MOST_STORED_MANIFEST_BYTES,
    Archive,
    DoesNotFit,
    Extent,
)
from mountfs.bundle.places import Ground, Member, Place, member_name, place_of, with_line
from mountfs.errors import CorruptContent
from mountfs.namespace.keys import shown
from mountfs.objects import BundleName, parse_object
from mountfs.records import (
    MOST_LINE_BYTES,
    Fields,
    Record,
    RecordRefused,
    bytes_of_field,
    canonical,
    decode_record,
    field_of_bytes,
    parse_line,
    record_of,
    take_int,
)

FORMAT: Final = 1
MOST_BUNDLE_BYTES: Final = 32 << 20
"""What whoever packs aims at; read is what is longer, up to MOST_OBJECT_BYTES."""

MOST_MANIFEST_BYTES: Final = 64 << 20
MOST_LINES: Final = 1 << 17
"""A content and a record for each member that a ZIP can hold; a record takes up to 2 KiB of memory.

Whoever packs stays far below: a manifest with more is not read at all.
"""

MOST_VALUES: Final = 3 << 20
"""Values that JSON has to make of all lines, as `values_of` counts them: 50,000 files with their contents have 1.3
million. Unpacked, 35 KB of nothing but `[],` took 70 seconds and gigabytes; this many take two seconds.
"""

MOST_REFUSED: Final = 1000  # sentences: whoever reads them has understood by then


class ForeignBundle(CorruptContent):
    """A bundle of another store, another job or under another name than its own: nothing in it is believed."""


class NewerFormat(CorruptContent):
    """A bundle that only a newer mountfs reads: leave it alone, do not merge it, and upgrade this machine."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says. `refused` has a sentence for each line that cannot be right, of the first MOST_REFUSED.

    `carried` are those lines, and the lines of kinds that we do not know, byte for byte, for the next merge.
    """

    store_id: str
    job: bytes
    name: str
    places: tuple[Place, ...]
    records: tuple[Record, ...]
    carried: tuple[bytes, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """A bundle ready for its PUT, with its manifest as readers will see it, and as it is stored."""

    data: bytes
    manifest: Manifest
    manifest_stored: bytes


def pack(
    *, store_id: str, job: bytes, name: str, members: Sequence[Member], large: Sequence[Place],
    records: Sequence[Record], carried: Sequence[bytes] = (), level: int = 3,
) -> Packed:  # fmt: skip
    """A bundle of these contents and records; the same ones make the same bytes.

    Records that have a line go in as they are. Raises RecordRefused for a record or a place that readers would refuse:
    whoever packs must not take it for published. Raises ValueError for a name that is no bundle's, DoesNotFit for more
    than MOST_MEMBERS, MOST_LINES, MOST_VALUES, MOST_MANIFEST_BYTES, MOST_OBJECT_BYTES.
    """
    if not isinstance(parse_object(name), BundleName):
        raise ValueError(f"{name!r} is no name of a bundle")
    archive = Archive()
    placed = [member.placed(archive.add(member_name(member.digest, member.codec), member.data)) for member in members]
    reading = _Reading(Ground(archive.size))
    for place in (*placed, *map(with_line, large)):
        reading.believe_place(place)
    for record in records:
        reading.believe_record(record if record.line else decode_record(record.encoded()))
    lines = [_header(store_id, job, name, archive.size), *reading.lines(), *carried]
    for line in carried:
        reading.take(line)
    stored = codec.pack_text(_text(lines), level=level)
    archive.add(MANIFEST_NAME, stored)
    return Packed(archive.finish(), reading.manifest(store_id, job, name), stored)


def read_manifest(
    stored: bytes, *, store_id: str | None, job: bytes, name: str, extent: Extent | None = None
) -> Manifest:
    """What the manifest of that bundle says; a line that cannot be right costs nothing but itself.

    `extent` is where the manifest lay, when its bundle was just read; `store_id` None asks for no particular store.
    Raises ForeignBundle, NewerFormat, and CorruptContent for damage and for what is longer than bundles are.
    """
    if len(stored) > MOST_STORED_MANIFEST_BYTES:
        raise CorruptContent(f"a manifest of {len(stored)} bytes; allowed: up to {MOST_STORED_MANIFEST_BYTES}")
    lines = codec.unpack_lines(stored, most_bytes=MOST_MANIFEST_BYTES, most_line_bytes=MOST_LINE_BYTES)
    header = _parsed_header(next(lines, b""))
    found = _whose(header, store_id, job, name)
    reading = _Reading(Ground(_members_end(header, extent)))
    for line in lines:
        if reading.number == MOST_LINES:
            raise CorruptContent(f"a manifest of more than {MOST_LINES} lines")
        reading.values += values_of(line)
        if reading.values > MOST_VALUES:
            raise CorruptContent(f"a manifest of more than {MOST_VALUES} values")
        reading.take(line)
    return reading.manifest(found, job, name)


def job_named(stored: bytes) -> bytes:
    """The job that a manifest says it is of, for whoever knows only its prefix, cut. Raises CorruptContent."""
    lines = codec.unpack_lines(stored, most_bytes=MOST_MANIFEST_BYTES, most_line_bytes=MOST_LINE_BYTES)
    header = _parsed_header(next(lines, b""))
    try:
        return bytes_of_field(header, "job")
    except RecordRefused as error:
        raise CorruptContent(f"a manifest of no job: {error}") from None


def values_of(line: bytes) -> int:
    """How many values the JSON of a line has, at most: what lies in its strings is counted too."""
    return line.count(b",") + line.count(b"[") + line.count(b"{")


@dataclass(slots=True)
class _Reading:
    """A manifest as far as it was read. Mutable."""

    ground: Ground
    number: int = 1  # of the last line
    values: int = 0
    places: list[Place] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    carried: list[bytes] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def take(self, line: bytes) -> None:
        """Take in a line, whatever it says."""
        try:
            self.believe(line)
        except RecordRefused as error:
            if len(self.refused) < MOST_REFUSED:
                self.refused.append(f"line {self.number}: {error}")
            self.carried.append(line)

    def believe(self, line: bytes) -> None:
        """Take in a line of any kind. Raises RecordRefused."""
        self.number += 1
        fields = parse_line(line) if line else {}
        if "stamp" in fields:
            self.records.append(record_of(fields, line))
        elif "digest" in fields:
            self._add(place_of(fields, line))
        elif line:
            self.carried.append(line)

    def believe_place(self, place: Place) -> None:
        """Take in a place that was read before. Raises RecordRefused where another is already."""
        self.number += 1
        self._add(place)

    def believe_record(self, record: Record) -> None:
        """Take in a record that was read before."""
        self.number += 1
        self.records.append(record)

    def _add(self, place: Place) -> None:
        self.ground.take(place)
        self.places.append(place)

    def lines(self) -> list[bytes]:
        return [*(place.line for place in self.places), *(record.line for record in self.records)]

    def manifest(self, store_id: str, job: bytes, name: str) -> Manifest:
        parts = (tuple(self.places), tuple(self.records), tuple(self.carried), tuple(self.refused))
        return Manifest(store_id, job, name, *parts)


def _text(lines: Sequence[bytes]) -> bytes:
    """Lines as one text. Raises ValueError for what is no line, DoesNotFit for what `read_manifest` would not read."""
    if any(not line or b"\n" in line or len(line) > MOST_LINE_BYTES for line in lines):
        raise ValueError(f"a line is 1 to {MOST_LINE_BYTES} bytes without a newline")
    length = sum(map(len, lines)) + len(lines)
    if len(lines) > MOST_LINES or length > MOST_MANIFEST_BYTES:
        raise DoesNotFit(f"{len(lines)} lines, {length} bytes: allowed are {MOST_LINES} and {MOST_MANIFEST_BYTES}")
    values = sum(map(values_of, lines))
    if values > MOST_VALUES:
        raise DoesNotFit(f"{values} values: allowed are {MOST_VALUES}")
    return b"\n".join([*lines, b""])


def _header(store_id: str, job: bytes, name: str, members_end: int) -> bytes:
    fields: Fields = {"format": FORMAT, "store": store_id, "name": name, "members_bytes": members_end}
    return canonical(fields | field_of_bytes("job", job)).encode()


def _parsed_header(line: bytes) -> Fields:
    try:
        fields = parse_line(line)
        version = take_int(fields, "format", least=1)
    except RecordRefused as error:
        raise CorruptContent(f"a manifest whose first line is not one: {error}") from None
    if version > FORMAT:
        raise NewerFormat(f"a bundle of format {version}; this mountfs reads up to {FORMAT}: upgrade it")
    return fields


def _whose(header: Fields, store_id: str | None, job: bytes, name: str) -> str:
    """The id of the store that the bundle belongs to, when all that it says of itself is so."""
    found = header.get("store")
    if not isinstance(found, str) or (store_id is not None and found != store_id):
        raise ForeignBundle(f"{name}: a bundle of store {shown(str(found))}, not of {store_id}")
    try:
        claimed = bytes_of_field(header, "job")
    except RecordRefused as error:
        raise ForeignBundle(f"{name}: {error}") from None
    if claimed != job:
        raise ForeignBundle(f"{name}: a bundle of job {shown(claimed)}, not of {shown(job)}")
    if header.get("name") != name:
        raise ForeignBundle(f"{name}: a bundle that calls itself {shown(str(header.get('name')))}")
    return found


def _members_end(header: Fields, extent: Extent | None) -> int:
    """Where the members end: the manifest says it too, so that one kept without its bundle is judged alike."""
    lies = MOST_OBJECT_BYTES if extent is None else extent.offset - MANIFEST_HEADER_BYTES
    claimed = header.get("members_bytes", lies)
    if type(claimed) is not int or not 0 <= claimed <= lies or (extent is not None and claimed != lies):
        raise CorruptContent(f"a manifest of a bundle whose members end at {lies}, but says {shown(str(claimed)[:40])}")
    return claimed
