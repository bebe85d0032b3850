"""Two jobs side by side: all that their reports say about what changed, and what cannot be said."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from mountfs.compare.benchmarks import BenchmarkChanges, LoadChanges, Pace, compare_benchmarks, compare_load
from mountfs.compare.coverage import CoverageChange, compare_coverage, coverage_of
from mountfs.compare.findings import FindingChanges, compare_findings, findings_of
from mountfs.compare.outcomes import TestChanges, Tests, compare_tests, merged_tests
from mountfs.compare.relative import below_roots
from mountfs.compare.sides import Kind, Lack, Side, Which, lacks_of
from mountfs.compare.values import Change, Options
from mountfs.reports.model import Diff, Parsed

Reports = Sequence[tuple[str, Parsed]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one job to another, by kind; None for a kind that neither has.

    `lacks` is what one side has not: nothing is concluded from it, and no gate is judged on it. `notes` are sentences
    about how the numbers came about.
    """

    before: str
    after: str
    tests: TestChanges | None = None
    coverage: CoverageChange | None = None
    findings: FindingChanges | None = None
    benchmarks: BenchmarkChanges | None = None
    load: LoadChanges | None = None
    sizes: Mapping[str, Change] = field(default_factory=lambda: MappingProxyType({}))
    lacks: tuple[Lack, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything is otherwise than before, as far as both sides tell."""
        return any((_tests(self), _coverage(self), _findings(self), _benchmarks(self), _load(self), _sizes(self)))


def compare(before: Side, after: Side, options: Options | None = None) -> Comparison:
    """What changed from one side to the other."""
    options = options or Options()
    before, after = below_roots(before, after)
    was, now = before.of(Kind.TESTS), after.of(Kind.TESTS)
    tests_before, tests_after = merged_tests(was, now), merged_tests(now, was)
    diffs = [said.report for _, said in after.of(Kind.DIFF) if isinstance(said.report, Diff)]
    diff = Diff({path: lines for one in diffs for path, lines in one.files.items()}) if diffs else None
    lines_before, lines_after = before.of(Kind.COVERAGE), after.of(Kind.COVERAGE)
    found_before, found_after = before.of(Kind.FINDINGS), after.of(Kind.FINDINGS)
    comparison = Comparison(
        before.job,
        after.job,
        compare_tests(tests_before, tests_after, options),
        compare_coverage(coverage_of(lines_before, lines_after), coverage_of(lines_after, lines_before), diff),
        compare_findings(findings_of(found_before, found_after), findings_of(found_after, found_before)),
        compare_benchmarks(before.of(Kind.BENCHMARKS), after.of(Kind.BENCHMARKS), options),
        compare_load(before.of(Kind.LOAD), after.of(Kind.LOAD), options),
        _compare_sizes(before.sizes, after.sizes),
    )
    lacks = (*lacks_of(before, after), *_lacking_tools(comparison), *_lacking_tests(tests_before, tests_after))
    return replace(comparison, lacks=lacks, notes=(*_other_formats(was, now), *_notes(comparison)))


def changed_only(comparison: Comparison) -> Comparison:
    """The comparison without what is as it was: `--diff-only`."""
    tests, benchmarks, load = comparison.tests, comparison.benchmarks, comparison.load
    sizes = {slug: change for slug, change in comparison.sizes.items() if change.change != 0}
    return replace(
        comparison,
        tests=tests and replace(tests, still_failing=(), flaky=tests.newly_flaky),
        benchmarks=benchmarks
        and replace(benchmarks, changes=tuple(c for c in benchmarks.changes if c.pace is not Pace.SAME)),
        load=load and replace(load, endpoints=tuple(e for e in load.endpoints if e.before != e.after)),
        sizes=sizes,
    )


def _compare_sizes(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, Change]:
    return {slug: Change(before.get(slug), after.get(slug)) for slug in sorted({*before, *after})}


def _lacking_tools(comparison: Comparison) -> Iterator[Lack]:
    """Listed; which gates they block depends on the severity of what they found (`metrics`)."""
    findings = comparison.findings
    if findings is None:
        return
    for which, tools in ((Which.AFTER, findings.only_before), (Which.BEFORE, findings.only_after)):
        for tool, found in tools.items():
            reason = f"no report of {tool}; the other side has one with {len(found)} findings"
            yield Lack(which, (Kind.FINDINGS,), "", reason, blocks=False)


def _lacking_tests(before: Tests | None, after: Tests | None) -> Iterator[Lack]:
    for which, tests in ((Which.BEFORE, before), (Which.AFTER, after)):
        if tests is not None and not tests.names_bad:
            reason = "tests that failed are counted, but not all of them are named"
            yield Lack(which, (Kind.TESTS,), "", reason, blocks=False)


def _other_formats(was: Reports, now: Reports) -> Iterator[str]:
    """Tools name one test in different ways: JUnit with its class, TAP without."""
    before, after = ({said.format for _, said in reports} for reports in (was, now))
    if before and after and before.isdisjoint(after):
        formats = " before, ".join(" and ".join(sorted(side)) for side in (before, after))
        yield (
            f"Tests are compared across formats: {formats} now; what these name differently counts as disappeared"
            " and new."
        )


def _notes(comparison: Comparison) -> Iterator[str]:
    coverage, findings, benchmarks = comparison.coverage, comparison.findings, comparison.benchmarks
    if coverage is not None and coverage.before is not None and coverage.after is not None:
        was, now = (" and ".join(side.formats) for side in (coverage.before, coverage.after))
        if was != now:
            yield f"Coverage is compared across formats: {was} before, {now} now."
    for tool in findings.loosely if findings is not None else ():
        yield f"The formats of {tool} differ on the two sides: its findings are matched by rule and file."
    if benchmarks is not None and benchmarks.machines:
        differing = "; ".join(benchmarks.machines)
        yield f"The benchmarks ran on different machines ({differing}): their times may differ for that alone."


# -- is anything otherwise? -------------------------------------------------------------------------------------


def _tests(comparison: Comparison) -> bool:
    tests = comparison.tests
    if tests is None or tests.before is None or tests.after is None:
        return False
    came = (tests.new_failures, tests.fixed, tests.disappeared, tests.new, tests.newly_skipped)
    return any((*came, tests.newly_flaky, tests.slower))


def _coverage(comparison: Comparison) -> bool:
    coverage = comparison.coverage
    if coverage is None:
        return False
    return bool(coverage.files) or any(
        change.change for change in (coverage.line, coverage.branch, coverage.lines, coverage.covered)
    )


def _findings(comparison: Comparison) -> bool:
    found = comparison.findings
    return found is not None and any((found.new, found.fixed, found.newly_suppressed, found.reopened, found.judged))


def _benchmarks(comparison: Comparison) -> bool:
    benchmarks = comparison.benchmarks
    if benchmarks is None or not (benchmarks.has_before and benchmarks.has_after):
        return False
    paces = {change.pace for change in benchmarks.changes}
    return bool(benchmarks.only_before or benchmarks.only_after or paces & {Pace.SLOWER, Pace.FASTER})


def _load(comparison: Comparison) -> bool:
    load = comparison.load
    if load is None or not (load.has_before and load.has_after):
        return False
    named = (load.only_before, load.only_after, load.new_failed_checks, load.fixed_checks)
    return any(named) or any(e.before != e.after for e in (load.total, *load.endpoints))


def _sizes(comparison: Comparison) -> bool:
    return any(change.change != 0 for change in comparison.sizes.values())
