"""The environment as settings: `MOUNTFS_CACHE__MAX_SIZE=1GiB`, and `${VAR}` in the values of a file."""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args, get_origin

from mountfs.config.document import KeyPath, Tree
from mountfs.config.fields import dotted, field_at, is_mapping, leaves, section_of
from mountfs.events.telling import PREFIX as EVENT_PREFIX

PREFIX: Final = "MOUNTFS_"
RESERVED: Final = frozenset(f"{PREFIX}{name}" for name in ("CONFIG", "MOUNT", "JOB", "LOG", "ALLOW_CLOUD"))
RESERVED_PREFIXES: Final = (f"{PREFIX}TEST_", EVENT_PREFIX)

Shape: TypeAlias = Literal["text", "list", "object"]

_REFERENCE: Final = re.compile(r"\$(?:(\$)|\{([^}]*)(\}?))")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass
class Overlay:
    """What the environment says. `variables` names, for each key path said, the variable that says it."""

    tree: Tree = field(default_factory=dict)
    variables: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def overlay(environ: Mapping[str, str]) -> Overlay:
    """All settings in `environ`. An empty variable says nothing: CI systems pass unset secrets so."""
    found = Overlay()
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in RESERVED or name.startswith(RESERVED_PREFIXES):
            continue
        _take(name, environ[name], found)
    return found


def _take(name: str, text: str, found: Overlay) -> None:
    path, shape = _target_of(name)
    if shape is None:
        found.problems.append(_unknown(name))
    elif text:
        try:
            _put(found.tree, path, _value(text, shape))
            found.variables[path] = name
        except ValueError as error:
            found.problems.append(f"{name}: {dotted(path)}: {error}")


def _target_of(name: str) -> tuple[tuple[str, ...], Shape | None]:
    """The key that a variable means and the shape of its value; None when there is no such key."""
    path = tuple(part.lower() for part in name.removeprefix(PREFIX).split("__"))
    target, rest = field_at(path)
    if target is None or (rest and not is_mapping(target)):
        return path, None
    if not rest:
        return path, "object" if section_of(target) else _shape(target.annotation)
    key = "__".join(str(part) for part in rest)
    return (*path[: -len(rest)], key), _shape(get_args(target.annotation)[1])


def _shape(annotation: object) -> Shape:
    origin = get_origin(annotation)
    return "object" if origin is Mapping else "list" if origin is tuple else "text"


def _value(text: str, shape: Shape) -> object:
    """Text as it is; JSON where a list or a mapping belongs; a list may also be `a,b`."""
    if shape == "text":
        return text
    if text[0] in "[{":
        try:
            return json.loads(text, parse_constant=str)
        except (ValueError, RecursionError):
            raise ValueError("not JSON; allowed: JSON, or one variable for each key") from None
    if shape == "object":
        raise ValueError("plain text; allowed: a JSON object, or one variable for each key")
    return [item.strip() for item in text.split(",")]


def _put(tree: Tree, path: tuple[str, ...], value: object) -> None:
    for part in path[:-1]:
        below = tree.setdefault(part, {})
        if not isinstance(below, dict):
            raise ValueError(f"another variable makes {part} a value; allowed: a JSON object there")
        tree = below
    tree[path[-1]] = value


def _unknown(name: str) -> str:
    known = [variable_of(path) for path in leaves()]
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{name}: {meant}unknown variable; allowed: {PREFIX}<SECTION>__<KEY>, as {known[0]}"


def variable_of(path: tuple[str, ...]) -> str:
    """The variable that sets a key."""
    return PREFIX + "__".join(path).upper()


@dataclass
class Expanded:
    """A tree whose `${VAR}` are replaced, the paths where that happened, and what could not be."""

    tree: Tree
    touched: set[KeyPath] = field(default_factory=set)
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)


def expand(tree: Tree, environ: Mapping[str, str] | None) -> Expanded:
    """Replace `${VAR}` in every text by the variable's value, `$$` by `$`; the value is not read again.

    With `environ` None, for a file that may be a stranger's, any `${VAR}` is a problem.
    """
    result = Expanded({})
    result.tree = {key: _expanded(value, (key,), environ, result) for key, value in tree.items()}
    return result


def _expanded(value: object, path: KeyPath, environ: Mapping[str, str] | None, result: Expanded) -> object:
    match value:
        case str():
            return _expanded_text(value, path, environ, result)
        case dict():
            return {key: _expanded(item, (*path, key), environ, result) for key, item in value.items()}
        case list():
            return [_expanded(item, (*path, index), environ, result) for index, item in enumerate(value)]
        case _:
            return value


def _expanded_text(text: str, path: KeyPath, environ: Mapping[str, str] | None, result: Expanded) -> str:
    def replace(reference: re.Match[str]) -> str:
        if reference[1]:
            return "$"
        result.touched.add(path)
        wrong = _cannot_expand(reference, environ)
        if wrong is None and environ is not None:
            return environ[reference[2]]
        result.problems.append((path, wrong or ""))
        return ""

    return _REFERENCE.sub(replace, text)


def _cannot_expand(reference: re.Match[str], environ: Mapping[str, str] | None) -> str | None:
    if not reference[3] or not _VARIABLE.fullmatch(reference[2]):
        return f"{reference[0][:60]!r} is no reference; allowed: ${{NAME}}, $$ for a dollar"
    if environ is None:
        return (
            f"{reference[0]} in a file found in the working directory; allowed: plain values,"
            " or all after `mountfs config trust FILE`"
        )
    if reference[2] not in environ:
        return f"{reference[0]} is not set; allowed: variables of the environment, $$ for a dollar"
    return None
