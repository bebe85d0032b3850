"""Coverage of the project and of each file, in points, like with like.

One run is 62.5 % of its lines and 60.0 % of its lines and branches together (FORMATS, measured 3); what is compared
here are lines with lines and branches with branches, from counts where a report has them.
"""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mountfs.compare.formats import choose_formats
from mountfs.compare.values import Change, finite, rate
from mountfs.reports.model import Coverage, Diff, FileCoverage, Parsed


@dataclass(frozen=True, slots=True)
class Covered:
    """The coverage of one side: rates in percent, None where no report says them, and the files."""

    line: float | None
    branch: float | None
    lines: int | None
    covered: int | None
    files: Mapping[str, FileCoverage]
    formats: tuple[str, ...]


_NOTHING: Final = Covered(None, None, None, None, {}, ())


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file on both sides, None where it is not. `indirect`: it changed though the diff did not touch it."""

    path: str
    before: FileCoverage | None
    after: FileCoverage | None
    indirect: bool | None = None

    @property
    def line(self) -> Change:
        return Change(_line(self.before), _line(self.after))

    @property
    def missed(self) -> Change:
        return Change(_missed(self.before), _missed(self.after))


@dataclass(frozen=True, slots=True)
class CoverageChange:
    """The project in percent, and the files whose counts differ: changed, new, gone. `unchanged` counts the rest."""

    before: Covered | None
    after: Covered | None
    line: Change
    branch: Change
    lines: Change
    covered: Change
    files: tuple[FileChange, ...] = ()
    unchanged: int = 0


def _line(file: FileCoverage | None) -> float | None:
    if file is None:
        return None
    return rate(file.covered, file.lines) if file.lines else finite(file.line_rate)


def _missed(file: FileCoverage | None) -> float | None:
    return None if file is None or not file.lines else file.lines - file.covered


# -- one side ---------------------------------------------------------------------------------------------------


def coverage_of(reports: Sequence[tuple[str, Parsed]], other: Sequence[tuple[str, Parsed]] = ()) -> Covered | None:
    """The coverage that a side's reports say together; formats that the other side has too go first."""
    found = _by_format(reports)
    if not found:
        return None
    formats = choose_formats(*({name: _names(some) for name, some in by.items()} for by in (found, _by_format(other))))
    merged = [_merged(found[name]) for name in formats]
    return _together(merged, tuple(formats))


def _by_format(reports: Sequence[tuple[str, Parsed]]) -> dict[str, list[Coverage]]:
    found: dict[str, list[Coverage]] = defaultdict(list)
    for _, said in reports:
        if isinstance(said.report, Coverage):
            found[said.format].append(said.report)
    return found


def _names(reports: Iterable[Coverage]) -> set[str]:
    """The last parts of paths: what comes before depends on the tool."""
    return {posixpath.basename(path) for report in reports for path in report.files}


def _merged(reports: list[Coverage]) -> Coverage:
    """Reports of one format as one: shards of a run tell of the same files, and a line that one ran was run."""
    if len(reports) == 1:
        return reports[0]
    files: dict[str, FileCoverage] = {}
    for report in reports:
        for path, file in report.files.items():
            files[path] = _union(files[path], file) if path in files else file
    if not all(report.files for report in reports) or any(_has_rate_alone(file) for file in files.values()):
        return Coverage(files)  # how much of it is the same nobody can tell: no rate rather than a wrong one
    return _summed(files, files.values())


def _union(one: FileCoverage, other: FileCoverage) -> FileCoverage:
    lines = max(one.lines, other.lines)
    covered = max(one.covered, other.covered)
    missed = one.missed & other.missed
    if one.lines == other.lines and _names_missed(one) and _names_missed(other):
        covered = lines - len(missed)
    branches = max(one.branches, other.branches)
    rates = max((said for said in (finite(one.line_rate), finite(other.line_rate)) if said is not None), default=None)
    return FileCoverage(lines, covered, branches, max(one.branches_covered, other.branches_covered), missed, rates)


def _has_rate_alone(file: FileCoverage) -> bool:
    return not file.lines and file.line_rate is not None


def _names_missed(file: FileCoverage) -> bool:
    return len(file.missed) == file.lines - file.covered


def _summed(files: Mapping[str, FileCoverage], parts: Iterable[Coverage | FileCoverage]) -> Coverage:
    parts = list(parts)
    return Coverage(
        files,
        sum(part.lines for part in parts),
        sum(part.covered for part in parts),
        sum(part.branches for part in parts),
        sum(part.branches_covered for part in parts),
    )


def _together(parts: list[Coverage], formats: tuple[str, ...]) -> Covered:
    """Parts that tell of different files, as one project."""
    files = {path: file for part in parts for path, file in part.files.items()}
    whole = parts[0] if len(parts) == 1 else _summed(files, parts)
    if len(parts) > 1 and not all(part.lines for part in parts):
        whole = Coverage(files)
    has_counts = whole.lines > 0
    return Covered(
        rate(whole.covered, whole.lines) if has_counts else finite(whole.line_rate),
        rate(whole.branches_covered, whole.branches) if whole.branches else finite(whole.branch_rate),
        whole.lines if has_counts else None,
        whole.covered if has_counts else None,
        files,
        formats,
    )


# -- both -------------------------------------------------------------------------------------------------------


def compare_coverage(before: Covered | None, after: Covered | None, diff: Diff | None) -> CoverageChange | None:
    """What changed, worst first; `diff` tells which files were touched. None where no side has coverage."""
    if before is None and after is None:
        return None
    was, now = before or _NOTHING, after or _NOTHING
    changes, unchanged = ([], 0) if before is None or after is None else _files(before.files, after.files, diff)
    return CoverageChange(
        before,
        after,
        Change(was.line, now.line),
        Change(was.branch, now.branch),
        Change(was.lines, now.lines),
        Change(was.covered, now.covered),
        tuple(sorted(changes, key=_worst_first)),
        unchanged,
    )


def _worst_first(file: FileChange) -> tuple[float, str]:
    return file.line.change or 0.0, file.path


def _files(
    before: Mapping[str, FileCoverage], after: Mapping[str, FileCoverage], diff: Diff | None
) -> tuple[list[FileChange], int]:
    names = _same_files(before, after)
    known = set(names.values())
    gone = [FileChange(path, file, None) for path, file in before.items() if path not in known]
    pairs = [FileChange(path, before[names[path]] if path in names else None, file) for path, file in after.items()]
    changed = [file for file in pairs if _counts(file.before) != _counts(file.after)]
    if diff is not None:
        changed = _judged(changed, diff)
    return [*changed, *gone], len(pairs) - len(changed)


def _counts(file: FileCoverage | None) -> tuple[float | None, ...] | None:
    """What makes two states of a file differ: its counts, or its rate where it has none."""
    if file is None:
        return None
    return (*(file.lines, file.covered, file.branches, file.branches_covered), None if file.lines else _line(file))


def _judged(files: Iterable[FileChange], diff: Diff) -> list[FileChange]:
    """Each with whether the diff touched it; a path may be the end of the other one, whichever is longer."""
    ends = {end for path in diff.files for end in _ends(path)}
    return [
        replace(file, indirect=file.path not in ends and not any(end in diff.files for end in _ends(file.path)))
        if file.before is not None
        else file
        for file in files
    ]


def _same_files(before: Iterable[str], after: Iterable[str]) -> dict[str, str]:
    """Of each path after the one before that is the same file.

    Some tools leave out the first directories: only where no path at all is on both sides, those are the same of
    which one ends as the other is.
    """
    old, new = set(before), set(after)
    if same := old & new:
        return {path: path for path in same}
    ends: dict[str, set[str]] = defaultdict(set)
    for path in old:
        for end in _ends(path):
            ends[end].add(path)
    found: dict[str, str] = {}
    for path in new:
        fitting = ends[path] if path in ends else {end for end in _ends(path) if end in old}
        if len(fitting) == 1:
            found[path] = next(iter(fitting))
    return found if len(set(found.values())) == len(found) else {}


def _ends(path: str) -> list[str]:
    """A path and all its ends: `a/b/c`, `b/c`, `c`."""
    parts = path.strip("/").split("/")
    return ["/".join(parts[number:]) for number in range(len(parts))]
