"""The mount and a plain directory under the same random steps; and proof that the model finds bugs.

In CI 3,000 steps from a fixed seed, and three bugs planted in the daemon; three more in the long runs. The longest:
`python -m tests.model.test_model_mount --steps 50000 --seed N`, which also demands that each operation was done at
least 100 times. With `MOUNTFS_TEST_PLAIN=1` both sides are plain directories: a difference there is the model's own
mistake.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.model.content_steps import Close, StoreThroughMapping, TruncatePath, WriteAt, WriteFile
from tests.model.filesystem_model import (
    Duel,
    Report,
    TreeMaker,
    campaign,
    replay,
)
from tests.model.name_steps import MakeDirectory, Rename, Unlink
from tests.model.planted import BUGS, Broken
from tests.model.shrinking import as_python, shortest_failure, shrink
from tests.model.steps import Compare, Kill, Step
from tests.model.tree import Outcome, Tree, attributes_of
from tests.model.walk import WEIGHTS
from tests.mount.syscalls import RENAME_EXCHANGE
from tests.mounting import PLAIN, Ground, Mounted, Plain

pytestmark = pytest.mark.usefixtures("unmeasured")

CI_STEPS = 3_000
SOAK_STEPS = 50_000
LEAST_OF_EACH = 100
FINDING_SEED = 2
FINDING_STEPS = 5_000
QUICKLY_FOUND = ("drafts_lose_their_base", "chmod_is_not_journaled", "second_close_is_not_journaled")
SLOWLY_FOUND = tuple(sorted(BUGS.keys() - set(QUICKLY_FOUND)))


@contextmanager
def _ground(directory: Path, *, plain: bool) -> Iterator[Ground]:
    """A running mount, or its plain stand-in, that is gone afterwards."""
    if plain:
        yield Plain(directory / "plain")
        return
    mounted = Mounted(directory / "mount", directory / "state")
    mounted.start()
    try:
        yield mounted
    finally:
        if mounted.is_started():
            mounted.stop()


def _explain(ground: Ground, reference: Path, report: Report, make: TreeMaker = Tree) -> str:
    """How the run failed, with the shortest list of steps that still does."""
    shortest, divergence = shortest_failure(ground, reference, report, make=make)
    return f"step {len(report.steps)}: {report.divergence}\n\n{as_python(shortest)}\n\n{divergence}"


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.timeout(600)
def test_mount_answers_looks_and_survives_like_a_plain_directory(tmp_path: Path) -> None:
    with _ground(tmp_path, plain=PLAIN) as ground:
        report = campaign(ground, tmp_path / "reference", seed=1, steps=CI_STEPS)
        if report.divergence is not None:
            pytest.fail(_explain(ground, tmp_path / "shrinking", report))
    assert set(report.done) >= set(WEIGHTS)


# --- the model itself: bugs it must find, planted in a plain directory


class LostTruncate(Tree):
    """Truncating a file by its path does nothing while it is open."""

    def perform(self, step: Step) -> Outcome:
        if isinstance(step, TruncatePath) and os.path.isfile(self.path(step.path)):
            found = os.stat(self.path(step.path))
            if self.is_open(found.st_ino) and found.st_size != step.size:
                return Outcome(step.size)
        return super().perform(step)


class DirtyGap(Tree):
    """A write beyond the end leaves something else than zeros before it."""

    def perform(self, step: Step) -> Outcome:
        fd = self.handles.get(step.slot) if isinstance(step, WriteAt) else None
        size = os.fstat(fd).st_size if fd is not None else 0
        outcome = super().perform(step)
        if fd is not None and isinstance(step, WriteAt) and outcome.error is None and size < step.offset:
            os.pwrite(fd, b"x", step.offset - 1)
        return outcome


class ExchangeForgetsTarget(Tree):
    """RENAME_EXCHANGE overwrites its target like a plain rename."""

    def perform(self, step: Step) -> Outcome:
        if isinstance(step, Rename) and step.flag == RENAME_EXCHANGE and self._both_are_files(step):
            return super().perform(Rename(step.old, step.new))
        return super().perform(step)

    def _both_are_files(self, step: Rename) -> bool:
        return os.path.isfile(self.path(step.old)) and os.path.isfile(self.path(step.new))


class RenameLosesAttributes(Tree):
    """A renamed file arrives without its extended attributes."""

    def perform(self, step: Step) -> Outcome:
        outcome = super().perform(step)
        if isinstance(step, Rename) and outcome.error is None and os.path.isfile(self.path(step.new)):
            for name, _ in attributes_of(self.path(step.new)):
                os.removexattr(self.path(step.new), name)
        return outcome


class LostMappedStore(Tree):
    """What is stored through a mapping never arrives."""

    def perform(self, step: Step) -> Outcome:
        if isinstance(step, StoreThroughMapping) and step.slot in self.mappings:
            return Outcome()
        return super().perform(step)


class KillTearsClosedFile(Tree):
    """A kill costs the file closed last its last byte."""

    last = ""

    def perform(self, step: Step) -> Outcome:
        outcome = super().perform(step)
        if isinstance(step, WriteFile) and outcome.error is None:
            self.last = self.path(step.path)
        return outcome

    def after_kill(self) -> None:
        if os.path.isfile(self.last) and os.path.getsize(self.last):
            os.truncate(self.last, os.path.getsize(self.last) - 1)


class KillRaisesTheDead(Tree):
    """After a kill the name removed last is back."""

    last = ""

    def perform(self, step: Step) -> Outcome:
        outcome = super().perform(step)
        if isinstance(step, Unlink) and outcome.error is None:
            self.last = self.path(step.path)
        return outcome

    def after_kill(self) -> None:
        if self.last and os.path.isdir(os.path.dirname(self.last)) and not os.path.lexists(self.last):
            Path(self.last).touch()


PLANTED = (
    LostTruncate,
    DirtyGap,
    ExchangeForgetsTarget,
    RenameLosesAttributes,
    LostMappedStore,
    KillTearsClosedFile,
    KillRaisesTheDead,
)


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.__name__)
def test_a_planted_bug_is_found(tmp_path: Path, planted: type[Tree]) -> None:
    report = campaign(Plain(tmp_path / "plain"), tmp_path / "reference", seed=7, steps=3_000, make=planted)
    assert report.divergence is not None


@pytest.mark.parametrize("bug", [*QUICKLY_FOUND, *(pytest.param(bug, marks=pytest.mark.slow) for bug in SLOWLY_FOUND)])
def test_a_bug_planted_in_the_daemon_is_found(tmp_path: Path, bug: str) -> None:
    broken = Broken(tmp_path / "mount", tmp_path / "state", bug)
    broken.start()
    try:
        report = campaign(broken, tmp_path / "reference", seed=FINDING_SEED, steps=FINDING_STEPS)
    finally:
        if broken.is_started():
            broken.kill()
    assert report.divergence is not None


def test_shrinking_keeps_exactly_the_steps_that_are_needed() -> None:
    steps: list[Step] = [Close(number) if number % 3 else Kill() for number in range(500)]
    needed = {Close(4), Close(250), Close(251), Close(499)}
    assert set(shrink(steps, lambda tried: needed <= set(tried), budget_seconds=60)) == needed


def test_a_failure_is_shrunk_to_a_list_that_still_fails(tmp_path: Path) -> None:
    ground = Plain(tmp_path / "plain")
    report = campaign(ground, tmp_path / "reference", seed=7, steps=3_000, make=DirtyGap)
    shortest, _ = shortest_failure(ground, tmp_path / "shrinking", report, make=DirtyGap)
    duel = Duel(ground, tmp_path / "again", prefix="again-", make=DirtyGap)
    assert replay(duel, shortest) is not None
    assert len(shortest) < 20, as_python(shortest)


def test_a_written_down_list_of_steps_can_be_replayed(tmp_path: Path) -> None:
    duel = Duel(Plain(tmp_path / "plain"), tmp_path / "reference")
    steps: list[Step] = [MakeDirectory("job-1"), WriteFile("job-1/a", 10, 2), Kill(), Compare()]
    assert replay(duel, steps) is None


# --- the long run


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=SOAK_STEPS)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--leave-out", nargs="*", default=[], choices=sorted(WEIGHTS), metavar="OPERATION")
    chosen = arguments.parse_args()
    os.umask(0o022)
    directory = Path(tempfile.mkdtemp(prefix="mountfs-model-", dir="/var/tmp"))
    code = _run(directory, chosen.steps, chosen.seed, frozenset(chosen.leave_out))
    if code == 0:
        shutil.rmtree(directory)
    else:
        print(f"Kept: {directory}")
    return code


def _run(directory: Path, steps: int, seed: int, leave_out: frozenset[str]) -> int:
    """0 when both sides agreed all the way and, in a full run, each operation was done often enough."""
    with _ground(directory, plain=PLAIN) as ground:
        report = campaign(ground, directory / "reference", seed=seed, steps=steps, leave_out=leave_out)
        print(report)
        if report.divergence is not None:
            print(f"step {len(report.steps)}: {report.divergence}\nshrinking …", flush=True)
            print(_explain(ground, directory / "shrinking", report))
            return 1
    rare = [name for name in WEIGHTS if name not in leave_out and report.done[name] < LEAST_OF_EACH]
    print(f"{len(report.steps)} steps from seed {seed} agree; below {LEAST_OF_EACH} times: {rare or 'none'}")
    return 1 if rare and steps >= SOAK_STEPS else 0


if __name__ == "__main__":
    sys.exit(main())
