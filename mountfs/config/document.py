"""A settings file as a tree of plain values, with the line of each.

The file may be a stranger's, so what grows or nests without measure is refused while it is read: events of
the parser are folded here, without recursion and without aliases, rather than composed by PyYAML.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import yaml

from mountfs.errors import ConfigError

SIZE_MAX_BYTES: Final = 1024 * 1024
DEPTH_MAX: Final = 20
VALUES_MAX: Final = 20_000

KEY_SHOWN_MAX: Final = 60

KeyPath: TypeAlias = tuple[str | int, ...]
Tree: TypeAlias = dict[str, object]

# libyaml when PyYAML was built with it: a file of 1 MiB takes 0.3 s instead of 10
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_resolve: Callable[[type[yaml.Node], str, object], str] = yaml.resolver.Resolver().resolve
_constructor = yaml.constructor.SafeConstructor()
_SIMPLE_TAGS: Final = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float")}


@dataclass
class Document:
    """What a file says. `lines` holds the line of each key path that is known; () is the whole."""

    tree: Tree
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass
class _Open:
    """A mapping or sequence whose end has not been read yet."""

    value: dict[str, object] | list[object]
    path: KeyPath
    key: str | None = None


def parse_document(raw: bytes, *, name: str) -> Document:
    """The values in the file called `name`, or `ConfigError` with `name:line` for each thing that is wrong.

    A name ending in `.json` is read as JSON, all others as YAML. An empty file is an empty tree.
    """
    text = _text(raw, name)
    if name.endswith(".json"):
        document = _parse_json(text, name)
    else:
        document = _Fold(name).run(text)
    if document.problems:
        raise ConfigError(document.problems)
    return document


def _text(raw: bytes, name: str) -> str:
    if len(raw) > SIZE_MAX_BYTES:
        raise ConfigError(f"{name}: larger than a settings file can be; allowed: up to 1 MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: not UTF-8 text; allowed: UTF-8") from None


class _Fold:
    """Folds the parser's events into one document; keeps reading after a problem where it can."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._document = Document({})
        self._open: list[_Open] = []
        self._values = 0

    def run(self, text: str) -> Document:
        if re.search(r"\S", text) is None:
            return self._document
        try:
            for event in self._events(text):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            self._problem(line, f"not YAML: {error.problem or error.context or 'unreadable'}")
        except yaml.reader.ReaderError as error:
            self._problem(text.count("\n", 0, error.position) + 1, f"not YAML: {error.reason}")
        except (ValueError, OverflowError):  # PyYAML's own scanner at "\UFFFFFFFF"
            self._problem(1, "not YAML: an escape beyond Unicode")
        return self._document

    def _events(self, text: str) -> Iterator[yaml.Event]:
        loader = _Loader(text)
        try:
            while loader.check_event():
                yield loader.get_event()
        finally:
            loader.dispose()

    def _problem(self, line: int, sentence: str) -> None:
        self._document.problems.append(f"{self._name}:{line}: {sentence}")

    def _stop(self, line: int, sentence: str) -> ConfigError:
        self._problem(line, sentence)
        return ConfigError(self._document.problems)

    def _take(self, event: yaml.Event) -> None:
        line = _line(event)
        match event:
            case yaml.DocumentStartEvent():
                if self._values:
                    raise self._stop(line, "a second document; allowed: one")
            case yaml.AliasEvent():
                raise self._stop(line, f"an alias (*{legible(str(event.anchor))}); allowed: values written out")
            case yaml.CollectionStartEvent():
                self._start(event, line)
            case yaml.CollectionEndEvent():
                self._open.pop()
            case yaml.ScalarEvent():
                self._scalar(event, line)

    def _start(self, event: yaml.CollectionStartEvent, line: int) -> None:
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!"):
            raise self._stop(line, f"a tag ({legible(event.tag)}); allowed: plain values")
        if len(self._open) >= DEPTH_MAX:
            raise self._stop(line, f"nested too deep; allowed: {DEPTH_MAX} levels")
        if not self._open and not is_mapping:
            raise self._stop(line, "a list; allowed: a mapping of settings, key: value")
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            raise self._stop(line, "a key that is itself a list or a mapping; allowed: text")
        value: dict[str, object] | list[object] = {} if is_mapping else []
        if not self._open and isinstance(value, dict):
            self._document.tree = value
        path = self._place(value, line)
        self._open.append(_Open(value, path))

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        if event.tag not in (None, "!"):
            raise self._stop(line, f"a tag ({legible(event.tag)}); allowed: plain values")
        if not _is_text(event.value):
            raise self._stop(line, "half of a surrogate pair; allowed: UTF-8 text")
        if not self._open:
            if event.value:
                raise self._stop(line, "plain text; allowed: a mapping of settings, key: value")
            return
        into = self._open[-1]
        if isinstance(into.value, dict) and into.key is None:
            # the text as written: `on:` and `1:` are keys, not a bool and a number
            into.key = event.value
            if event.value in into.value:
                first = self._document.lines[(*into.path, event.value)]
                self._problem(line, f"{legible(event.value)}: written twice, first in line {first}; allowed: once")
            self._document.lines[(*into.path, event.value)] = line
            return
        self._place(_scalar_value(event), line)

    def _place(self, value: object, line: int) -> KeyPath:
        """Put a value where the parser stands; answers its path."""
        self._values += 1
        if self._values > VALUES_MAX:
            raise self._stop(line, f"too many values; allowed: {VALUES_MAX}")
        if not self._open:
            self._document.lines[()] = line
            return ()
        into = self._open[-1]
        if isinstance(into.value, list):
            into.value.append(value)
            path = (*into.path, len(into.value) - 1)
            self._document.lines[path] = line
            return path
        assert into.key is not None
        into.value[into.key] = value
        path = (*into.path, into.key)
        into.key = None
        return path


def legible(key: str) -> str:
    """A key as a sentence shows it: a stranger's may be long, and a terminal would obey what it holds."""
    text = key if key.isprintable() else ascii(key)[1:-1]
    return text if len(text) <= KEY_SHOWN_MAX else text[: KEY_SHOWN_MAX - 1] + "…"


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _is_text(value: str) -> bool:
    """Not when an escape left half of a surrogate pair, which no file can hold."""
    return value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value)


def _scalar_value(event: yaml.ScalarEvent) -> object:
    """Null, bool and numbers as YAML reads them; all else, dates too, is text."""
    tag = _resolve(yaml.ScalarNode, event.value, event.implicit)
    if tag not in _SIMPLE_TAGS:
        return event.value
    try:
        value: object = _constructor.construct_object(yaml.ScalarNode(tag, event.value))
    except (ValueError, OverflowError):  # Python reads no number of more than 4,300 digits
        return event.value
    return event.value if isinstance(value, float) and not math.isfinite(value) else value


def _parse_json(text: str, name: str) -> Document:
    try:
        tree = json.loads(text, parse_constant=str) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name}:{error.lineno}: not JSON: {error.msg}") from None
    except (RecursionError, ValueError):
        raise ConfigError(f"{name}: not JSON that can be read: nested too deep, or a number too long") from None
    # JSON is YAML once its tabs are spaces (in JSON a tab is never part of a value) and its surrogate
    # pairs are characters: that reading knows the lines, what is written twice, and the limits.
    document = _Fold(name).run(_ESCAPES.sub(_joined_pair, text.replace("\t", " ")))
    if not document.problems and isinstance(tree, dict):
        document.tree = tree
    return document


_ESCAPES: Final = re.compile(r"\\u([dD][89abAB]..)\\u([dD][c-fC-F]..)|\\.")


def _joined_pair(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return escape[0]
    pair = chr(int(escape[1], 16)) + chr(int(escape[2], 16))
    return pair.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
