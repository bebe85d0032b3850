"""Two directories under the same steps: they must answer alike, look alike, and survive alike.

`Duel` does each step on both sides and reports the first difference; `campaign` is one whole run with its
counts; a failure is made short by `shrinking`.
"""

import os
import re
import select
import shutil
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from tests.model.acknowledged import Ledger
from tests.model.steps import Compare, Kill, Restart, Settle, Step
from tests.model.tree import Node, Outcome, Tree
from tests.model.walk import Walk
from tests.mounting import DaemonFailed, Ground, Mounted, Plain

BLOCK_SECONDS = 120
"""A hanging mount is aborted when this many seconds pass between two comparisons of the trees."""

_FAILED = "the daemon failed"
_TOPICS = re.compile(rf"^{_FAILED}|missing|extra|came back|digest|content|mode:|target|attributes|mtime|reading")
_ORDER_NS = 100_000_000
_ALIGNED_NS = 10**17


class TreeMaker(Protocol):
    """Makes the side under test; a planted bug is another one."""

    def __call__(self, root: Path, *, prefix: str) -> Tree: ...


@dataclass(frozen=True)
class Divergence:
    """The first step after which both sides differ, and how."""

    step: Step
    reason: str

    @property
    def topic(self) -> str:
        """What a difference of trees is about; empty for a step that answered differently."""
        found = _TOPICS.search(self.reason)
        return found[0] if found else ""

    def is_like(self, other: "Divergence") -> bool:
        """Whether both may come from one bug: shrinking must not slip into another."""
        if self.topic and other.topic:
            return self.topic == other.topic
        return type(self.step) is type(other.step) or self.topic == "digest"

    def __str__(self) -> str:
        return f"{self.step!r}: {self.reason}"


class Duel:
    """The side under test at `ground`, the reference in a directory of its own, both empty below `prefix`."""

    def __init__(self, ground: Ground, reference: Path, *, prefix: str = "", make: TreeMaker = Tree) -> None:
        reference.mkdir(exist_ok=True)
        self._ground = ground
        self.tested = make(ground.path, prefix=prefix)
        self.reference = Tree(reference, prefix=prefix, keeps_events=True)
        self._ledger = Ledger()

    def step(self, step: Step) -> tuple[Outcome, str | None]:
        """What the reference answered, and how the side under test differs, if it does."""
        match step:
            case Compare():
                return Outcome(), self._compare()
            case Settle():
                self._ground.settle()
                return Outcome(), None
            case Restart():
                return Outcome(), self._restart()
            case Kill():
                return Outcome(), self._kill()
            case _:
                return self._do(step)

    def close(self) -> None:
        self.tested.drop_handles()
        self.reference.drop_handles()

    def _do(self, step: Step) -> tuple[Outcome, str | None]:
        expected = self.reference.perform(step)
        self._take_events()
        found = self.tested.perform(step)
        same = found.agrees_with(expected)
        return expected, None if same else f"{_told(found)} instead of {_told(expected)}"

    def _take_events(self) -> None:
        for event in self.reference.events:
            self._ledger.take(event)
        self.reference.events.clear()

    def _compare(self) -> str | None:
        expected = self.reference.snapshot()
        self._take_events()
        found = self._snapshot_of_tested()
        return found if isinstance(found, str) else _first_difference(found, expected)

    def _snapshot_of_tested(self) -> dict[str, Node] | str:
        try:
            return self.tested.snapshot()
        except OSError as refusal:
            return f"reading the tree: {refusal!r}"

    def _restart(self) -> str | None:
        """Both sides let go of everything; after a clean stop and start nothing may have changed."""
        self.close()
        try:
            self._ground.restart()
        except DaemonFailed as failure:
            return f"{_FAILED}: {failure}"
        difference = self._compare()
        self._ledger.reset(self.reference.snapshot().values())
        return difference

    def _kill(self) -> str | None:
        """End the daemon with everything open, start it again, and judge what it came back with."""
        try:
            self._kill_and_start()
            return self._settle_accounts()
        except (DaemonFailed, OSError) as failure:
            return f"{_FAILED}: {failure}"

    def _settle_accounts(self) -> str | None:
        """Judge what came back, and go on from it on both sides."""
        self.tested.after_kill()
        expected = self.reference.snapshot()
        self.reference.events.clear()  # that was no reading of the mount which was killed
        found = self._snapshot_of_tested()
        if isinstance(found, str):
            return found
        difference = self._judge(found, expected)
        if difference is not None:
            return difference
        self._align(found, expected)
        self._ledger.reset(self.reference.snapshot().values())
        return self._compare()

    def _kill_and_start(self) -> None:
        """Handles are let go only when the daemon is dead: it must not hear of their closing."""
        if isinstance(self._ground, Plain):
            self.close()
            return
        end_process(self._ground.pid)
        self.close()
        # The helper behind auto_unmount misses a death now and then; that is not what is tested here.
        subprocess.run(["fusermount3", "-u", "-z", str(self._ground.path)], stderr=subprocess.DEVNULL, check=False)
        self._ground.kill()
        self._ground.start()

    def _judge(self, found: dict[str, Node], expected: dict[str, Node]) -> str | None:
        """The first thing that was acknowledged and is not there, or is there and never was."""
        for path in sorted(found.keys() - expected.keys()):
            return f"{path!r} came back from nowhere"
        for path, node in expected.items():
            problem = self._problem_after_kill(found.get(path), node)
            if problem:
                return f"{path!r}: {problem}"
        return None

    def _problem_after_kill(self, found: Node | None, expected: Node) -> str | None:
        if expected.kind != "file":
            return "is missing" if found is None else "; ".join(found.differences(expected)) or None
        standing = self._ledger.standing(expected.ino)
        if found is None:
            return None if standing.may_be_missing else f"is missing ({standing})"
        if differences := found.differences(expected, content=not standing.is_dirty):
            return "; ".join(differences)
        drops_drafts = isinstance(self._ground, Mounted)
        if standing.is_dirty and not standing.allows(found.digest, drops_drafts=drops_drafts):
            return f"content {found.digest} of {found.size} bytes, but {standing}"
        return None

    def _align(self, found: dict[str, Node], expected: dict[str, Node]) -> None:
        """Bring the reference to what was rightly found, and both to the same times there."""
        for path, node in expected.items():
            if node.kind != "file" or not self._ledger.standing(node.ino).is_dirty:
                continue
            parent = path.rpartition("/")[0]
            if path in found:
                _copy_content(self.tested.path(path), self.reference.path(path))
                self._set_times(path)
            else:
                os.unlink(self.reference.path(path))
                self._set_times(parent)

    def _set_times(self, path: str) -> None:
        for tree in (self.tested, self.reference):
            os.utime(tree.path(path), ns=(_ALIGNED_NS, _ALIGNED_NS))
            tree.note_times_set(tree.path(path))


def end_process(pid: int) -> None:
    """SIGKILL, and return when the process has ended."""
    process = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        select.select([process], [], [])
    finally:
        os.close(process)


def _copy_content(source: str, target: str) -> None:
    """Write what `source` holds into the same inode at `target`, whatever its mode."""
    mode = os.stat(target).st_mode & 0o7777
    os.chmod(target, 0o600)
    with open(source, "rb") as readable, open(target, "wb") as writable:
        shutil.copyfileobj(readable, writable)
    os.chmod(target, mode)


def _told(outcome: Outcome) -> str:
    return outcome.error if outcome.error is not None else repr(outcome.value)


def _first_difference(found: dict[str, Node], expected: dict[str, Node]) -> str | None:
    for path in sorted(found.keys() ^ expected.keys()):
        return f"{path!r} is {'extra' if path in found else 'missing'}"
    for path, node in expected.items():
        if differences := found[path].differences(node):
            return f"{path!r}: " + "; ".join(differences)
    return _order_difference(found, expected)


def _order_difference(found: dict[str, Node], expected: dict[str, Node]) -> str | None:
    """Files modified clearly one after the other must have times in that order."""
    recent = sorted((node.mtime_ns, path) for path, node in expected.items() if node.mtime == "now")
    for (earlier_ns, earlier), (later_ns, later) in pairwise(recent):
        if later_ns - earlier_ns > _ORDER_NS and found[later].mtime_ns < found[earlier].mtime_ns:
            return f"{later!r} was modified after {earlier!r}, its mtime says before"
    return None


# --- whole runs


def replay(duel: Duel, steps: list[Step]) -> Divergence | None:
    """Do `steps` and a last comparison; the first difference, if any."""
    for step in [*steps, Compare()]:
        _, reason = duel.step(step)
        if reason is not None:
            return Divergence(step, reason)
    return None


@dataclass
class Report:
    """How often each operation was done, and how often it succeeded."""

    done: Counter[str] = field(default_factory=Counter)
    succeeded: Counter[str] = field(default_factory=Counter)
    divergence: Divergence | None = None
    steps: list[Step] = field(default_factory=list)

    def count(self, name: str, outcome: Outcome) -> None:
        self.done[name] += not outcome.skipped
        self.succeeded[name] += outcome.error is None

    def __str__(self) -> str:
        rows = [f"{name:24}{self.done[name]:8}{self.succeeded[name]:10}" for name in sorted(self.done)]
        return "\n".join([f"{'operation':24}{'done':>8}{'succeeded':>10}", *rows])


def campaign(
    ground: Ground,
    reference: Path,
    *,
    seed: int,
    steps: int,
    make: TreeMaker = Tree,
    leave_out: frozenset[str] = frozenset(),
) -> Report:
    """Walk `steps` random steps from `seed`; the report ends with the first difference, not yet shrunk."""
    report = Report()
    duel = Duel(ground, reference, make=make)
    walk = Walk(seed, duel.reference, leave_out=leave_out)
    try:
        while report.divergence is None and len(report.steps) < steps:
            with ground.deadline(BLOCK_SECONDS):
                _walk_block(duel, walk, report, steps)
    finally:
        duel.close()
    return report


def _walk_block(duel: Duel, walk: Walk, report: Report, limit: int) -> None:
    """Steps up to and with the next comparison of the trees."""
    step: Step | None = None
    while not isinstance(step, Compare) and len(report.steps) < limit:
        name, step = walk.next()
        report.steps.append(step)
        outcome, reason = duel.step(step)
        report.count(name, outcome)
        if reason is not None:
            report.divergence = Divergence(step, reason)
            return
