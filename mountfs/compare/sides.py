"""The two sides of a comparison: the reports of a job as they were read, and what one of the sides lacks.

What is not there, cannot be read or is not recognised is a `Lack`, and never a zero: a scanner that could not reach
its server has not found nothing.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, assert_never

from mountfs.reports.model import (
    Answer,
    Benchmarks,
    Components,
    Coverage,
    Diff,
    Findings,
    LoadTest,
    Parsed,
    Report,
    TestRun,
    Unknown,
    Unreadable,
)
from mountfs.reports.summaries import KIND_OF_FORMAT


class Kind(enum.StrEnum):
    """What a report is about."""

    TESTS = "tests"
    COVERAGE = "coverage"
    FINDINGS = "findings"
    BENCHMARKS = "benchmarks"
    LOAD = "load"
    DIFF = "diff"
    COMPONENTS = "components"
    SIZES = "sizes"  # of artifacts: no report says it


class Which(enum.StrEnum):
    BEFORE = "before"
    AFTER = "after"


_KINDS_OF_TYPE: Final[Mapping[str, tuple[Kind, ...]]] = MappingProxyType(
    {
        "test-results": (Kind.TESTS,),
        "coverage-report": (Kind.COVERAGE,),
        "security-findings": (Kind.FINDINGS,),
        "static-analysis": (Kind.FINDINGS,),
        "performance-metrics": (Kind.BENCHMARKS, Kind.LOAD),
    }
)
COMPARED: Final = (Kind.TESTS, Kind.COVERAGE, Kind.FINDINGS, Kind.BENCHMARKS, Kind.LOAD)


@dataclass(frozen=True, slots=True)
class Source:
    """One report of a job: its path there, what reading it answered, and the type of the artifact."""

    path: str
    answer: Answer
    type: str = ""


@dataclass(frozen=True, slots=True)
class Side:
    """A job with its reports, and the plain bytes of its artifacts by type."""

    job: str
    sources: tuple[Source, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, kind: Kind) -> list[tuple[str, Parsed]]:
        """The reports of this kind with their paths, in the order of these."""
        found = ((s.path, s.answer) for s in self.sources if isinstance(s.answer, Parsed))
        return sorted(((path, said) for path, said in found if kind_of(said.report) is kind), key=lambda got: got[0])


@dataclass(frozen=True, slots=True)
class Lack:
    """What one side has not: no report of a kind, one that cannot be read, one that nobody recognises.

    `kinds` are those that it may have been about. `blocks`: what is missing may hold anything, so that no gate on
    these kinds can be judged.
    """

    side: Which
    kinds: tuple[Kind, ...]
    path: str
    reason: str
    blocks: bool = True

    def __str__(self) -> str:
        return f"{self.side}: {self.path}: {self.reason}" if self.path else f"{self.side}: {self.reason}"


def kind_of(report: Report) -> Kind:
    match report:
        case TestRun():
            return Kind.TESTS
        case Coverage():
            return Kind.COVERAGE
        case Findings():
            return Kind.FINDINGS
        case Benchmarks():
            return Kind.BENCHMARKS
        case LoadTest():
            return Kind.LOAD
        case Diff():
            return Kind.DIFF
        case Components():
            return Kind.COMPONENTS
        case _:
            assert_never(report)


def lacks_of(before: Side, after: Side) -> list[Lack]:
    """All that one of the two has not, and the other has or its own paths promise."""
    return [
        *_absent(Which.BEFORE, before, after),
        *_absent(Which.AFTER, after, before),
        *_unread(Which.BEFORE, before, after),
        *_unread(Which.AFTER, after, before),
    ]


def _absent(which: Which, side: Side, other: Side) -> Iterable[Lack]:
    for kind in COMPARED:
        if other.of(kind) and not side.of(kind):
            formats = ", ".join(sorted({said.format for _, said in other.of(kind)}))
            yield Lack(which, (kind,), "", f"no report of {kind} that can be read; the other side has {formats}")


def _unread(which: Which, side: Side, other: Side) -> Iterable[Lack]:
    was = {s.path: kind_of(s.answer.report) for s in other.sources if isinstance(s.answer, Parsed)}
    for source in side.sources:
        match source.answer:
            case Unreadable(format=name, reason=reason):
                kinds = kinds_of(source.answer, source.type)
                yield Lack(which, kinds, source.path, f"{name}, which cannot be read: {reason}")
            case Unknown() if source.path in was:
                yield Lack(which, (was[source.path],), source.path, "of no known format; it has one on the other side")
            case Unknown() if source.type in _KINDS_OF_TYPE:
                kinds = _KINDS_OF_TYPE[source.type]
                yield Lack(which, kinds, source.path, f"{source.type} of no known format", blocks=False)
            case _:
                pass


def kinds_of(answer: Unreadable, type_: str) -> tuple[Kind, ...]:
    """What an unreadable report is about: as its format says, else the type of its artifact."""
    kind = answer.kind or KIND_OF_FORMAT.get(answer.format, "")
    return (Kind(kind),) if kind in set(Kind) else _KINDS_OF_TYPE.get(type_, ())
