"""Random search: decisions by a seed, a run of them, and the shortest that still fails.

`python -m tests.bucket.protocol.search SEED [RUNS]` looks and prints what it finds as a scenario that can be kept.
"""

import logging
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.bucket.protocol.names import DEEP_PATHS, JOBS, PATHS
from tests.bucket.protocol.truth import Violation
from tests.bucket.protocol.world import MEMORY, Decision, Setup, World, template_store

SKEWS = ((0, 0, 0), (900, 0, 0), (0, 180_000, -180_000), (1_200_000, 0, -1_200_000), (0, 5_400_000, 0))
LENGTHS = (20, 40, 80, 120)


@dataclass(frozen=True)
class Profile:
    """How time goes in a run, in minutes, and whether somebody deletes prefixes."""

    minutes: tuple[int, ...]
    deletes_prefixes: bool = False
    paths: tuple[str, ...] = PATHS


PROFILES = (
    Profile((1, 1, 2, 5, 10, 25)),
    Profile((1, 5, 10, 25, 35, 61)),
    Profile((1, 5, 25, 61, 61, 700)),
    Profile((1, 5, 35, 61), deletes_prefixes=True),
    Profile((1, 1, 5, 25, 61), paths=DEEP_PATHS),
    Profile((1, 5, 61, 700), paths=DEEP_PATHS),
)


@dataclass(frozen=True)
class Failure:
    text: str
    trace: list[str]

    @property
    def name(self) -> str:
        return self.text.split()[0]


class Decisions:
    """Makes up what happens next, from a seed and what is going on."""

    def __init__(self, random: Random, profile: Profile) -> None:
        self._random = random
        self._profile = profile

    def next(self, world: World) -> Decision:
        r, x = self._random, self._random.random()
        number = r.randrange(len(world.hosts))
        tasks = [(host.number, key) for host in world.hosts for key in host.tasks]
        if tasks and x < 0.40:
            return self._go_on(*r.choice(tasks))
        job = JOBS[0] if r.random() < 0.75 else JOBS[1]
        if x < 0.62:
            held = [key.split("/", 1) for key in world.hosts[number].held]
            if held and r.random() < 0.3:
                return ("act", number, ("let go", *r.choice(held)))
            return ("act", number, self._action(job))
        if x < 0.90:
            return self._start(number, job)
        return self._event(number, job, x)

    def _go_on(self, number: int, key: tuple[str, str]) -> Decision:
        y = self._random.random()
        how = "run" if y < 0.45 else "lost" if y > 0.97 else "refused" if y > 0.94 else "step"
        return (how, number, key)

    def _action(self, job: str) -> tuple[object, ...]:
        r, y = self._random, self._random.random()
        paths = self._profile.paths
        p, q, content = r.choice(paths), r.choice(paths), r.randrange(4)
        choices: Sequence[tuple[float, tuple[object, ...]]] = (
            (0.32, ("write", job, p, content)),
            (0.52, ("unlink", job, p)),
            (0.64, ("rename", job, p, q)),
            (0.76, ("evict", content)),
            (0.84, ("restore", job, p, content)),
            (0.89, ("move", job, p, JOBS[1] if job == JOBS[0] else JOBS[0], q)),
            (0.93, ("expire", job)),
            (0.94, ("exchange", job, p, q)),
            (0.95, ("hold", job, p, content)),
            (0.96, ("chmod", job, p, r.randrange(2, 9))),
            (0.97, ("rmdir", job, p)),
            (1.00, ("tag", job, p, r.randrange(9))),
        )
        return next(action for limit, action in choices if y <= limit)

    def _start(self, number: int, job: str) -> Decision:
        r, y = self._random, self._random.random()
        kinds = (
            (0.45, "publish"), (0.65, "refresh"), (0.80, "merge"), (0.89, "drop"), (0.94, "sweep"), (0.97, "maintain"),
            (1.0, "resume"),
        )  # fmt: skip
        kind = next(kind for limit, kind in kinds if y <= limit)
        part = r.randrange(1, 7) if kind == "merge" and r.random() > 0.6 else None
        return ("start", number, kind, job) if part is None else ("start", number, kind, job, part)

    def _event(self, number: int, job: str, x: float) -> Decision:
        r = self._random
        if x < 0.965:
            return ("time", r.choice(self._profile.minutes))
        if x < 0.98:
            return ("crash", number)
        if x < 0.99:
            return ("net", number)
        if x < 0.995:
            return ("clock", number, r.choice((-90, -20, 20, 90)))
        return ("ext", job) if self._profile.deletes_prefixes else ("time", 1)


def random_run(seed: int, template: Path) -> tuple[Setup, list[Decision], Failure | None]:
    """The run that belongs to a seed, and what it broke."""
    random = Random(seed)
    machines = 2 if seed % 3 else 3
    profile = random.choice(PROFILES)
    setup = Setup(random.choice(SKEWS)[:machines])
    decisions = Decisions(random, profile)
    made: list[Decision] = []
    with World.made(setup, template) as world:
        try:
            for _ in range(random.choice(LENGTHS)):
                made.append(decisions.next(world))
                world.apply(made[-1])
            _end(world)
        except Exception as error:  # noqa: BLE001  # a bug of any kind is a finding
            return setup, made, _failure(error, world)
    return setup, made, None


def _failure(error: Exception, world: World) -> Failure:
    if isinstance(error, Violation):
        return Failure(str(error), world.trace)
    return Failure(f"{type(error).__name__}: {error}\n{traceback.format_exc()}", world.trace)


def _end(world: World) -> None:
    world.settle()
    world.invariants.check_end()
    world.collect_garbage()
    world.invariants.check_end(" after garbage collection")


def play(setup: Setup, decisions: Sequence[Decision], template: Path) -> Failure | None:
    """What a given run breaks, if anything."""
    with World.made(setup, template) as world:
        try:
            for decision in decisions:
                world.apply(decision)
            _end(world)
        except Exception as error:  # noqa: BLE001
            return _failure(error, world)
    return None


def shrink(setup: Setup, decisions: Sequence[Decision], name: str, template: Path, *, seconds: float) -> list[Decision]:
    """Fewer decisions that break the same invariant; as few as are found in so long a time."""
    end = time.monotonic() + seconds
    left = list(decisions)
    size = max(1, len(left) // 2)
    while size and time.monotonic() < end:
        at, found = 0, False
        while at < len(left) and time.monotonic() < end:
            shorter = left[:at] + left[at + size :]
            failure = play(setup, shorter, template)
            if failure is not None and failure.name == name:
                left, found = shorter, True
            else:
                at += size
        size = size // 2 if size > 1 else int(found)
    return left


def told(setup: Setup, decisions: Sequence[Decision], failure: Failure) -> str:
    """A failing run to be read, and to be kept as a scenario."""
    lines = [failure.text, f"setup: {setup}", "decisions:", *(f"    {decision}," for decision in decisions), "trace:"]
    return "\n".join([*lines, *(f"    {line}" for line in failure.trace)])


def search(first: int, runs: int, template: Path, *, shrink_seconds: float = 60) -> str | None:
    """The first failure among these seeds, made short; None where all is well."""
    for seed in range(first, first + runs):
        setup, decisions, failure = random_run(seed, template)
        if failure is None:
            continue
        left = shrink(setup, decisions, failure.name, template, seconds=shrink_seconds)
        again = play(setup, left, template) or failure
        return f"seed {seed}: {told(setup, left, again)}"
    return None


def main() -> int:
    logging.disable(logging.CRITICAL)
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        found = search(first, runs, template_store(Path(directory) / "template"))
    print(found or f"{runs} seeds from {first}: all is well")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
