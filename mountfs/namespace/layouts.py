"""Layouts: parts of a path below a job that become tags, or say the type (`{spec}/{task}/{type}`)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mountfs.namespace.attributes import TAG_VALUE_MAX
from mountfs.namespace.kinds import type_of_word

_KEY: Final = re.compile(r"\{([^{}]*)\}")
TYPE_KEY: Final = "type"


@dataclass(frozen=True, slots=True)
class _Part:
    pattern: re.Pattern[bytes]
    keys: tuple[str, ...]

    def read(self, name: bytes) -> dict[str, bytes] | None:
        matched = self.pattern.fullmatch(name)
        return None if matched is None else dict(zip(self.keys, matched.groups(), strict=True))


class Layouts:
    """The settings' layouts. The first that fits a path counts: where two would, they are written in that order."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts = tuple(texts)
        self._layouts = tuple(tuple(_part(text) for text in layout.split("/")) for layout in self.texts)

    def __bool__(self) -> bool:
        return bool(self._layouts)

    def tags_of_last(self, path: tuple[bytes, ...], *, is_directory: bool) -> dict[str, bytes]:
        """The tags that the last name of a path below a job stands for; those of the names before it are theirs.

        Parts before the last one of a layout are about directories.
        """
        for layout in self._layouts:
            found = _read(layout, path)
            if found is not None and (is_directory or len(path) == len(layout)):
                kept = {key: value for key, value in found[-1].items() if key != TYPE_KEY}
                return {key: value for key, value in kept.items() if len(value) <= TAG_VALUE_MAX}
        return {}

    def type_of(self, path: tuple[bytes, ...], *, extra: Mapping[str, str]) -> str | None:
        """The type that the part `{type}` above a file, or its name, stands for, where that is the name of one."""
        for layout in self._layouts:
            found = _read(layout, path[: len(layout)]) if len(path) >= len(layout) else None
            if found is not None:
                words = (read[TYPE_KEY] for read in found if TYPE_KEY in read)
                return next((type_of_word(word, extra=extra) for word in words), None)
        return None


def layout_keys(text: str) -> list[str]:
    """The keys of the tags that a layout makes."""
    return _KEY.findall(text)


def _part(text: str) -> _Part:
    pattern = "".join("(.+?)" if number % 2 else re.escape(piece) for number, piece in enumerate(_KEY.split(text)))
    return _Part(re.compile(pattern.encode(), re.DOTALL), tuple(layout_keys(text)))


def _read(layout: tuple[_Part, ...], path: tuple[bytes, ...]) -> list[dict[str, bytes]] | None:
    """What each name of a path says by the part at its place; None where one does not fit, or the layout is shorter."""
    if not path or len(path) > len(layout):
        return None
    found = []
    for part, name in zip(layout, path, strict=False):
        read = part.read(name)
        if read is None:
            return None
        found.append(read)
    return found
