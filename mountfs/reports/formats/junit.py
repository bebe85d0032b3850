"""JUnit XML, as pytest, Surefire, Gradle, Jest, gotestsum, ruff and many others write it (no standard says how).

Counts are those of the cases; the numbers on the suites count only where a report has no cases. `flakyFailure` and its
like (Surefire) stand in a case that passed in the end, `rerunFailure` in one that failed each time.

pytest writes a case for each run of a test that pytest-rerunfailures runs again, the runs before the last without any
outcome, and for a test that failed and whose fixture failed after it; its `tests` counts each test once. So where a
suite has as many cases too many as cases come again, those of one name are one test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from mountfs.reports.formats.kinds import Opening, XmlFormat
from mountfs.reports.limits import MESSAGE_SIGNS, Room
from mountfs.reports.model import Case, Outcome, TestRun
from mountfs.reports.shape import parsed_count, parsed_number

_ROOTS: Final = ("testsuites", "testsuite")
_ATTRIBUTES: Final = frozenset({"tests", "failures", "errors", "skipped", "time", "timestamp"})
_CHILDREN: Final = frozenset({"testsuite", "testcase", "properties"})
_BAD: Final = {"failure": Outcome.FAILED, "error": Outcome.ERROR, "skipped": Outcome.SKIPPED}
_AGAIN: Final = frozenset({"flakyFailure", "flakyError", "rerunFailure", "rerunError"})
_WORST_FIRST: Final = (Outcome.ERROR, Outcome.FAILED, Outcome.SKIPPED)
_NOT_RUN: Final = frozenset({"notrun", "disabled", "skipped", "ignored"})  # GoogleTest's `status`
_TOTALS: Final = (("tests", "tests"), ("failed", "failures"), ("errors", "errors"), ("skipped", "skipped"))


def _fits(opening: Opening) -> bool:
    return bool(_ATTRIBUTES & opening.attributes.keys()) or opening.child in _CHILDREN


@dataclass(slots=True)
class _Case:
    """The case that is being read."""

    attributes: Mapping[str, str]
    outcomes: set[Outcome] = field(default_factory=set)
    again: bool = False
    message: str = ""
    text: list[str] = field(default_factory=list)

    def outcome(self) -> Outcome:
        for outcome in _WORST_FIRST:
            if outcome in self.outcomes:
                return outcome
        return Outcome.SKIPPED if self.attributes.get("status") in _NOT_RUN else Outcome.PASSED


@dataclass(slots=True)
class _Suite:
    """A suite that is being read: its own cases, and how many it says that it and those in it have."""

    name: str
    tests: int | None
    cases: list[Case] = field(default_factory=list)

    def each_once(self) -> list[Case]:
        """Its cases, those of one test as one."""
        found: dict[tuple[str, str, str], list[Case]] = {}
        for case in self.cases:
            found.setdefault((case.classname, case.name, case.file), []).append(case)
        if len(found) == len(self.cases) or self.tests != len(found):
            return self.cases
        return [cases[0] if len(cases) == 1 else _joined(cases) for cases in found.values()]


def _joined(cases: list[Case]) -> Case:
    """Several runs of one test: as the last ended, or the worst; flaky where it passed in the end."""
    outcomes = {case.outcome for case in cases}
    worst = next((outcome for outcome in _WORST_FIRST if outcome in outcomes), Outcome.PASSED)
    message = next((case.message for case in reversed(cases) if case.message), "")
    return replace(cases[-1], outcome=worst, flaky=worst is Outcome.PASSED, message=message)


class _Reader:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._cases: list[Case] = []
        self._suites: list[_Suite] = []
        self._case: _Case | None = None
        self._listens = False
        self._seconds: float | None = None
        self._totals: dict[str, int] = {}
        self._whole = False  # the root has numbers for all suites

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _ROOTS:
            self._suite(tag, attributes)
        elif tag == "testcase":
            self._room.take("tests")
            self._case = _Case(attributes)
        elif self._case is not None:
            self._in_case(self._case, tag, attributes)

    def _suite(self, tag: str, attributes: Mapping[str, str]) -> None:
        if not self._suites or (len(self._suites) == 1 and not self._whole):
            self._add_totals(attributes)
            self._whole = not self._suites and "tests" in attributes
        # the name of `testsuites` is that of the run ("pytest tests", "jest tests"), no suite
        name = self._room.name(attributes.get("name", "")) if tag == "testsuite" else ""
        self._suites.append(_Suite(name, parsed_count(attributes.get("tests"))))

    def _add_totals(self, attributes: Mapping[str, str]) -> None:
        for name, attribute in _TOTALS:
            number = parsed_count(attributes.get(attribute))
            if number is not None:
                self._totals[name] = self._totals.get(name, 0) + number
        seconds = parsed_number(attributes.get("time"))
        if seconds is not None:
            self._seconds = seconds + (self._seconds or 0)

    def _in_case(self, case: _Case, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _BAD:
            case.outcomes.add(_BAD[tag])
        elif tag in _AGAIN:
            case.again = True
        else:
            return
        case.message = case.message or attributes.get("message", "")
        self._listens = not case.message

    def data(self, text: str) -> None:
        if self._listens and self._case is not None:
            self._case.text.append(text)
            self._listens = sum(map(len, self._case.text)) < MESSAGE_SIGNS

    def end(self, tag: str) -> None:
        self._listens = False
        if tag == "testcase" and self._case is not None:
            finished = self._finished(self._case)
            (self._suites[-1].cases if self._suites else self._cases).append(finished)
            self._case = None
        elif tag in _ROOTS:
            self._cases += self._suites.pop().each_once()

    def _finished(self, case: _Case) -> Case:
        attributes, outcome = case.attributes, case.outcome()
        return Case(
            suite=self._suites[-1].name if self._suites else "",
            classname=self._room.name(attributes.get("classname", "")),
            name=self._room.name(attributes.get("name", "")),
            outcome=outcome,
            seconds=parsed_number(attributes.get("time")),
            file=self._room.name(attributes.get("file", "")),
            flaky=case.again and outcome is Outcome.PASSED,
            message=self._room.message(case.message or "".join(case.text)),
        )

    def report(self) -> TestRun:
        totals = {} if self._cases else self._totals
        return TestRun(tuple(self._cases), MappingProxyType(totals), self._seconds)


FORMATS: Final = (XmlFormat("junit", _ROOTS, _fits, _Reader),)
