"""The running benchmark: its systems, its scale, and how work is done and timed on them."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.buckets import Buckets
from benchmarks.samples import log_file, source_corpus
from benchmarks.systems import Mountfs, Passthrough, System

WORK_SECONDS = 1800
_WORKER = Path(__file__).with_name("worker.py")


@dataclass
class Bench:
    """Everything a row needs. `scale` 1 is what DESIGN names, 0.1 the quick look."""

    directory: Path
    ext4: System
    passthrough: Passthrough
    mountfs: Mountfs
    buckets: Buckets
    rounds: int
    scale: float

    def scaled(self, count: int) -> int:
        return max(1, int(count * self.scale))

    def corpus(self) -> Path:
        return source_corpus(self.directory / "corpus.txt")

    def log_text(self, size_bytes: int) -> Path:
        return log_file(self.directory / f"log-{size_bytes}.txt", size_bytes=size_bytes)

    def small_files(self, system: System, count: int, *, flat: bool = False, size_bytes: int = 10_240) -> Path:
        """A job of settled files that several rows read; made once for each system."""
        job = system.job(f"small-{count}-{size_bytes}{'-flat' if flat else ''}")
        files = job / "files"
        if not files.exists():
            files.mkdir()
            self.create(files, count, flat=flat, size_bytes=size_bytes)
            system.settle()
        return files

    def create(
        self, path: Path, count: int, *, flat: bool = False, size_bytes: int = 10_240, seed: int = 0
    ) -> dict[str, float]:
        words = ["--corpus", str(self.corpus()), "--count", str(count), "--size", str(size_bytes)]
        return work("create", path, *words, "--seed", str(seed), *(["--flat"] if flat else []))

    def alternate(self, measures: Mapping[str, Callable[[int], float]]) -> dict[str, float]:
        """The median of each measure over the rounds, taken in turns: A B A B."""
        taken: dict[str, list[float]] = {name: [] for name in measures}
        for number in range(self.rounds):
            for name, measure in measures.items():
                taken[name].append(measure(number))
        return {name: statistics.median(values) for name, values in taken.items()}


def work(kind: str, path: Path, *words: str) -> dict[str, float]:
    """Have the worker do `kind` in a process of its own; what it measured."""
    return finish(begin(kind, path, *words))


def begin(kind: str, path: Path, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-I", "-S", str(_WORKER), kind, str(path), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def finish(process: "subprocess.Popen[bytes]") -> dict[str, float]:
    said, _ = process.communicate(timeout=WORK_SECONDS)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    answer: dict[str, float] = json.loads(said)
    return answer


def time_command(command: list[str], *, directory: Path | None = None) -> float:
    """Seconds a command takes, its output thrown away."""
    environment = os.environ | {"LC_ALL": "C"}
    begun = time.monotonic()
    subprocess.run(command, cwd=directory, env=environment, stdout=subprocess.DEVNULL, check=True, timeout=WORK_SECONDS)
    return time.monotonic() - begun
