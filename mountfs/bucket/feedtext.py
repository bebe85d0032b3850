"""The text of the feed: parts made of lines, written and read. Lean, for a process that does nothing but fold feeds.

First a line that says what the part is, then for each bundle a line that names it and its job, and below that the
records of the bundle byte for byte.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mountfs import codec, objects
from mountfs.errors import CorruptContent
from mountfs.records import (
    MOST_LINE_BYTES,
    Fields,
    RecordRefused,
    bytes_of_field,
    canonical,
    field_of_bytes,
    parse_line,
    take_int,
)

FORMAT = 1
MOST_PART_BYTES = 64 << 20  # plain, of a part that is written; a reader takes twice as much
MOST_STORED_BYTES = 2 * MOST_PART_BYTES


@dataclass(frozen=True, slots=True)
class Section:
    """What one bundle of a job says: the lines of its records."""

    job: bytes
    bundle: str
    lines: tuple[bytes, ...]


class NewerFeed(CorruptContent):
    """A part that only a newer mountfs reads."""


# -- lines ----------------------------------------------------------------------------------------------------


def header(store_id: str) -> bytes:
    fields: Fields = {"feed": FORMAT, "store": store_id}
    return canonical(fields).encode()


def section_line(job: bytes, bundle: str) -> bytes:
    fields: Fields = {"bundle": bundle}
    return canonical(fields | field_of_bytes("job", job)).encode()


def parse_section(fields: Fields) -> tuple[bytes, str]:
    """(job, bundle) of a line that names them. Raises RecordRefused."""
    name = fields.get("bundle")
    if not isinstance(name, str) or not isinstance(objects.parse_object(name), objects.BundleName):
        raise RecordRefused("no name of a bundle")
    return bytes_of_field(fields, "job"), name


def packed(store_id: str, sections: Iterable[Section]) -> Iterator[bytes]:
    """Parts that hold these, each of MOST_PART_BYTES at most; a long section goes on in the next one."""
    first = header(store_id)
    lines, length = [first], len(first)
    for section in sections:
        name = section_line(section.job, section.bundle)
        lines.append(name)
        length += len(name) + 1
        for line in section.lines:
            if length + len(line) >= MOST_PART_BYTES:
                yield _pack(lines)
                lines, length = [first, name], len(first) + len(name) + 1
            lines.append(line)
            length += len(line) + 1
    if len(lines) > 1:
        yield _pack(lines)


def _pack(lines: list[bytes]) -> bytes:
    return codec.pack_text(b"\n".join([*lines, b""]), level=3)


def read_lines(stored: bytes, *, store_id: str) -> Iterator[bytes]:
    """The lines of a part behind its first. Raises CorruptContent, NewerFeed."""
    lines = codec.unpack_lines(stored, most_bytes=MOST_STORED_BYTES, most_line_bytes=MOST_LINE_BYTES)
    check_header(next(lines, b""), store_id=store_id)
    return lines


def check_header(line: bytes, *, store_id: str) -> None:
    """Raises CorruptContent, NewerFeed."""
    try:
        fields = parse_line(line)
        version = take_int(fields, "feed", least=1)
    except RecordRefused as error:
        raise CorruptContent(f"no part of a feed: {error}") from None
    if version > FORMAT:
        raise NewerFeed(f"a part of a feed of format {version}; this mountfs reads up to {FORMAT}: upgrade it")
    if fields.get("store") != store_id:
        raise CorruptContent("a part of another store's feed")
