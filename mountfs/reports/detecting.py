"""Which format a report has, from its content alone: at least two facts each, in the order of FORMATS.

The name of a file says nothing here: `report.xml` may be anything, and a stranger names as he likes.
"""

import importlib
import re
from collections.abc import Iterator
from typing import Final, TypeVar

from mountfs.reports.formats.kinds import JsonFormat, Opening, TextFormat, XmlFormat
from mountfs.reports.shape import Json

_JSON_HOMES: Final = (
    ("own", "FORMATS"),
    ("pytest_json", "FORMATS"),
    ("coverage_py", "FORMATS"),
    ("sarif", "FORMATS"),
    ("bandit", "FORMATS"),
    ("trivy", "FORMATS"),
    ("audits", "FORMATS"),
    ("benchmarks", "FORMATS"),
    ("k6", "FORMATS"),
    ("locust", "FORMATS"),
    ("code_quality", "FORMATS"),
    ("sbom", "FORMATS"),
    ("audits", "ERROR_FORMATS"),
)
_XML_HOMES: Final = (("junit", "FORMATS"), ("cobertura", "FORMATS"), ("jacoco", "FORMATS"), ("clover", "FORMATS"))
_TEXT_HOMES: Final = (
    ("lcov", "TEXT_FORMATS"),
    ("locust", "TEXT_FORMATS"),
    ("tap", "TEXT_FORMATS"),
    ("diff", "TEXT_FORMATS"),
)
_LINES_HOMES: Final = (("pytest_json", "TEXT_FORMATS"),)  # the text formats whose lines are JSON
_Format = TypeVar("_Format", JsonFormat, XmlFormat, TextFormat)


def _of(homes: tuple[tuple[str, str], ...], kind: type[_Format]) -> Iterator[_Format]:
    """The formats of these modules, each imported when its turn comes."""
    for module, name in homes:
        formats: object = getattr(importlib.import_module(f"mountfs.reports.formats.{module}"), name)
        assert isinstance(formats, tuple)
        yield from (format_ for format_ in formats if isinstance(format_, kind))


def json_format(document: Json) -> JsonFormat | None:
    """The format of a whole document."""
    return next((format_ for format_ in _of(_JSON_HOMES, JsonFormat) if format_.fits(document)), None)


def broken_json_format(head: bytes) -> str | None:
    """The format of a document that is not whole: one whose telling keys its beginning names, all of them."""
    for format_ in _of(_JSON_HOMES, JsonFormat):
        if all(re.search(rb'"' + re.escape(mark.encode()) + rb'"\s*:', head) for mark in format_.marks):
            return format_.name
    return None


def xml_format(opening: Opening) -> XmlFormat | None:
    """The format of a document that begins so."""
    rooted = (format_ for format_ in _of(_XML_HOMES, XmlFormat) if opening.root in format_.roots)
    return next((format_ for format_ in rooted if format_.fits(opening)), None)


def broken_xml_format(opening: Opening) -> str | None:
    """The format that a DOCTYPE's name alone points to, where there was no more to see."""
    if opening.attributes or opening.child:
        return None
    return next((format_.name for format_ in _of(_XML_HOMES, XmlFormat) if opening.root in format_.roots), None)


def text_format(lines: list[str]) -> TextFormat | None:
    """The format of a text with these lines at its beginning."""
    homes = _LINES_HOMES if lines and lines[0].startswith("{") else _TEXT_HOMES
    return next((format_ for format_ in _of(homes, TextFormat) if format_.fits(lines)), None)
