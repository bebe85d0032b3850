"""A failing list of steps made short enough to read, by replaying parts of it on the same mount."""

import errno
import os
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from tests.model.filesystem_model import BLOCK_SECONDS, Divergence, Duel, Report, TreeMaker, replay
from tests.model.steps import Compare, Kill, Restart, Settle, Step
from tests.model.tree import Tree
from tests.mounting import Ground, Mounted


def shrink(steps: list[Step], fails: Callable[[list[Step]], bool], *, budget_seconds: float) -> list[Step]:
    """A short list that still fails, by leaving out ever smaller pieces (delta debugging).

    Stops at a list of which no single step can be left out, or when the budget is used up.
    """
    deadline = time.monotonic() + budget_seconds
    steps = _without_kinds(steps, fails, deadline)
    piece = max(1, len(steps) // 2)
    while time.monotonic() < deadline:
        shorter = _without_pieces(steps, piece, fails, deadline)
        if len(shorter) == len(steps) and piece == 1:
            break
        piece = max(1, min(piece // 2, len(shorter) // 2)) if len(shorter) == len(steps) else piece
        steps = shorter
    return steps


def _without_kinds(steps: list[Step], fails: Callable[[list[Step]], bool], deadline: float) -> list[Step]:
    """`steps` without all steps of each kind that is not needed: few tries, and the slow kinds go first."""
    kinds = [Kill, Restart, Settle, Compare, *sorted({type(step) for step in steps}, key=lambda kind: kind.__name__)]
    for kind in dict.fromkeys(kinds):
        candidate = [step for step in steps if type(step) is not kind]
        if time.monotonic() < deadline and len(candidate) < len(steps):
            steps = candidate if fails(candidate) else steps
    return steps


def _without_pieces(steps: list[Step], piece: int, fails: Callable[[list[Step]], bool], deadline: float) -> list[Step]:
    """`steps` after one pass that left out each piece of this length that is not needed, from the end on."""
    start = len(steps)
    while start > 0 and time.monotonic() < deadline:
        start = max(0, start - piece)
        candidate = steps[:start] + steps[start + piece :]
        if len(candidate) < len(steps) and fails(candidate):
            steps = candidate
    return steps


def as_python(steps: list[Step]) -> str:
    """The steps as a list that can be pasted into a test."""
    return "[\n" + "".join(f"    {step!r},\n" for step in steps) + "]"


def shortest_failure(
    ground: Ground, reference: Path, report: Report, *, make: TreeMaker = Tree, budget_seconds: float = 120
) -> tuple[list[Step], Divergence]:
    """The steps of a failed report, shrunk, and how they fail; each try has jobs of its own."""
    if report.divergence is None:
        raise ValueError("nothing failed")
    tries = count()
    last = [report.divergence]

    def fails(candidate: list[Step]) -> bool:
        revive(ground)
        duel = Duel(ground, reference, prefix=f"try{next(tries)}-", make=make)
        try:
            with ground.deadline(BLOCK_SECONDS):
                divergence = replay(duel, candidate)
        finally:
            duel.close()
        if divergence is None or not divergence.is_like(last[0]):
            return False
        last[0] = divergence
        return True

    shortest = shrink(report.steps, fails, budget_seconds=budget_seconds)
    return shortest, last[0]


def revive(ground: Ground) -> None:
    """Start the daemon again when the last try has ended it."""
    if not isinstance(ground, Mounted):
        return
    if not ground.is_started():
        ground.start()
        return
    try:
        ground.assert_alive()
        os.listdir(ground.path)
    except (AssertionError, OSError) as problem:
        if isinstance(problem, OSError) and problem.errno not in (errno.ENOTCONN, errno.ECONNABORTED):
            raise
        if ground.is_started():
            ground.kill()
        ground.start()
