"""Power loss at every moment of a recorded run: what may be left on disk, laid out to be opened and judged.

What it keeps true: a trace that does not explain the tree it left behind is an error (`record` replays it and
compares), so a change the shim cannot see never passes for a change that cannot be lost.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import shim
from .disk import STYLES, Directory, Disk, File, Node, Style, Symlink, Tree
from .trace import Trace, TraceError

__all__ = [
    "STYLES",
    "CrashState",
    "Disk",
    "Recording",
    "Style",
    "Trace",
    "TraceError",
    "crash_states",
    "differences",
    "materialise",
    "record",
    "unnoticed_syncs",
]


@dataclass(frozen=True)
class Recording:
    """A run that went well: what it did, and the tree it started from."""

    trace: Trace
    initial_tree: Path


@dataclass(frozen=True)
class CrashState:
    """One tree that a power loss at `at` may leave, and what had been acknowledged by then."""

    root: Path
    at: int
    style: Style
    seed: int
    marks: list[str]


def record(scenario: Sequence[str], root: Path, *, library: Path, into: Path, timeout_seconds: float = 60) -> Recording:
    """Run the scenario on `root` and keep, below `into`, its trace and a copy of what `root` held before."""
    into.mkdir(parents=True, exist_ok=True)
    initial = shutil.copytree(root, into / "initial", symlinks=True)
    traced, count = into / "trace", shim.Count(into / "count")
    variables = shim.env(root, library=library, trace=traced, count=count, fake_sync=True)
    ended = shim.run(scenario, root, variables, timeout_seconds=timeout_seconds)
    if ended.returncode != 0:
        raise shim.ShimError(f"The scenario failed with exit code {ended.returncode}:\n{ended.stderr}")
    if count.changes == 0:
        raise shim.ShimError(f"The scenario changed nothing below {root} that the shim could see.")
    trace = Trace.load(traced)
    end = len(trace.events)
    replayed = materialise(trace, initial, at=end, style="all", seed=0, target=into / "replayed")
    if found := differences(replayed, root):
        raise TraceError("the trace does not explain what the scenario left:\n" + "\n".join(found))
    return Recording(trace, initial)


def materialise(
    trace: Trace,
    initial_tree: Path,
    *,
    at: int,
    style: Style,
    seed: int,
    target: Path,
    without_sync: int | None = None,
    fsync_keeps_name: bool = False,
) -> Path:
    """Lay out below `target` what a power loss after `trace.events[:at]` may leave.

    `without_sync=k` replays as if the k-th sync of the trace had never been called.
    """
    points = crash_states(
        trace,
        initial_tree,
        target,
        at=[at],
        styles=[style],
        seeds=[seed],
        without_sync=without_sync,
        fsync_keeps_name=fsync_keeps_name,
    )
    return next(points).root


def crash_states(
    trace: Trace,
    initial_tree: Path,
    target: Path,
    *,
    at: Iterable[int] | None = None,
    styles: Sequence[Style] = STYLES,
    seeds: Sequence[int] = range(3),
    without_sync: int | None = None,
    fsync_keeps_name: bool = False,
) -> Iterator[CrashState]:
    """Yield the trees that power losses may leave, each laid out at `target` in place of the one before.

    `at` defaults to `trace.crash_points()`. A tree that came before with the same marks is not repeated, so
    where everything is synced there is one.
    """
    disk = Disk(initial_tree, fsync_keeps_name=fsync_keeps_name)
    ignored = None if without_sync is None else trace.sync_points()[without_sync]
    done, seen = 0, set[tuple[bytes, int]]()
    for point in sorted(trace.crash_points() if at is None else at):
        for index in range(done, point):
            disk.apply(trace.events[index], ignore_sync=index == ignored)
        done, marks = max(done, point), trace.marks_before(point)
        for style, seed in _choices(disk, styles, seeds):
            tree = disk.after_power_loss(style, seed)
            fingerprint = (_fingerprint(tree), len(marks))
            if fingerprint not in seen:
                seen.add(fingerprint)
                yield CrashState(_lay_out(tree, target), point, style, seed, marks)


def _choices(disk: Disk, styles: Sequence[Style], seeds: Sequence[int]) -> Iterator[tuple[Style, int]]:
    for style in styles[:1] if disk.settled else styles:
        for seed in seeds[:1] if style in ("none", "all") else seeds:
            yield style, seed


def _fingerprint(tree: Tree) -> bytes:
    whole = hashlib.sha256()
    for path, (node, content) in tree.items():
        target = node.target if isinstance(node, Symlink) else ""
        whole.update(repr((path, type(node).__name__, target, len(content))).encode() + content)
    return whole.digest()


def _lay_out(tree: Tree, target: Path) -> Path:
    if target.exists():
        shutil.rmtree(target)
    placed: dict[Node, Path] = {}
    for path, (node, content) in tree.items():
        place = target / path
        match node:
            case Directory():
                place.mkdir()
            case Symlink():
                place.symlink_to(node.target)
            case File() if node in placed:
                os.link(placed[node], place)
            case File():
                place.write_bytes(content)
                place.chmod(node.mode)
                placed[node] = place
    return target


def differences(expected: Path, found: Path) -> list[str]:
    """Say in sentences how two trees differ in names and bytes; -shm files are nobody's business."""
    sides = [_listing(expected), _listing(found)]
    paths = sorted(sides[0].keys() | sides[1].keys())
    return [
        f"{path}: expected {sides[0].get(path, 'nothing')}, found {sides[1].get(path, 'nothing')}"
        for path in paths
        if sides[0].get(path) != sides[1].get(path)
    ]


def _listing(tree: Path) -> dict[str, str]:
    return {str(path.relative_to(tree)): _described(path) for path in tree.rglob("*") if not path.name.endswith("-shm")}


def _described(path: Path) -> str:
    if path.is_symlink():
        return f"a symlink to {os.readlink(path)}"
    if path.is_dir():
        return "a directory"
    content = path.read_bytes()
    return f"{len(content)} bytes {hashlib.sha256(content).hexdigest()[:12]}"


def unnoticed_syncs(
    recording: Recording,
    check: Callable[[CrashState], None],
    target: Path,
    *,
    seeds: Sequence[int] = range(3),
    damage: type[Exception] | tuple[type[Exception], ...] = AssertionError,
) -> list[str]:
    """Take each sync of the run out by itself; name those without which `check` finds nothing wrong.

    `check` raises one of `damage` when a state breaks a promise; any other exception is passed on.
    """
    trace = recording.trace
    return [
        f"sync {k} (event {index}): {trace.events[index]}"
        for k, index in enumerate(trace.sync_points())
        if not _noticed(recording, check, target, k, index, seeds, damage)
    ]


def _noticed(
    recording: Recording,
    check: Callable[[CrashState], None],
    target: Path,
    without_sync: int,
    index: int,
    seeds: Sequence[int],
    damage: type[Exception] | tuple[type[Exception], ...],
) -> bool:
    after = [point for point in recording.trace.crash_points() if point > index]
    states = crash_states(
        recording.trace, recording.initial_tree, target, at=after, seeds=seeds, without_sync=without_sync
    )
    for state in states:
        try:
            check(state)
        except damage:
            return True
    return False
