"""What one report may hold. Reports come from strangers: what is beyond a limit is refused with a sentence, not cut.

Cutting a list would make `compare` call the rest gone. Only texts are cut: a message to its beginning, a name to its
beginning and a hash of the whole, so that two long names stay two.
"""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

JSON_BYTES: Final = 64 * 1024 * 1024  # parsed whole, since the order of keys is arbitrary (FORMATS, Rules)
STREAM_BYTES: Final = 512 * 1024 * 1024  # XML and text are read as they come; the caller's clock ends first
HEAD_BYTES: Final = 64 * 1024  # what detection of XML and text looks at
PROLOG_BYTES: Final = 8 * 1024 * 1024  # where a document of XML says more than that before its first element
LINE_BYTES: Final = 1024 * 1024
TOKEN_BYTES: Final = 8 * 1024 * 1024  # one tag, comment or declaration of XML, which expat holds whole
XML_DEPTH: Final = 200
JSON_DIGITS: Final = 400  # of a number; no float is longer when written out
SUMMARY_BYTES: Final = 16 * 1024
NAME_SIGNS: Final = 1000
MESSAGE_SIGNS: Final = 2000

ROOM: Final[Mapping[str, int]] = MappingProxyType(
    {
        "tests": 250_000,
        "files": 100_000,
        "lines": 3_000_000,
        "findings": 100_000,
        "benchmarks": 20_000,
        "endpoints": 20_000,
        "components": 200_000,
        "characters of names and messages": 64 * 1024 * 1024,
    }
)


class Broken(Exception):
    """A report whose format is known cannot be read; its text goes on after "the report …" (never leaves `read`)."""


class Room:
    """What is left of the limits while one report is read; who goes beyond raises `Broken`."""

    def __init__(self, limits: Mapping[str, int] = ROOM) -> None:
        self._limits = limits
        self._left = dict(limits)

    def take(self, what: str, amount: int = 1) -> None:
        self._left[what] -= amount
        if self._left[what] < 0:
            raise Broken(f"has more than {self._limits[what]:,} {what}")

    def name(self, text: str) -> str:
        """A text that identifies: whole, or shortened so that it still differs from others of the same beginning."""
        if not text:
            return text
        kept = shortened(text, NAME_SIGNS)
        self.take("characters of names and messages", len(kept))
        return kept

    def message(self, text: str) -> str:
        """A text that explains: its beginning."""
        if not text:
            return text
        kept = storable(text[: MESSAGE_SIGNS * 2].strip()[:MESSAGE_SIGNS])
        self.take("characters of names and messages", len(kept))
        return kept


def shortened(text: str, signs: int) -> str:
    """At most `signs` of a name: its beginning, and a hash of all of it where it is longer."""
    if len(text) <= signs:
        return storable(text)
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
    return storable(text[: signs - 13]) + "…" + digest


def storable(text: str) -> str:
    """The text without what UTF-8 or SQLite cannot hold: lone surrogates and NUL, which JSON may write."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")
