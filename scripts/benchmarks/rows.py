"""The local rows of DESIGN §8: each function measures one and returns its lines."""

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import Bench, begin, finish, time_command, work
from benchmarks.systems import BenchmarkFailed, System, drop_caches, interpreter
from benchmarks.table import Result, at_least, at_most, below, remark

_MIB = 1 << 20
_FILL = Path(__file__).with_name("fill.py")


def create(bench: Bench) -> list[Result]:
    """20,000 files of 10 KB by one writer, until all are compressed and committed."""
    count = bench.scaled(20_000)
    closes: dict[str, list[float]] = {}

    def creates_per_second(system: System) -> Callable[[int], float]:
        def measure(number: int) -> float:
            os.sync()
            done = bench.create(system.job(f"create-{number}"), count, seed=number)
            system.settle()
            closes.setdefault(system.name, []).append(done["p99_ms"])
            return count / (time.monotonic() - done["started"])

        return measure

    systems = (bench.mountfs, bench.passthrough, bench.ext4)
    rate = bench.alternate({system.name: creates_per_second(system) for system in systems})
    p99 = {name: statistics.median(values) for name, values in closes.items()}
    return [
        at_least("create 10 KB, settled", rate["mountfs"], rate["passthroughfs"], aim=1.1, unit="/s"),
        remark("  beside ext4", rate["mountfs"], rate["ext4"], unit="/s"),
        remark("  p99 of one close", p99["mountfs"], p99["passthroughfs"], unit="ms"),
    ]


def stat(bench: Bench) -> list[Result]:
    """stat of files that were listed before."""
    count = bench.scaled(20_000)

    def stats_per_second(system: System) -> Callable[[int], float]:
        files = bench.small_files(system, count)

        def measure(_: int) -> float:
            done = work("stat-listed", files)
            return done["count"] / done["seconds"]

        return measure

    rate = bench.alternate({s.name: stats_per_second(s) for s in (bench.mountfs, bench.passthrough)})
    return [at_least("stat of listed files", rate["mountfs"], rate["passthroughfs"], aim=5, unit="/s")]


def listing(bench: Bench) -> list[Result]:
    """`ls -lR` of one directory, cold and warm, small and large."""
    small, large = bench.scaled(10_000), bench.scaled(100_000)
    results = [line for count in (small, large) for line in _listing_of(bench, count)]
    cold_small, cold_large = (_seconds_of(results[number]) for number in (0, 2))
    scaling = cold_large / cold_small
    told = f"{cold_large:.2f} s", f"{cold_small:.2f} s"
    results.append(Result(f"ls -lR cold, {large:,} to {small:,}", *told, scaling, "<= 12 x", scaling <= 12))
    return results


def _seconds_of(result: Result) -> float:
    return float(result.ours.split()[0].replace(",", "")) / 1000


def _listing_of(bench: Bench, count: int) -> list[Result]:
    def seconds(system: System, *, cold: bool) -> Callable[[int], float]:
        files = bench.small_files(system, count, flat=True, size_bytes=100)

        def measure(_: int) -> float:
            if cold:
                system.make_cold()
            return 1000 * time_command(["ls", "-lR", str(files)])

        return measure

    cold = bench.alternate({s.name: seconds(s, cold=True) for s in (bench.mountfs, bench.ext4)})
    for system in (bench.mountfs, bench.ext4):
        seconds(system, cold=False)(0)
    warm = bench.alternate({s.name: seconds(s, cold=False) for s in (bench.mountfs, bench.ext4)})
    return [
        at_most(f"ls -lR of {count:,}, cold", cold["mountfs"], cold["ext4"], aim=10, unit="ms"),
        at_most(f"ls -lR of {count:,}, warm", warm["mountfs"], warm["ext4"], aim=3, unit="ms"),
    ]


def cold_read(bench: Bench) -> list[Result]:
    """open + read + close of 10 KB files after a fresh mount with dropped caches."""
    count = bench.scaled(20_000)

    def reads_per_second(system: System) -> Callable[[int], float]:
        files = bench.small_files(system, count)

        def measure(_: int) -> float:
            system.make_cold()
            return count / work("read-small", files, "--count", str(count))["seconds"]

        return measure

    systems = (bench.mountfs, bench.passthrough, bench.ext4)
    rate = bench.alternate({system.name: reads_per_second(system) for system in systems})
    return [
        at_least("cold open+read of 10 KB", rate["mountfs"], rate["passthroughfs"], aim=1.5, unit="/s"),
        remark("  beside ext4", rate["mountfs"], rate["ext4"], unit="/s"),
    ]


def sequential_write(bench: Bench) -> list[Result]:
    """1 GiB of logs, until stored compressed."""
    size = bench.scaled(1024) * _MIB
    text = bench.log_text(size)
    text.read_bytes()  # into the page cache, for everyone alike

    def write_to(system: System) -> Callable[[int], float]:
        def measure(number: int) -> float:
            target = system.job("sequential") / f"write-{number}.log"
            os.sync()
            done = work("write", target, "--corpus", str(text))
            system.settle()
            rate = size / _MIB / (time.monotonic() - done["started"])
            target.unlink()
            return rate

        return measure

    def zstd(_: int) -> float:
        target = bench.directory / "log.zst"
        os.sync()
        return size / _MIB / time_command(["zstd", "-3", "-T2", "-q", "-f", str(text), "-o", str(target)])

    measures = {"zstd": zstd, **{s.name: write_to(s) for s in (bench.passthrough, bench.mountfs)}}
    rate = bench.alternate(measures)
    slower = min(("zstd", "passthroughfs"), key=lambda name: rate[name])
    note = ", ".join(f"{name} {rate[name]:,.0f} MiB/s" for name in ("zstd", "passthroughfs"))
    row = f"write of {size // _MIB} MiB of logs, settled"
    return [at_least(row, rate["mountfs"], rate[slower], aim=0.7, unit="MiB/s", note=note)]


def _log_on(bench: Bench, system: System, size: int) -> Path:
    """The log of the reading rows, settled; made once for each system."""
    target = system.job("sequential") / f"read-{size}.log"
    if not target.exists():
        work("write", target, "--corpus", str(bench.log_text(size)))
        system.settle()
    return target


def sequential_read(bench: Bench) -> list[Result]:
    """Cold sequential read against `zstd -d` on one core."""
    size = bench.scaled(1024) * _MIB
    packed = bench.directory / "read.zst"
    subprocess.run(["zstd", "-3", "-q", "-f", str(bench.log_text(size)), "-o", str(packed)], check=True)
    log = _log_on(bench, bench.mountfs, size)

    def ours(_: int) -> float:
        bench.mountfs.make_cold()
        return size / _MIB / work("read", log)["seconds"]

    def zstd(_: int) -> float:
        drop_caches()
        command = ["taskset", "-c", "0", "zstd", "-d", "-q", "-c", str(packed)]
        return size / _MIB / time_command(command)

    rate = bench.alternate({"mountfs": ours, "zstd": zstd})
    row = f"cold read of {size // _MIB} MiB"
    return [at_least(row, rate["mountfs"], rate["zstd"], aim=1, unit="MiB/s", note="zstd -d, one core")]


def reread(bench: Bench) -> list[Result]:
    """The same file again, from the page cache."""
    size = bench.scaled(1024) * _MIB

    def read_again(system: System) -> Callable[[int], float]:
        log = _log_on(bench, system, size)
        return lambda _: size / _MIB / work("read", log, "--count", "2")["seconds"]

    rate = bench.alternate({s.name: read_again(s) for s in (bench.mountfs, bench.ext4)})
    return [at_least("reread of it", rate["mountfs"], rate["ext4"], aim=0.6, unit="MiB/s")]


def append(bench: Bench) -> list[Result]:
    """`echo >> log` onto a long and a short log."""
    count = bench.scaled(10_000)
    script = f"for i in $(seq {count}); do echo line >> log; done"
    settled: dict[str, list[float]] = {}

    def loop(name: str, size: int, system: System) -> Callable[[int], float]:
        job = system.job(f"append-{name}")
        shutil.copyfile(bench.log_text(size), job / "log")
        system.settle()

        def measure(_: int) -> float:
            begun = time.monotonic()
            seconds = time_command(["dash", "-c", script], directory=job)
            system.settle()
            settled.setdefault(name, []).append(time.monotonic() - begun)
            return seconds

        return measure

    seconds = bench.alternate(
        {
            "long": loop("long", 90 * _MIB, bench.mountfs),
            "short": loop("short", _MIB, bench.mountfs),
            "passthroughfs": loop("passthroughfs", 90 * _MIB, bench.passthrough),
        }
    )
    until = {name: statistics.median(values) for name, values in settled.items()}
    row = f"{count:,} x echo >> log of 90 MiB / of 1 MiB"
    return [
        at_most(row, seconds["long"], seconds["short"], aim=1.5, unit="s"),
        at_most("  the same until settled", until["long"], until["short"], aim=1.5, unit="s"),
        remark("  beside passthroughfs", seconds["long"], seconds["passthroughfs"], unit="s"),
    ]


def rename(bench: Bench) -> list[Result]:
    """A directory of 100,000 entries, within its job and to another."""
    count = bench.scaled(100_000)
    files = bench.small_files(bench.mountfs, count, flat=True, size_bytes=100)
    job, other = files.parent, bench.mountfs.job("other")

    def there_and_back(target: Path) -> Callable[[int], float]:
        def measure(_: int) -> float:
            taken = []
            for old, new in ((files, target), (target, files)):
                begun = time.monotonic()
                os.rename(old, new)
                taken.append(1000 * (time.monotonic() - begun))
                bench.mountfs.settle()
            return max(taken)

        return measure

    took = bench.alternate({"within": there_and_back(job / "moved"), "between": there_and_back(other / "moved")})
    return [
        below(f"rename of {count:,} within a job", took["within"], limit=50, unit="ms"),
        below(f"rename of {count:,} between jobs", took["between"], limit=1000, unit="ms"),
    ]


def latency(bench: Bench) -> list[Result]:
    """p99 of stat, idle and while a writer creates, and what the probing costs the writer."""
    count = bench.scaled(20_000)
    probed = bench.small_files(bench.mountfs, count)
    busy_ms: list[float] = []
    rates: dict[str, list[float]] = {"alone": [], "probed": []}

    def create_in(number: int, kind: str) -> float:
        job = bench.mountfs.job(f"latency-{kind}-{number}")
        writer = begin("create", job, "--corpus", str(bench.corpus()), "--count", str(count))
        if kind == "probed":
            # Shorter than the writer runs, so that the probe never measures an idle mount.
            seconds = 0.7 * count / statistics.median(rates["alone"])
            busy_ms.append(work("probe", probed, "--seconds", f"{seconds:.2f}")["p99_ms"])
        rate = count / finish(writer)["seconds"]
        bench.mountfs.settle()
        rates[kind].append(rate)
        return rate

    idle = bench.alternate(
        {
            "idle": lambda _: work("probe", probed)["p99_ms"],
            "alone": lambda number: create_in(number, "alone"),
            "probed": lambda number: create_in(number, "probed"),
        }
    )
    busy = statistics.median(busy_ms)
    reference = f"{idle['idle']:.2f} ms idle"
    return [
        below("p99 of stat while a writer creates", busy, limit=20, unit="ms", reference=reference),
        at_least("creates while stat is probed", idle["probed"], idle["alone"], aim=0.5, unit="/s"),
    ]


def report_latency(bench: Bench) -> list[Result]:
    """p99 of stat while reports are read behind the writers, and how many of them were in that time."""
    count = bench.scaled(4000)
    probed = bench.small_files(bench.mountfs, bench.scaled(20_000))
    idle_ms, busy_ms, read = [], [], []
    for number in range(bench.rounds):
        idle_ms.append(work("probe", probed)["p99_ms"])
        work("reports", bench.mountfs.job(f"reports-{number}"), "--count", str(count))
        before = _parsed(bench, number, count)
        busy_ms.append(work("probe", probed)["p99_ms"])
        read.append(_parsed(bench, number, count) - before)
        bench.mountfs.settle()
    if not min(read):
        raise BenchmarkFailed("No report was read while stat was probed: make more of them.")
    told = f"{statistics.median(idle_ms):.2f} ms idle"
    note = f"{statistics.median(read):.0f} reports read meanwhile"
    row = "p99 of stat while reports are read"
    return [below(row, statistics.median(busy_ms), limit=20, unit="ms", reference=told, note=note)]


def _parsed(bench: Bench, number: int, count: int) -> int:
    """How many of these reports were read: they are read from the newest on."""
    job = bench.mountfs.root / f"reports-{number}"
    return sum(_has_summary(job / f"junit-{n:05}.xml") for n in range(0, count, 20)) * 20


def _has_summary(path: Path) -> bool:
    try:
        return bool(os.getxattr(path, "user.mountfs.summary"))
    except OSError:
        return False


def mount(bench: Bench) -> list[Result]:
    """Time until a mount with many artifacts answers, and the memory it holds, also after `find` over all of them."""
    count = bench.scaled(1_000_000)
    bench.mountfs.stop()
    subprocess.run([interpreter(), str(_FILL), str(bench.mountfs.state), str(count)], check=True)
    bench.mountfs.start()
    ready, resident = [], []
    for _ in range(bench.rounds):
        bench.mountfs.make_cold()
        ready.append(bench.mountfs.ready_seconds)
        resident.append(bench.mountfs.resident_bytes / 1e6)
    seconds = time_command(["find", str(bench.mountfs.root), "-newer", "/"])
    row = f"mount with {count:,} artifacts"
    return [
        below(f"{row}: ready", statistics.median(ready), limit=1, unit="s"),
        below(f"{row}: resident", statistics.median(resident), limit=200, unit="MB"),
        below("  resident after find over all", bench.mountfs.resident_bytes / 1e6, limit=200, unit="MB"),
        below("  find over all, for each", seconds * 1e6 / count, limit=500, unit="µs"),
    ]


ROWS: dict[str, Callable[[Bench], list[Result]]] = {
    "create": create,
    "stat": stat,
    "ls": listing,
    "cold-read": cold_read,
    "write": sequential_write,
    "read": sequential_read,
    "reread": reread,
    "append": append,
    "rename": rename,
    "latency": latency,
    "report-latency": report_latency,
    "mount": mount,
}
