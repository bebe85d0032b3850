"""XML from strangers: heard element by element, nothing of it kept, entities and what is outside refused.

defusedxml refuses entity declarations before anything is expanded, and fetches nothing: a DOCTYPE may name a DTD
(lcov_cobertura and Istanbul do). Its `iterparse` builds the text of an element as a whole; we hear its parser's events
ourselves, so that a text node of 100 MB needs no memory, and 100,000 elements half the time.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping
from typing import Final, Protocol
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from mountfs.reports.formats.kinds import Opening, XmlReader
from mountfs.reports.limits import TOKEN_BYTES, XML_DEPTH, Broken
from mountfs.reports.model import Report

_DOCTYPE: Final = re.compile(rb"<!DOCTYPE\s+([A-Za-z][\w.:-]{0,63})")
_ELEMENT: Final = re.compile(rb"<(?:[A-Za-z][\w.-]{0,63}:)?([A-Za-z][\w.-]{0,63})")
_SKIPPED: Final = rb"<!--(?s:.*?)-->|<\?(?s:.*?)\?>|\"[^\"]*+\"|'[^']*+'"
# possessive throughout: what does not end is found out once, not once for each way to read it
_PROLOG: Final = re.compile(
    rb"(?:\s++|<!--(?s:.*?)-->|<\?(?s:.*?)\?>"
    rb"|<!DOCTYPE(?:\"[^\"]*+\"|'[^']*+'|[^\[\"'>]++)*+"
    rb"(?:\[(?:" + _SKIPPED + rb"|[^\]\"'<]++|<(?!!--|\?))*+\]\s*+)?+>)*+"
)


class _Seen(Exception):
    """The look at the beginning is over (never leaves this module)."""


class _Target(Protocol):
    """What hears the parser, names still with their namespace."""

    def start(self, tag: str, attributes: dict[str, str], /) -> None: ...

    def end(self, tag: str, /) -> None: ...

    def data(self, text: str, /) -> None: ...


class _Look:
    """A target that ends with the second element, or the end of the first."""

    def __init__(self) -> None:
        self.opening: Opening | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self.opening is None:
            self.opening = Opening(local(tag), attributes, "")
        else:
            self.opening = Opening(self.opening.root, self.opening.attributes, local(tag))
            raise _Seen

    def end(self, tag: str) -> None:
        raise _Seen

    def data(self, text: str) -> None:
        """Texts say nothing about the format."""


class _Guarded:
    """A target that hands on to a reader, and ends where elements lie in each other deeper than in any report."""

    def __init__(self, reader: XmlReader) -> None:
        self._reader = reader
        self._depth = 0
        self.data = reader.data

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > XML_DEPTH:
            raise Broken("is nested too deeply")
        self._reader.start(local(tag) if "}" in tag else tag, attributes)

    def end(self, tag: str) -> None:
        self._depth -= 1
        self._reader.end(local(tag) if "}" in tag else tag)


class Deaf:
    """A reader of a document whose format is only guessed: hears whether it is whole."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None: ...

    def end(self, tag: str) -> None: ...

    def data(self, text: str) -> None: ...

    def report(self) -> Report:
        raise Broken("has no format that is known here")


def local(tag: str) -> str:
    """The name without its namespace."""
    return tag.rpartition("}")[2]


def opening_of(head: bytes, *, transcoded: bool) -> Opening | None:
    """How the document begins; None where its beginning has no element, or is none of XML.

    One that breaks before its root is known by the name in its DOCTYPE, without attributes: enough to say what it is.
    """
    found = _looked(head, transcoded=transcoded)
    if found is not None:
        return found
    # broken, or with entities, which are refused before anything comes of them: the root itself names the format,
    # for a DOCTYPE may name any
    prolog = _prolog_of(head)
    root = _ELEMENT.match(head, prolog)
    if root is not None and prolog:
        return _looked(head[prolog:], transcoded=True) or Opening(root[1].decode(), {}, "")
    named = _DOCTYPE.search(head)
    return None if named is None else Opening(named[1].decode(), {}, "")


def ends_in_prolog(head: bytes) -> bool:
    """Whether all of this is what stands before the first element: comments, declarations."""
    rest = head[_prolog_of(head) :]
    return not rest or rest.startswith((b"<!", b"<?")) or rest == b"<"


def _prolog_of(head: bytes) -> int:
    whole = _PROLOG.match(head)
    return whole.end() if whole is not None else 0


def _looked(head: bytes, *, transcoded: bool) -> Opening | None:
    look = _Look()
    # the text of the beginning is cut, or broken
    with contextlib.suppress(_Seen, Broken, ParseError, ValueError, LookupError):
        _feed([head], look, transcoded=transcoded)
    return look.opening


def hear(pieces: Iterable[bytes], reader: XmlReader, *, transcoded: bool) -> None:
    """Tell the reader all elements, from the beginning to the end; `Broken` says why not."""
    try:
        _feed(pieces, _Guarded(reader), transcoded=transcoded)
    except DefusedXmlException:
        raise Broken("declares entities, which can hide bombs and files of others; they are refused") from None
    except ParseError as error:
        line, column = error.position
        reason = str(error).partition(":")[0]
        raise Broken(f"is not well-formed XML: {reason} (line {line}, column {column + 1})") from None
    except (ValueError, LookupError):
        raise Broken("is XML in an encoding that is not known here") from None


def _feed(pieces: Iterable[bytes], target: _Target, *, transcoded: bool) -> None:
    parser = XMLParser(target=object(), encoding="utf-8" if transcoded else None)
    expat = parser.parser
    expat.ordered_attributes = False
    expat.StartElementHandler, expat.EndElementHandler = target.start, target.end
    expat.CharacterDataHandler = target.data
    fed = 0
    for piece in pieces:
        fed += len(piece)
        parser.feed(piece)
        if fed - expat.CurrentByteIndex > TOKEN_BYTES:
            raise Broken(f"has a single tag or comment of more than {TOKEN_BYTES >> 20} MiB")
    parser.close()
