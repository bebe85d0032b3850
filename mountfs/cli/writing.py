"""`mountfs put`, `tag`, `pin`, `unpin`, `delete`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import click

from mountfs import namespace
from mountfs.api import ArtifactStore
from mountfs.cli import complain
from mountfs.cli.completion import branches, tags, types
from mountfs.cli.output import (
    json_option,
    print_fields,
    print_json,
    shown,
    shown_size,
)
from mountfs.cli.where import WHERE, Where, exit_codes, key_of
from mountfs.errors import EnvironmentProblem, InvalidArgument, IsADirectory, MountfsError, NotFound, Protected

SAMPLE_BYTES = 4 << 20


@click.command("put", epilog=exit_codes(2, 3, 4, 5, 6, 8))
@click.argument("key")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--type", "kind", shell_complete=types, help="Its type, where the name does not say it.")
@click.option("--tag", "tags", shell_complete=tags, multiple=True, metavar="KEY=VALUE", help="A tag; may be repeated.")
@click.option("--metadata", metavar="JSON", help="An object; what may be a tag becomes one, all of it is kept.")
@click.option("--mime-type", help="Its MIME type, where neither its name nor its first bytes say it.")
@click.option("--expires", metavar="WHEN", help="A date, a time, or +30d.")
@click.option("--dry-run", is_flag=True, help="Store nothing; say what it would cost.")
@json_option
@WHERE
def put_command(
    key: str, file: Path, *, kind: str | None, tags: tuple[str, ...], metadata: str | None, mime_type: str | None,
    expires: str | None, dry_run: bool, as_json: bool, where: Where,
) -> None:  # fmt: skip
    """Store FILE, or what comes from stdin (-), as the artifact KEY. What had that key is replaced."""
    if file.is_dir():
        raise IsADirectory(f"{file} is a directory: `cp -r` it into the mount")
    source: Path | BinaryIO = _stdin() if str(file) == "-" else file
    if dry_run:
        _print_estimate(key, source, as_json=as_json)
        return
    said = _metadata(metadata)
    with where.open() as store:
        artifact = store.put(
            key_of(key, store.mountpoint),
            source,
            type=kind,
            tags={**_tags_in(said), **dict(map(_tag, tags))},
            metadata=said,
            mime_type=mime_type,
            expires=expires,
        )
    if as_json:
        print_json(artifact.fields())
    else:
        click.echo(f"{shown(artifact.key)}: {shown_size(artifact.size)}, stored {shown_size(artifact.stored_size)}")


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise EnvironmentProblem("stdin is closed: there is nothing to read")
    return sys.stdin.buffer


def _tag(text: str) -> tuple[str, str]:
    key, value = namespace.parse_tag(text)
    return key, value.decode("utf-8", "surrogateescape")


def _metadata(text: str | None) -> dict[str, object]:
    try:
        said = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"--metadata: not JSON ({error})") from None
    if not isinstance(said, dict):
        raise InvalidArgument("--metadata: a JSON object is expected")
    return said


def _tags_in(metadata: Mapping[str, object]) -> dict[str, str]:
    """Those members that may be tags: `{"branch": "main", "pr": 7}` is how an older store was told them (F-032)."""
    found = {}
    for key, value in metadata.items():
        text = json.dumps(value) if isinstance(value, bool | int | float) else value
        if not isinstance(text, str):
            continue
        try:
            namespace.check_tag(key, text.encode("utf-8", "surrogateescape"))
        except MountfsError:
            continue
        found[key] = text
    return found


def _print_estimate(key: str, source: Path | BinaryIO, *, as_json: bool) -> None:
    sample, size = _sample(source)
    stored = ArtifactStore.estimate_compressed_size(sample, total_bytes=size)
    if as_json:
        print_json({"key": key, "size": size, "estimated_stored_size": stored, "dry_run": True})
    else:
        click.echo(f"{shown(key)}: {shown_size(size)} would take about {shown_size(stored)}; nothing was stored")


def _sample(source: Path | BinaryIO) -> tuple[bytes, int]:
    """The first bytes, and how many there are."""
    if isinstance(source, Path):
        try:
            with open(source, "rb") as file:
                return file.read(SAMPLE_BYTES), source.stat().st_size
        except FileNotFoundError:
            raise NotFound(f"not found: {source}") from None
        except OSError as error:
            raise InvalidArgument(f"{source}: {error.strerror}") from error
    sample = source.read(SAMPLE_BYTES)
    size = len(sample)
    while piece := source.read(SAMPLE_BYTES):
        size += len(piece)
    return sample, size


@click.command("tag", epilog=exit_codes(2, 3, 4, 5, 6))
@click.argument("key")
@click.argument("tags", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--remove", multiple=True, metavar="KEY", help="Take a tag away; may be repeated.")
@WHERE
def tag_command(key: str, tags: tuple[str, ...], *, remove: tuple[str, ...], where: Where) -> None:
    """Set tags of a job, a directory or an artifact; without any, print those it has.

    What lies below a directory has its tags too. Without `=` it is a label.
    """
    said = dict(map(_tag, tags))
    with where.open() as store:
        known = key_of(key, store.mountpoint)
        if said:
            store.tag(known, **said)
        if remove:
            store.untag(known, *remove)
        if not said and not remove:
            print_fields((tag, shown(value) or '""') for tag, value in sorted(store.metadata(known).tags.items()))


@click.command("pin", epilog=exit_codes(2, 3, 4, 5, 6))
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@WHERE
def pin_command(keys: tuple[str, ...], *, where: Where) -> None:
    """Keep artifacts, directories with all below them, or whole jobs: they never expire.

    What is pinned is not removed, moved away or replaced either, until `mountfs unpin`; writing into it goes on. A
    pinned job is the baseline of its branch (F-114), and its contents stay on this machine. Where there is a bucket
    it is told before this ends, or as soon as it answers.
    """
    from mountfs.api.pinning import NOT_TOLD

    with where.open() as store:
        if not store.pin(*(key_of(key, store.mountpoint) for key in keys)):
            complain(f"pinned here; {NOT_TOLD}")


@click.command("unpin", epilog=exit_codes(2, 3, 4, 5, 6))
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@WHERE
def unpin_command(keys: tuple[str, ...], *, where: Where) -> None:
    """Let go of what `mountfs pin` keeps. Pins of what lies below or above are not touched."""
    from mountfs.api.pinning import NOT_TOLD

    with where.open() as store:
        if not store.unpin(*(key_of(key, store.mountpoint) for key in keys)):
            complain(f"unpinned here; {NOT_TOLD}")


@click.command("delete", epilog=exit_codes(2, 3, 4, 5, 6))
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@click.option("--branch", shell_complete=branches, help="All jobs that are tagged with this branch; needs --all.")
@click.option("--all", "everything", is_flag=True, help="With --branch: yes, all of them.")
@click.option("--dry-run", is_flag=True, help="Only print what would go.")
@click.option("--yes", is_flag=True, help="Do not ask, on a terminal either.")
@WHERE
def delete_command(
    keys: tuple[str, ...], *, branch: str | None, everything: bool, dry_run: bool, yes: bool, where: Where
) -> None:
    """Delete artifacts, directories with all below them, or whole jobs. Prints each artifact that goes.

    What is pinned is refused, and with it all that was named: then nothing is deleted.
    """
    with where.open(read_only=dry_run) as store:
        known = _to_delete(store, keys, branch, everything=everything)
        victims = [artifact.key for key in known for artifact in store.list(key, limit=None)]
        for victim in victims:
            click.echo(f"{'would delete' if dry_run else 'delete'} {shown(victim)}")
        if dry_run:
            return
        if not yes and sys.stdin is not None and sys.stdin.isatty() and len(victims) > 1:
            click.confirm(f"Delete these {len(victims)} artifacts?", abort=True)
        for key in known:
            store.delete(key)


def _to_delete(store: ArtifactStore, keys: tuple[str, ...], branch: str | None, *, everything: bool) -> list[str]:
    """Raises NotFound, Protected, InvalidArgument before anything goes."""
    if bool(keys) == (branch is not None):
        raise InvalidArgument("delete: say either keys, or --branch NAME --all")
    if branch is not None and not everything:
        raise InvalidArgument(f"--branch {branch} deletes every job of it: say --all if that is meant")
    if branch is not None and not store.knows_all:
        complain("only the jobs that this machine has looked at are deleted (`sync: full` knows all of them)")
    known = [key_of(key, store.mountpoint) for key in keys]
    known += [] if branch is None else store.jobs_tagged("branch", branch)
    if branch is not None and not known:
        raise NotFound(f"no job has the branch {branch}")
    missing = [key for key in known if not store.exists(key)]
    if missing:
        raise NotFound(f"not found: {', '.join(missing)}; nothing was deleted")
    for key in known:
        try:
            store.refuse_if_pinned(key)
        except Protected as error:
            raise Protected(f"{error}; nothing was deleted") from None
    return known
