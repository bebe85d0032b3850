"""What a report says, whatever tool wrote it: five kinds, each one model, and a summary of numbers of each.

`compare` works on these values alone, so formats may differ on the two sides. A summary is what the catalog keeps:
small, flat, numbers by name (`tests.failed`, `coverage.line`), so that a trend needs no report a second time.
Percentages are 0 to 100, times are seconds.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


class Outcome(enum.StrEnum):
    """How one test ended. A fixture that failed is an ERROR; what was expected to fail is SKIPPED (FORMATS)."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


class Severity(enum.StrEnum):
    """How bad a finding is, worst first; tools' own words are brought to these."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Case:
    """One test, and how it ended in the end; `flaky` where a retry of it ended otherwise."""

    suite: str
    classname: str
    name: str
    outcome: Outcome
    seconds: float | None = None
    file: str = ""
    flaky: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True)
class TestRun:
    """Cases as the tool named them. `totals` where it gave numbers without cases: tests, failed, errors, skipped.

    With both, the tool named some of its cases only (those that failed) and `totals` are those of all.
    """

    __test__ = False  # no test class

    cases: tuple[Case, ...] = ()
    totals: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """Counts of one file; `missed` are line numbers known to be executable and not executed.

    Where the report gives the file a rate alone, `line_rate` (0 to 100) and counts of 0.
    """

    lines: int
    covered: int
    branches: int = 0
    branches_covered: int = 0
    missed: frozenset[int] = frozenset()
    line_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Files by path. `lines`… are those of the whole project as the report says them, not a sum of files.

    A report that gives rates alone has `line_rate` and `branch_rate` (0 to 100) and counts of 0.
    """

    files: Mapping[str, FileCoverage]
    lines: int = 0
    covered: int = 0
    branches: int = 0
    branches_covered: int = 0
    line_rate: float | None = None
    branch_rate: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `identity` says which it is from run to run: never a line number."""

    identity: tuple[str, ...]
    rule: str
    severity: Severity
    message: str = ""
    path: str = ""
    line: int | None = None
    tool: str = ""
    suppressed: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """Findings with multiplicity: the same identity may come more than once.

    `totals`, by severity, where the tool gave numbers without naming the findings.
    """

    findings: tuple[Finding, ...]
    totals: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Sample:
    """One benchmark's times, in seconds; None where the tool does not say."""

    median: float | None
    mean: float | None = None
    stddev: float | None = None
    least: float | None = None
    rounds: int | None = None


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """Benchmarks by name. `machine` is what the tool says of where they ran: another one, another noise."""

    samples: Mapping[str, Sample]
    machine: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Load:
    """One endpoint (or metric) of a load test: counts, and times in seconds."""

    requests: int | None = None
    failures: int | None = None
    median: float | None = None
    p95: float | None = None
    per_second: float | None = None
    values: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class LoadTest:
    """Endpoints by name, `GET /x`; `total` over all of them. `failed_checks` are thresholds or checks that failed."""

    endpoints: Mapping[str, Load]
    total: Load
    failed_checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """Lines added and removed by path."""

    files: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Components:
    """A bill of materials: versions by package url, or by name where there is none."""

    components: Mapping[str, str]


Report = TestRun | Coverage | Findings | Benchmarks | LoadTest | Diff | Components


@dataclass(frozen=True, slots=True)
class Parsed:
    """A report that was read."""

    format: str
    report: Report
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Its format was recognised, but it cannot be read: never to be taken for an empty one."""

    format: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """No format that is known here: an artifact like any other."""


Answer = Parsed | Unreadable | Unknown
