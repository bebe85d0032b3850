"""Audits of dependencies: `npm audit` in both its formats, and pip-audit.

npm's own counts are of packages, a finding here is an advisory of a package: one package may have three, and a package
that is only hit through another has none of its own. An npm that could not ask its registry writes an error document
instead, with exit code and all; taking that for an audit would report no vulnerabilities.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from mountfs.reports.formats.findings import severity_of
from mountfs.reports.formats.kinds import JsonFormat
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Finding, Findings, Severity
from mountfs.reports.shape import Json, at, maybe_tables, rows, table, tables, text


def _has(document: Json, *keys: str) -> bool:
    return isinstance(document, dict) and all(key in document for key in keys)


def _fits_npm(document: Json) -> bool:
    return _has(document, "auditReportVersion", "vulnerabilities", "metadata")


def _npm_schema(document: Json) -> str:
    return text(at(document, "auditReportVersion"))


def _parse_npm(document: Json, room: Room) -> Findings:
    packages = table(at(document, "vulnerabilities"), "vulnerabilities")
    advisories = [_advisory(name, via, room) for name, via in _direct(packages)]
    told = at(document, "metadata", "vulnerabilities", "total")
    if told and not packages:
        raise Broken("counts vulnerabilities and names none")
    return Findings(tuple(advisories))


def _direct(packages: Mapping[str, Json]) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Advisories of packages; a text in `via` names another package that has them."""
    for name, package in packages.items():
        for via in rows(at(package, "via"), "via"):
            if not isinstance(via, str):
                yield name, table(via, "via[]")


def _advisory(package: str, via: Mapping[str, Json], room: Room) -> Finding:
    source, name = text(via.get("source")), text(via.get("name")) or package
    return _finding("npm", name, source, text(via.get("severity")), text(via.get("title")), room)


def _finding(tool: str, package: str, rule: str, severity: str, message: str, room: Room) -> Finding:
    room.take("findings")
    rule, package = room.name(rule), room.name(package)
    return Finding(
        identity=(tool, package, rule),
        rule=rule,
        severity=severity_of(severity),
        message=room.message(message),
        path=package,
        tool=tool,
    )


def _fits_npm1(document: Json) -> bool:
    return _has(document, "advisories", "actions", "metadata")


def _parse_npm1(document: Json, room: Room) -> Findings:
    advisories = table(at(document, "advisories"), "advisories")
    return Findings(tuple(_advisory1(key, table(value, "advisories[]"), room) for key, value in advisories.items()))


def _advisory1(key: str, advisory: Mapping[str, Json], room: Room) -> Finding:
    package, rule = text(advisory.get("module_name")), text(advisory.get("id")) or key
    return _finding("npm", package, rule, text(advisory.get("severity")), text(advisory.get("title")), room)


def _dependencies(document: Json) -> Json:
    return at(document, "dependencies") if isinstance(document, dict) else document


def _fits_pip(document: Json) -> bool:
    dependencies = _dependencies(document)
    first = dependencies[0] if isinstance(dependencies, list) and dependencies else None
    audited = isinstance(first, dict) and "name" in first and ("vulns" in first or "skip_reason" in first)
    return audited or (dependencies == [] and _has(document, "fixes"))


def _parse_pip(document: Json, room: Room) -> Findings:
    return Findings(
        tuple(
            _finding(
                "pip-audit",
                text(dependency.get("name")),
                text(vulnerability.get("id")),
                Severity.UNKNOWN.value,
                text(vulnerability.get("description")),
                room,
            )
            for dependency in tables(_dependencies(document), "dependencies")
            for vulnerability in maybe_tables(dependency.get("vulns"), "vulns")
        )
    )


def _fits_error(document: Json) -> bool:
    return _has(document, "error") and (_has(document, "statusCode") or _has(at(document, "error"), "code"))


def _refuse_error(document: Json, room: Room) -> Findings:
    error = at(document, "error")
    summary = text(at(error, "summary")) or text(at(document, "message")) or text(error) or text(at(error, "code"))
    raise Broken(f"is an error message of the tool, no result: {room.message(summary)[:300]}")


FORMATS: Final = (
    JsonFormat("npm-audit", ("auditReportVersion", "vulnerabilities"), _fits_npm, _parse_npm, _npm_schema),
    JsonFormat("npm-audit-v1", ("advisories", "actions", "metadata"), _fits_npm1, _parse_npm1),
    JsonFormat("pip-audit", ("dependencies", "vulns"), _fits_pip, _parse_pip),
)
ERROR_FORMATS: Final = (JsonFormat("error-document", ("error", "statusCode"), _fits_error, _refuse_error),)
