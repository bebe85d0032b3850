"""`mountfs get`, `cat`, `show`, `exists`."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mountfs import namespace
from mountfs.api import ArtifactStore
from mountfs.cli import complain, legible
from mountfs.cli.completion import branches, commits, types
from mountfs.cli.output import (
    json_option,
    print_fields,
    print_json,
    shown,
    shown_size,
)
from mountfs.cli.progress import Shown
from mountfs.cli.where import WHERE, Where, exit_codes, key_of
from mountfs.errors import IsADirectory, NotFound
from mountfs.model import Artifact

if TYPE_CHECKING:
    from mountfs.api.getting import Asked, Chosen

PIECE_BYTES = 1 << 20
MOST_OTHERS = 10


@click.command("get", epilog=exit_codes(2, 3, 4, 5, 6, 7))
@click.argument("key", required=False)
@click.option("-o", "--output", metavar="FILE | DIR", help="A file, a directory, or - for stdout.")
@click.option("--branch", shell_complete=branches, help="The job of this branch, instead of KEY.")
@click.option("--commit", shell_complete=commits, help="The job of the commit that begins so, instead of KEY.")
@click.option("--latest", is_flag=True, help="Of several jobs the newest successful one, as in .latest/.")
@click.option("--type", "kind", shell_complete=types, help="What the job has of this type, of several jobs one has.")
@click.option("--force", is_flag=True, help="Replace files that are in the way.")
@WHERE
def get_command(
    key: str | None, *, output: str | None, branch: str | None, commit: str | None, latest: bool, kind: str | None,
    force: bool, where: Where,
) -> None:  # fmt: skip
    """Copy the artifact KEY, or the whole directory of that key, to where you are or to OUTPUT.

    As `cp -r` does: into OUTPUT where that is a directory, else it becomes OUTPUT. Instead of KEY a job may be named
    by its branch or commit; which one that is is said.
    """
    from mountfs.api.getting import Asked

    asked = Asked(branch, commit, latest, kind)
    if (key is None) == (asked == Asked()):
        raise click.UsageError("which? Name a KEY, or a job by --branch or --commit")
    with where.open(read_only=True) as store:
        known = _chosen(store, asked) if key is None else _meant(store, key)
        found = store.metadata(known)
        if output == "-":
            if found.kind == "directory":
                raise IsADirectory(f"{known} is a directory: name with -o where it goes; - is for one artifact")
            _print_content(store, known)
            return
        target = _target(output or ".", found)
        with Shown() as progress:
            count = store.save(
                known, target, type=kind, replace=force,
                told=lambda so_far: progress.show(
                    f"{_artifacts(so_far.artifacts)} copied",
                    done_bytes=so_far.done_bytes,
                    total_bytes=so_far.total_bytes,
                ),
            )  # fmt: skip
    click.echo(legible(f"{target}" if count == 1 else f"{target}: {_artifacts(count)}"), err=True)


def _chosen(store: ArtifactStore, asked: "Asked") -> str:
    """The key of what is asked for; which job that is goes to stderr."""
    chosen = store.choose(branch=asked.branch, commit=asked.commit, latest=asked.latest, type=asked.type)
    complain(f"{chosen.job}: {chosen.why}")
    return chosen.key


def _meant(store: ArtifactStore, key: str) -> str:
    """A key as somebody says it, also through `.latest/`."""
    known = key_of(key, store.mountpoint)
    chosen = store.through_latest(known)
    return known if chosen is None else chosen.key


def _target(output: str, found: Artifact) -> Path:
    target = Path(output)
    if output.endswith("/") and found.kind != "directory":
        target.mkdir(parents=True, exist_ok=True)
    return target / found.key.rpartition("/")[2] if target.is_dir() else target


def _artifacts(count: int) -> str:
    return "1 artifact" if count == 1 else f"{count} artifacts"


@click.command("cat", epilog=exit_codes(2, 3, 5, 6, 7))
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@WHERE
def cat_command(keys: tuple[str, ...], *, where: Where) -> None:
    """Print the content of artifacts."""
    with where.open(read_only=True) as store:
        for key in keys:
            _print_content(store, _meant(store, key))


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
    """Show all facts and tags of an artifact, a directory or a job.

    Of a path below .latest/ also which job was chosen, by which rule, and why no newer one.
    """
    with where.open(read_only=True) as store:
        known = key_of(key, store.mountpoint)
        chosen = store.through_latest(known)
        artifact = store.metadata(known if chosen is None else chosen.key)
    if as_json:
        print_json(artifact.fields() | ({} if chosen is None else {"chosen": chosen.as_json()}))
    else:
        print_fields([*_choice(chosen), *_facts(artifact)])


def _choice(chosen: "Chosen | None") -> Iterator[tuple[str, str]]:
    if chosen is not None:
        yield "chosen", shown(f"{chosen.job}: {chosen.why}")
        others = chosen.choice.others
        for job, reason in others[:MOST_OTHERS]:
            yield "passed over", shown(f"{namespace.join_key((job,))}: {reason}")
        if len(others) > MOST_OTHERS:
            yield "passed over", f"and {len(others) - MOST_OTHERS} more (--json names them)"


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
