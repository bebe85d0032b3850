"""Trivy's JSON: vulnerabilities, misconfigurations and secrets by target; before 0.20 a bare list of targets."""

from collections.abc import Iterator, Mapping
from typing import Final

from mountfs.reports.formats.findings import severity_of, steady
from mountfs.reports.formats.kinds import JsonFormat
from mountfs.reports.limits import Room
from mountfs.reports.model import Finding, Findings
from mountfs.reports.shape import Json, at, line_number, maybe_tables, rows, table, text

_OLD: Final = frozenset({"Vulnerabilities", "Misconfigurations", "Secrets", "Type", "Class"})


def _fits(document: Json) -> bool:
    if not isinstance(document, dict):
        return False
    return "SchemaVersion" in document and ("ArtifactName" in document or "ArtifactType" in document)


def _fits_old(document: Json) -> bool:
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and "Target" in first and bool(_OLD & first.keys())


def _schema(document: Json) -> str:
    return text(at(document, "SchemaVersion"))


def _parse(document: Json, room: Room) -> Findings:
    results = document if isinstance(document, list) else rows(at(document, "Results") or [], "Results")
    return Findings(tuple(found for result in results for found in _of_target(table(result, "Results[]"), room)))


def _of_target(result: Mapping[str, Json], room: Room) -> Iterator[Finding]:
    target = room.name(text(result.get("Target")))
    for row in maybe_tables(result.get("Vulnerabilities"), "Vulnerabilities"):
        yield _finding(row, target, room, suppressed=False)
    for row in maybe_tables(result.get("Misconfigurations"), "Misconfigurations"):
        if row.get("Status") != "PASS":  # listed with --include-non-failures
            yield _finding(row, target, room, suppressed=False)
    for row in maybe_tables(result.get("Secrets"), "Secrets"):
        yield _finding(row, target, room, suppressed=False)
    for row in maybe_tables(result.get("ExperimentalModifiedFindings"), "ExperimentalModifiedFindings"):
        yield _finding(table(row.get("Finding"), "Finding"), target, room, suppressed=True)


def _finding(row: Mapping[str, Json], target: str, room: Room, *, suppressed: bool) -> Finding:
    room.take("findings")
    rule = text(row.get("VulnerabilityID")) or text(row.get("ID")) or text(row.get("RuleID"))
    which = text(row.get("PkgName")) or steady(text(row.get("Match")))
    line = line_number(row.get("StartLine")) or line_number(at(row.get("CauseMetadata"), "StartLine"))
    return Finding(
        identity=("trivy", target, room.name(which), room.name(rule)),
        rule=room.name(rule),
        severity=severity_of(text(row.get("Severity"))),
        message=room.message(text(row.get("Title")) or text(row.get("Message")) or text(row.get("Description"))),
        path=target,
        line=line,
        tool="Trivy",
        suppressed=suppressed,
    )


FORMATS: Final = (
    JsonFormat("trivy", ("SchemaVersion", "ArtifactName"), _fits, _parse, _schema),
    JsonFormat("trivy", ("Target", "Vulnerabilities"), _fits_old, _parse),
)
