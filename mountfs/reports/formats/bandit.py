"""Bandit's JSON. `code` holds some lines with their numbers; only the one that was found says which finding it is."""

import re
from collections.abc import Mapping
from typing import Final

from mountfs.reports.formats.findings import severity_of, steady
from mountfs.reports.formats.kinds import JsonFormat
from mountfs.reports.limits import Room
from mountfs.reports.model import Finding, Findings
from mountfs.reports.paths import plain_path
from mountfs.reports.shape import Json, at, count, tables, text

_NUMBERED: Final = re.compile(r"^(\d{1,9}) ?(.*)$", re.MULTILINE)


def _fits(document: Json) -> bool:
    totals = at(document, "metrics", "_totals")
    return isinstance(totals, dict) and isinstance(document, dict) and {"results", "generated_at"} <= document.keys()


def _parse(document: Json, room: Room) -> Findings:
    return Findings(tuple(_finding(row, room) for row in tables(at(document, "results"), "results")))


def _finding(row: Mapping[str, Json], room: Room) -> Finding:
    room.take("findings")
    line = count(row.get("line_number"), "line_number")
    rule, path = room.name(text(row.get("test_id"))), room.name(plain_path(text(row.get("filename"))))
    code = room.name(_line_of(text(row.get("code")), line))
    return Finding(
        identity=("bandit", rule, path, code),
        rule=rule,
        severity=severity_of(text(row.get("issue_severity"))),
        message=room.message(text(row.get("issue_text"))),
        path=path,
        line=line,
        tool="Bandit",
    )


def _line_of(code: str, line: int) -> str:
    numbered = {int(found[1]): found[2] for found in _NUMBERED.finditer(code[:10_000])}
    return steady(numbered.get(line, code))


FORMATS: Final = (JsonFormat("bandit", ("generated_at", "metrics", "_totals"), _fits, _parse),)
