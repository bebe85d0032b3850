"""k6's summaries in their three shapes: version 1, `handleSummary`'s data, and `--summary-export`.

k6 writes times in milliseconds; the model has seconds. In `handleSummary` and `--summary-export` the rate metric
`http_req_failed` counts failed requests as `passes` (its condition held); where there is a `rate`, that decides.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mountfs.reports.formats.kinds import JsonFormat
from mountfs.reports.limits import Room
from mountfs.reports.model import Load, LoadTest
from mountfs.reports.shape import Json, at, maybe_tables, number, table, tables, text

_DURATION: Final = "http_req_duration"


@dataclass(frozen=True, slots=True)
class _Metric:
    """One metric: its numbers as k6 wrote them, and whether they are times."""

    name: str
    values: Mapping[str, float]
    is_time: bool

    def seconds(self, name: str) -> float | None:
        value = self.values.get(name)
        return None if value is None else value / 1000


def _fits_v1(document: Json) -> bool:
    return bool(text(at(document, "version"))) and at(document, "metadata", "k6Version") is not None


def _schema(document: Json) -> str:
    return text(at(document, "version"))


def _parse_v1(document: Json, room: Room) -> LoadTest:
    results = table(at(document, "results"), "results")
    metrics = [_metric(text(row.get("name")), row, room) for row in tables(results.get("metrics"), "results.metrics")]
    thresholds = list(_failed_thresholds(at(results, "thresholds")))
    if results.get("passed") is False and not thresholds:
        thresholds = ["thresholds"]  # a failed check alone does not fail a run
    return _load_test(metrics, [*_checks(at(results, "checks", "orderedChecks")), *thresholds], room)


def _failed_thresholds(thresholds: Json) -> Iterator[str]:
    rows = thresholds if isinstance(thresholds, list) else []
    for row in rows:
        if at(row, "ok") is False or at(row, "passed") is False:
            yield text(at(row, "source")) or text(at(row, "name")) or text(at(row, "metric")) or "a threshold"


def _fits_handled(document: Json) -> bool:
    return _has_metrics(document) and "state" in table(document, "")


def _fits_exported(document: Json) -> bool:
    return _has_metrics(document) and "state" not in table(document, "")


def _has_metrics(document: Json) -> bool:
    return isinstance(at(document, "metrics"), dict) and isinstance(at(document, "root_group"), dict)


def _parse_handled(document: Json, room: Room) -> LoadTest:
    metrics, failed = [], list(_checks_of(at(document, "root_group")))
    for name, row in table(at(document, "metrics"), "metrics").items():
        metrics.append(_metric(name, table(row, "metrics[]"), room))
        for threshold, verdict in table(at(row, "thresholds") or {}, "thresholds").items():
            # --summary-export writes whether it failed, handleSummary whether it is ok
            if verdict is True or at(verdict, "ok") is False:
                failed.append(f"{name}: {threshold}")
    return _load_test(metrics, failed, room)


def _metric(name: str, row: Mapping[str, Json], room: Room) -> _Metric:
    room.take("endpoints")
    flat = row.get("values")
    known = {key: number(value) for key, value in (flat if isinstance(flat, dict) else row).items()}
    values = {room.name(key): value for key, value in known.items() if value is not None}
    contains = text(row.get("contains"))
    is_time = contains == "time" if contains else name.endswith("_duration") or name.startswith("http_req_")
    return _Metric(room.name(name), values, is_time and "med" in values)


def _checks(rows: Json) -> Iterator[str]:
    for row in maybe_tables(rows, "checks"):
        if number(row.get("fails")):
            yield text(row.get("name"))


def _checks_of(group: Json) -> Iterator[str]:
    """Failed checks of a group and those in it; as a list (handleSummary) or by name (--summary-export)."""
    waiting = [group]
    while waiting:
        group = waiting.pop()
        checks, groups = (_listed(at(group, name)) for name in ("checks", "groups"))
        yield from (text(at(check, "name")) for check in checks if number(at(check, "fails")))
        waiting += groups


def _listed(value: Json) -> list[Json]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _load_test(metrics: list[_Metric], failed: list[str], room: Room) -> LoadTest:
    by_name = {metric.name: metric for metric in metrics}
    room.take("endpoints", len(failed))
    return LoadTest(
        endpoints=MappingProxyType({metric.name: _load(metric) for metric in metrics}),
        total=_total(by_name),
        failed_checks=tuple(room.name(name) for name in failed),
    )


def _load(metric: _Metric) -> Load:
    values = MappingProxyType(dict(metric.values))
    if not metric.is_time:
        return Load(values=values)
    return Load(median=metric.seconds("med"), p95=metric.seconds("p(95)"), values=values)


def _total(by_name: Mapping[str, _Metric]) -> Load:
    requests, failed, duration = (by_name.get(name) for name in ("http_reqs", "http_req_failed", _DURATION))
    number_of = None if requests is None else requests.values.get("count")
    return Load(
        requests=_counted(number_of),
        failures=None if failed is None else _failures(failed.values, number_of),
        median=None if duration is None else duration.seconds("med"),
        p95=None if duration is None else duration.seconds("p(95)"),
        per_second=None if requests is None else requests.values.get("rate"),
    )


def _failures(values: Mapping[str, float], requests: float | None) -> int | None:
    share = values.get("rate", values.get("value"))
    if share is not None and requests is not None:
        return _counted(min(max(share, 0.0), 1.0) * requests)
    return _counted(values.get("passes"))


def _counted(value: float | None) -> int | None:
    return round(value) if value is not None and 0 <= value <= 2**53 else None


FORMATS: Final = (
    JsonFormat("k6", ("k6Version", "results", "metrics"), _fits_v1, _parse_v1, _schema),
    JsonFormat("k6-handle-summary", ("root_group", "metrics", "state"), _fits_handled, _parse_handled),
    JsonFormat("k6-summary-export", ("root_group", "metrics"), _fits_exported, _parse_handled),
)
