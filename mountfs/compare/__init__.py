"""What changed between two jobs: reports in, sentences and numbers out. Pure: no clock, no disk, no git.

`compare(before, after)` brings two `Side`s together; `parse_gates` and `judge` say whether that may pass; `as_json`,
`as_markdown` and `tables` show it to programs, pull requests and people. `choose_baseline` and `latest` say what to
compare with, `history` and `trend` look at more than two jobs, `chart` and `badge` draw.

What it keeps true: what one side lacks is told (`Comparison.lacks`) and never taken for zero, and no gate passes on it.
"""

from mountfs.compare.badge import badge, badge_svg
from mountfs.compare.baseline import Baseline, Candidate, Choice, Rule, Wanted, choose_baseline, describe, latest
from mountfs.compare.chart import chart
from mountfs.compare.comparison import Comparison, changed_only, compare
from mountfs.compare.document import as_json, history_as_json, trend_as_json
from mountfs.compare.gates import Gate, GateResult, judge, parse_gates
from mountfs.compare.history import History, HistoryRow, JobFacts, Since, history
from mountfs.compare.identity import CaseId, find_test, identify
from mountfs.compare.markdown import as_markdown
from mountfs.compare.metrics import METRICS, Metric, Unit, metric_named, metric_of_a_job, value_of_job
from mountfs.compare.outcomes import merged_run
from mountfs.compare.sides import Kind, Lack, Side, Source, Which
from mountfs.compare.tables import Mark, Row, Table, tables, verdict
from mountfs.compare.trend import Point, Trend, trend
from mountfs.compare.values import Better, Change, Options

__all__ = [
    "METRICS",
    "Baseline",
    "Better",
    "Candidate",
    "CaseId",
    "Change",
    "Choice",
    "Comparison",
    "Gate",
    "GateResult",
    "History",
    "HistoryRow",
    "JobFacts",
    "Kind",
    "Lack",
    "Mark",
    "Metric",
    "Options",
    "Point",
    "Row",
    "Rule",
    "Side",
    "Since",
    "Source",
    "Table",
    "Trend",
    "Unit",
    "Wanted",
    "Which",
    "as_json",
    "as_markdown",
    "badge",
    "badge_svg",
    "changed_only",
    "chart",
    "choose_baseline",
    "compare",
    "describe",
    "find_test",
    "history",
    "history_as_json",
    "identify",
    "judge",
    "latest",
    "merged_run",
    "metric_named",
    "metric_of_a_job",
    "parse_gates",
    "tables",
    "trend",
    "trend_as_json",
    "value_of_job",
    "verdict",
]
