"""The JSON that the systems before this one stored (FEATURES F-039 to F-041), bare or as `data` beside its `type`.

A rate may be a share or a percentage: one above 1 anywhere says that all of the document are percentages.
"""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from mountfs.reports.formats.findings import severity_of, without_numbers
from mountfs.reports.formats.kinds import JsonFormat
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Case, Coverage, FileCoverage, Finding, Findings, Outcome, Severity, TestRun
from mountfs.reports.paths import plain_path
from mountfs.reports.shape import Json, at, count, line_number, maybe_count, maybe_tables, number, rows, table, text


def _body(document: Json, type_: str) -> dict[str, Json]:
    """The data itself: in `data` where the document says that it is of this type, else the document."""
    data = at(document, "data")
    if at(document, "type") == type_ and isinstance(data, dict):
        return data
    return document if isinstance(document, dict) else {}


def _said(document: Json, type_: str) -> bool:
    return at(document, "type") == type_ and isinstance(at(document, "data"), dict)


def _fits_tests(document: Json) -> bool:
    return _said(document, "test_results") or {"tests_run", "passed", "failed"} <= _body(document, "").keys()


def _parse_tests(document: Json, room: Room) -> TestRun:
    data = _body(document, "test_results")
    names = ("tests_run", "passed", "failed")
    tests, passed, failed = (count(data.get(name), name) for name in names)
    errors = maybe_count(data.get("errors"), "errors") or 0
    skipped = maybe_count(data.get("skipped"), "skipped")
    rest = tests - passed - failed - errors
    if rest < 0:
        raise Broken("counts more results than tests")
    totals = {"tests": tests, "failed": failed, "errors": errors, "skipped": rest if skipped is None else skipped}
    cases = tuple(_failure(value, room) for value in rows(data.get("failures", []), "failures"))
    return TestRun(cases, MappingProxyType(totals), number(data.get("duration")))


def _failure(value: Json, room: Room) -> Case:
    room.take("tests")
    if isinstance(value, str):
        return Case("", "", room.name(value), Outcome.FAILED)
    failure = table(value, "failures[]")
    name = text(failure.get("name")) or text(failure.get("test")) or text(failure.get("test_name"))
    message = text(failure.get("message")) or text(failure.get("error"))
    classname = room.name(text(failure.get("classname")))
    file = room.name(text(failure.get("file")))
    return Case("", classname, room.name(name), Outcome.FAILED, file=file, message=room.message(message))


def _fits_coverage(document: Json) -> bool:
    bare = _body(document, "")
    return _said(document, "coverage") or ("line_rate" in bare and isinstance(bare.get("files"), dict))


def _parse_coverage(document: Json, room: Room) -> Coverage:
    data = _body(document, "coverage")
    files = table(data.get("files", {}), "files")
    line, branch = number(data.get("line_rate")), number(data.get("branch_rate"))
    if line is None:
        raise Broken("has no number where 'line_rate' should be")
    rates = [line, branch or 0.0, *(_rate(value) or 0.0 for value in files.values())]
    factor = 1.0 if any(rate > 1 for rate in rates) else 100.0
    room.take("files", len(files))
    counted = {room.name(path): _file(value, factor) for path, value in files.items()}
    return Coverage(
        MappingProxyType(counted),
        line_rate=line * factor,
        branch_rate=None if branch is None else branch * factor,
    )


def _rate(value: Json) -> float | None:
    return number(at(value, "line_rate")) if isinstance(value, dict) else number(value)


def _file(value: Json, factor: float) -> FileCoverage:
    rate = _rate(value)
    return FileCoverage(lines=0, covered=0, line_rate=None if rate is None else rate * factor)


def _fits_security(document: Json) -> bool:
    bare = _body(document, "")
    summary = bare.get("summary")
    counts = isinstance(summary, dict) and bool({"critical", "high", "medium"} & summary.keys())
    return _said(document, "security") or (isinstance(bare.get("vulnerabilities"), list) and counts)


def _parse_security(document: Json, room: Room) -> Findings:
    data = _body(document, "security")
    if "vulnerabilities" not in data and "summary" not in data:
        raise Broken("has neither 'vulnerabilities' nor a 'summary' of them")
    found = tuple(_finding(row, room) for row in maybe_tables(data.get("vulnerabilities"), "vulnerabilities"))
    summary = table(data.get("summary", {}), "summary")
    totals = {} if found else dict(_totals(summary))
    return Findings(found, MappingProxyType(totals))


def _totals(summary: dict[str, Json]) -> Iterator[tuple[str, int]]:
    for severity in Severity:
        told = maybe_count(summary.get(severity.value), f"summary.{severity.value}")
        if told:
            yield severity.value, told


def _finding(row: dict[str, Json], room: Room) -> Finding:
    room.take("findings")
    rule = room.name(text(row.get("id")) or text(row.get("cve")) or text(row.get("rule")))
    path = room.name(plain_path(text(row.get("file")) or text(row.get("path")) or text(row.get("package"))))
    message = room.message(text(row.get("description")) or text(row.get("message")) or text(row.get("title")))
    identity = (rule, path, "" if rule and path else without_numbers(message))
    return Finding(
        identity,
        rule,
        severity_of(text(row.get("severity"))),
        message,
        path,
        line_number(row.get("line")),
    )


FORMATS: Final = (
    JsonFormat("mountfs-tests", ("tests_run", "passed", "failed"), _fits_tests, _parse_tests),
    JsonFormat("mountfs-coverage", ("line_rate", "branch_rate", "files"), _fits_coverage, _parse_coverage),
    JsonFormat("mountfs-security", ("vulnerabilities", "summary", "critical"), _fits_security, _parse_security),
)
