"""From the bytes of an artifact to what the report says. Pure, but for reading its source once, from the beginning.

Three answers: read, recognised but unreadable with the reason, unknown. Only the first has numbers.
"""

import io
from collections.abc import Mapping
from typing import Final

from mountfs.reports import shape
from mountfs.reports.content import Content, Readable, lines_of
from mountfs.reports.detecting import broken_json_format, broken_xml_format, json_format, text_format, xml_format
from mountfs.reports.formats.kinds import XmlFormat
from mountfs.reports.limits import JSON_BYTES, PROLOG_BYTES, ROOM, STREAM_BYTES, Broken, Room
from mountfs.reports.model import Answer, Parsed, Report, Unknown, Unreadable
from mountfs.reports.possible import refuse_impossible

_MEBI: Final = 1024 * 1024


def read(source: Readable | bytes, size: int | None = None, *, limits: Mapping[str, int] = ROOM) -> Answer:
    """What the report says. Not all of `source` may have been read; of a report beyond its limits some is.

    Running time is bounded by the size alone, and memory by the limits' and the process's: read what strangers
    wrote in a child (`mountfs.reports.process`). A `MemoryError` is the caller's.
    """
    if isinstance(source, bytes):
        return read(io.BytesIO(source), len(source), limits=limits)
    if size is None:
        raise TypeError("of a file its size must be given")
    return _Reading(Content(source, size), Room(limits)).answer()


def detect(data: bytes) -> str | None:
    """The name of the format that the report has, readable or not; None where it is none that is known here."""
    match read(data):
        case Parsed(format=name) | Unreadable(format=name):
            return name
        case Unknown():
            return None


class _Reading:
    """One report; `format` is what it was recognised as, so far."""

    def __init__(self, content: Content, room: Room) -> None:
        self._content = content
        self._room = room
        self._format: str | None = None

    def answer(self) -> Answer:
        try:
            return self._read()
        except Broken as broken:
            return Unknown() if self._format is None else Unreadable(self._format, f"The report {broken}.")

    def _read(self) -> Answer:
        head = self._content.head()
        first = head.lstrip()[:1]
        if first == b"<":
            return self._xml(head)
        if b"\0" in head or not first:
            return Unknown()
        return self._text(head) or (self._json(head) if first in (b"{", b"[") else Unknown())

    def _text(self, head: bytes) -> Answer | None:
        format_ = text_format(lines_of(head))
        if format_ is None:
            return None
        self._recognise(format_.name, STREAM_BYTES)
        return _parsed(format_.name, format_.parse(self._content.lines(), self._room))

    def _json(self, head: bytes) -> Answer:
        if self._content.size > JSON_BYTES:
            self._format = broken_json_format(head)
            self._limit(JSON_BYTES)
        data = self._content.whole()
        try:
            document = shape.parse(data)
        except Broken:
            self._format = broken_json_format(data[:_MEBI] + data[-_MEBI:])
            raise
        format_ = json_format(document)
        if format_ is None:
            return Unknown()
        self._format = format_.name
        return _parsed(format_.name, format_.parse(document, self._room), format_.schema(document)[:100])

    def _xml(self, head: bytes) -> Answer:
        # imported here: who reads JSON alone needs no parser of XML
        from mountfs.reports import xml

        if xml.ends_in_prolog(head):
            head = self._content.head(PROLOG_BYTES)
        opening = xml.opening_of(head, transcoded=self._content.transcoded)
        if opening is None:
            return Unknown()
        format_ = xml_format(opening)
        self._format = broken_xml_format(opening) if format_ is None else format_.name
        if self._format is None:
            return Unknown()
        self._limit(STREAM_BYTES)
        return self._heard(format_)

    def _heard(self, format_: XmlFormat | None) -> Answer:
        from mountfs.reports import xml

        reader = None if format_ is None else format_.reader(self._room)
        xml.hear(self._content.pieces(), reader or xml.Deaf(), transcoded=self._content.transcoded)
        return Unknown() if format_ is None or reader is None else _parsed(format_.name, reader.report())

    def _recognise(self, name: str, most: int) -> None:
        self._format = name
        self._limit(most)

    def _limit(self, most: int) -> None:
        if self._content.size > most:
            raise Broken(f"is larger than {most // _MEBI} MiB, the most that is read")


def _parsed(name: str, report: Report, schema: str = "") -> Parsed:
    refuse_impossible(report)
    return Parsed(name, report, schema)
