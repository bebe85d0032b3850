"""Which reports comparisons take by default: they are in use, so retention leaves them (DESIGN §3, `.latest/`).

Successful is a job with `status=success` or without a status; one tagged `pr` is nobody's baseline. Which is the
newest is said where comparisons have it from (`namespace/ages.py`).
"""

from collections.abc import Iterable
from dataclasses import replace

from mountfs.namespace import age_of, is_successful
from mountfs.retention.model import Baseline, Report


def is_candidate(report: Report) -> bool:
    """Whether it may be the baseline of its branch."""
    return bool(report.branch) and "pr" not in report.tags and is_successful(report.tags)


def with_baselines(reports: Iterable[Report]) -> list[Report]:
    """The same reports, the newest successful one of each branch and type marked; who was chosen stays so."""
    reports = list(reports)
    newest: dict[tuple[str, str], Report] = {}
    for report in filter(is_candidate, reports):
        place = report.branch, report.type
        newest[place] = max(report, newest.get(place, report), key=lambda one: age_of(one.began_ns, one.job))
    in_use = {report.key for report in newest.values()}
    return [
        replace(report, baseline=Baseline(report.branch)) if report.key in in_use and not report.baseline else report
        for report in reports
    ]
