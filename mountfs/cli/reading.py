"""`mountfs get`, `cat`, `show`, `exists`."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from mountfs.api import ArtifactStore
from mountfs.cli import legible
from mountfs.cli.output import (
    json_option,
    print_fields,
    print_json,
    shown,
    shown_size,
)
from mountfs.cli.where import WHERE, Where, exit_codes, key_of
from mountfs.errors import NotFound
from mountfs.model import Artifact

PIECE_BYTES = 1 << 20


@click.command("get", epilog=exit_codes(2, 3, 5, 6, 7))
@click.argument("key")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file, a directory, or - for stdout.")
@WHERE
def get_command(key: str, *, output: Path | None, where: Where) -> None:
    """Copy the artifact KEY, or the whole directory of that key, to where you are or to OUTPUT."""
    with where.open(read_only=True) as store:
        known = key_of(key, store.mountpoint)
        if output == Path("-"):
            _print_content(store, known)
            return
        target = output or Path()
        if target.is_dir():
            target = target / store.metadata(known).key.rpartition("/")[2]
        count = store.save(known, target)
    click.echo(legible(f"{target}" if count == 1 else f"{target}: {count} artifacts"), err=True)


@click.command("cat", epilog=exit_codes(2, 3, 5, 6, 7))
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@WHERE
def cat_command(keys: tuple[str, ...], *, where: Where) -> None:
    """Print the content of artifacts."""
    with where.open(read_only=True) as store:
        for key in keys:
            _print_content(store, key_of(key, store.mountpoint))


def _print_content(store: ArtifactStore, key: str) -> None:
    with store.open(key) as content:
        while piece := content.read(PIECE_BYTES):
            sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


@click.command("show", epilog=exit_codes(2, 3, 5, 6))
@click.argument("key")
@json_option
@WHERE
def show_command(key: str, *, as_json: bool, where: Where) -> None:
    """Show all facts and tags of an artifact, a directory or a job."""
    with where.open(read_only=True) as store:
        artifact = store.metadata(key_of(key, store.mountpoint))
    if as_json:
        print_json(artifact.fields())
    else:
        print_fields(_facts(artifact))


def _facts(artifact: Artifact) -> Iterator[tuple[str, str]]:
    if artifact.damaged:
        yield "damaged", "integrity check failed: the stored content is not what was written, and is not served"
    yield "key", shown(artifact.key)
    yield "kind", artifact.kind
    if artifact.kind != "directory":
        yield "type", artifact.type
        yield "mime_type", artifact.mime_type
        yield "size", f"{artifact.size} ({shown_size(artifact.size)})"
        yield "stored_size", f"{artifact.stored_size} ({shown_size(artifact.stored_size)})"
        yield "codec", artifact.codec
        yield "sha256", artifact.sha256 or "still being computed"
        yield "state", artifact.state
        yield "version", str(artifact.version)
        yield "format", artifact.format or ""
        yield from _summary(artifact.summary or {})
    yield "created_at", artifact.created_at
    yield "modified_at", artifact.modified_at
    yield "expires_at", artifact.expires_at or ""
    yield "pinned", "yes" if artifact.pinned else ""
    yield "recovered", "yes: published as found after its writer or the daemon died" if artifact.recovered else ""
    yield "uri", shown(artifact.uri)
    for tag, value in sorted(artifact.tags.items()):
        yield f"tag {tag}", shown(value) or '""'
    for name, said in artifact.metadata.items():
        yield f"metadata {shown(name)}", shown(str(said))


def _summary(summary: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What a report says."""
    yield "unreadable", shown(str(summary.get("reason", "")))
    numbers = summary.get("numbers")
    for name, number in numbers.items() if isinstance(numbers, dict) else ():
        yield shown(name), shown(str(number))


@click.command("exists", epilog=exit_codes(2, 3, 5, 6))
@click.argument("key")
@WHERE
def exists_command(key: str, *, where: Where) -> None:
    """Exit 0 when there is an artifact, a directory or a job of that key, 3 when not. Prints nothing."""
    with where.open(read_only=True) as store:
        found = store.exists(key_of(key, store.mountpoint))
    raise click.exceptions.Exit(0 if found else NotFound.exit_code)
