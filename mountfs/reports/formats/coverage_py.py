"""coverage.py's JSON. `percent_covered` mixes branches in and is left aside: 60.0 where Cobertura says 62.5."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mountfs.reports.formats.kinds import JsonFormat
from mountfs.reports.limits import Room
from mountfs.reports.model import Coverage, FileCoverage
from mountfs.reports.shape import Json, at, count, maybe_count, rows, table, text


def _fits(document: Json) -> bool:
    meta = at(document, "meta")
    return (
        isinstance(meta, dict)
        and "version" in meta
        and ("branch_coverage" in meta or "show_contexts" in meta)
        and isinstance(document, dict)
        and "files" in document
        and "totals" in document
    )


def _schema(document: Json) -> str:
    return text(at(document, "meta", "format"))


def _parse(document: Json, room: Room) -> Coverage:
    files = {
        room.name(path.replace("\\", "/")): _file(table(value, f"files.{path[:100]}"), room)
        for path, value in table(at(document, "files"), "files").items()
    }
    counts = _counts(table(at(document, "totals"), "totals"), "totals")
    return Coverage(MappingProxyType(files), *counts)


def _file(value: Mapping[str, Json], room: Room) -> FileCoverage:
    room.take("files")
    missing = rows(value.get("missing_lines"), "missing_lines")
    room.take("lines", len(missing))
    lines, covered, branches, branches_covered = _counts(table(value.get("summary"), "summary"), "summary")
    missed = frozenset(count(line, "missing_lines[]") for line in missing)
    return FileCoverage(lines, covered, branches, branches_covered, missed)


def _counts(summary: Mapping[str, Json], where: str) -> tuple[int, int, int, int]:
    return (
        count(summary.get("num_statements"), f"{where}.num_statements"),
        count(summary.get("covered_lines"), f"{where}.covered_lines"),
        maybe_count(summary.get("num_branches"), f"{where}.num_branches") or 0,
        maybe_count(summary.get("covered_branches"), f"{where}.covered_branches") or 0,
    )


FORMATS: Final = (JsonFormat("coverage.py", ("covered_lines", "num_statements"), _fits, _parse, _schema),)
