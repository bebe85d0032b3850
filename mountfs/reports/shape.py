"""JSON from strangers: parsed within limits, and asked for what should be there."""

import json
import math
from collections.abc import Iterator
from typing import Final, TypeAlias

from mountfs.reports.limits import JSON_DIGITS, Broken

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_MOST: Final = 2**53  # what every reader of JSON can hold exactly
_LARGEST: Final = 1e300  # so that no sum or product of what is read overflows


def parse(data: bytes) -> Json:
    """The document; `Broken` where it is none, or nested deeper than a report ever is. Of a key named twice, the last.

    NaN and Infinity, which Python's writers put in, are read as numbers and count as none (`number`).
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Broken(f"is not UTF-8 text: byte {error.start + 1} is wrong") from None
    try:
        return _loads(text)
    except json.JSONDecodeError as error:
        raise Broken(f"is not whole JSON: {error.msg.lower()} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise Broken("is nested too deeply") from None


def _loads(text: str) -> Json:
    document: Json
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an int of more digits than Python converts; asked for only then, since it is slow
        document = json.loads(text, parse_int=_integer)
    return document


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= JSON_DIGITS else math.inf


def table(value: Json, where: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise Broken(f"has no object where '{where}' should be")
    return value


def rows(value: Json, where: str) -> list[Json]:
    if not isinstance(value, list):
        raise Broken(f"has no list where '{where}' should be")
    return value


def tables(value: Json, where: str) -> Iterator[dict[str, Json]]:
    """The objects of a list that must be there."""
    return (table(row, f"{where}[]") for row in rows(value, where))


def maybe_tables(value: Json, where: str) -> Iterator[dict[str, Json]]:
    """The objects of a list that may be missing or null."""
    return tables([] if value is None else value, where)


def at(value: Json, *keys: str) -> Json:
    """What lies below the keys; None where one of them is missing."""
    for key in keys:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def count(value: Json, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST or value != int(value):
        raise Broken(f"has no count where '{where}' should be")
    return int(value)


def maybe_count(value: Json, where: str) -> int | None:
    """A count that may be missing; one that is there must be one."""
    return None if value is None else count(value, where)


def line_number(value: Json) -> int | None:
    """The number of a line, or None: it only says where to look."""
    known = number(value)
    return int(known) if known is not None and 0 <= known <= _MOST else None


def number(value: Json) -> float | None:
    """A number that can be calculated with, or None: no NaN, nothing near the end of floats."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -_LARGEST < value < _LARGEST else None


def text(value: Json) -> str:
    """A text, also of a number that stands for one; "" where there is neither."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MOST else ""


def parsed_number(written: str | None) -> float | None:
    """A number as XML attributes and CSV write it, `1,234.5` too (Surefire); None for anything else."""
    try:
        value = float((written or "").replace(",", "")[:64])
    except ValueError:
        return None
    return value if -_LARGEST < value < _LARGEST else None


def parsed_count(written: str | None) -> int | None:
    """A count as XML attributes, CSV and text formats write it; None for anything else."""
    if written and len(written) < 15 and written.isascii() and written.isdecimal():
        return int(written)  # nearly always, and quicker
    value = parsed_number(written)
    return int(value) if value is not None and 0 <= value <= _MOST and value == int(value) else None
