"""Reports without the directories they were made in: two sides whose paths name the same files alike.

What tells of files is brought below the roots (`roots`): findings with their identities, the suites, classes, names and
files of tests, and coverage. All that follows compares these names, and shows them.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from mountfs.compare.roots import Roots, Told, moved, roots_of
from mountfs.compare.sides import Side, Source
from mountfs.reports.formats.findings import without_numbers
from mountfs.reports.limits import NAME_SIGNS, shortened
from mountfs.reports.model import Case, Coverage, Finding, Findings, Parsed, Report, TestRun
from mountfs.reports.paths import is_absolute, slashed


def below_roots(before: Side, after: Side) -> tuple[Side, Side]:
    """Both sides with relative paths, as far as it can be told what they are relative to."""
    roots = roots_of(_told(before), _told(after))
    return _below(before, roots[0]), _below(after, roots[1])


def _below(side: Side, roots: Roots) -> Side:
    if not roots.roots:
        return side
    return replace(side, sources=tuple(_source(source, roots) for source in side.sources))


def in_one_place(runs: Iterable[TestRun]) -> list[TestRun]:
    """Runs of many jobs as if all had run where the first did, with the paths below that."""
    there: dict[str, AbstractSet[str]] = {}
    found: list[TestRun] = []
    for run in runs:
        told = _paths_of(run)
        here = _test_run(run, moved(told, there)) if any(map(is_absolute, told)) else run
        there.update(told if here is run else _paths_of(here))
        found.append(here)
    root, _ = roots_of(there, {})
    return [_test_run(run, root) for run in found] if root.roots else found


def _source(source: Source, roots: Roots) -> Source:
    if not isinstance(source.answer, Parsed):
        return source
    return replace(source, answer=replace(source.answer, report=_report(source.answer.report, roots)))


def _report(report: Report, roots: Roots) -> Report:
    match report:
        case Findings():
            return _findings(report, roots)
        case TestRun():
            return _test_run(report, roots)
        case Coverage():
            names = roots.named(report.files)
            return replace(report, files={names[path]: file for path, file in report.files.items()})
        case _:
            return report


# -- what is told of which path ---------------------------------------------------------------------------------


def _told(side: Side) -> Told:
    """The paths that the reports of a side name, what they tell of each, and in which report."""
    told: dict[str, set[str]] = defaultdict(set)
    for source in side.sources:
        if isinstance(source.answer, Parsed):
            for path, said in _paths_of(source.answer.report).items():
                told[path] |= said | {f"in {source.path}"}  # of the legs of a matrix each has a report of its own
    return told


def _paths_of(report: Report) -> dict[str, set[str]]:
    told: dict[str, set[str]] = defaultdict(set)
    match report:
        case Findings():
            for finding in report.findings:
                told[finding.path].add(f"{finding.rule} {finding.message}")
        case TestRun():
            files = _files_of(report)
            for case in report.cases if files else ():
                for path in files.intersection((case.suite, case.classname, case.file)):
                    told[path].add(case.name)
        case Coverage():
            told.update({path: set() for path in report.files})
        case _:
            pass
    told.pop("", None)
    return told


def _files_of(run: TestRun) -> set[str]:
    texts = {text for case in run.cases for text in (case.suite, case.classname, case.file)}
    return {text for text in texts if _names_a_file(text)}


def _names_a_file(text: str) -> bool:
    """Whether a suite or a class is a file: linters write them so, and `/api/users` is a route."""
    last = slashed(text).rpartition("/")[2]
    return "." in last and (is_absolute(text) or "/" in text) and not any(sign.isspace() for sign in last)


# -- each kind --------------------------------------------------------------------------------------------------


def _findings(report: Findings, roots: Roots) -> Findings:
    names = roots.named(finding.path for finding in report.findings)
    return replace(report, findings=tuple(_finding(finding, names, roots) for finding in report.findings))


def _finding(finding: Finding, names: Mapping[str, str], roots: Roots) -> Finding:
    """The finding with its identity, of which the path is a part, and maybe the message."""
    path, message = names[finding.path], roots.in_text(finding.message)
    parts = {finding.path: path} if finding.path else {}
    if message != finding.message:
        parts[_as_identity(finding.message)] = _as_identity(message)
    if not parts or (path == finding.path and message == finding.message):
        return finding
    identity = tuple(parts.get(part, part) for part in finding.identity)
    return replace(finding, identity=identity, path=path, message=message)


def _as_identity(message: str) -> str:
    return shortened(without_numbers(message), NAME_SIGNS)


def _test_run(run: TestRun, roots: Roots) -> TestRun:
    fields = [_renamed(run.cases, field, roots) for field in _FIELDS] if roots.roots else []
    if not any(fields):
        return run
    suites, classes, names, files = fields
    return replace(
        run,
        cases=tuple(
            replace(
                case,
                suite=suites.get(case.suite, case.suite),
                classname=classes.get(case.classname, case.classname),
                name=names.get(case.name, case.name),
                file=files.get(case.file, case.file),
            )
            for case in run.cases
        ),
    )


_FIELDS: Final[tuple[Callable[[Case], str], ...]] = (
    lambda case: case.suite,
    lambda case: case.classname,
    lambda case: case.name,
    lambda case: case.file,
)


def _renamed(cases: Iterable[Case], field: Callable[[Case], str], roots: Roots) -> dict[str, str]:
    """The texts of a field that begin with a root, and what follows it."""
    names = roots.named(field(case) for case in cases)
    return {text: name for text, name in names.items() if text != name}
