"""`mountfs completion`, and what it completes: branches, commits, tags and types that the index of this machine knows.

A shell asks at each TAB: the catalog is read beside whoever holds it, nobody is waited for, and what goes wrong is
silence. What would mean something to a shell is not offered: tags are strangers' texts.
"""

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import click

from mountfs.cli.where import Where, exit_codes

if TYPE_CHECKING:
    from mountfs.catalog.search import Search

MOST: Final = 100
SECONDS: Final = 0.2
"""For all that is asked of the catalog."""
VARIABLE: Final = "_MOUNTFS_COMPLETE"
_SAFE: Final = re.compile(r"[\w@%+:,./-]+")

Values = Callable[["Search", str], list[str]]


@click.command("completion", epilog=exit_codes(2))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print what makes SHELL complete commands, options, branches, commits, tags and types.

    For bash: put `eval "$(mountfs completion bash)"` into ~/.bashrc.
    """
    from click.shell_completion import get_completion_class

    from mountfs.cli import program

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(program, {}, "mountfs", VARIABLE).source())


# -- what is offered ----------------------------------------------------------------------------------------------


def branches(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Values of the tag `branch` that begin so."""
    return _offered(ctx, incomplete, lambda search, begun: _values(search, "branch", begun))


def commits(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Values of the tag `commit` that begin so."""
    return _offered(ctx, incomplete, lambda search, begun: _values(search, "commit", begun))


def tags(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Keys of tags, and behind `KEY=`, or where only one is left, its values."""
    return _offered(ctx, incomplete, _tags)


def types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The types of every store, and others that are in this one."""
    from mountfs.namespace import BUILTIN_TYPES

    here = _offered(ctx, incomplete, lambda search, begun: [_text(slug) for slug in search.values.types()])
    return sorted({*here, *(slug for slug in BUILTIN_TYPES if slug.startswith(incomplete))})


def _tags(search: "Search", begun: str) -> list[str]:
    key, is_key, value = begun.partition("=")
    keys = [key] if is_key else [_text(one) for one in search.values.keys(limit=1000) if _text(one).startswith(begun)]
    if len(keys) != 1:
        return keys
    return [f"{keys[0]}={one}" for one in _values(search, keys[0], value)]


def _values(search: "Search", key: str, begun: str) -> list[str]:
    return [_text(value) for value in search.values.values_beginning(key, begun.encode(), limit=MOST)]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _offered(ctx: click.Context, incomplete: str, values: Values) -> list[str]:
    from mountfs.errors import MountfsError

    try:
        with _quick_search(ctx) as search:
            found = values(search, incomplete)
    except (MountfsError, OSError, UnicodeError):
        return []
    return [one for one in found if one.startswith(incomplete) and _SAFE.fullmatch(one.replace("=", "", 1))]


@contextlib.contextmanager
def _quick_search(ctx: click.Context) -> Iterator["Search"]:
    """The index of the store that the command line means, for a moment. Raises MountfsError, OSError."""
    from mountfs.api import refuse_strangers
    from mountfs.catalog.search import Search
    from mountfs.statedir import StateDirectory

    said = (ctx.params.get(name) for name in ("mount", "state", "config"))
    place = Where(*said).place()
    refuse_strangers(place.state)
    search = Search.open(StateDirectory(place.state).catalog)
    enough = threading.Timer(SECONDS, search.interrupt)
    enough.daemon = True
    enough.start()
    try:
        yield search
    finally:
        enough.cancel()
        enough.join()  # it may just be at it
        search.close()


# -- bash ---------------------------------------------------------------------------------------------------------


def teach_bash() -> None:
    """Bash takes `KEY=VALUE` for three words: they are one for us, and only the last of them is replaced."""
    from click.shell_completion import BashComplete, CompletionItem, add_completion_class

    class Bash(BashComplete):
        def get_completion_args(self) -> tuple[list[str], str]:
            args, incomplete = super().get_completion_args()
            self._begun = ""
            if incomplete == "=" and args:
                self._begun, incomplete = f"{args.pop()}=", ""
            elif len(args) > 1 and args[-1] == "=":
                self._begun = f"{args[-2]}="
                del args[-2:]
            if self._begun.startswith("-"):  # an option and its value
                args.append(self._begun[:-1])
                self._begun = ""
            return args, self._begun + incomplete

        def format_completion(self, item: "CompletionItem[str]") -> str:
            return f"{item.type},{item.value.removeprefix(self._begun)}"

    add_completion_class(Bash)
