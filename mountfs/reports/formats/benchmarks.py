"""pytest-benchmark and hyperfine: times in seconds by name. The single rounds, most of such a file, are not kept."""

import statistics
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mountfs.reports.formats.kinds import JsonFormat
from mountfs.reports.limits import Broken, Room
from mountfs.reports.model import Benchmarks, Sample
from mountfs.reports.shape import Json, at, count, maybe_count, number, rows, table, tables, text

_MACHINE: Final = ("node", "machine", "system", "release", "python_implementation", "python_version")


def _fits_pytest(document: Json) -> bool:
    wanted = {"benchmarks", "machine_info", "version"}
    return isinstance(document, dict) and wanted <= document.keys() and isinstance(document["benchmarks"], list)


def _pytest_schema(document: Json) -> str:
    return text(at(document, "version"))


def _parse_pytest(document: Json, room: Room) -> Benchmarks:
    samples: dict[str, Sample] = {}
    for row in tables(at(document, "benchmarks"), "benchmarks"):
        _add(samples, text(row.get("fullname")) or text(row.get("name")), _pytest_sample(row), room)
    return Benchmarks(MappingProxyType(samples), MappingProxyType(_machine(at(document, "machine_info"), room)))


def _pytest_sample(row: Mapping[str, Json]) -> Sample:
    stats = table(row.get("stats"), "stats")
    return Sample(
        median=_seconds(stats, "median"),
        mean=number(stats.get("mean")),
        stddev=number(stats.get("stddev")),
        least=number(stats.get("min")),
        rounds=maybe_count(stats.get("rounds"), "stats.rounds"),
    )


def _machine(info: Json, room: Room) -> dict[str, str]:
    said = {name: text(at(info, name)) for name in _MACHINE}
    said["cpu"] = text(at(info, "cpu", "brand_raw")) or text(at(info, "cpu", "brand"))
    said["cores"] = text(at(info, "cpu", "count"))
    return {name: room.name(value) for name, value in said.items() if value}


def _fits_hyperfine(document: Json) -> bool:
    results = at(document, "results")
    first = results[0] if isinstance(results, list) and results else None
    return isinstance(first, dict) and {"command", "mean"} <= first.keys() and ("times" in first or "median" in first)


def _parse_hyperfine(document: Json, room: Room) -> Benchmarks:
    samples: dict[str, Sample] = {}
    for row in tables(at(document, "results"), "results"):
        _add(samples, _command(row), _hyperfine_sample(row), room)
    return Benchmarks(MappingProxyType(samples))


def _command(row: Mapping[str, Json]) -> str:
    """The command, and what its parameters were where they do not stand in it already."""
    command, parameters = text(row.get("command")), row.get("parameters")
    if not isinstance(parameters, dict):
        return command
    told = [f"{name}={text(value)}" for name, value in sorted(parameters.items()) if text(value) not in command]
    return " ".join([command, *told])


def _hyperfine_sample(row: Mapping[str, Json]) -> Sample:
    given = row.get("times")
    times = [] if given is None else [number(time) for time in rows(given, "times")]
    whole = [time for time in times if time is not None]
    median = number(row.get("median"))
    return Sample(
        median=statistics.median(whole) if median is None and whole else median,
        mean=_seconds(row, "mean"),
        stddev=number(row.get("stddev")),
        least=number(row.get("min")),
        rounds=count(len(times), "times") or None,
    )


def _seconds(stats: Mapping[str, Json], name: str) -> float:
    value = number(stats.get(name))
    if value is None or value < 0:
        raise Broken(f"has no time where '{name}' should be")
    return value


def _add(samples: dict[str, Sample], name: str, sample: Sample, room: Room) -> None:
    """A name that comes again is told apart by its number: parametrised commands may look alike."""
    room.take("benchmarks")
    name = room.name(name)
    again, number_ = name, 2
    while again in samples:
        again, number_ = f"{name} #{number_}", number_ + 1
    samples[again] = sample


FORMATS: Final = (
    JsonFormat(
        "pytest-benchmark", ("machine_info", "benchmarks", "commit_info"), _fits_pytest, _parse_pytest, _pytest_schema
    ),
    JsonFormat("hyperfine", ("command", "mean", "times"), _fits_hyperfine, _parse_hyperfine),
)
