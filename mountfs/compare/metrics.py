"""The names of numbers, once for gates, trends and badges.

Most are numbers of one run (`coverage.line`): a trend shows them, a gate looks at what they changed by, or with
`after.coverage.line` at what they are now. Some (`new_failures`) exist between two runs alone.
"""

import difflib
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mountfs.compare.sides import Kind
from mountfs.compare.values import Better, finite, rate
from mountfs.errors import InvalidArgument
from mountfs.reports.model import Severity


class Unit(enum.StrEnum):
    """What a number counts. PERCENT of lines changes by points, not by percents of percents."""

    COUNT = "count"
    PERCENT = "percent"
    SECONDS = "seconds"
    BYTES = "bytes"
    PER_SECOND = "per second"


@dataclass(frozen=True, slots=True)
class Metric:
    """A number with a name. `between`: it exists between two runs alone, so that no trend has it."""

    name: str
    kind: Kind
    unit: Unit
    better: Better
    says: str
    between: bool = False


_C, _L, _M, _N = Unit.COUNT, Better.LESS, Better.MORE, Better.NEITHER
_BETWEEN: Final = (
    ("new_failures", Kind.TESTS, _L, "tests that fail and did not, or were not there"),
    ("fixed", Kind.TESTS, _M, "tests that failed and pass"),
    ("still_failing", Kind.TESTS, _L, "tests that failed and fail"),
    ("disappeared", Kind.TESTS, _L, "tests that were run and are not"),
    ("new_tests", Kind.TESTS, _N, "tests that are run, do not fail and were not there"),
    ("newly_skipped", Kind.TESTS, _L, "tests that were run and are skipped"),
    ("newly_flaky", Kind.TESTS, _L, "tests that are flaky and were not"),
    ("slower", Kind.TESTS, _L, "tests that take at least twice as long, and half a second more"),
    ("findings.new", Kind.FINDINGS, _L, "findings that were not there"),
    ("findings.fixed", Kind.FINDINGS, _M, "findings that are gone"),
    ("bench.slower", Kind.BENCHMARKS, _L, "benchmarks slower by more than their noise"),
    ("load.failed_checks", Kind.LOAD, _L, "checks of load tests that fail and did not"),
)
_OF_A_RUN: Final = (
    ("tests.total", Kind.TESTS, _C, _N, "tests"),
    ("tests.passed", Kind.TESTS, _C, _M, "tests that passed"),
    ("tests.failed", Kind.TESTS, _C, _L, "tests that failed"),
    ("tests.errors", Kind.TESTS, _C, _L, "tests that could not be run"),
    ("tests.skipped", Kind.TESTS, _C, _L, "tests that were skipped"),
    ("tests.flaky", Kind.TESTS, _C, _L, "tests that a retry saw end otherwise"),
    ("tests.seconds", Kind.TESTS, Unit.SECONDS, _L, "what the tests took"),
    ("coverage.line", Kind.COVERAGE, Unit.PERCENT, _M, "lines covered, in percent; a gate looks at points"),
    ("coverage.branch", Kind.COVERAGE, Unit.PERCENT, _M, "branches covered, in percent; a gate looks at points"),
    ("coverage.lines", Kind.COVERAGE, _C, _N, "lines that can be covered"),
    ("coverage.covered", Kind.COVERAGE, _C, _M, "lines covered"),
    *(
        (f"findings.{severity}", Kind.FINDINGS, _C, _L, f"findings that are {severity}; a gate looks at new ones")
        for severity in Severity
    ),
    ("findings.total", Kind.FINDINGS, _C, _L, "findings; a gate looks at new ones"),
    ("findings.suppressed", Kind.FINDINGS, _C, _N, "findings that are suppressed"),
    ("load.requests", Kind.LOAD, _C, _N, "requests of the load tests"),
    ("load.failures", Kind.LOAD, _C, _L, "requests that failed"),
    ("load.median", Kind.LOAD, Unit.SECONDS, _L, "the median of the answers' times"),
    ("load.p95", Kind.LOAD, Unit.SECONDS, _L, "the time in which 95 % were answered"),
    ("load.per_second", Kind.LOAD, Unit.PER_SECOND, _M, "requests a second"),
    ("size", Kind.SIZES, Unit.BYTES, _L, "plain bytes of all artifacts; size.TYPE of those of a type"),
)
METRICS: Final[Mapping[str, Metric]] = {
    **{name: Metric(name, kind, _C, better, says, between=True) for name, kind, better, says in _BETWEEN},
    **{name: Metric(name, kind, unit, better, says) for name, kind, unit, better, says in _OF_A_RUN},
}
FAMILIES: Final = ("bench.NAME", "size.TYPE")


def metric_named(name: str) -> Metric:
    """The metric of this name. Raises InvalidArgument with the nearest names, and all there are."""
    return _named(name, METRICS, "a comparison")


def metric_of_a_job(name: str) -> Metric:
    """The metric of this name, where one job has it by itself. Raises InvalidArgument, with the names of such alone."""
    found = METRICS.get(name)
    if found is not None and found.between:
        raise InvalidArgument(f"{name} exists between two runs alone: no job has it by itself")
    return _named(name, {known: metric for known, metric in METRICS.items() if not metric.between}, "a job")


def _named(name: str, known: Mapping[str, Metric], of: str) -> Metric:
    if name in known:
        return known[name]
    family, _, member = name.partition(".")
    if family == "bench" and member:
        return Metric(name, Kind.BENCHMARKS, Unit.SECONDS, Better.LESS, f"the median time of {member}")
    if family == "size" and member:
        return Metric(name, Kind.SIZES, Unit.BYTES, Better.LESS, f"plain bytes of artifacts of type {member}")
    near = difflib.get_close_matches(name[:100], known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise InvalidArgument(f"{name[:100]!r} is no number of {of}; {hint}known: {', '.join((*known, *FAMILIES))}")


def value_of_job(name: str, summaries: Iterable[Mapping[str, object]]) -> float | None:
    """A metric of one run out of the summaries of its reports (`reports.summarize`); None where none says it.

    Counts add up, coverage is that of the counts together, of times of load tests the worst counts. A run that was
    written down in two formats would count twice: give the summaries of one of them.
    """
    said = list(summaries)
    if name in ("coverage.line", "coverage.branch"):
        return _coverage(name, said)
    numbers = [number for one in said if (number := _number(one.get(name))) is not None]
    if not numbers:
        return None
    return max(numbers) if name in ("load.p95", "load.median") or name.startswith("bench.") else finite(sum(numbers))


def _coverage(name: str, said: list[Mapping[str, object]]) -> float | None:
    rates = [number for one in said if (number := _number(one.get(name))) is not None]
    if len(rates) <= 1 or len(set(rates)) == 1:
        return rates[0] if rates else None
    whole, covered = ("lines", "covered") if name == "coverage.line" else ("branches", "branches_covered")
    kept = [one for one in said if _number(one.get(name)) is not None]
    counts = [(_number(one.get(f"coverage.{covered}")), _number(one.get(f"coverage.{whole}"))) for one in kept]
    if any(number is None for pair in counts for number in pair):
        return None
    return rate(sum(some or 0.0 for some, _ in counts), sum(all_ or 0.0 for _, all_ in counts))


def _number(value: object) -> float | None:
    return finite(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None
