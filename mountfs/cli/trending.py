"""`mountfs history`, `trend` and `badge`."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mountfs.cli import complain
from mountfs.cli.completion import branches, types
from mountfs.cli.output import json_option, print_json, print_table
from mountfs.cli.where import WHERE, AnyPath, Where, exit_codes
from mountfs.compare.metrics import Unit
from mountfs.compare.texts import legible, shown_change, shown_number, shown_percent
from mountfs.errors import EnvironmentProblem, NotFound

if TYPE_CHECKING:
    from mountfs.api import ArtifactStore
    from mountfs.compare.history import History, HistoryRow, JobFacts, Since
    from mountfs.compare.trend import Trend

NEWEST: Final = 50
MOST_NEWEST: Final = 10_000
ALERT: Final = 1
_TOLD: Final = 3

newest_option = click.option(
    "-n", "newest", type=click.IntRange(1, MOST_NEWEST), default=NEWEST, show_default=True, help="So many jobs."
)
branch_option = click.option(
    "--branch", shell_complete=branches, help="Jobs of this branch, without those of pull requests; default: all."
)


class Percent(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.2 on
    """`20%` or `20`."""

    name = "percent"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(str(value).removesuffix("%").strip())
        except ValueError:
            number = -1.0
        if not 0 <= number < 1e9:
            self.fail(f"{value!r} is no percentage; 20% is one", param, ctx)
        return number


@click.command("history", epilog=exit_codes(2, 3, 5, 6))
@click.argument("test", metavar="TEST-ID")
@branch_option
@newest_option
@json_option
@WHERE
def history_command(test: str, *, branch: str | None, newest: int, as_json: bool, where: Where) -> None:
    """Say how TEST-ID ended in the newest jobs that ran tests, and since which commit it fails, flakes or is slower.

    TEST-ID is what pytest prints, what JUnit has (`pkg.Class.test`), or the end of one.
    """
    from mountfs.compare.document import history_as_json

    with where.open(read_only=True) as store:
        _say_what_is_known(store, branch)
        found = store.history(test, branch=branch, newest=newest)
    _say_unreadable(found.unreadable)
    if as_json:
        print_json(history_as_json(found.history))
        return
    _print_history(found.history)


def _print_history(history: "History") -> None:
    click.echo(legible(str(history.test), 1000))
    for sentence in _sentences(history):
        click.echo(sentence)
    click.echo()
    header = ("WHEN", "JOB", "COMMIT", "OUTCOME", "TIME", "")
    print_table(header, [_row(row) for row in history.rows], right=(4,))


def _sentences(history: "History") -> Iterator[str]:
    if history.failing_since is not None:
        yield _since("fails since", history.failing_since)
    if history.flaky_since is not None:
        yield _since("flaky since", history.flaky_since)
    if history.slower_since is not None and history.slower is not None:
        before, after = (shown_number(seconds, Unit.SECONDS) for seconds in history.slower)
        yield f"{_since('slower since', history.slower_since)}: {before} → {after}"
    if history.failing_since is None and history.flaky_since is None and history.slower_since is None:
        yield "neither fails, flakes nor became slower"


def _since(what: str, since: "Since") -> str:
    before = since.last_before
    ended = "the first job that is known" if before is None else f"not in {_named(before)} before"
    return f"{what} {_named(since.first)}; {ended}"


def _named(job: "JobFacts") -> str:
    commit = f" (commit {legible(job.commit, 40)})" if job.commit else ""
    return f"{legible(job.job)}{commit}"


def _row(row: "HistoryRow") -> tuple[str, ...]:
    outcome = "not run" if row.outcome is None else str(row.outcome)
    marks = ", ".join(["flaky"] * row.flaky + [f"{row.times} times"] * (row.times > 1))
    time = "" if row.seconds is None else shown_number(row.seconds, Unit.SECONDS)
    commit = legible(row.job.commit, 12)
    return (_when(row.job.began_ms), legible(row.job.job), commit, outcome, time, marks)


@click.command("trend", epilog=exit_codes(2, 3, 5, 6).replace("0 done", "0 done · 1 the alert"))
@click.argument("what", metavar="WHAT")
@branch_option
@click.option("--type", shell_complete=types, help="Of artifacts of this type alone.")
@newest_option
@click.option("--svg", type=AnyPath(), metavar="FILE", help="Write it as a picture; - is stdout.")
@click.option("--alert", type=Percent(), metavar="20%", help="Exit 1 when the last is worse than the first by more.")
@json_option
@WHERE
def trend_command(
    what: str, *, branch: str | None, type: str | None, newest: int, svg: Path | None, alert: float | None,
    as_json: bool, where: Where,
) -> None:  # fmt: skip
    """Show WHAT through the newest jobs that say it: `size`, `coverage.line`, `tests.failed`, `bench.NAME`, …

    Coverage is compared in points. Jobs of pull requests count without --branch only.
    """
    with where.open(read_only=True) as store:
        _say_what_is_known(store, branch)
        found = store.trend(what, branch=branch, newest=newest, type=type)
    _say_unreadable(found.unreadable)
    if not found.trend.points:
        from mountfs.api.trends import branch_hint, of_branch

        raise NotFound(f"no job{of_branch(branch)} says {found.trend.metric.name}{branch_hint(branch)}")
    if svg is not None:
        _write_svg(found.trend, svg)
    if as_json:
        from mountfs.compare.document import trend_as_json

        print_json(trend_as_json(found.trend))
    elif svg != Path("-"):
        _print_trend(found.trend)
    if alert is not None and found.trend.alert(alert):
        complain(f"{found.trend.metric.name} is worse by more than {alert:g}{_unit(found.trend)} than it was")
        raise click.exceptions.Exit(ALERT)


def _unit(trend: "Trend") -> str:
    return " points" if trend.metric.unit is Unit.PERCENT else " %"


def _print_trend(trend: "Trend") -> None:
    from mountfs.cli.plots import plot

    metric, change = trend.metric, trend.change
    said = shown_change(change.change, metric.unit)
    percent = "" if metric.unit is Unit.PERCENT or change.percent is None else f", {shown_percent(change.percent)}"
    first, last = (shown_number(number, metric.unit) for number in (change.before, change.after))
    click.echo(f"{legible(metric.name)}: {first} → {last} ({said}{percent}) over {len(trend.points)} jobs")
    for line in plot(trend, width=shutil.get_terminal_size().columns, braille=_takes_braille()):
        click.echo(line)


def _takes_braille() -> bool:
    try:
        "⣿┤".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _write_svg(trend: "Trend", target: Path) -> None:
    from mountfs.compare.chart import chart

    picture = chart(trend)
    if target == Path("-"):
        click.echo(picture)
        return
    try:
        target.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(f"{target} cannot be written: {error.strerror}") from error


@click.command("badge", epilog=exit_codes(2, 5, 6))
@click.argument("what", metavar="WHAT")
@branch_option
@click.option("--type", shell_complete=types, help="Of artifacts of this type alone.")
@click.option("--label", default="", help="The left half; default: what it is.")
@WHERE
def badge_command(what: str, *, branch: str | None, type: str | None, label: str, where: Where) -> None:
    """Print an SVG badge of WHAT (`coverage`, `tests.failed`, …) in the newest job that says it, or `unknown`."""
    with where.open(read_only=True) as store:
        click.echo(store.badge(what, branch=branch, type=type, label=label), nl=False)


def _say_what_is_known(store: "ArtifactStore", branch: str | None) -> None:
    if not store.knows_all and branch is None:
        complain("only the jobs that this machine has looked at are counted; with --branch the bucket tells of others")


def _say_unreadable(sentences: Sequence[str]) -> None:
    for sentence in sentences[:_TOLD]:
        complain(f"left out, for it cannot be read: {sentence}")
    if len(sentences) > _TOLD:
        complain(f"left out as well: {len(sentences) - _TOLD} more reports")


def _when(began_ms: int) -> str:
    return datetime.fromtimestamp(began_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
