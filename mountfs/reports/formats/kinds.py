"""What a module of this folder says of a format that it reads: how to tell it from content, and how to read it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mountfs.reports.limits import Room
from mountfs.reports.model import Report
from mountfs.reports.shape import Json


def no_schema(document: Json) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """`fits` sees the whole document. One that is not whole JSON is known by `marks`: keys that it must name."""

    name: str
    marks: tuple[str, ...]
    fits: Callable[[Json], bool]
    parse: Callable[[Json, Room], Report]
    schema: Callable[[Json], str] = no_schema


@dataclass(frozen=True, slots=True)
class Opening:
    """How an XML document begins: its root, the root's attributes, and the first element in it ("" where none)."""

    root: str
    attributes: Mapping[str, str]
    child: str


class XmlReader(Protocol):
    """Hears the elements of a document, names without their namespace, and says in the end what it was."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None: ...

    def end(self, tag: str) -> None: ...

    def data(self, text: str) -> None: ...

    def report(self) -> Report: ...


@dataclass(frozen=True, slots=True)
class XmlFormat:
    """`roots` tells one that breaks before it could be looked at, by the name in its DOCTYPE."""

    name: str
    roots: tuple[str, ...]
    fits: Callable[[Opening], bool]
    reader: Callable[[Room], XmlReader]


@dataclass(frozen=True, slots=True)
class TextFormat:
    """`fits` sees the lines of the beginning, the last of them maybe cut."""

    name: str
    fits: Callable[[Sequence[str]], bool]
    parse: Callable[[Iterator[str], Room], Report]
