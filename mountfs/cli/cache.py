"""`mountfs evict` and `mountfs prefetch`."""

from collections.abc import Mapping

import click

from mountfs.cli.output import json_option, print_json, shown, shown_size
from mountfs.cli.progress import Shown
from mountfs.cli.where import WHERE, Duration, Where, exit_codes, key_of
from mountfs.errors import DeadlineExceeded


@click.command("evict", epilog=exit_codes(2, 3, 5, 6))
@click.argument("key", required=False)
@click.option("--dry-run", is_flag=True, help="Let go of nothing; say what would go, and why the rest stays.")
@json_option
@WHERE
def evict_command(key: str | None, *, dry_run: bool, as_json: bool, where: Where) -> None:
    """Let go of contents on this machine that the bucket has, at and below KEY, or all. Names and facts stay.

    What is read again comes from the bucket. Pinned artifacts stay, and what the bucket does not have yet.
    """
    from mountfs.api.asking import asking, follow

    place = where.place()
    sums = {"evicted": 0, "evicted_bytes": 0, "stays": 0, "stays_bytes": 0}

    def told(answer: dict[str, object]) -> None:
        lines = answer["lines"]
        for line in lines if isinstance(lines, list) else []:
            what = "stays" if line["stays"] else "evicted"
            sums[what] += 1
            sums[f"{what}_bytes"] += line["stored_bytes"]
            _print(line, dry_run=dry_run, as_json=as_json)

    with asking(place) as ask:
        known = key_of(key, place.mountpoint) if key else ""
        follow(ask, "evict", seconds=None, told=told, key=known, dry_run=dry_run)
    if as_json:
        print_json({**sums, "dry_run": dry_run})
    else:
        click.echo(_evicted(sums, dry_run=dry_run))


def _print(line: Mapping[str, object], *, dry_run: bool, as_json: bool) -> None:
    stays, size = line["stays"], int(str(line["stored_bytes"]))
    if as_json:
        print_json(
            {"key": line["key"], "stored_size": size, "evicted": not stays and not dry_run, "reason": _why(stays)}
        )
        return
    if dry_run or stays:
        verb = "stays" if stays else "would evict"
        click.echo(shown(f"{verb} {line['key']} ({shown_size(size)}): {_why(stays)}"))


def _why(stays: object) -> str:
    return str(stays) if stays else "the bucket has it"


def _evicted(sums: Mapping[str, int], *, dry_run: bool) -> str:
    verb = "would evict" if dry_run else "evicted"
    return (
        f"{verb} {sums['evicted']} contents, {shown_size(sums['evicted_bytes'])};"
        f" {sums['stays']} stay, {shown_size(sums['stays_bytes'])}"
    )


@click.command("prefetch", epilog=exit_codes(2, 3, 5, 6, 7))
@click.argument("key")
@click.option("--timeout", type=Duration(), default="1h", show_default=True, help="How long to wait: 90s, 10m, 1h.")
@json_option
@WHERE
def prefetch_command(key: str, *, timeout: float, as_json: bool, where: Where) -> None:
    """Bring the contents of KEY, a job or a path in one, to this machine before anybody reads them."""
    from mountfs.api.asking import asking, follow

    place = where.place()
    last: dict[str, int] = {"files": 0, "files_here": 0, "bytes": 0, "bytes_here": 0}
    with asking(place) as ask, Shown() as progress:

        def told(answer: dict[str, object]) -> None:
            found = answer["progress"]
            if isinstance(found, dict):
                last.update(found)
            words = f"fetching {last['files']} files, {last['files_here']} here"
            progress.show(words, done_bytes=last["bytes_here"], total_bytes=last["bytes"])

        is_done = follow(ask, "prefetch", seconds=timeout, told=told, key=key_of(key, place.mountpoint))
    if not is_done:
        missing = last["files"] - last["files_here"]
        raise DeadlineExceeded(f"not done within {timeout:g} seconds: {missing} files are not here yet")
    if as_json:
        print_json(last)
    else:
        click.echo(f"fetched {last['files_here']} files, {shown_size(last['bytes_here'])}")
