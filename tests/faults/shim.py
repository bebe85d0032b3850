"""Runs programs under shim.c: slow or failing disks, death at the n-th change, a trace of all changes.

What keeps the answers honest: a run in which the shim was not loaded, or saw nothing change below the root,
is an error here and never a passed test.
"""

import contextlib
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

SOURCES = [Path(__file__).with_name("shim.c"), Path(__file__).with_name("calls.c")]
CONTROL_BYTES = 64
DIED = 137

How = Literal["before", "after", "torn"]


class ShimError(Exception):
    """The test itself is at fault: no compiler, no shim in the process, a scenario that fails by itself."""


def build(cache_dir: Path) -> Path:
    """Compile the shim into `cache_dir` and return the library; without a C compiler this is an error."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise ShimError("No C compiler named cc was found: fault tests need one (Debian: apt install gcc).")
    library = cache_dir / "shim.so"
    warnings = ["-Wall", "-Wextra", "-Werror"]
    options = ["-std=gnu11", "-O1", *warnings, "-fPIC", "-fvisibility=hidden", "-shared", "-pthread"]
    built = subprocess.run([compiler, *options, "-o", library, *SOURCES], capture_output=True, text=True)
    if built.returncode != 0:
        raise ShimError(f"The shim does not compile here:\n{built.stderr}")
    return library


def env(
    root: Path,
    *,
    library: Path,
    control: "Control | None" = None,
    slow_fsync_ms: int = 0,
    die_at: int | None = None,
    die_how: How = "before",
    count: "Count | None" = None,
    trace: Path | None = None,
    fake_sync: bool = False,
) -> dict[str, str]:
    """Give the variables, to be merged into the environment of the process under test.

    `fake_sync` leaves the machine's own disk alone: neither a death of the process nor a trace depends on it.
    """
    chosen = {
        "LD_PRELOAD": " ".join(filter(None, [str(library), os.environ.get("LD_PRELOAD")])),
        "SHIM_ROOT": str(root.resolve()),
        "SHIM_CONTROL": control and str(control.path),
        "SHIM_SLOW_FSYNC_MS": slow_fsync_ms and str(slow_fsync_ms),
        "SHIM_DIE_AT": die_at and str(die_at),
        "SHIM_DIE_HOW": die_how,
        "SHIM_COUNT_FILE": count and str(count.path),
        "SHIM_TRACE": trace and str(trace),
        "SHIM_FAKE_SYNC": fake_sync and "1",
    }
    return {name: str(value) for name, value in chosen.items() if value}


def mark(text: str) -> None:
    """Inside a scenario: record in the trace that `text` holds from here on. One line, nothing is synced."""
    with open(Path(os.environ["SHIM_ROOT"]).parent / "marks", "ab", buffering=0) as marks:
        marks.write(os.fsencode(text) + b"\n")


class Control:
    """Switches the faults of running processes: they read this file at every call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(CONTROL_BYTES))

    def set(self, text: str) -> None:
        """Put faults in force: `fail=ENOSPC`, `fail=EIO-fsync`, `only=<part of a path>`, `slow_fsync_ms=200`.

        Several are parted by spaces; the empty string is normal operation.
        """
        words = text.encode()
        if len(words) > CONTROL_BYTES:
            raise ValueError(f"the control file holds {CONTROL_BYTES} bytes, not {len(words)}")
        with self.path.open("r+b", buffering=0) as file:
            file.write(words.ljust(CONTROL_BYTES, b"\0"))

    @contextlib.contextmanager
    def during(self, text: str) -> Iterator[None]:
        """Keep `text` in force inside the block."""
        self.set(text)
        try:
            yield
        finally:
            self.set("")


class Count:
    """What the shim counted, shared by all processes of a scenario and right even after SIGKILL."""

    _HEAD = struct.Struct("=QQQQ")
    _BYTES = 4096 + _HEAD.size

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(self._BYTES))

    def _field(self, index: int) -> int:
        value: int = self._HEAD.unpack_from(self.path.read_bytes())[index]
        return value

    @property
    def loaded(self) -> bool:
        return self._field(0) == 1

    @property
    def changes(self) -> int:
        """Calls that change something; in mode `torn` only those that write bytes."""
        return self._field(1)

    @property
    def failed(self) -> int:
        """Calls that were made to fail by the control file."""
        return self._field(2)

    @property
    def died(self) -> bool:
        return self._field(3) == 1

    @property
    def last(self) -> str:
        """The call at which the process was ended, `name path`."""
        return os.fsdecode(self.path.read_bytes()[self._HEAD.size :].split(b"\0", 1)[0])


def run(
    scenario: Sequence[str], root: Path, variables: dict[str, str], *, timeout_seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run the scenario to its end; `{root}` in its arguments stands for the root."""
    argv = [argument.replace("{root}", str(root)) for argument in scenario]
    surroundings = {**os.environ, **variables}
    return subprocess.run(argv, env=surroundings, capture_output=True, text=True, timeout=timeout_seconds)


def copies_of(prepared: Path, into: Path) -> Callable[[], Path]:
    """Give a root factory: each call makes a fresh copy of `prepared` in a directory of its own."""
    made = 0

    def copy() -> Path:
        nonlocal made
        made += 1
        return shutil.copytree(prepared, into / f"copy-{made}" / "root", symlinks=True)

    return copy


@dataclass(frozen=True)
class Step:
    """One run of a scenario that was to die at its n-th change."""

    n: int
    how: How
    died: bool
    call: str
    acknowledged: list[str]


def _step(scenario: Sequence[str], root: Path, library: Path, *, n: int, how: How, timeout_seconds: float) -> Step:
    count = Count(root.parent / f"{root.name}.count")
    variables = env(root, library=library, die_at=n, die_how=how, count=count, fake_sync=True)
    ended = run(scenario, root, variables, timeout_seconds=timeout_seconds)
    if not count.loaded:
        raise ShimError("The shim was not loaded into the scenario (a static or set-uid program?).")
    if ended.returncode != 0 and not count.died:
        raise ShimError(f"The scenario failed by itself with exit code {ended.returncode}:\n{ended.stderr}")
    if not count.died and count.changes == 0 and how != "torn":
        raise ShimError(f"The scenario changed nothing below {root} that the shim could see.")
    return Step(n, how, count.died, count.last, ended.stdout.split("\n")[:-1])


def crash_at_every_step(
    scenario: Sequence[str],
    root_factory: Callable[[], Path],
    check: Callable[[Path, list[str]], None],
    *,
    library: Path,
    how: Sequence[How] = ("before", "after", "torn"),
    start: int = 1,
    stride: int = 1,
    limit: int | None = None,
    timeout_seconds: float = 60,
) -> dict[How, int]:
    """End the scenario at its n-th change, n = start, start + stride, … until it runs through; say how often.

    After each death `check(root, acknowledged)` judges what is left, given the whole lines the scenario had
    printed; it is also called after the run that went through. What it raises is annotated with the call, and
    the root is kept; roots that passed are removed. `limit` bounds the runs for each way of dying.
    """
    deaths: dict[How, int] = {}
    for way in how:
        deaths[way] = 0
        for n in range(start, start + stride * (limit or 1_000_000), stride):
            root = root_factory()
            step = _step(scenario, root, library, n=n, how=way, timeout_seconds=timeout_seconds)
            _judge(step, root, check)
            shutil.rmtree(root)
            if not step.died:
                break
            deaths[way] += 1
    return deaths


def _judge(step: Step, root: Path, check: Callable[[Path, list[str]], None]) -> None:
    try:
        check(root, step.acknowledged)
    except BaseException as error:
        what = f"died {step.how} change {step.n}: {step.call}" if step.died else "ran through"
        error.add_note(f"The scenario {what}; it had acknowledged {step.acknowledged[-3:]}; see {root}")
        raise
