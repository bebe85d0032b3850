"""The rows of DESIGN §8 about a large index: queries in the process that asks, and views through a mount.

Each is asked of 1,000 artifacts and of a million. A page of the large one is to be quick, and as much of it as the
small one has at all is to take no more than twice as long.
"""

import itertools
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.bench import WORK_SECONDS, Bench
from benchmarks.systems import REPOSITORY, Mountfs, interpreter
from benchmarks.table import Result, below

_FEW = 1000
_MOST_MS, _MOST_TIMES = 10, 2
_PAGE = 256
_FILL = REPOSITORY / "scripts" / "fill-catalog"
_PROGRAMS = str(Path(__file__).parents[1])
_VIEWS = (
    ".by-tag/branch/main",
    ".by-branch/dev",
    ".by-type/coverage-report",
    ".by-tag/branch/main/status/failed",
    ".recent",
    ".find/branch=main and type=test-results",
)


def queries(bench: Bench) -> list[Result]:
    """The first hundred artifacts of a query, the first jobs of a view's: processor time where it is asked."""
    few, many = _filled(bench, _FEW), _filled(bench, _many(bench))
    command = [interpreter(), "-m", "benchmarks.queries", str(few.state), str(_FEW), str(many.state), str(_many(bench))]
    path = {"PYTHONPATH": os.pathsep.join([_PROGRAMS, str(REPOSITORY)])}
    said = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=WORK_SECONDS, env=os.environ | path
    )
    return [_of_query(json.loads(line), _many(bench)) for line in said.stdout.splitlines()]


def _of_query(asked: dict[str, dict[str, float]], many: int) -> Result:
    question, full, same, small = asked["question"], asked["full"], asked["same"], asked["small"]
    row = f"{'jobs of' if question['of_jobs'] else 'find'} {question['text']}"
    note = f"{full['steps']:,} steps; as many as of {_FEW:,}: {same['steps']:,} and {small['steps']:,}"
    return _quick(row, full["ms"], same["ms"], small["ms"], note)


def _quick(row: str, full_ms: float, same_ms: float, small_ms: float, note: str) -> Result:
    ratio = same_ms / small_ms
    met = full_ms < _MOST_MS and ratio <= _MOST_TIMES
    told = f"{full_ms:.2f} ms", f"{same_ms:.2f} / {small_ms:.2f} ms"
    return Result(row, *told, ratio, f"< {_MOST_MS} ms, <= {_MOST_TIMES} x", met, note)


def views(bench: Bench) -> list[Result]:
    """The first page of a view through a mount, and a name in it: processor time of the daemon; and what it holds.

    A page has as many names as there are, so that it is compared by the name.
    """
    few, many = _filled(bench, _FEW), _filled(bench, _many(bench))
    try:
        few.start()
        many.start()
        results = [line for view in _VIEWS for line in _of_view(view, few, many)]
        row = f"resident with {_many(bench):,} artifacts, after views"
        return [*results, below(row, many.resident_bytes / 1e6, limit=200, unit="MB")]
    finally:
        few.stop()
        many.stop()


def _of_view(view: str, few: Mountfs, many: Mountfs) -> list[Result]:
    names = [f"build-{number:06}" for number in range(10)]  # before the kernel is told of them
    at_many, at_few = (_each_ms(system, names, lambda name: _is_there(system.root / view / name))  # noqa: B023
                       for system in (many, few))  # fmt: skip
    full, small = (len(_names(system.root / view)) for system in (many, few))
    turns = [str(number) for number in range(20)]
    page_ms, small_ms = (_each_ms(system, turns, lambda _: _names(system.root / view)) for system in (many, few))  # noqa: B023
    by_name = page_ms / max(1, full), small_ms / max(1, small)
    return [
        _quick(f"ls {view}", page_ms, *by_name, f"{full} names, and {small} of {_FEW:,}"),
        _quick(f"  a name in {view}", at_many, at_many, at_few, ""),
    ]


def _names(directory: Path) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in itertools.islice(entries, _PAGE)]


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _each_ms(system: Mountfs, things: list[str], work: Callable[[str], object]) -> float:
    """What each costs the daemon."""
    began = _processor_ms(system)
    for thing in things:
        work(thing)
    return max(0.01, (_processor_ms(system) - began) / len(things))


def _processor_ms(system: Mountfs) -> float:
    """Of all the daemon's threads, to the nanosecond."""
    tasks = Path(f"/proc/{system.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def _many(bench: Bench) -> int:
    return bench.scaled(1_000_000)


def _filled(bench: Bench, count: int) -> Mountfs:
    """A store of the bench's own with so many artifacts; made once, and gone with the rest."""
    directory = bench.directory / f"catalog-{count}"
    if directory.exists():
        return Mountfs(directory)
    system = Mountfs(directory)
    subprocess.run([interpreter(), str(_FILL), str(count), str(system.state)], check=True, stdout=subprocess.DEVNULL)
    return system


INDEX_ROWS: dict[str, Callable[[Bench], list[Result]]] = {"query": queries, "views": views}
