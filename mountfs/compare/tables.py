"""A comparison as tables of plain text: what a terminal and a pull request show are two renderings of these rows.

Nothing here is escaped: names come from reports, and reports from strangers.
"""

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mountfs.compare.benchmarks import BenchmarkChange, EndpointChange, Pace
from mountfs.compare.comparison import Comparison
from mountfs.compare.coverage import FileChange
from mountfs.compare.findings import FindingChanges
from mountfs.compare.gates import GateResult
from mountfs.compare.metrics import Unit, metric_named
from mountfs.compare.outcomes import TestChange, TestChanges
from mountfs.compare.texts import NOTHING, first_line, many, shown_change, shown_number, shown_percent
from mountfs.compare.values import Better, Change
from mountfs.reports.model import Case, Finding


class Mark(enum.StrEnum):
    """How a row is to be seen."""

    GOOD = "good"
    BAD = "bad"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: a name, both sides and what changed, as texts; `detail` may be long."""

    name: str
    before: str = ""
    after: str = ""
    change: str = ""
    detail: str = ""
    mark: Mark = Mark.PLAIN


@dataclass(frozen=True, slots=True)
class Table:
    """A title and its rows. The summary, what one side lacks and notes are told to everybody: they are `open`.

    `ours`: the names of its rows are words of ours, not of a report.
    """

    title: str
    rows: tuple[Row, ...]
    open: bool = False
    ours: bool = False


def verdict(comparison: Comparison, gates: Sequence[GateResult] = ()) -> tuple[str, Mark]:
    """The one sentence that says it all, and whether that is good."""
    failed = [gate for gate in gates if gate.failed]
    said = "; ".join(_headlines(comparison)) or "nothing changed"
    if failed:
        return f"{many(len(failed), 'gate')} of {len(gates)} failed: {said}", Mark.BAD
    if gates:
        return f"{many(len(gates), 'gate')} passed: {said}", Mark.GOOD
    return f"{said[0].upper()}{said[1:]}", _mark(comparison)


def _headlines(comparison: Comparison) -> Iterator[str]:
    tests, coverage, findings = comparison.tests, comparison.coverage, comparison.findings
    if tests is not None:
        for changes, one in ((tests.new_failures, "new failure"), (tests.newly_flaky, "newly flaky test")):
            if changes:
                yield many(len(changes), one)
        if tests.fixed:
            yield many(len(tests.fixed), "test fixed", "tests fixed")
        if tests.disappeared:
            yield many(len(tests.disappeared), "test disappeared", "tests disappeared")
    for what, change in (("line", coverage.line), ("branch", coverage.branch)) if coverage is not None else ():
        if change.change:
            yield f"{what} coverage {shown_change(change.change, Unit.PERCENT)}"
    if findings is not None and findings.new:
        yield many(len(findings.new), "new finding")
    if comparison.benchmarks is not None:
        slower = sum(1 for change in comparison.benchmarks.changes if change.pace is Pace.SLOWER)
        if slower:
            yield many(slower, "benchmark slower", "benchmarks slower")
        if comparison.benchmarks.has_after and (gone := comparison.benchmarks.only_before):
            yield many(len(gone), "benchmark disappeared", "benchmarks disappeared")
    blocking = [lack for lack in comparison.lacks if lack.blocks and lack.kinds]
    if blocking:
        yield many(len(blocking), "report missing or unreadable", "reports missing or unreadable")


def _mark(comparison: Comparison) -> Mark:
    tests, findings = comparison.tests, comparison.findings
    worse = bool(tests and tests.new_failures) or bool(findings and findings.new)
    return Mark.BAD if worse else Mark.PLAIN


def tables(comparison: Comparison, gates: Sequence[GateResult] = ()) -> list[Table]:
    """The tables that have rows, what matters most first."""
    found = [
        Table("Gates", tuple(map(_gate, gates)), open=True),
        Table("Summary", tuple(row for row in _summary(comparison) if _says(row)), open=True, ours=True),
        *_tests(comparison.tests),
        *_findings(comparison.findings),
        Table("Coverage of files", tuple(map(_file, comparison.coverage.files if comparison.coverage else ()))),
        Table("Benchmarks", tuple(_benchmarks(comparison))),
        Table("Load tests", tuple(_load(comparison))),
        Table("Sizes", tuple(_size(slug, change) for slug, change in comparison.sizes.items())),
        Table("Not compared", tuple(Row(str(lack)) for lack in comparison.lacks), open=True),
        Table("Notes", tuple(Row(note) for note in comparison.notes), open=True),
    ]
    return [table for table in found if table.rows]


def _says(row: Row) -> bool:
    """Whether a side says anything of it."""
    return (row.before, row.after) != (NOTHING, NOTHING)


def _gate(gate: GateResult) -> Row:
    return Row(gate.gate, change="failed" if gate.failed else "passed", detail=gate.reason, mark=_bad_if(gate.failed))


def _bad_if(condition: bool) -> Mark:
    return Mark.BAD if condition else Mark.GOOD


# -- summary ----------------------------------------------------------------------------------------------------


def _summary(comparison: Comparison) -> Iterator[Row]:
    tests, findings = comparison.tests, comparison.findings
    if tests is not None:
        for name in ("tests.total", "tests.failed", "tests.errors", "tests.skipped", "tests.seconds"):
            yield _number(name, tests.count(name.removeprefix("tests.")))
    if comparison.coverage is not None:
        yield _number("coverage.line", comparison.coverage.line)
        if comparison.coverage.branch != Change():
            yield _number("coverage.branch", comparison.coverage.branch)
    if findings is not None:
        yield _number("findings.total", findings.count())
    if comparison.load is not None:
        yield _number("load.p95", comparison.load.total.p95)
        yield _number("load.failures", comparison.load.total.failures)
        yield _number("load.per_second", comparison.load.total.per_second)


_TITLES = {
    "tests.total": "Tests",
    "tests.failed": "Failed tests",
    "tests.errors": "Tests with errors",
    "tests.skipped": "Skipped tests",
    "tests.seconds": "Time of the tests",
    "coverage.line": "Line coverage",
    "coverage.branch": "Branch coverage",
    "findings.total": "Findings",
    "load.p95": "Answered in (95 %)",
    "load.failures": "Failed requests",
    "load.per_second": "Requests",
}


def _number(name: str, at: Change) -> Row:
    metric = metric_named(name)
    before, after = shown_number(at.before, metric.unit), shown_number(at.after, metric.unit)
    mark = Mark.PLAIN if name == "tests.seconds" else _judged(at.change, metric.better)
    return Row(_TITLES[name], before, after, shown_change(at.change, metric.unit), mark=mark)


def _judged(change: float | None, better: Better) -> Mark:
    if not change or better is Better.NEITHER:
        return Mark.PLAIN
    return _bad_if((change > 0) is (better is Better.LESS))


# -- tests ------------------------------------------------------------------------------------------------------


def _tests(tests: TestChanges | None) -> Iterator[Table]:
    if tests is None:
        return
    for title, changes, mark in (
        ("New failures", tests.new_failures, Mark.BAD),
        ("Newly flaky", tests.newly_flaky, Mark.BAD),
        ("Fixed", tests.fixed, Mark.GOOD),
        ("Disappeared", tests.disappeared, Mark.BAD),
        ("Newly skipped", tests.newly_skipped, Mark.BAD),
        ("Slower", tests.slower, Mark.BAD),
        ("Still failing", tests.still_failing, Mark.PLAIN),
        ("Still flaky", [test for test in tests.flaky if test.before is not None and test.before.flaky], Mark.PLAIN),
        ("New tests", tests.new, Mark.PLAIN),
    ):
        yield Table(title, tuple(_test(change, title, mark) for change in changes))


def _test(change: TestChange, title: str, mark: Mark) -> Row:
    if title == "Slower":
        before, after = change.before, change.after
        times = Change(None if before is None else before.seconds, None if after is None else after.seconds)
        was, now = (shown_number(time, Unit.SECONDS) for time in (times.before, times.after))
        return Row(str(change), was, now, shown_percent(times.percent), mark=mark)
    message = first_line(change.after.message) if change.after is not None else ""
    return Row(str(change), _ended(change.before), _ended(change.after), detail=message, mark=mark)


def _ended(case: Case | None) -> str:
    if case is None:
        return NOTHING
    return f"{case.outcome}, flaky" if case.flaky else str(case.outcome)


# -- findings ---------------------------------------------------------------------------------------------------


def _findings(found: FindingChanges | None) -> Iterator[Table]:
    if found is None:
        return
    yield Table("New findings", tuple(_finding(finding, Mark.BAD) for finding in found.new))
    yield Table("Suppressed no more", tuple(_finding(finding, Mark.BAD) for finding in found.reopened))
    rows = (
        Row(_named(judged.after), judged.before.severity, judged.after.severity, detail=judged.after.message,
            mark=_bad_if(judged.is_worse))
        for judged in found.judged
    )  # fmt: skip
    yield Table("Judged otherwise", tuple(rows))
    yield Table("Fixed findings", tuple(_finding(finding, Mark.GOOD) for finding in found.fixed))
    yield Table("Newly suppressed", tuple(_finding(finding, Mark.PLAIN) for finding in found.newly_suppressed))


def _finding(finding: Finding, mark: Mark) -> Row:
    return Row(_named(finding), change=finding.severity, detail=first_line(finding.message), mark=mark)


def _named(finding: Finding) -> str:
    where = finding.path if finding.line is None else f"{finding.path}:{finding.line}"
    return f"{finding.rule} {where}".strip()


# -- coverage, benchmarks, load, sizes --------------------------------------------------------------------------


def _file(file: FileChange) -> Row:
    was, now = (shown_number(side, Unit.PERCENT) for side in (file.line.before, file.line.after))
    state = "indirect" if file.indirect else "new" if file.before is None else "gone" if file.after is None else ""
    detail = ", ".join(filter(None, (state, _branches(file))))
    change = shown_change(file.line.change, Unit.PERCENT)
    return Row(file.path, was, now, change, detail, _judged(file.line.change, Better.MORE))


def _branches(file: FileChange) -> str:
    """What became of its branches, where that is something."""
    before, after = file.before, file.after
    if before is None or after is None:
        return ""
    was, now = (f"{side.branches_covered} of {side.branches}" for side in (before, after))
    return f"branches {was} → {now}" if was != now else ""


def _benchmarks(comparison: Comparison) -> Iterator[Row]:
    if comparison.benchmarks is None:
        return
    yield from map(_benchmark, comparison.benchmarks.changes)
    yield from _one_sided(comparison.benchmarks.only_before, comparison.benchmarks.only_after)


def _benchmark(change: BenchmarkChange) -> Row:
    was, now = (shown_number(time, Unit.SECONDS) for time in (change.time.before, change.time.after))
    detail = f"within its noise of {shown_number(change.noise, Unit.SECONDS)}" if change.pace is Pace.SAME else ""
    return Row(change.name, was, now, shown_percent(change.time.percent), detail, _of_pace(change.pace))


def _of_pace(pace: Pace) -> Mark:
    return {Pace.SLOWER: Mark.BAD, Pace.FASTER: Mark.GOOD}.get(pace, Mark.PLAIN)


def _one_sided(before: Iterable[str], after: Iterable[str]) -> Iterator[Row]:
    for name in before:
        yield Row(name, after=NOTHING, detail="gone")
    for name in after:
        yield Row(name, before=NOTHING, detail="new")


def _load(comparison: Comparison) -> Iterator[Row]:
    if comparison.load is None:
        return
    yield from map(_endpoint, comparison.load.endpoints)
    yield from _one_sided(comparison.load.only_before, comparison.load.only_after)
    for name in comparison.load.new_failed_checks:
        yield Row(name, change="fails", detail="check", mark=Mark.BAD)
    for name in comparison.load.fixed_checks:
        yield Row(name, change="holds", detail="check", mark=Mark.GOOD)


def _endpoint(change: EndpointChange) -> Row:
    was, now = (shown_number(time, Unit.SECONDS) for time in (change.p95.before, change.p95.after))
    detail = f"failures {shown_number(change.failures.before)} → {shown_number(change.failures.after)}"
    mark = Mark.BAD if (change.failures.change or 0) > 0 else _of_pace(change.pace)
    return Row(change.name, was, now, shown_percent(change.p95.percent), detail, mark)


def _size(slug: str, change: Change) -> Row:
    was, now = (shown_number(size, Unit.BYTES) for size in (change.before, change.after))
    return Row(slug, was, now, shown_percent(change.percent))
