"""The program whose work is timed, in a small process of its own: standard library, plain system calls.

Prints one JSON object; `started` is CLOCK_MONOTONIC, which is the same clock in every process.
"""

import argparse
import json
import os
import random
import time

_PIECE = 1 << 20
_PER_DIRECTORY = 1_000


def name_of(number: int, *, flat: bool) -> str:
    name = f"module_{number:06}.py"
    return name if flat else f"{number // _PER_DIRECTORY:03}/{name}"


def create(arguments: argparse.Namespace) -> dict[str, float]:
    """Write `count` files of `size` bytes cut from the corpus; time all, and each close."""
    with open(arguments.corpus, "rb") as file:
        corpus = file.read()
    draw = random.Random(arguments.seed)
    offsets = [draw.randrange(len(corpus) - arguments.size) for _ in range(arguments.count)]
    names = [name_of(number, flat=arguments.flat) for number in range(arguments.count)]
    for directory in sorted({os.path.dirname(name) for name in names}):
        os.makedirs(os.path.join(arguments.path, directory), exist_ok=True)
    os.chdir(arguments.path)
    closes = [0] * len(names)
    started = time.monotonic()
    for number, name in enumerate(names):
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(fd, corpus[offsets[number] : offsets[number] + arguments.size])
        before = time.perf_counter_ns()
        os.close(fd)
        closes[number] = time.perf_counter_ns() - before
    seconds = time.monotonic() - started
    return {"started": started, "seconds": seconds, "p99_ms": percentile(closes, 99) / 1e6}


def reports(arguments: argparse.Namespace) -> dict[str, float]:
    """Write `count` JUnit reports of a hundred tests each, no two alike."""
    os.chdir(arguments.path)
    started = time.monotonic()
    for number in range(arguments.count):
        cases = "".join(f'<testcase classname="job{number}" name="test_{n}" time="0.{n:02}"/>' for n in range(100))
        with open(f"junit-{number:05}.xml", "w") as file:
            file.write(f'<testsuite name="suite" tests="100">{cases}</testsuite>')
    return {"started": started, "seconds": time.monotonic() - started}


def stat_listed(arguments: argparse.Namespace) -> dict[str, float]:
    """List every directory and stat every name once; then time a second round of stat."""
    root = str(arguments.path)
    paths = [entry.path for folder in os.listdir(root) for entry in os.scandir(f"{root}/{folder}")]
    for path in paths:
        os.stat(path)
    started = time.monotonic()
    for path in paths:
        os.stat(path)
    return {"count": len(paths), "seconds": time.monotonic() - started}


def read_small(arguments: argparse.Namespace) -> dict[str, float]:
    """Open, read and close `count` files by names that nobody listed."""
    names = [name_of(number, flat=arguments.flat) for number in range(arguments.count)]
    os.chdir(arguments.path)
    started, total = time.monotonic(), 0
    for name in names:
        fd = os.open(name, os.O_RDONLY)
        while piece := os.read(fd, 65_536):
            total += len(piece)
        os.close(fd)
    return {"bytes": total, "seconds": time.monotonic() - started}


def write(arguments: argparse.Namespace) -> dict[str, float]:
    """Copy the corpus to `path`, 1 MiB at a time."""
    source = os.open(arguments.corpus, os.O_RDONLY)
    started = time.monotonic()
    target = os.open(arguments.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    while piece := os.read(source, _PIECE):
        os.write(target, piece)
    os.close(target)
    return {"started": started, "seconds": time.monotonic() - started}


def read(arguments: argparse.Namespace) -> dict[str, float]:
    """Read `path` from start to end, `count` times; the last round counts."""
    buffer, total = bytearray(_PIECE), 0
    for _ in range(arguments.count):
        fd = os.open(arguments.path, os.O_RDONLY)
        started, total = time.monotonic(), 0
        while length := os.readv(fd, [buffer]):
            total += length
        seconds = time.monotonic() - started
        os.close(fd)
    return {"bytes": total, "seconds": seconds}


def probe(arguments: argparse.Namespace) -> dict[str, float]:
    """Stat names that never existed, one a millisecond for `seconds`: each must reach the file system."""
    os.chdir(arguments.path)
    times, number, end = [], 0, time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        number += 1
        before = time.perf_counter_ns()
        try:
            os.stat(f"absent-{os.getpid()}-{number}")
        except FileNotFoundError:
            times.append(time.perf_counter_ns() - before)
        time.sleep(0.001)
    return {"count": number, "p50_ms": percentile(times, 50) / 1e6, "p99_ms": percentile(times, 99) / 1e6}


def percentile(values: list[int], percent: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


WORK = {
    "create": create,
    "reports": reports,
    "stat-listed": stat_listed,
    "read-small": read_small,
    "write": write,
    "read": read,
    "probe": probe,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=WORK)
    parser.add_argument("path")
    parser.add_argument("--corpus")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--size", type=int, default=10_240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--flat", action="store_true")
    chosen = parser.parse_args()
    print(json.dumps(WORK[chosen.work](chosen)))
