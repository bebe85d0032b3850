"""SARIF 2.1.0. Tools differ in what they fill in; a finding is known by its fingerprints, else by what it hit.

A finding with a `suppression` that was not rejected is suppressed. One whose `baselineState` is absent is no longer
there. A run that says that it did not succeed is unreadable: what it does not list may be there all the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from mountfs.reports.formats.findings import severity_of, steady, without_numbers
from mountfs.reports.formats.kinds import JsonFormat
from mountfs.reports.formats.sarif_paths import Paths, location_of
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Finding, Findings, Severity
from mountfs.reports.shape import Json, at, line_number, maybe_tables, number, parsed_number, table, tables, text

_NO_FINDING: Final = frozenset({"pass", "notApplicable"})
_SCORES: Final = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
_STANDS: Final = frozenset({"", "accepted"})


def _fits(document: Json) -> bool:
    runs = at(document, "runs")
    return (
        text(at(document, "version")).startswith("2.")
        and isinstance(runs, list)
        and (isinstance(at(runs[0], "tool"), dict) if runs else "$schema" in table(document, ""))
    )


def _schema(document: Json) -> str:
    return text(at(document, "version"))


def _parse(document: Json, room: Room) -> Findings:
    runs = tables(at(document, "runs"), "runs")
    return Findings(tuple(finding for run in runs for finding in _Run(run, room).findings()))


class _Run:
    """One run of one tool, and its rules by id and by place."""

    def __init__(self, run: Mapping[str, Json], room: Room) -> None:
        self._run = run
        self._room = room
        driver = table(at(run.get("tool"), "driver"), "tool.driver")
        self._tool = room.name(text(driver.get("name")))
        self._rules = [list(maybe_tables(driver.get("rules"), "rules"))]
        extensions = maybe_tables(at(run.get("tool"), "extensions"), "tool.extensions")
        self._rules += [list(maybe_tables(extension.get("rules"), "rules")) for extension in extensions]
        self._by_id = {text(rule.get("id")): rule for rules in self._rules for rule in rules}

    def findings(self) -> Iterator[Finding]:
        self._refuse_what_failed()
        results = list(maybe_tables(self._run.get("results"), "results"))
        paths = Paths(self._run, results)
        for result in results:
            kind = text(result.get("kind"))
            if kind not in _NO_FINDING and result.get("baselineState") != "absent":
                self._room.take("findings")
                yield self._finding(result, paths)

    def _refuse_what_failed(self) -> None:
        for invocation in maybe_tables(self._run.get("invocations"), "invocations"):
            if invocation.get("executionSuccessful") is False:
                raise Broken(f"says that {self._tool or 'the tool'} did not succeed: what it lists may not be all")
        if "results" not in self._run or self._run["results"] is None:
            raise Broken(f"has no results of {self._tool or 'the tool'}, not even none")

    def _finding(self, result: Mapping[str, Json], paths: Paths) -> Finding:
        rule = self._rule_of(result)
        rule_id = text(result.get("ruleId")) or text(at(result.get("rule"), "id")) or text(rule.get("id"))
        location = location_of(result)
        path = self._room.name(paths.of(location))
        message = self._room.message(_message(result, rule))
        return Finding(
            identity=(self._tool.lower(), self._room.name(rule_id), *self._which(result, location, path, message)),
            rule=self._room.name(rule_id),
            severity=_severity(result, rule),
            message=message,
            path=path,
            line=line_number(at(location, "region", "startLine")),
            tool=self._tool,
            suppressed=_suppressed(result),
        )

    def _rule_of(self, result: Mapping[str, Json]) -> Mapping[str, Json]:
        component = number(at(result.get("rule"), "toolComponent", "index"))
        rules = self._rules[0 if component is None else _place(component + 1, self._rules)]
        index = number(result.get("ruleIndex"))
        index = number(at(result.get("rule"), "index")) if index is None else index
        if index is not None and 0 <= index < len(rules):
            return rules[int(index)]
        return self._by_id.get(text(result.get("ruleId")), {})

    def _which(self, result: Mapping[str, Json], location: Json, path: str, message: str) -> tuple[str, ...]:
        """What tells this finding from others of its rule, whatever lines were inserted above it."""
        for name, beside in (("fingerprints", ()), ("partialFingerprints", (path,))):
            prints = result.get(name)
            if isinstance(prints, dict) and prints:
                return *beside, *(self._room.name(f"{key}={text(prints[key])}") for key in sorted(prints)[:8])
        snippet = steady(text(at(location, "region", "snippet", "text")))
        return path, self._room.name(snippet or without_numbers(message))


def _place(number: float, rules: Sequence[object]) -> int:
    return int(number) if 0 <= number < len(rules) else 0


def _message(result: Mapping[str, Json], rule: Mapping[str, Json]) -> str:
    said = result.get("message")
    by_id = at(rule.get("messageStrings"), text(at(said, "id")), "text")
    return text(at(said, "text")) or text(by_id) or text(at(rule.get("shortDescription"), "text"))


def _severity(result: Mapping[str, Json], rule: Mapping[str, Json]) -> Severity:
    score = _score(result) or _score(rule)
    if score:
        return next((severity for least, severity in _SCORES if score >= least), Severity.INFO)
    if text(result.get("kind")) not in ("", "fail"):
        return Severity.INFO
    level = text(result.get("level")) or text(at(rule.get("defaultConfiguration"), "level"))
    return severity_of(level or "warning")


def _score(holder: Mapping[str, Json]) -> float | None:
    """GitHub's `security-severity`, a CVSS score; tools write it as text or as a number."""
    value = at(holder.get("properties"), "security-severity")
    return parsed_number(value) if isinstance(value, str) else number(value)


def _suppressed(result: Mapping[str, Json]) -> bool:
    given = maybe_tables(result.get("suppressions"), "suppressions")
    return any(text(suppression.get("status")) in _STANDS for suppression in given)


FORMATS: Final = (JsonFormat("sarif", ("runs", "tool", "driver"), _fits, _parse, _schema),)
