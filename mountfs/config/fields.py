"""Reading the schema: which keys there are, what each allows, and which known key is nearest to a typo."""

import difflib
import functools
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from mountfs.config.document import KeyPath
from mountfs.config.schema import Allowed, Settings

_KEYS_SHOWN_MAX: Final = 12


def dotted(path: KeyPath) -> str:
    """`storage.s3.bucket`, `heads[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a section, required or not."""
    if get_origin(field.annotation) is tuple:
        return None
    for choice in (field.annotation, *get_args(field.annotation)):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None


def item_section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of each item of a field that is a list of sections."""
    items = get_args(field.annotation) if get_origin(field.annotation) is tuple else ()
    return next((item for item in items if isinstance(item, type) and issubclass(item, BaseModel)), None)


def field_at(path: KeyPath) -> tuple[FieldInfo | None, KeyPath]:
    """The field that `path` leads to, and what of the path goes on inside its value."""
    model: type[BaseModel] | None = Settings
    field = None
    for depth, part in enumerate(path):
        if field is not None and isinstance(part, int):
            model = item_section_of(field)
            if model is not None:
                continue
        if model is None:
            return field, path[depth:]
        field = model.model_fields.get(str(part))
        if field is None:
            return None, path[depth:]
        model = section_of(field)
    return field, ()


def section_at(path: KeyPath) -> type[BaseModel] | None:
    """The section at `path`; None where there is a value or nothing."""
    if not path:
        return Settings
    field, rest = field_at(path)
    if field is None or rest:
        return None
    return item_section_of(field) if isinstance(path[-1], int) else section_of(field)


def is_mapping(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is Mapping


def is_secret(field: FieldInfo | None) -> bool:
    """Whether a value written here may be a secret, or one put in the place of its section."""
    if field is None:
        return False
    section = section_of(field) or item_section_of(field)
    inside = section.model_fields.values() if section else ()
    return SecretStr in set(_choices(field.annotation)) or any(map(is_secret, inside))


def leaves(model: type[BaseModel] = Settings, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key that is not a section."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is None:
            yield (*at, name)
        else:
            yield from leaves(section, (*at, name))


def _choices(annotation: object) -> Iterator[object]:
    """The plain types an annotation is made of, without `Annotated` and `|`."""
    if get_origin(annotation) in (Union, UnionType):
        for choice in get_args(annotation):
            yield from _choices(choice)
    elif get_origin(annotation) is Annotated:
        yield from _choices(get_args(annotation)[0])
    else:
        yield annotation


def allowed_in(field: FieldInfo) -> str:
    """What may stand in this field, as the end of a sentence."""
    said = [note.text for note in field.metadata if isinstance(note, Allowed)]
    if said:
        return said[-1]
    section = section_of(field)
    if section is not None:
        return f"a section with {known_keys(section)}"
    texts: list[str] = []
    for choice in _choices(field.annotation):
        if get_origin(choice) is Literal:
            texts.extend(str(value) for value in get_args(choice))
        elif choice is bool:
            texts.append("true, false")
        elif choice is type(None):
            texts.append("null")
        else:
            texts.append(_bounds(field, whole=choice is int) if choice in (int, float) else "text")
    return ", ".join(texts)


def _bounds(field: FieldInfo, *, whole: bool) -> str:
    words = ["a whole number" if whole else "a number"]
    for word, name in (("from", "ge"), ("above", "gt"), ("up to", "le")):
        words.extend(f"{word} {getattr(note, name)}" for note in field.metadata if hasattr(note, name))
    return " ".join(words)


def known_keys(section: type[BaseModel]) -> str:
    names = sorted(section.model_fields)
    if len(names) > _KEYS_SHOWN_MAX:
        return "the keys that `mountfs config example` prints"
    return ", ".join(names)


@functools.cache
def _all_keys() -> dict[str, list[str]]:
    """Last name of a key → the full keys that end in it."""
    found: dict[str, list[str]] = {}
    for path in leaves():
        found.setdefault(path[-1], []).append(".".join(path))
    return found


def nearest_key(path: KeyPath) -> str | None:
    """The known key that was probably meant: a neighbour, else one of that name elsewhere."""
    section = section_at(path[:-1])
    name = str(path[-1]).lower().replace("-", "_")
    neighbours = difflib.get_close_matches(name, section.model_fields if section else (), n=1)
    if neighbours:
        return dotted((*path[:-1], neighbours[0]))
    elsewhere = difflib.get_close_matches(name, _all_keys(), n=1, cutoff=0.75)
    return _all_keys()[elsewhere[0]][0] if elsewhere else None
