"""`mountfs compare`: what changed between two jobs, for people, pull requests and programs."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mountfs.api import git
from mountfs.cli import complain
from mountfs.cli.completion import branches
from mountfs.cli.output import print_json
from mountfs.cli.where import WHERE, AnyPath, Where, key_of
from mountfs.compare.comparison import changed_only
from mountfs.compare.tables import Mark, Row, Table, tables, verdict
from mountfs.compare.texts import legible

if TYPE_CHECKING:
    from mountfs.api.comparing import Compared

GATE_FAILED: Final = 1
NO_BASELINE: Final = 9
MOST_ROWS: Final = 50
_STYLES: Final = {Mark.GOOD: "green", Mark.BAD: "red", Mark.PLAIN: ""}


@dataclass(frozen=True, slots=True)
class Output:
    """How it is printed. `most`: rows of a table."""

    format: str
    diff_only: bool
    most: int


@click.command(
    "compare",
    epilog="Exit codes: 0 no gate failed · 1 a gate failed · 2 wrong usage, or a job with itself · 3 no such job"
    " · 5 not in time · 6 this machine lacks something · 9 no baseline · 70 a bug",
)
@click.argument("a")
@click.argument("b", required=False)
@click.option(
    "--baseline",
    shell_complete=branches,
    metavar="BRANCH",
    help="Compare with the baseline of this branch instead of with B.",
)
@click.option("--diff-only", is_flag=True, help="Leave out what is as it was.")
@click.option("--fail-on", metavar="GATES", help="Exit 1 on `new_failures>0, coverage.line<-0.5`, …")
@click.option("--no-baseline", type=click.Choice(["ok"]), help="ok: exit 0 where there is no baseline yet.")
@click.option("--repo", type=AnyPath(), help="The git repository that knows the commits; default: the one around here.")
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True,
    help="For people, for pull requests, for programs.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--rows", type=click.IntRange(min=0), default=MOST_ROWS, show_default=True, help="Of a table; 0: all.")
@WHERE
def compare_command(
    a: str, b: str | None, *, baseline: str | None, diff_only: bool, fail_on: str | None, no_baseline: str | None,
    repo: Path | None, form: str, as_json: bool, rows: int, where: Where,
) -> None:  # fmt: skip
    """Say what changed from job B, or from the baseline of a branch, to job A; both may be directories in jobs.

    The baseline is a pinned job of that branch, else its newest successful one, else the nearest ancestor commit. What
    one side lacks, or what cannot be read, is told, and no gate passes on it.
    """
    with where.open(read_only=True) as store:
        compared = store.compare(
            key_of(a, store.mountpoint),
            None if b is None else key_of(b, store.mountpoint),
            baseline=baseline,
            repo=repo or _repository_here(),
            fail_on=fail_on,
        )
        if not store.knows_all and not compared.has_baseline:
            complain("besides what this machine knows, the bucket's lists of jobs by branch, commit and pr were asked")
    _print(compared, Output("json" if as_json else form, diff_only, rows))
    raise click.exceptions.Exit(_exit_code(compared, baseline or "", no_baseline_ok=no_baseline == "ok"))


def _repository_here() -> Path | None:
    here = Path.cwd()
    return here if git.is_repository(here) else None


def _exit_code(compared: "Compared", branch: str, *, no_baseline_ok: bool) -> int:
    from mountfs.api.comparing import why_none

    if not compared.has_baseline:
        if no_baseline_ok:
            return 0
        complain(why_none(compared, branch))
        return NO_BASELINE
    return 0 if compared.passed else GATE_FAILED


def _print(compared: "Compared", output: Output) -> None:
    if output.diff_only:
        compared = replace(compared, comparison=changed_only(compared.comparison))
    match output.format:
        case "json":
            print_json(compared.as_json())
        case "markdown":
            click.echo(compared.as_markdown())
        case _:
            _print_text(compared, output.most or sys.maxsize)


def _print_text(compared: "Compared", most: int) -> None:
    comparison, baseline = compared.comparison, compared.baseline
    said, mark = verdict(comparison, compared.gates)
    _say(said, mark)
    against = comparison.before if baseline is None else str(baseline)
    _say(f"{legible(comparison.after)} against {legible(against)}")
    if baseline is not None and baseline.warning:
        _say(legible(baseline.warning, 1000))
    for table in tables(comparison, compared.gates):
        left = len(table.rows) - most
        _print_table(table, table.rows[:most])
        if left > 0:
            _say(f"… and {left:,} more (--rows 0 shows all)")


def _say(text: str, mark: Mark = Mark.PLAIN) -> None:
    if not sys.stdout.isatty():
        click.echo(text)
        return
    from rich.console import Console
    from rich.text import Text

    Console().print(Text(text, style=f"bold {_STYLES[mark]}".strip() if mark is not Mark.PLAIN else ""))


def _print_table(table: Table, rows: Iterable[Row]) -> None:
    cells = [_cells(row) for row in rows]
    if sys.stdout.isatty():
        _print_rich(table, [(row.mark, cell) for row, cell in zip(table.rows, cells, strict=False)])
        return
    click.echo(f"\n{table.title}")
    widths = [max((len(row[column]) for row in cells), default=0) for column in range(4)]
    for name, before, after, change, detail in cells:
        numbers = (f"{text:>{width}}" for text, width in zip((before, after, change), widths[1:], strict=True) if width)
        click.echo("  ".join(("", f"{name:<{widths[0]}}", *numbers, detail)).rstrip())


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    return legible(row.name), legible(row.before), legible(row.after), legible(row.change), legible(row.detail)


def _print_rich(table: Table, rows: list[tuple[Mark, tuple[str, str, str, str, str]]]) -> None:
    from rich import table as rich_table
    from rich.console import Console
    from rich.text import Text

    shown = rich_table.Table(title=table.title, title_justify="left", title_style="bold", box=None, show_header=False)
    for number in range(5):
        shown.add_column(justify="right" if number in (1, 2, 3) else "left", overflow="fold")
    for mark, cells in rows:
        shown.add_row(
            *(Text(cell, style=_STYLES[mark] if number in (0, 3) else "") for number, cell in enumerate(cells))
        )
    console = Console()
    console.print()
    console.print(shown)
