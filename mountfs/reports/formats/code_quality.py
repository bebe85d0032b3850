"""GitLab's code quality report, which is CodeClimate's (ruff, ESLint, PHPStan and others write it).

Its five severities are brought to ours in their order: a `blocker` is critical, a `critical` high.
"""

from collections.abc import Mapping
from typing import Final

from mountfs.reports.formats.kinds import JsonFormat
from mountfs.reports.limits import Room
from mountfs.reports.model import Finding, Findings, Severity
from mountfs.reports.paths import plain_path
from mountfs.reports.shape import Json, at, line_number, tables, text

_SEVERITIES: Final = {
    "blocker": Severity.CRITICAL,
    "critical": Severity.HIGH,
    "major": Severity.MEDIUM,
    "minor": Severity.LOW,
    "info": Severity.INFO,
}


def _fits(document: Json) -> bool:
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and {"fingerprint", "location"} <= first.keys() and "description" in first


def _parse(document: Json, room: Room) -> Findings:
    return Findings(tuple(_finding(row, room) for row in tables(document, "") if row.get("type", "issue") == "issue"))


def _finding(row: Mapping[str, Json], room: Room) -> Finding:
    room.take("findings")
    location = row.get("location")
    begin = at(location, "lines", "begin")
    rule = room.name(text(row.get("check_name")))
    return Finding(
        identity=("code-quality", rule, room.name(text(row.get("fingerprint")))),
        rule=rule,
        severity=_SEVERITIES.get(text(row.get("severity")).lower(), Severity.UNKNOWN),
        message=room.message(text(row.get("description"))),
        path=room.name(plain_path(text(at(location, "path")))),
        line=line_number(at(location, "positions", "begin", "line") if begin is None else begin),
    )


FORMATS: Final = (JsonFormat("code-quality", ("fingerprint", "location", "check_name"), _fits, _parse),)
