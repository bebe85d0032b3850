"""TAP 13 and 14: a plan, and a line for each test. What is indented belongs to a test that says its result itself."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from mountfs.reports.formats.kinds import TextFormat
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Case, Outcome, TestRun

_PLAN: Final = re.compile(r"1\.\.(\d{1,9})(?:\s*#.*)?\s*$")
_VERSION: Final = re.compile(r"TAP version 1[34]\s*$")
_POINT: Final = re.compile(r"(not )?ok\b(?:[ \t]+(\d{1,9}))?(?:[ \t]*-[ \t]*)?[ \t]*(.*)$")
_DIRECTIVE: Final = re.compile(r"(?<!\\)#\s*(SKIP|TODO)\S*\s*(.*)$", re.IGNORECASE)
_TIME: Final = re.compile(r"(?<!\\)#\s*time=([\d.]{1,20})(ms|s)\s*$")


def _fits(lines: Sequence[str]) -> bool:
    told = [line for line in lines if line.strip() and not line.startswith("#")]
    if not told:
        return False
    if _VERSION.match(told[0]):
        return len(told) == 1 or any(_PLAN.match(line) or _POINT.match(line) for line in told)
    plan = _PLAN.match(told[0])
    return plan is not None and (plan[1] == "0" or any(_POINT.match(line) for line in told[1:]))


def _parse(lines: Iterator[str], room: Room) -> TestRun:
    cases: list[Case] = []
    planned: int | None = None
    for line in lines:
        plan = _PLAN.match(line)
        if plan is not None:
            planned = int(plan[1])
        elif line.startswith("Bail out!"):
            raise Broken(f"says that the run was given up: {room.message(line[9:]) or 'no reason given'}")
        elif point := _POINT.match(line):
            cases.append(_case(point, len(cases) + 1, room))
    if planned is None or planned != len(cases):
        raise Broken(f"plans {'nothing' if planned is None else f'{planned:,} tests'} and tells of {len(cases):,}")
    return TestRun(tuple(cases))


def _case(point: re.Match[str], number: int, room: Room) -> Case:
    room.take("tests")
    description, outcome, message = point[3], Outcome.FAILED if point[1] else Outcome.PASSED, ""
    directive = _DIRECTIVE.search(description)
    if directive is not None:
        description, message = description[: directive.start()], directive[2]
        # a TODO that fails was expected to; one that passes is a test like others
        outcome = Outcome.PASSED if directive[1].upper() == "TODO" and not point[1] else Outcome.SKIPPED
    time = _TIME.search(description)
    seconds = None if time is None else _seconds(time)
    name = description[: time.start()] if time else description
    said = name.replace("\\#", "#").strip() or f"test {point[2] or number}"
    return Case("", "", room.name(said), outcome, seconds, message=room.message(message))


def _seconds(time: re.Match[str]) -> float | None:
    try:
        return float(time[1]) / (1000 if time[2] == "ms" else 1)
    except ValueError:
        return None


TEXT_FORMATS: Final = (TextFormat("tap", _fits, _parse),)
