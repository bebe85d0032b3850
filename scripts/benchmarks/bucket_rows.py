"""The rows of DESIGN §8 about the bucket, beside the peers on the same server."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.bench import Bench, begin, finish, work
from benchmarks.buckets import Machine, Traffic
from benchmarks.table import Result, at_most, below, no_more_than, remark

_MIB = 1 << 20
_PEERS = ("rclone", "juicefs")
_SMALL_BYTES = 10_240


@dataclass(frozen=True)
class Trip:
    """Up to the bucket, and down again to a machine that has nothing yet."""

    up_seconds: float
    up_requests: int
    stored_bytes: int
    down_seconds: float
    down: Traffic


def small(bench: Bench) -> list[Result]:
    """10,000 files of 10 KB in one job: written until the bucket has them, and read on a fresh machine."""
    count = bench.scaled(10_000)

    def write(machine: Machine, number: int) -> float:
        return bench.create(machine.job("job"), count, seed=number)["started"]

    def read(machine: Machine) -> float:
        return work("read-small", machine.root / "job", "--count", str(count))["seconds"]

    trips = _trips(bench, write, read)
    ours = trips["mountfs"]
    up, down = f"{count:,} x 10 KB into the bucket", f"{count:,} x 10 KB on a fresh machine"
    return [
        no_more_than(f"{up}: requests", ours.up_requests, limit=20),
        *_beside(trips, f"{up}, s", lambda trip: trip.up_seconds, unit="s"),
        *_beside(trips, f"{up}, MiB there", lambda trip: trip.stored_bytes / _MIB, unit="MiB"),
        *_beside(trips, f"{up}, requests", lambda trip: float(trip.up_requests), unit=""),
        no_more_than(f"{down}: requests", ours.down.requests, limit=40),
        *_beside(trips, f"{down}, s", lambda trip: trip.down_seconds, unit="s"),
        *_beside(trips, f"{down}, MiB fetched", lambda trip: trip.down.down_bytes / _MIB, unit="MiB"),
        *_beside(trips, f"{down}, requests", lambda trip: float(trip.down.requests), unit=""),
    ]


def large(bench: Bench) -> list[Result]:
    """1 GiB of logs: written until the bucket has it, and read cold on a fresh machine."""
    size = bench.scaled(1024) * _MIB
    text = bench.log_text(size)
    text.read_bytes()  # into the page cache, for everyone alike

    def write(machine: Machine, _: int) -> float:
        return work("write", machine.job("job") / "log", "--corpus", str(text))["started"]

    def read(machine: Machine) -> float:
        return work("read", machine.root / "job" / "log")["seconds"]

    trips = _trips(bench, write, read)
    mebibytes, row = size / _MIB, f"{size // _MIB} MiB of logs"
    return [
        *_ahead(trips, f"{row} into the bucket", lambda trip: mebibytes / trip.up_seconds),
        *_beside(trips, f"{row} into the bucket, MiB there", lambda trip: trip.stored_bytes / _MIB, unit="MiB"),
        *_ahead(trips, f"{row} read on a fresh machine", lambda trip: mebibytes / trip.down_seconds),
    ]


def latency(bench: Bench) -> list[Result]:
    """p99 of stat, idle and while what was written goes up."""
    count = bench.scaled(10_000)
    idle: list[float] = []
    busy: list[float] = []
    for number in range(bench.rounds):
        machine = bench.buckets.kinds()["mountfs"](bench.buckets.new_bucket())
        seen = machine.job("seen")
        idle.append(work("probe", seen)["p99_ms"])
        alone = _flush_seconds(bench, machine, f"alone-{number}", count)
        bench.create(machine.job(f"probed-{number}"), count, seed=number)
        probe = begin("probe", seen, "--seconds", f"{max(0.2, 0.8 * alone):.2f}")
        machine.flushed_at()
        busy.append(finish(probe)["p99_ms"])
        bench.buckets.end(machine)
    row, reference = "p99 of stat while uploads run", f"{statistics.median(idle):.2f} ms idle"
    return [below(row, statistics.median(busy), limit=20, unit="ms", reference=reference)]


def _flush_seconds(bench: Bench, machine: Machine, job: str, count: int) -> float:
    bench.create(machine.job(job), count)
    begun = time.monotonic()
    return machine.flushed_at() - begun


def _trips(bench: Bench, write: Callable[[Machine, int], float], read: Callable[[Machine], float]) -> dict[str, Trip]:
    """For each kind of machine the median round, taken in turns. `write` answers when it started."""
    taken: dict[str, list[Trip]] = {}
    for number in range(bench.rounds):
        for kind, machine in bench.buckets.kinds().items():
            taken.setdefault(kind, []).append(_trip(bench, machine, lambda m: write(m, number), read))  # noqa: B023
    return {kind: sorted(trips, key=lambda trip: trip.up_seconds)[len(trips) // 2] for kind, trips in taken.items()}


def _trip(
    bench: Bench,
    fresh: Callable[[str], Machine],
    write: Callable[[Machine], float],
    read: Callable[[Machine], float],
) -> Trip:
    """Counted from mount to unmount: what a machine asks to find its way is part of the price."""
    bucket, server = bench.buckets.new_bucket(), bench.buckets.server
    nothing = server.traffic(bucket)
    machine = fresh(bucket)
    started = write(machine)
    up_seconds = machine.flushed_at() - started
    bench.buckets.end(machine)
    written = server.traffic(bucket)
    machine = fresh(bucket)
    down_seconds = read(machine)
    bench.buckets.end(machine)
    down = server.traffic(bucket) - written
    return Trip(up_seconds, (written - nothing).requests, server.stored_bytes(bucket), down_seconds, down)


def _beside(trips: dict[str, Trip], row: str, value: Callable[[Trip], float], *, unit: str) -> list[Result]:
    """Less is better, and ours is to be the least."""
    ours = value(trips["mountfs"])
    return [at_most(f"  {row}: beside {peer}", ours, value(trips[peer]), aim=1, unit=unit) for peer in _PEERS]


def _ahead(trips: dict[str, Trip], row: str, value: Callable[[Trip], float]) -> list[Result]:
    ours = value(trips["mountfs"])
    return [remark(f"{row}: beside {peer}", ours, value(trips[peer]), unit="MiB/s") for peer in _PEERS]


BUCKET_ROWS: dict[str, Callable[[Bench], list[Result]]] = {
    "bucket-small": small,
    "bucket-large": large,
    "bucket-latency": latency,
}
