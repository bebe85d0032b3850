"""Locust: the list that `--json` prints, and the `_stats.csv` of `--csv`. Its times are milliseconds; ours, seconds."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from mountfs.reports.formats.kinds import JsonFormat, TextFormat
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Load, LoadTest
from mountfs.reports.shape import Json, count, number, parsed_count, parsed_number, table, tables, text

_WANTED: Final = frozenset({"num_requests", "num_failures", "response_times"})
_HEADER: Final = ["Type", "Name", "Request Count", "Failure Count"]


def _fits_json(document: Json) -> bool:
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and first.keys() >= _WANTED


def _parse_json(document: Json, room: Room) -> LoadTest:
    listed = list(tables(document, ""))
    seconds = _span(listed)
    endpoints: dict[str, Load] = {}
    times: dict[float, int] = {}
    for row in listed:
        room.take("endpoints")
        histogram = _histogram(table(row.get("response_times"), "response_times"), room)
        for time, times_seen in histogram.items():
            times[time] = times.get(time, 0) + times_seen
        requests, failures = (count(row.get(name), name) for name in ("num_requests", "num_failures"))
        name = _name(text(row.get("method")), text(row.get("name")), room)
        endpoints[name] = _load(requests, failures, histogram, seconds)
    requests = sum(load.requests or 0 for load in endpoints.values())
    failures = sum(load.failures or 0 for load in endpoints.values())
    return LoadTest(MappingProxyType(endpoints), _load(requests, failures, times, seconds))


def _span(listed: list[dict[str, Json]]) -> float:
    """How long the test ran: Locust's own rates of each endpoint are over the whole of it."""
    starts, ends = (
        [moment for row in listed if (moment := number(row.get(name))) is not None]
        for name in ("start_time", "last_request_timestamp")
    )
    return max(ends) - min(starts) if starts and ends else 0.0


def _histogram(told: Mapping[str, Json], room: Room) -> dict[float, int]:
    room.take("lines", len(told))
    histogram: dict[float, int] = {}
    for key, value in told.items():
        milliseconds = parsed_number(key)
        if milliseconds is None:
            raise Broken("has a response time that is none")
        histogram[milliseconds] = count(value, "response_times[]")
    return histogram


def _load(requests: int, failures: int, times: Mapping[float, int], seconds: float) -> Load:
    return Load(
        requests=requests,
        failures=failures,
        median=_percentile(times, 0.5),
        p95=_percentile(times, 0.95),
        per_second=requests / seconds if seconds > 0 else None,
    )


def _percentile(times: Mapping[float, int], share: float) -> float | None:
    """The time in seconds within which that share of the requests were answered, as Locust itself counts it."""
    left = sum(times.values()) - int(sum(times.values()) * share)
    for milliseconds in sorted(times, reverse=True):
        left -= times[milliseconds]
        if left <= 0:
            return milliseconds / 1000
    return None


def _name(method: str, name: str, room: Room) -> str:
    return room.name(f"{method} {name}".strip())


def _fits_csv(lines: Sequence[str]) -> bool:
    return bool(lines) and [cell.strip('"') for cell in lines[0].split(",")[:4]] == _HEADER


def _parse_csv(lines: Iterator[str], room: Room) -> LoadTest:
    endpoints: dict[str, Load] = {}
    total: Load | None = None
    for row in _records(lines):
        load = _csv_load(row)
        if row.get("Name") == "Aggregated":
            total = load
        else:
            room.take("endpoints")
            endpoints[_name(row.get("Type") or "", row.get("Name") or "", room)] = load
    if total is None:
        raise Broken("has no row 'Aggregated': Locust did not finish it")
    return LoadTest(MappingProxyType(endpoints), total)


def _records(lines: Iterable[str]) -> Iterator[Mapping[str, str | None]]:
    try:
        for row in csv.DictReader(f"{line}\n" for line in lines):
            yield {str(name): value for name, value in row.items() if isinstance(value, str)}
    except csv.Error as error:
        raise Broken(f"is not whole CSV: {error}") from None


def _csv_load(row: Mapping[str, str | None]) -> Load:
    requests, failures = (parsed_count(row.get(name)) for name in ("Request Count", "Failure Count"))
    if requests is None or failures is None:
        raise Broken("has a row without its counts")
    median, p95 = (parsed_number(row.get(name)) for name in ("50%", "95%"))
    return Load(
        requests=requests,
        failures=failures,
        median=None if median is None else median / 1000,
        p95=None if p95 is None else p95 / 1000,
        per_second=parsed_number(row.get("Requests/s")),
    )


FORMATS: Final = (JsonFormat("locust", ("num_requests", "num_failures", "response_times"), _fits_json, _parse_json),)
TEXT_FORMATS: Final = (TextFormat("locust-csv", _fits_csv, _parse_csv),)
