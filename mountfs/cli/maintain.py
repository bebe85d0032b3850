"""`mountfs maintain`."""

import click

from mountfs.cli.output import json_option, print_json, shown
from mountfs.cli.progress import Counted
from mountfs.cli.where import WHERE, Duration, Where, exit_codes, key_of
from mountfs.errors import DeadlineExceeded


@click.command("maintain", epilog=exit_codes(2, 4, 5, 6))
@click.argument("job", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Read every job, also those that seem to need nothing.")
@click.option("--dry-run", is_flag=True, help="Change nothing; say which jobs are due, and why.")
@click.option("--timeout", type=Duration(), default="1h", show_default=True, help="How long to wait: 90s, 10m, 1h.")
@json_option
@WHERE
def maintain_command(
    job: tuple[str, ...], *, everything: bool, dry_run: bool, timeout: float, as_json: bool, where: Where
) -> None:
    """Keep the bucket small, now: small bundles are merged, and what nobody refers to is dropped after the grace.

    A mount with `sync: full` does that by itself every hour; where all machines are lazy, run this now and then on one
    that keeps its state directory. What is dead is dropped when a later run finds it dead still. JOB: only these.
    """
    from mountfs.api.asking import asking, follow

    place = where.place()
    last: dict[str, object] = {}
    due: list[dict[str, object]] = []
    with asking(place) as ask, Counted() as counted:

        def told(answer: dict[str, object]) -> None:
            lines, progress = answer["lines"], answer["progress"]
            due.extend(lines if isinstance(lines, list) else [])
            if isinstance(progress, dict) and progress:
                last.clear()
                last.update(progress)
                counted.count(str(last["phase"]), done=_number(last, "done"), total=_number(last, "total"))

        jobs = [key_of(name, place.mountpoint) for name in job]
        is_done = follow(
            ask, "maintain", seconds=timeout, told=told, jobs=jobs, all=everything, dry_run=dry_run
        )  # fmt: skip
    if not is_done:
        raise DeadlineExceeded(f"not done within {timeout:g} seconds ({last.get('phase')}): it goes on in a mount")
    if dry_run:
        _print_due(due, as_json=as_json)
    elif as_json:
        print_json({name: value for name, value in last.items() if name != "phase"})
    else:
        _print_done(last)


def _print_due(due: list[dict[str, object]], *, as_json: bool) -> None:
    for line in due:
        if as_json:
            print_json(line)
        else:
            click.echo(shown(f"would maintain {line['job']}: {line['reason']}"))
    if not as_json:
        click.echo(f"{len(due)} jobs are due")


def _print_done(done: dict[str, object]) -> None:
    click.echo(
        f"{_number(done, 'jobs')} jobs maintained: {_number(done, 'merged')} bundles merged into"
        f" {_number(done, 'into')}, {_number(done, 'dropped')} large contents dropped,"
        f" {_number(done, 'gone')} emptied jobs gone"
    )
    if _number(done, "ended") or _number(done, "heads"):
        click.echo(f"{_number(done, 'ended')} interrupted uploads ended, {_number(done, 'heads')} old heads dropped")
    if done.get("beside"):
        click.echo("another machine does maintenance too at this moment: both do no harm")
    if _number(done, "failed"):
        click.echo(f"{_number(done, 'failed')} jobs could not be maintained: see the log", err=True)


def _number(told: dict[str, object], name: str) -> int:
    return int(str(told.get(name, 0)))
