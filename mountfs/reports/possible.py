"""Numbers that cannot be: a report that says them is broken, and nothing is to be counted from it.

Counts below zero do not come as far as here (`shape`).
"""

from mountfs.reports.limits import Broken
from mountfs.reports.model import Coverage, FileCoverage, Report

_ROUNDED = 100.01  # tools round


def refuse_impossible(report: Report) -> None:
    """Raises Broken where more is covered than there is."""
    if not isinstance(report, Coverage):
        return
    _check(report, "")
    for rate in (report.line_rate, report.branch_rate):
        _check_rate(rate, "")
    for path, file in report.files.items():
        _check(file, f" of {path[:100]}")
        _check_rate(file.line_rate, f" of {path[:100]}")


def _check(counts: Coverage | FileCoverage, where: str) -> None:
    if counts.covered > counts.lines:
        raise Broken(f"says that {counts.covered} of {counts.lines} lines{where} are covered")
    if counts.branches_covered > counts.branches:
        raise Broken(f"says that {counts.branches_covered} of {counts.branches} branches{where} are covered")


def _check_rate(rate: float | None, where: str) -> None:
    if rate is not None and not 0 <= rate <= _ROUNDED:
        raise Broken(f"says that {rate:g} %{where} are covered")
