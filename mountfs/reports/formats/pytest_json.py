"""pytest's results as JSON: the reports of pytest-json-report, and the lines of pytest-reportlog.

A node id becomes what pytest's own JUnit file would say, so that the same test has the same name in all three.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mountfs.reports.formats.kinds import JsonFormat, TextFormat
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Case, Outcome, TestRun
from mountfs.reports.shape import Json, at, maybe_count, maybe_tables, number, parse, table, text

_SUITE: Final = "pytest"  # the name of the suite in pytest's JUnit file
_OUTCOMES: Final = {
    "passed": Outcome.PASSED,
    "xpassed": Outcome.PASSED,
    "failed": Outcome.FAILED,
    "error": Outcome.ERROR,
    "skipped": Outcome.SKIPPED,
    "xfailed": Outcome.SKIPPED,
}
_PHASES: Final = ("setup", "call", "teardown")
_FILE_END: Final = re.compile(r"\.py$")


def names_of(node: str) -> tuple[str, str, str]:
    """Class name, name and file of `tests/test_a.py::TestB::test_c[d::e]`, as pytest's JUnit file has them."""
    path, bracket, parameters = node.partition("[")
    file, *names = path.split("::")
    if not names:
        return "", node, ""
    names[-1] += bracket + parameters
    return ".".join([_FILE_END.sub("", file).replace("/", "."), *names[:-1]]), names[-1], file


def _case(node: str, outcome: Outcome, *, seconds: float | None, flaky: bool, message: str, room: Room) -> Case:
    room.take("tests")
    classname, name, file = (room.name(part) for part in names_of(node))
    return Case(_SUITE, classname, name, outcome, seconds, file, flaky, room.message(message))


# --- pytest-json-report ----------------------------------------------------------------------


def _fits_report(document: Json) -> bool:
    return isinstance(document, dict) and {"created", "exitcode", "summary", "root"} <= document.keys()


def _parse_report(document: Json, room: Room) -> TestRun:
    tests = at(document, "tests")
    seconds = number(at(document, "duration"))
    if tests is None:  # written with --json-report-summary or --json-report-omit tests
        return TestRun((), _totals(table(at(document, "summary"), "summary")), seconds)
    return TestRun(tuple(_reported(test, room) for test in maybe_tables(tests, "tests")), seconds=seconds)


def _totals(summary: Mapping[str, Json]) -> dict[str, int]:
    told = {word: maybe_count(value, f"summary.{word[:40]}") or 0 for word, value in summary.items()}
    return {
        "tests": told.get("total", 0),
        "failed": told.get("failed", 0),
        "errors": told.get("error", 0),
        "skipped": told.get("skipped", 0) + told.get("xfailed", 0),
    }


def _reported(test: Mapping[str, Json], room: Room) -> Case:
    outcome = _OUTCOMES.get(text(test.get("outcome")))
    if outcome is None:
        raise Broken("has a test with an outcome that pytest does not have")
    times = [number(at(test.get(phase), "duration")) for phase in _PHASES]
    known = [seconds for seconds in times if seconds is not None]
    crash = next((said for phase in _PHASES if (said := text(at(test.get(phase), "crash", "message")))), "")
    node = text(test.get("nodeid"))
    seconds = sum(known) if known else None
    return _case(node, outcome, seconds=seconds, flaky=False, message=crash, room=room)


# --- pytest-reportlog ------------------------------------------------------------------------


@dataclass(slots=True)
class _Test:
    """What the phases of one test, and of its reruns, said so far."""

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    rerun: bool = False
    message: str = ""

    def outcome(self) -> Outcome:
        for worst in (Outcome.ERROR, Outcome.FAILED, Outcome.SKIPPED):
            if worst in self.outcomes:
                return worst
        return Outcome.PASSED


def _fits_log(lines: Sequence[str]) -> bool:
    if not lines or "$report_type" not in lines[0]:
        return False
    try:
        first = parse(lines[0].encode())
    except Broken:
        return False
    return isinstance(first, dict) and "$report_type" in first and ("pytest_version" in first or "nodeid" in first)


def _parse_log(lines: Iterator[str], room: Room) -> TestRun:
    tests: dict[str, _Test] = {}
    finished = False
    for line in lines:
        if not line.strip():
            continue
        entry = table(parse(line.encode()), "line")
        if entry.get("$report_type") == "TestReport":
            _heard(tests, entry, room)
        finished = finished or entry.get("$report_type") == "SessionFinish"
    if not finished:
        raise Broken("ends before pytest did: its session was not finished")
    return TestRun(tuple(_logged(node, test, room) for node, test in tests.items()))


def _heard(tests: dict[str, _Test], entry: Mapping[str, Json], room: Room) -> None:
    node, outcome, when = (text(entry.get(name)) for name in ("nodeid", "outcome", "when"))
    if node not in tests:
        room.take("tests")
        tests[node] = _Test()
    test = tests[node]
    test.seconds += number(entry.get("duration")) or 0.0
    if outcome == "rerun":
        test.rerun = True
        test.outcomes.clear()
    elif outcome == "failed":
        test.outcomes.append(Outcome.FAILED if when == "call" else Outcome.ERROR)
        test.message = text(at(entry.get("longrepr"), "reprcrash", "message")) or text(entry.get("longrepr"))
    else:
        test.outcomes.append(_OUTCOMES.get(outcome, Outcome.PASSED))


def _logged(node: str, test: _Test, room: Room) -> Case:
    outcome = test.outcome()
    flaky = test.rerun and outcome is Outcome.PASSED
    return _case(node, outcome, seconds=test.seconds, flaky=flaky, message=test.message, room=room)


FORMATS: Final = (JsonFormat("pytest-json-report", ("created", "exitcode", "summary"), _fits_report, _parse_report),)
TEXT_FORMATS: Final = (TextFormat("pytest-reportlog", _fits_log, _parse_log),)
