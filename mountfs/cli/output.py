"""What commands print: one JSON object a line for programs, tables for people, plain columns in between.

Names and values of tags are anybody's. Control characters in text are spelled out wherever it goes: the log of a CI job
is no terminal, and obeys them all the same, and a newline would begin a row of its own. As they are they come with
`--json`, and as paths (`--paths`, with `-z`), which are for other programs.
"""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence

import click

from mountfs.cli import legible
from mountfs.model import SCHEMA

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


def print_json(fields: Mapping[str, object]) -> None:
    click.echo(json.dumps({"schema": SCHEMA, **fields}, allow_nan=False))


def shown_size(size_bytes: int) -> str:
    """As `ls -h` would, with units of 1024."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            return f"{size_bytes} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError


def shown_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def shown(text: str) -> str:
    """A name as people may see it, on a terminal or in a log."""
    return legible(text)


def shown_path(path: str) -> str:
    """A path for whatever comes behind the pipe: as it is, but not on a terminal."""
    return legible(path) if sys.stdout.isatty() else path


def shown_tags(tags: Mapping[str, str]) -> str:
    return shown(" ".join(f"{key}={value}" if value else key for key, value in tags.items()))


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """A table on a terminal, else columns; `right` are the numbers of the columns that are aligned to the right."""
    if sys.stdout.isatty():
        _print_rich(header, rows, right)
        return
    for row in rows:
        click.echo("\t".join(map(legible, row)))


def _print_rich(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(legible(cell)) for cell in row))
    Console().print(table)


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Name and value, one a line."""
    kept = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        click.echo(shown(f"{name:<{width}}  {value}"))
