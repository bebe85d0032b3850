"""`mountfs list` and `mountfs find`: one language, said in flags or in words."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

import click

from mountfs import namespace, query
from mountfs.api import LIST_LIMIT, ArtifactStore
from mountfs.cli import complain
from mountfs.cli.completion import branches, commits, tags, types
from mountfs.cli.output import (
    json_option,
    print_json,
    print_table,
    shown,
    shown_path,
    shown_size,
    shown_tags,
)
from mountfs.cli.where import WHERE, Where, exit_codes, key_of
from mountfs.errors import NotFound
from mountfs.model import Artifact
from mountfs.query import EVERYTHING, Op, Query, Text

R = TypeVar("R")

NEWEST: Final = "-published"
ORDERS: Final = ("published", "created", "modified", "size", "stored", "name", "job")
_QUERY: Final = re.compile(r"[=~<>]|\s")


@dataclass(frozen=True, slots=True)
class Output:
    """How what was found is printed."""

    limit: int
    paths: bool
    null: bool
    as_json: bool


def _output_options(command: Callable[..., R]) -> Callable[..., R]:
    for option in (
        click.option("--limit", type=click.IntRange(min=0), default=LIST_LIMIT, show_default=True, help="0: all."),
        click.option("--paths", is_flag=True, help="Only the path of each inside the mount."),
        click.option("-z", "--null", is_flag=True, help="With --paths: each ends with NUL, not with a newline."),
        click.option(
            "--sort",
            type=click.Choice([sign + order for order in ORDERS for sign in ("", "-")]),
            metavar="[-]FIELD",
            help=f"By {', '.join(ORDERS)}; with a minus the greatest first. Default: {NEWEST}, the newest first.",
        ),
    ):
        command = option(command)
    return command


@click.command("find", epilog=exit_codes(2, 3, 5, 6, 7))
@click.argument("words", nargs=-1, required=True, metavar="QUERY...")
@_output_options
@json_option
@WHERE
def find_command(
    words: tuple[str, ...], *, limit: int, paths: bool, null: bool, sort: str | None, as_json: bool, where: Where
) -> None:
    """Find artifacts by what is known of them: `type=coverage and branch=main and created>7d`.

    Fields: job path name type size stored created modified published expires kind pinned format mime sha256 recovered;
    any other word is a tag. Operators: = != ~ (glob) !~ < <= > >=, `and` `or` `not` ( ). Times are dates or `7d`, the
    moment so long ago.
    """
    with where.open(read_only=True) as store:
        asked = " ".join(words)
        _say_what_is_searched(store)
        _print(store, store.find(asked, sort=sort or NEWEST, limit=None), Output(limit, paths, null, as_json))


@click.command("list", epilog=exit_codes(2, 3, 5, 6, 7))
@click.argument("what", default="", metavar="[KEY | QUERY]")
@click.option(
    "--type", "types", shell_complete=types, multiple=True, help="Only artifacts of this type; several: of one of them."
)
@click.option(
    "--tag",
    "tags",
    shell_complete=tags,
    multiple=True,
    metavar="KEY[=VALUE]",
    help="Only with this tag; several: with all.",
)
@click.option("--job", "jobs", multiple=True, help="Only of this job; may be a glob.")
@click.option("--branch", shell_complete=branches, help="Only of this branch; may be a glob.")
@click.option("--commit", shell_complete=commits, help="Only of the commit that begins so.")
@click.option("--since", metavar="TIME", help="Created since a date, an ISO time, or `7d`: so long ago.")
@click.option("--until", metavar="TIME", help="Created until then; a day counts whole.")
@click.option("--min-size", metavar="SIZE", help="At least so large, such as 1MiB.")
@click.option("--max-size", metavar="SIZE", help="At most so large.")
@_output_options
@json_option
@WHERE
def list_command(
    what: str, *, limit: int, paths: bool, null: bool, sort: str | None, as_json: bool, where: Where, **flags: object
) -> None:
    """List artifacts, the newest first; those of a job or below a directory by name.

    KEY is a job, a directory or the beginning of one. A QUERY is what `mountfs find` takes.
    """
    output = Output(limit, paths, null, as_json)
    with where.open(read_only=True) as store:
        asked = query.from_flags(now_ns=time.time_ns(), extra=store.types, **flags)  # type: ignore[arg-type]
        is_query = bool(_QUERY.search(what)) and not store.exists(key_of(what, store.mountpoint))
        if is_query:
            words = query.parse(what, now_ns=time.time_ns(), extra=store.types)
            asked = query.conjunction((words, asked))
        elif asked == EVERYTHING and sort is None and (what or not store.knows_all):
            _print(store, store.list(key_of(what, store.mountpoint), limit=None), output)
            if what and not store.exists(key_of(what, store.mountpoint)):
                _refuse_when_nothing_begins_so(store, what)
            return
        else:
            asked = query.conjunction((_below(store, what), asked))
        _say_what_is_searched(store)
        _print(store, store.find(asked, sort=sort or NEWEST, limit=None), output)
        _say_whose_branch_it_is(store, flags["branch"])


ls_command = list_command


def _say_whose_branch_it_is(store: ArtifactStore, branch: object) -> None:
    """An empty list does not tell a branch without such artifacts from one that is spelt otherwise."""
    if isinstance(branch, str) and next(store.find(query.from_flags(now_ns=0, branch=branch), limit=1), None) is None:
        complain(f"nothing here is of branch {branch}")


def _refuse_when_nothing_begins_so(store: ArtifactStore, what: str) -> None:
    if next(store.list(key_of(what, store.mountpoint), limit=1), None) is None:
        raise NotFound(f"not found: {what}")


def _below(store: ArtifactStore, what: str) -> Query:
    """What lies at and below a key, or begins so where there is none."""
    if not what:
        return EVERYTHING
    names = store.names_of(key_of(what, store.mountpoint))
    exact = store.exists(namespace.join_key(names))
    job, *path = (name.decode("utf-8", "surrogateescape") for name in names)
    if not path:
        return Text("job", Op.EQ, job) if exact else Text("job", Op.LIKE, query.escaped(job) + "*")
    inside = query.escaped("/".join(path))
    below = Text("path", Op.LIKE, inside + ("/*" if exact else "*"))
    itself = Text("path", Op.EQ, "/".join(path))
    return query.conjunction((Text("job", Op.EQ, job), query.disjunction((itself, below))))


def _say_what_is_searched(store: ArtifactStore) -> None:
    if not store.knows_all:
        complain("only the jobs that this machine has looked at are searched (`sync: full` knows all of them)")


def _print(store: ArtifactStore, found: Iterator[Artifact], output: Output) -> None:
    rows = islice(found, output.limit or None)
    if output.as_json:
        for artifact in rows:
            print_json(artifact.fields())
    elif output.paths:
        for artifact in rows:
            path = str(store.path(artifact.key))
            click.echo(f"{path}\0" if output.null else shown_path(path), nl=not output.null)
    else:
        print_table(("key", "type", "size", "stored", "modified", "tags"), map(_row, rows), right=(2, 3))
    if output.limit and next(found, None) is not None:
        complain(f"there are more than {output.limit}: --limit 0 shows all")


def _row(artifact: Artifact) -> tuple[str, ...]:
    return (
        shown(artifact.key) + (" (damaged)" if artifact.damaged else ""),
        artifact.type,
        shown_size(artifact.size),
        shown_size(artifact.stored_size),
        artifact.modified_at,
        shown_tags(artifact.tags),
    )
