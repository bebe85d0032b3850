"""What a machine learnt of a job it keeps: asking again costs the bucket nothing, also while it hangs (F-073)."""

import os
from pathlib import Path

import pytest

from tests.faults.proxy import Hang
from tests.s3.conftest import ExpectedLog, MachineFactory
from tests.s3.two import Machine, seen_in

pytestmark = pytest.mark.usefixtures("unmeasured")

FILES = 30


@pytest.fixture
def reader(make_machine: MachineFactory) -> Machine:
    """A machine that has looked at everything in `job`, which another one wrote, and read nothing of it."""
    writer, reader = make_machine(), make_machine()
    job = writer.path / "job"
    (job / "below").mkdir(parents=True)
    for number in range(FILES):
        (job / "below" / f"{number}.txt").write_text(f"{number}\n" * 50)
    os.setxattr(job, "user.branch", b"main")
    writer.flush()
    assert len(looked_at(reader.path / "job")) == FILES + 1
    return reader


def looked_at(job: Path) -> dict[str, tuple[int, int, bytes]]:
    """Size, time and an inherited tag of all there is, as `ls -lR` and `getfattr -R` ask for them."""
    found = {}
    for folder, names, files in os.walk(job):
        for name in [*names, *files]:
            path = os.path.join(folder, name)
            status = os.stat(path)
            found[path] = status.st_size, status.st_mtime_ns, os.getxattr(path, "user.branch")
    return found


def test_names_sizes_times_and_tags_are_told_again_without_reading_an_object(reader: Machine) -> None:
    before = looked_at(reader.path / "job")
    reader.proxy.forget()
    for _ in range(3):
        assert looked_at(reader.path / "job") == before
    assert {kind for _, kind in reader.proxy.counted()} <= {"list"}  # whether there is something newer


def test_names_sizes_times_and_tags_are_told_while_the_bucket_hangs(reader: Machine, expected_log: ExpectedLog) -> None:
    expected_log("the bucket does not answer")
    before = looked_at(reader.path / "job")
    reader.proxy.rule(Hang())
    assert looked_at(reader.path / "job") == before


def test_what_was_read_is_read_again_while_the_bucket_hangs(reader: Machine, expected_log: ExpectedLog) -> None:
    expected_log("the bucket does not answer")
    before = seen_in(reader.path / "job")
    reader.proxy.rule(Hang())
    assert seen_in(reader.path / "job") == before
