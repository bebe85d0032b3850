"""Benchmarks and load tests: what left its noise, and whether another machine ran it.

A benchmark changed when its median moved by more than 5 % and by more than the deviations of both runs together: a
smaller step is weather. All times are seconds.
"""

import enum
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from mountfs.compare.legs import by_leg
from mountfs.compare.values import Change, Options, finite
from mountfs.reports.model import Benchmarks, Load, LoadTest, Parsed, Sample

# What differs between two runs of one machine, or between two of a kind: its name, the clock of a moment.
_FLEETING: Final = frozenset({"node", "hostname", "host", "hz_actual", "hz_actual_friendly", "boot_time"})

Measured = TypeVar("Measured")


class Pace(enum.StrEnum):
    """How a time compares with the one before. UNKNOWN: one side does not say it."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "same"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class BenchmarkChange:
    """One benchmark on both sides; `measure` says which of its times is compared, `noise` is in seconds."""

    name: str
    measure: str
    time: Change
    noise: float
    pace: Pace

    @property
    def percent(self) -> float | None:
        """The change in percent, 0 within the noise; None where a side does not say it."""
        return 0.0 if self.pace is Pace.SAME else self.time.percent


@dataclass(frozen=True, slots=True)
class BenchmarkChanges:
    """Benchmarks that both sides have, slowest change first, and the names of those that one side lacks.

    `machines` says in sentences how the machines differ: then times differ for no fault of the code.
    """

    changes: tuple[BenchmarkChange, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    has_before: bool = True
    has_after: bool = True


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """One endpoint on both sides; `pace` is that of its 95th percentile."""

    name: str
    before: Load
    after: Load
    pace: Pace

    @property
    def p95(self) -> Change:
        return Change(finite(self.before.p95), finite(self.after.p95))

    @property
    def failures(self) -> Change:
        return Change(self.before.failures, self.after.failures)

    @property
    def per_second(self) -> Change:
        return Change(finite(self.before.per_second), finite(self.after.per_second))


@dataclass(frozen=True, slots=True)
class LoadChanges:
    """A load test on both sides: all of it, and endpoint by endpoint; checks that failed on one side alone."""

    total: EndpointChange
    endpoints: tuple[EndpointChange, ...] = ()
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()
    new_failed_checks: tuple[str, ...] = ()
    fixed_checks: tuple[str, ...] = ()
    has_before: bool = True
    has_after: bool = True


Reports = Sequence[tuple[str, Parsed]]


def _named(items: Iterable[tuple[str, str, Measured]]) -> dict[str, dict[str, Measured]]:
    """By name, then by leg."""
    found: dict[str, dict[str, Measured]] = defaultdict(dict)
    for name, leg, item in items:
        found[name][leg] = item
    return found


def _flat(
    found: Mapping[str, Mapping[str, Measured]], other: Mapping[str, Mapping[str, Measured]]
) -> dict[str, Measured]:
    """By name alone where each side has it once, else with the leg: `parse (py312/bench.json)`."""
    flat: dict[str, Measured] = {}
    for name, by in found.items():
        alone = len(by) == 1 and len(other.get(name, ())) <= 1
        flat.update({name if alone else f"{name} ({leg})": item for leg, item in by.items()})
    return flat


# -- benchmarks -------------------------------------------------------------------------------------------------


def compare_benchmarks(before: Reports, after: Reports, options: Options) -> BenchmarkChanges | None:
    """How each benchmark changed; None where neither side has any."""
    was, now = _named(_samples(before)), _named(_samples(after))
    if not before and not after:
        return None
    old, new = _flat(was, now), _flat(now, was)
    shared = [_benchmark(name, old[name], new[name], options) for name in old.keys() & new.keys()]
    return BenchmarkChanges(
        tuple(sorted(shared, key=lambda change: (-(change.percent or 0.0), change.name))),
        tuple(sorted(old.keys() - new.keys())),
        tuple(sorted(new.keys() - old.keys())),
        tuple(_differences(before, after)) if before and after else (),
        bool(before),
        bool(after),
    )


def _samples(reports: Reports) -> Iterator[tuple[str, str, Sample]]:
    legs = by_leg(path for path, _ in reports)
    for path, said in sorted(reports, key=lambda report: legs[report[0]][1]):  # the last attempt counts
        if isinstance(said.report, Benchmarks):
            for name, sample in said.report.samples.items():
                yield name, legs[path][0], sample


def _benchmark(name: str, before: Sample, after: Sample, options: Options) -> BenchmarkChange:
    """On the median where both say it, else the mean, else the least: never one against another."""
    for measure in ("median", "mean", "least"):
        time = Change(_time(before, measure), _time(after, measure))
        if time.change is not None:
            noise = _noise(before, after, time, options)
            return BenchmarkChange(name, measure, time, noise, _pace(time, noise))
    return BenchmarkChange(name, "median", Change(_time(before, "median"), _time(after, "median")), 0.0, Pace.UNKNOWN)


def _time(sample: Sample, measure: str) -> float | None:
    return finite({"median": sample.median, "mean": sample.mean, "least": sample.least}[measure])


def _noise(before: Sample, after: Sample, time: Change, options: Options) -> float:
    deviation = math.hypot(finite(before.stddev) or 0.0, finite(after.stddev) or 0.0)
    least = abs(time.before or 0.0) * options.noise_percent / 100
    return finite(max(least, options.noise_deviations * deviation)) or 0.0


def _pace(time: Change, noise: float) -> Pace:
    if time.change is None:
        return Pace.UNKNOWN
    if abs(time.change) <= noise:
        return Pace.SAME
    return Pace.SLOWER if time.change > 0 else Pace.FASTER


def _differences(before: Reports, after: Reports) -> Iterator[str]:
    """What the two sides say differently of their machines, of what both say."""
    was, now = _machine(before), _machine(after)
    for name in sorted(was.keys() & now.keys()):
        if was[name] != now[name] and name.rpartition(".")[2].lower() not in _FLEETING:
            yield f"{name}: {', '.join(sorted(was[name]))} before, {', '.join(sorted(now[name]))} now"


def _machine(reports: Reports) -> dict[str, set[str]]:
    said: dict[str, set[str]] = defaultdict(set)
    for _, report in reports:
        if isinstance(report.report, Benchmarks):
            for name, value in report.report.machine.items():
                said[name].add(value)
    return said


# -- load tests -------------------------------------------------------------------------------------------------


def compare_load(before: Reports, after: Reports, options: Options) -> LoadChanges | None:
    """How the load tests changed; None where neither side has any."""
    if not before and not after:
        return None
    was, now = _named(_endpoints(before)), _named(_endpoints(after))
    old, new = _flat(was, now), _flat(now, was)
    failed, fails = _failed_checks(before), _failed_checks(after)
    both = bool(before) and bool(after)
    return LoadChanges(
        _endpoint("all", _total(before), _total(after), options),
        tuple(_endpoint(name, old[name], new[name], options) for name in sorted(old.keys() & new.keys())),
        tuple(sorted(old.keys() - new.keys())),
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(fails - failed)) if both else (),
        tuple(sorted(failed - fails)) if both else (),
        bool(before),
        bool(after),
    )


def _tests(reports: Reports) -> list[tuple[str, LoadTest]]:
    """The last attempt of each leg."""
    legs = by_leg(path for path, _ in reports)
    last: dict[str, LoadTest] = {}
    for path, said in sorted(reports, key=lambda report: legs[report[0]][1]):
        if isinstance(said.report, LoadTest):
            last[legs[path][0]] = said.report
    return list(last.items())


def _endpoints(reports: Reports) -> Iterator[tuple[str, str, Load]]:
    for leg, test in _tests(reports):
        for name, load in test.endpoints.items():
            yield name, leg, load


def _failed_checks(reports: Reports) -> set[str]:
    return {check for _, test in _tests(reports) for check in test.failed_checks}


def _total(reports: Reports) -> Load:
    """Of several tests: counts and rates together, and the worst of their times, which have no sum."""
    totals = [test.total for _, test in _tests(reports)]
    if len(totals) == 1:
        return totals[0]
    return Load(
        _sum(total.requests for total in totals),
        _sum(total.failures for total in totals),
        _worst(total.median for total in totals),
        _worst(total.p95 for total in totals),
        _rates(total.per_second for total in totals),
    )


def _sum(numbers: Iterable[int | None]) -> int | None:
    said = [number for number in numbers if number is not None]
    return sum(said) if said else None


def _rates(numbers: Iterable[float | None]) -> float | None:
    said = [number for number in numbers if number is not None]
    return finite(sum(said)) if said else None


def _worst(numbers: Iterable[float | None]) -> float | None:
    return max((number for number in numbers if finite(number) is not None and number is not None), default=None)


def _endpoint(name: str, before: Load, after: Load, options: Options) -> EndpointChange:
    time = Change(finite(before.p95), finite(after.p95))
    noise = abs(time.before or 0.0) * options.load_noise_percent / 100
    return EndpointChange(name, before, after, _pace(time, noise))
