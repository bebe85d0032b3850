"""One connection, and whose statements these are."""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

Value = int | str | bytes | None
Row = tuple[Value, ...]


class Run(Protocol):
    """Execute one statement."""

    def __call__(self, sql: str, args: Sequence[Value] = ..., /) -> sqlite3.Cursor: ...


class Tables:
    """Statements over some tables of the catalog. `run` and `many` execute on its one connection."""

    def __init__(self, run: Run, many: Callable[[str, Iterable[Sequence[Value]]], None]) -> None:
        self._run = run
        self._many = many


def marks(values: Sequence[Value]) -> str:
    return ",".join("?" * len(values))
