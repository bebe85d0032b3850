"""Two daemons with two state directories on one bucket are two machines: what one flushes the other sees."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mounting import drop_caches
from tests.s3.conftest import ExpectedLog, MachineFactory
from tests.s3.two import Machine, eventually, seen_in

Two = tuple[Machine, Machine]

SHARDS = 8
FILES_OF_A_SHARD = 12
CHANGES = int(os.environ.get("CHANGES_ELSEWHERE", "1000"))
TEN_MINUTES = 600


@pytest.fixture(params=[0, TEN_MINUTES, -TEN_MINUTES], ids=["same-clocks", "ahead", "behind"])
def skewed_two(request: pytest.FixtureRequest, make_machine: MachineFactory) -> Two:
    """The second machine's clock is ten minutes off, or not."""
    return make_machine(), make_machine(ahead_seconds=request.param)


def write(machine: Machine, key: str, data: bytes) -> Path:
    path = machine.path / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_what_one_machine_flushes_a_first_look_elsewhere_sees_at_once(skewed_two: Two) -> None:
    here, there = skewed_two
    write(here, "build-7/junit.xml", b"<testsuite/>")
    here.flush()
    assert (there.path / "build-7/junit.xml").read_bytes() == b"<testsuite/>"
    assert os.listdir(there.path) == ["build-7"]


def test_a_job_being_looked_at_is_refreshed_in_a_while(skewed_two: Two) -> None:
    here, there = skewed_two
    path = write(here, "build-7/log", b"one")
    here.flush()
    assert (there.path / "build-7/log").read_bytes() == b"one"
    path.write_bytes(b"one, two")
    write(here, "build-7/more/new", b"new")
    here.flush()
    eventually((there.path / "build-7/log").read_bytes, b"one, two")
    eventually((there.path / "build-7/more/new").read_bytes, b"new")


def test_the_later_change_wins_whatever_the_clocks_say(skewed_two: Two) -> None:
    here, there = skewed_two
    path = write(here, "job/file", b"first")
    here.flush()
    other = there.path / "job/file"
    for number in range(3):
        for writer, changed, reader, seen in ((there, other, here, path), (here, path, there, other)):
            data = f"round {number} of {writer.path.name}".encode()
            changed.write_bytes(data)
            writer.flush()
            eventually(seen.read_bytes, data)
            reader.assert_alive()


def test_modes_times_tags_and_links_travel(two: Two) -> None:
    here, there = two
    path = write(here, "build-7/bin/tool", b"#!/bin/sh\n")
    path.chmod(0o750)
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_600_000_000_987_654_321))
    os.setxattr(path, "user.branch", b"main")
    os.setxattr(here.path / "build-7", "user.pr", b"1234")
    os.setxattr(path, "user.xdg.origin.url", b"\xff\x00binary")
    (here.path / "build-7/latest").symlink_to("bin/tool")
    (here.path / "build-7/empty").touch()
    (here.path / "build-7/bare").mkdir(mode=0o711)
    here.flush()
    assert seen_in(there.path / "build-7") == seen_in(here.path / "build-7")
    assert os.getxattr(there.path / "build-7", "user.pr") == b"1234"
    assert os.getxattr(there.path / "build-7/bin/tool", "user.pr") == b"1234"


def test_a_chmod_elsewhere_never_brings_back_an_older_content(two: Two) -> None:
    here, there = two
    path = write(here, "job/file", b"old")
    here.flush()
    other = there.path / "job/file"
    assert other.read_bytes() == b"old"
    path.write_bytes(b"new")
    other.chmod(0o600)
    here.flush()
    there.flush()
    eventually(other.read_bytes, b"new")
    eventually(lambda: path.stat().st_mode & 0o777, 0o600)
    assert path.read_bytes() == b"new"


def test_what_is_removed_elsewhere_goes_and_a_tag_does_not_revive_it(two: Two) -> None:
    here, there = two
    path = write(here, "job/gone", b"x")
    write(here, "job/kept", b"x")
    here.flush()
    other = there.path / "job/gone"
    assert other.read_bytes() == b"x"
    path.unlink()
    os.setxattr(other, "user.pr", b"7")
    here.flush()
    there.flush()
    eventually(lambda: sorted(os.listdir(there.path / "job")), ["kept"])
    eventually(lambda: sorted(os.listdir(here.path / "job")), ["kept"])


def test_a_renamed_directory_is_renamed_elsewhere(two: Two) -> None:
    here, there = two
    for number in range(5):
        write(here, f"job/old/deep/{number}", str(number).encode())
    here.flush()
    assert len(os.listdir(there.path / "job/old/deep")) == 5
    os.rename(here.path / "job/old", here.path / "job/new")
    here.flush()
    eventually(lambda: os.listdir(there.path / "job"), ["new"])
    assert seen_in(there.path / "job") == seen_in(here.path / "job")


def test_shards_that_write_one_job_at_once_lose_nothing(make_machine: MachineFactory) -> None:
    machines = [make_machine() for _ in range(2)]
    script = "import sys, pathlib\nfor n in range(int(sys.argv[2])):\n d = pathlib.Path(sys.argv[1]); d.mkdir(parents=True, exist_ok=True)\n (d / f'{n}.xml').write_text(f'{d.name} {n}')"  # fmt: skip
    shards = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(machines[n % 2].path / f"matrix/shard-{n}"), str(FILES_OF_A_SHARD)]
        )
        for n in range(SHARDS)
    ]
    assert [shard.wait() for shard in shards] == [0] * SHARDS
    for number, machine in enumerate(machines):
        os.setxattr(machine.path / "matrix", f"user.tag-{number}", b"yes")
    for machine in machines:
        machine.flush()
    for machine in machines:
        eventually(lambda machine=machine: len(seen_in(machine.path / "matrix")), SHARDS * (FILES_OF_A_SHARD + 1))  # type: ignore[misc]
        eventually(lambda machine=machine: len(os.listxattr(machine.path / "matrix")), 2)  # type: ignore[misc]
    assert seen_in(machines[0].path / "matrix") == seen_in(machines[1].path / "matrix")


def test_both_writing_one_path_end_up_with_the_same_content(two: Two) -> None:
    for machine in two:
        write(machine, "job/report", f"by {machine.path.name}".encode())
    for machine in two:
        machine.flush()
    for machine in two:
        eventually(lambda machine=machine: [p.name for p in sorted((machine.path / "job").iterdir())], ["report"])  # type: ignore[misc]
    here, there = (machine.path / "job/report" for machine in two)
    eventually(lambda: here.read_bytes() == there.read_bytes(), True)
    assert here.read_bytes() in (b"by m0", b"by m1")


READER = """
import os, sys
path, ends = sys.argv[1], sys.argv[2]
reads = 0
while not os.path.exists(ends):
    with open(path, "rb") as file:
        data = file.read()
    assert data == data[:8] * (len(data) // 8) and len(data) % 8 == 0, data[:64]
    reads += 1
print(reads)
"""


@pytest.mark.usefixtures("unmeasured")
def test_a_thousand_changes_elsewhere_to_a_file_being_read_mix_no_bytes_and_hang_nobody(
    make_machine: MachineFactory, tmp_path: Path
) -> None:
    quick = {"sync": {"settle_seconds": "20ms", "settle_max_seconds": "50ms", "refresh_seconds": "20ms"}}
    here, there = make_machine(settings=quick), make_machine(settings=quick)
    path = write(here, "job/changing", b"%8d" % 0 * 2000)
    here.flush()
    assert (there.path / "job/changing").read_bytes() == path.read_bytes()
    ends = tmp_path / "ends"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(there.path / "job/changing"), str(ends)], stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for number in range(1, CHANGES):
        path.write_bytes(b"%8d" % number * (1 + number % 9000))
    here.flush(timeout_seconds=60)
    eventually((there.path / "job/changing").read_bytes, path.read_bytes())
    ends.touch()
    for reader in readers:
        said, _ = reader.communicate(timeout=20)
        assert reader.returncode == 0
        assert int(said) > 10


@pytest.fixture
def others_job(two: Two) -> Two:
    """A job that the first machine wrote, and one of the second's own, in a git work tree of the second."""
    here, there = two
    for number in range(3):
        write(here, f"theirs/{number}", str(number).encode())
    here.flush()
    assert len(os.listdir(there.path / "theirs")) == 3
    write(there, "ours/file", b"ours")
    there.flush()
    return two


@pytest.mark.parametrize("wipe", ["rm -rf *", "git -c core.excludesFile=/dev/null clean -ffdxq", "rm -rf theirs"])
def test_a_tool_that_wipes_the_tree_leaves_jobs_of_others_as_they_were(others_job: Two, wipe: str) -> None:
    here, there = others_job
    subprocess.run(["sh", "-c", wipe], cwd=there.path, capture_output=True, check=False)
    there.flush()
    assert {name: (here.path / "theirs" / name).read_bytes() for name in "012"} == {n: n.encode() for n in "012"}
    assert {name: (there.path / "theirs" / name).read_bytes() for name in "012"} == {n: n.encode() for n in "012"}
