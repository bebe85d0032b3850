"""`mountfs cleanup`."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mountfs.cli import complain
from mountfs.cli.completion import branches, tags, types
from mountfs.cli.output import json_option, print_json, shown, shown_size
from mountfs.cli.where import WHERE, Where, exit_codes
from mountfs.errors import Protected

if TYPE_CHECKING:
    from mountfs.api.cleaning import Planned
    from mountfs.retention import DatedVictim, Kept, Victim

NICE = 10


@click.command("cleanup", epilog=exit_codes(2, 3, 4, 5, 6))
@click.option("--older-than", metavar="AGE", help="Published longer ago than this: 90d, 12h.")
@click.option(
    "--type", "types", shell_complete=types, multiple=True, help="Only of this type; several: of one of them."
)
@click.option(
    "--tag",
    "tags",
    shell_complete=tags,
    multiple=True,
    metavar="KEY[=VALUE]",
    help="Only of jobs with this tag; several: all.",
)
@click.option(
    "--branch",
    "branches",
    shell_complete=branches,
    multiple=True,
    help="Only of jobs of this branch; several: of one of them.",
)
@click.option("--merged", is_flag=True, help="Only of jobs of branches that git calls merged.")
@click.option("--repo", type=click.Path(path_type=Path), default=Path(), help="With --merged: the repository.")
@click.option("--into", default="main", show_default=True, help="With --merged: the branch they are merged into.")
@click.option("--dry-run", is_flag=True, help="Only print what would go, and why.")
@click.option("--kept", is_flag=True, help="Print what stays too, and why.")
@click.option("--yes", is_flag=True, help="Do it, however much goes and whatever the clock did; do not ask either.")
@click.option("--automatic", is_flag=True, hidden=True)
@json_option
@WHERE
def cleanup_command(
    *, older_than: str | None, types: tuple[str, ...], tags: tuple[str, ...], branches: tuple[str, ...], merged: bool,
    repo: Path, into: str, dry_run: bool, kept: bool, yes: bool, automatic: bool, as_json: bool, where: Where,
) -> None:  # fmt: skip
    """Drop what expired, or what is selected, and say why it goes.

    Without a selection the settings decide (`retention`), and what has a date of its own goes when that has come. A
    report, all artifacts of one type in a job, goes whole. What is pinned, a baseline or among the newest that the
    settings keep stays. All of it can be brought back for a while: `mountfs restore`.

    What a run that was killed left of a report goes too, whatever is selected.

    A run that would take something from more than a fifth of the jobs, or after the clock has jumped, stops with 4 and
    says what would go.
    """
    from mountfs.api.asking import asking
    from mountfs.api.cleaning import Wanted, carry_out, plan_cleanup

    if automatic:
        with suppress(OSError):
            os.nice(NICE)
    wanted = Wanted(older_than, types, tags, branches, _merged(repo, into) if merged else None)
    place = where.place()
    with asking(place) as ask:
        planned = plan_cleanup(ask, place.state, wanted)
        is_refused = bool(planned.brakes) and not yes
        _say_what_stops(planned, dry_run=dry_run, is_refused=is_refused)
        _print(planned, is_done=not (dry_run or is_refused), kept=kept, as_json=as_json)
        if dry_run:
            return
        if is_refused:
            raise click.exceptions.Exit(Protected.exit_code)
        if not yes:
            _ask_on_a_terminal(planned)
        done = carry_out(ask, planned, told=lambda what, reason: complain(f"{what} stays: {reason}"))
    if as_json:
        print_json({"dropped": done.artifacts, "jobs_gone": done.jobs})
    else:
        click.echo(f"{done.artifacts} artifacts dropped, and {done.jobs} jobs are gone with them")


def _merged(repo: Path, into: str) -> frozenset[str]:
    from mountfs.api.git import merged_branches

    return merged_branches(repo, into)


def _say_what_stops(planned: "Planned", *, dry_run: bool, is_refused: bool) -> None:
    """Before anything is printed: who reads on knows then that it only would go."""
    if not planned.knows_all:
        complain("only the jobs that this machine has looked at are considered (`sync: full` knows all of them)")
    if dry_run:
        for brake in planned.brakes:
            complain(f"it would stop: {brake.sentence}")
    elif is_refused:
        complain(planned.refusal)


def _ask_on_a_terminal(planned: "Planned") -> None:
    if planned.victims and sys.stdin is not None and sys.stdin.isatty():
        click.confirm(f"Drop these {planned.artifacts} artifacts?", abort=True)


def _print(planned: "Planned", *, is_done: bool, kept: bool, as_json: bool) -> None:
    """Each victim with its reason; not `is_done`, as what would go."""
    for victim in planned.victims:
        if as_json:
            print_json({**_fields(victim), "dry_run": not is_done})
        else:
            click.echo(shown(f"{'drop' if is_done else 'would drop'} {victim.sentence}"))
    for one in planned.plan.kept if kept else ():
        if as_json:
            print_json(_kept_fields(one))
        else:
            click.echo(shown(f"keep {one.report}: {'; '.join(map(str, one.reasons))}"))
    if not is_done and not as_json:
        size = shown_size(planned.stored_bytes)
        click.echo(f"{planned.artifacts} artifacts of {len(planned.jobs)} jobs would go, {size}")


def _fields(victim: "Victim | DatedVictim") -> dict[str, object]:
    from mountfs.retention import Victim

    report = victim.report
    said = {"action": "drop", "job": report.job, "type": report.type, "rule": victim.reason.rule}
    said["reason"] = str(victim.reason)
    if isinstance(victim, Victim):
        return {**said, "artifacts": report.artifacts, "stored_bytes": report.stored_bytes}
    return {**said, "path": victim.dated.path, "artifacts": 1, "stored_bytes": victim.dated.stored_bytes}


def _kept_fields(kept: "Kept") -> dict[str, object]:
    reasons = [{"rule": reason.rule, "reason": str(reason)} for reason in kept.reasons]
    return {"action": "keep", "job": kept.report.job, "type": kept.report.type, "reasons": reasons}
