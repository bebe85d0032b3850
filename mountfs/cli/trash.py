"""`mountfs trash` and `mountfs restore`."""

from typing import TYPE_CHECKING

import click

from mountfs.cli import complain
from mountfs.cli.output import json_option, print_json, print_table, shown, shown_size, shown_time
from mountfs.cli.where import WHERE, Where, exit_codes, key_of

if TYPE_CHECKING:
    from mountfs.store.removed import Removed

SECONDS = 3600.0  # a whole job may take minutes, in which others are served
DAY_MS = 86_400_000


@click.command("restore", epilog=exit_codes(2, 3, 4, 5, 6, 7))
@click.argument("key")
@click.option("--as", "to", metavar="KEY", help="Bring it back under this key.")
@click.option("--id", "number", metavar="ID", help="Of several that were there, the one that `trash list` names so.")
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="What the file at KEY held as version N.")
@json_option
@WHERE
def restore_command(
    key: str, *, to: str | None, number: str | None, version: int | None, as_json: bool, where: Where
) -> None:
    """Bring back what was removed or overwritten at KEY: what was there last; of a directory or job, all that is gone.

    KEY may also name a version, .versions/JOB/PATH/N: the file keeps its tags and holds that again, and what it holds
    now is a version itself. `ls .versions/JOB/PATH` says which there are.

    It is published anew, as a change made now; a date of its own (expires_at) that has come is taken away. What is
    there now goes to the trash itself. What could not be published (`mountfs status` names it) is brought back by the
    same command.
    """
    from mountfs import namespace
    from mountfs.api.asking import asking
    from mountfs.api.keys import names_of

    if version is not None and (to or number):
        raise click.UsageError("--version goes without --as and --id: `cp` copies a version elsewhere")
    place = where.place()
    with asking(place) as ask:
        names, version = _version_of(names_of(key_of(key, place.mountpoint), place.mountpoint), version)
        told = ask(
            "restore", timeout=SECONDS, key=namespace.join_key(names), number=number, version=version,
            to=to and namespace.join_key(names_of(key_of(to, place.mountpoint), place.mountpoint)),
        )  # fmt: skip
    for name in _texts(told["removals"]):
        complain(f"{name}: a removal was set aside, which is forgotten now; `mountfs delete` removes what is there")
    for failed in _texts(told["failed"]):
        complain(failed)
    undated = set(_texts(told["undated"]))
    if as_json:
        print_json({name: told[name] for name in ("restored", "keys", "failed", "undated", "earlier")})
    else:
        earlier = told["earlier"] if number is None and isinstance(told["earlier"], dict) else {}
        for name in _texts(told["keys"]):
            more = "; its date had come and is taken away" if name in undated else ""
            click.echo(_restored(shown(name), str(earlier.get(name, ""))) + more)
    if told["failed"]:
        raise click.exceptions.Exit(7)


def _restored(name: str, earlier: str) -> str:
    """What was removed before it was stored is not kept: what came back is what was there before."""
    from mountfs.store.trash import OVERWRITTEN

    if not earlier:
        return f"restored {name}"
    if earlier == OVERWRITTEN:
        return f"restored {name} as it was before it was written over"  # and then moved away, or not kept
    return f"restored {earlier} of {name}: what was removed was not kept"


def _version_of(names: tuple[bytes, ...], version: int | None) -> tuple[tuple[bytes, ...], int | None]:
    """The file, and which version of it is meant. Raises InvalidArgument."""
    from mountfs.errors import InvalidArgument
    from mountfs.retention.versions import VIEW, parse_version

    if names[0] != VIEW:
        return names, version
    number = parse_version(names[-1]) if len(names) > 3 else None  # .versions, job, name, number
    if number is None:
        raise InvalidArgument("a version is a number after the path of its artifact: .versions/JOB/PATH/1")
    return names[1:-1], number


@click.group("trash", epilog=exit_codes(2, 3, 6))
def trash_command() -> None:
    """List or empty what was removed or overwritten. It stays for `trash_days`, or as long as the bucket says."""


@trash_command.command("list", epilog=exit_codes(2, 3, 6))
@click.argument("key", required=False)
@json_option
@WHERE
def list_command(key: str | None, *, as_json: bool, where: Where) -> None:
    """What can be brought back, of KEY and below or of everything, what went last first."""
    place = where.place()
    with where.open(read_only=True) as store:
        keep_ms = store.grace_ms(trash_days=place.settings.trash_days)
        found = store.removed(key_of(key, place.mountpoint) if key else "")
        if not as_json:
            print_table(("id", "gone", "size", "reason", "key"), map(_row, found), right=(2,))
            return
        for removed in found:
            print_json(_fields(removed, keep_ms))


def _row(removed: "Removed") -> tuple[str, ...]:
    from mountfs import namespace

    size = shown_size(removed.size) if removed.kind is not None else ""
    key = shown(namespace.join_key(removed.names))
    return removed.number, shown_time(removed.gone_ms / 1000), size, shown(removed.reason), key


def _fields(removed: "Removed", keep_ms: int) -> dict[str, object]:
    from mountfs import namespace
    from mountfs.model import Kind
    from mountfs.store.facts import iso, tags_in

    return {
        "id": removed.number,
        "key": namespace.join_key(removed.names),
        "kind": None if removed.kind is None else Kind(removed.kind).name.lower(),
        "size": removed.size,
        "reason": removed.reason,
        "gone_at": iso(removed.gone_ms * 1_000_000),
        "until": None if removed.aside else iso((removed.gone_ms + keep_ms) * 1_000_000),
        "tags": tags_in(removed.registers),
    }


@trash_command.command("empty", epilog=exit_codes(2, 3, 5, 6, 8))
@click.argument("key", required=False)
@click.option("--dry-run", is_flag=True, help="Only print what would go.")
@json_option
@WHERE
def empty_command(key: str | None, *, dry_run: bool, as_json: bool, where: Where) -> None:
    """Let go of the trash of KEY and below, or of all of it: it cannot be brought back on this machine any more.

    What the bucket keeps of it goes when its grace ends. What could not be published is only let go by its KEY.
    """
    from mountfs.api.asking import asking

    place = where.place()
    with asking(place) as ask:
        told = ask("trash_empty", timeout=SECONDS, key=key and key_of(key, place.mountpoint), dry_run=dry_run)
    victims = told["victims"]
    for victim in victims if isinstance(victims, list) else []:
        if as_json:
            print_json({**victim, "dry_run": dry_run})
        else:
            verb = "would let go of" if dry_run else "let go of"
            click.echo(f"{verb} {shown(str(victim['key']))} ({victim['reason']})")


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
