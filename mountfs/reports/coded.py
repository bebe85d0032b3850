"""Reports as JSON between two of our processes, and back; each value is checked, since a stranger's text made it.

Lists where a report has many of one thing: 250,000 tests need no names of fields.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar, assert_never

from mountfs.reports.limits import Broken
from mountfs.reports.model import (
    Benchmarks,
    Case,
    Components,
    Coverage,
    Diff,
    FileCoverage,
    Finding,
    Findings,
    Load,
    LoadTest,
    Outcome,
    Report,
    Sample,
    Severity,
    TestRun,
)
from mountfs.reports.shape import Json, count, maybe_count, number, rows, table

_Value = TypeVar("_Value")


# --- out -------------------------------------------------------------------------------------


def encoded(report: Report) -> Json:
    match report:
        case TestRun():
            cases: list[Json] = [_case(case) for case in report.cases]
            return {"cases": cases, "totals": dict(report.totals), "seconds": report.seconds}
        case Coverage():
            return _coverage(report)
        case Findings():
            found: list[Json] = [_finding(finding) for finding in report.findings]
            return {"findings": found, "totals": dict(report.totals), "tools": list(report.tools)}
        case Benchmarks():
            samples: dict[str, Json] = {name: _sample(sample) for name, sample in report.samples.items()}
            return {"samples": samples, "machine": dict(report.machine)}
        case LoadTest():
            loads: dict[str, Json] = {name: _load(load) for name, load in report.endpoints.items()}
            return {"endpoints": loads, "total": _load(report.total), "failed_checks": list(report.failed_checks)}
        case Diff():
            return {path: list(counts) for path, counts in report.files.items()}
        case Components():
            return dict(report.components)
        case _:
            assert_never(report)


def _case(case: Case) -> Json:
    names: list[Json] = [case.suite, case.classname, case.name, case.outcome.value]
    return [*names, case.seconds, case.file, case.flaky, case.message]


def _coverage(coverage: Coverage) -> Json:
    files: dict[str, Json] = {path: _file(file) for path, file in coverage.files.items()}
    counts: list[Json] = [coverage.lines, coverage.covered, coverage.branches, coverage.branches_covered]
    return {"files": files, "counts": counts, "rates": [coverage.line_rate, coverage.branch_rate]}


def _file(file: FileCoverage) -> Json:
    missed: list[Json] = [*sorted(file.missed)]
    return [file.lines, file.covered, file.branches, file.branches_covered, missed, file.line_rate]


def _finding(finding: Finding) -> Json:
    names: list[Json] = [list(finding.identity), finding.rule, finding.severity.value]
    return [*names, finding.message, finding.path, finding.line, finding.tool, finding.suppressed]


def _sample(sample: Sample) -> Json:
    return [sample.median, sample.mean, sample.stddev, sample.least, sample.rounds]


def _load(load: Load) -> Json:
    return [load.requests, load.failures, load.median, load.p95, load.per_second, dict(load.values)]


# --- in --------------------------------------------------------------------------------------


def decoded(kind: str, value: Json) -> Report:
    """The report of that kind. Raises Broken."""
    reader = _READERS.get(kind)
    if reader is None:
        raise Broken("has a report of no kind that there is")
    return reader(value)


def _test_run_in(value: Json) -> TestRun:
    said = table(value, "report")
    cases = tuple(_case_in(case) for case in rows(said.get("cases"), "cases"))
    return TestRun(cases, _mapped(said.get("totals"), _count), _maybe_number(said.get("seconds")))


def _case_in(value: Json) -> Case:
    suite, classname, name, outcome, seconds, file, flaky, message = _fields(value, 8)
    return Case(
        _text(suite),
        _text(classname),
        _text(name),
        _one_of(Outcome, outcome),
        _maybe_number(seconds),
        _text(file),
        _truth(flaky),
        _text(message),
    )


def _coverage_in(value: Json) -> Coverage:
    said = table(value, "report")
    line_rate, branch_rate = map(_maybe_number, _fields(said.get("rates"), 2))
    lines, covered, branches, branches_covered = (_count(number_) for number_ in _fields(said.get("counts"), 4))
    files = _mapped(said.get("files"), _file_in)
    return Coverage(files, lines, covered, branches, branches_covered, line_rate, branch_rate)


def _file_in(value: Json) -> FileCoverage:
    *counts, missed, rate = _fields(value, 6)
    lines, covered, branches, branches_covered = (count(number_, "files") for number_ in counts)
    numbers = frozenset(count(line, "missed") for line in rows(missed, "missed"))
    return FileCoverage(lines, covered, branches, branches_covered, numbers, _maybe_number(rate))


def _findings_in(value: Json) -> Findings:
    said = table(value, "report")
    findings = tuple(_finding_in(finding) for finding in rows(said.get("findings"), "findings"))
    tools = tuple(_text(tool) for tool in rows(said.get("tools"), "tools"))
    return Findings(findings, _mapped(said.get("totals"), _count), tools)


def _finding_in(value: Json) -> Finding:
    identity, rule, severity, message, path, line, tool, suppressed = _fields(value, 8)
    return Finding(
        tuple(_text(part) for part in rows(identity, "identity")),
        _text(rule),
        _one_of(Severity, severity),
        _text(message),
        _text(path),
        _maybe_line(line),
        _text(tool),
        _truth(suppressed),
    )


def _benchmarks_in(value: Json) -> Benchmarks:
    said = table(value, "report")
    return Benchmarks(_mapped(said.get("samples"), _sample_in), _mapped(said.get("machine"), _text))


def _sample_in(value: Json) -> Sample:
    *times, rounds = _fields(value, 5)
    median, mean, stddev, least = map(_maybe_number, times)
    return Sample(median, mean, stddev, least, maybe_count(rounds, "rounds"))


def _load_test_in(value: Json) -> LoadTest:
    said = table(value, "report")
    failed = tuple(_text(name) for name in rows(said.get("failed_checks"), "failed_checks"))
    return LoadTest(_mapped(said.get("endpoints"), _load_in), _load_in(said.get("total")), failed)


def _load_in(value: Json) -> Load:
    requests, failures, median, p95, per_second, values = _fields(value, 6)
    counts = (maybe_count(requests, "requests"), maybe_count(failures, "failures"))
    times = (_maybe_number(median), _maybe_number(p95), _maybe_number(per_second))
    return Load(*counts, *times, _mapped(values, _number))


def _diff_in(value: Json) -> Diff:
    return Diff(_mapped(value, _added_and_removed))


def _added_and_removed(value: Json) -> tuple[int, int]:
    added, removed = (count(number_, "files") for number_ in _fields(value, 2))
    return added, removed


def _components_in(value: Json) -> Components:
    return Components(_mapped(value, _text))


_READERS: Final[Mapping[str, Callable[[Json], Report]]] = MappingProxyType(
    {
        "tests": _test_run_in,
        "coverage": _coverage_in,
        "findings": _findings_in,
        "benchmarks": _benchmarks_in,
        "load": _load_test_in,
        "diff": _diff_in,
        "components": _components_in,
    }
)


def _mapped(value: Json, read: Callable[[Json], _Value]) -> Mapping[str, _Value]:
    return MappingProxyType({name: read(held) for name, held in table(value, "report").items()})


def _fields(value: Json, number_: int) -> list[Json]:
    fields = rows(value, "report")
    if len(fields) != number_:
        raise Broken("has a row of another length")
    return fields


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise Broken("has no text where one should be")
    return value


def _truth(value: Json) -> bool:
    if not isinstance(value, bool):
        raise Broken("has neither true nor false where one should be")
    return value


def _count(value: Json) -> int:
    return count(value, "totals")


def _number(value: Json) -> float:
    known = number(value)
    if known is None:
        raise Broken("has no number where one should be")
    return known


def _maybe_number(value: Json) -> float | None:
    return None if value is None else _number(value)


def _maybe_line(value: Json) -> int | None:
    return None if value is None else count(value, "line")


_Word = TypeVar("_Word", Outcome, Severity)


def _one_of(words: type[_Word], value: Json) -> _Word:
    try:
        return words(_text(value))
    except ValueError:
        raise Broken("has a word that is none of ours") from None
