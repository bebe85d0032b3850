"""Two daemons with two state directories on one bucket are two machines: what one flushes the other sees."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.s3.conftest import Claims, lent
from tests.s3.two import Machine, Machines, Two, eventually, seen_in

SHARDS = 8
FILES_OF_A_SHARD = 12
CHANGES = int(os.environ.get("CHANGES_ELSEWHERE", "300"))
TEN_MINUTES = 600


@pytest.fixture(params=[0, TEN_MINUTES, -TEN_MINUTES], ids=["same-clocks", "ahead", "behind"])
def skewed_two(request: pytest.FixtureRequest, shared_machines: Machines, _claims: Claims) -> Iterator[Two]:
    """The second machine's clock is ten minutes off, or not."""
    yield from lent(shared_machines, (0, request.param), _claims)


def write(machine: Machine, key: str, data: bytes) -> Path:
    path = machine.path / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_what_one_machine_flushes_a_first_look_elsewhere_sees_at_once(skewed_two: Two, job: str) -> None:
    here, there = skewed_two
    write(here, f"{job}/junit.xml", b"<testsuite/>")
    here.flush()
    assert (there.path / job / "junit.xml").read_bytes() == b"<testsuite/>"
    assert job in os.listdir(there.path)


def test_a_job_being_looked_at_is_refreshed_in_a_while(skewed_two: Two, job: str) -> None:
    here, there = skewed_two
    path = write(here, f"{job}/log", b"one")
    here.flush()
    other = there.path / job
    assert (other / "log").read_bytes() == b"one"
    path.write_bytes(b"one, two")
    write(here, f"{job}/more/new", b"new")
    here.flush()
    eventually((other / "log").read_bytes, b"one, two")
    eventually((other / "more/new").read_bytes, b"new")


def test_who_asks_again_and_again_for_a_name_sees_it_come(two: Two, job: str) -> None:
    here, there = two
    write(here, f"{job}/first", b"first")
    here.flush()
    write(there, f"{job}/second", b"second")
    there.flush()
    eventually((here.path / job / "second").read_bytes, b"second")


def test_the_later_change_wins_whatever_the_clocks_say(skewed_two: Two, job: str) -> None:
    here, there = skewed_two
    path = write(here, f"{job}/file", b"first")
    here.flush()
    other = there.path / job / "file"
    for number in range(2):
        for writer, changed, seen in ((there, other, path), (here, path, other)):
            data = f"round {number} of {writer.path.name}".encode()
            changed.write_bytes(data)
            writer.flush()
            eventually(seen.read_bytes, data)


def test_modes_times_tags_and_links_travel(two: Two, job: str) -> None:
    here, there = two
    path = write(here, f"{job}/bin/tool", b"#!/bin/sh\n")
    path.chmod(0o750)
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_600_000_000_987_654_321))
    os.setxattr(path, "user.branch", b"main")
    os.setxattr(here.path / job, "user.pr", b"1234")
    os.setxattr(path, "user.xdg.origin.url", b"\xff\x00binary")
    (here.path / job / "latest").symlink_to("bin/tool")
    (here.path / job / "empty").touch()
    (here.path / job / "bare").mkdir(mode=0o711)
    here.flush()
    assert seen_in(there.path / job) == seen_in(here.path / job)
    assert os.getxattr(there.path / job, "user.pr") == b"1234"
    assert os.getxattr(there.path / job / "bin/tool", "user.pr") == b"1234"


def test_a_chmod_elsewhere_never_brings_back_an_older_content(two: Two, job: str) -> None:
    here, there = two
    path = write(here, f"{job}/file", b"old")
    here.flush()
    other = there.path / job / "file"
    assert other.read_bytes() == b"old"
    path.write_bytes(b"new")
    other.chmod(0o600)
    here.flush()
    there.flush()
    eventually(other.read_bytes, b"new")
    eventually(lambda: path.stat().st_mode & 0o777, 0o600)
    assert path.read_bytes() == b"new"


def test_who_only_asks_for_attributes_is_told_of_changes_too(two: Two, job: str) -> None:
    here, there = two
    path = write(here, f"{job}/file", b"one")
    here.flush()
    other = there.path / job / "file"
    assert other.stat().st_size == 3
    for size in (10, 100, 1000):
        path.write_bytes(b"x" * size)
        here.flush()
        eventually(lambda: other.stat().st_size, size)


def test_what_is_removed_elsewhere_goes_and_a_tag_does_not_revive_it(two: Two, job: str) -> None:
    here, there = two
    path = write(here, f"{job}/gone", b"x")
    write(here, f"{job}/kept", b"x")
    here.flush()
    other = there.path / job / "gone"
    assert other.read_bytes() == b"x"
    path.unlink()
    os.setxattr(other, "user.pr", b"7")
    here.flush()
    there.flush()
    eventually(lambda: sorted(os.listdir(there.path / job)), ["kept"])
    eventually(lambda: sorted(os.listdir(here.path / job)), ["kept"])


def test_a_first_look_at_a_job_that_was_removed_and_made_again_sees_it_at_once(two: Two, job: str) -> None:
    here, there = two
    for content in ("1", "2"):
        subprocess.run(["sh", "-ec", f"mkdir {job}; echo {content} >{job}/x"], cwd=here.path, check=True)
        here.flush()
        if content == "1":
            subprocess.run(["rm", "-r", job], cwd=here.path, check=True)
            here.flush()
    assert job in listed("-l", there.path)
    assert listed("-la", there.path / job)[-1] == "x"
    assert (there.path / job / "x").read_text() == "2\n"


def listed(option: str, directory: Path) -> list[str]:
    """The names that `ls` prints; it fails where it cannot read the directory."""
    found = subprocess.run(["ls", option, directory], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    return [line.rpartition(" ")[2] for line in found.stdout.splitlines()]


def test_a_renamed_directory_is_renamed_elsewhere(two: Two, job: str) -> None:
    here, there = two
    for number in range(5):
        write(here, f"{job}/old/deep/{number}", str(number).encode())
    here.flush()
    assert len(os.listdir(there.path / job / "old/deep")) == 5
    os.rename(here.path / job / "old", here.path / job / "new")
    here.flush()
    eventually(lambda: os.listdir(there.path / job), ["new"])
    assert seen_in(there.path / job) == seen_in(here.path / job)


SHARD = """
import pathlib, sys
directory = pathlib.Path(sys.argv[1])
for number in range(int(sys.argv[2])):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{number}.xml").write_text(f"{directory.name} {number}")
"""


def test_shards_that_write_one_job_at_once_lose_nothing(two: Two, job: str) -> None:
    shards = [
        subprocess.Popen(
            [sys.executable, "-c", SHARD, str(two[number % 2].path / job / f"shard-{number}"), str(FILES_OF_A_SHARD)]
        )
        for number in range(SHARDS)
    ]
    assert [shard.wait() for shard in shards] == [0] * SHARDS
    for number, machine in enumerate(two):
        os.setxattr(machine.path / job, f"user.tag-{number}", b"yes")
    for machine in two:
        machine.flush()
    here, there = (machine.path / job for machine in two)
    for directory in (here, there):
        eventually(lambda d=directory: len(seen_in(d)), SHARDS * (FILES_OF_A_SHARD + 1))  # type: ignore[misc]
        eventually(lambda d=directory: sorted(os.listxattr(d)), ["user.tag-0", "user.tag-1"])  # type: ignore[misc]
    assert seen_in(here) == seen_in(there)


def test_both_writing_one_path_end_up_with_the_same_content(two: Two, job: str) -> None:
    for machine in two:
        write(machine, f"{job}/report", f"by {machine.path.name}".encode())
    for machine in two:
        machine.flush()
    here, there = (machine.path / job / "report" for machine in two)
    eventually(lambda: here.read_bytes() == there.read_bytes(), True)
    assert here.read_bytes() in (b"by m0", b"by m1")
    assert os.listdir(here.parent) == os.listdir(there.parent) == ["report"]


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
    make_machine: Machines, tmp_path: Path
) -> None:
    quick = {"sync": {"settle_seconds": "20ms", "settle_max_seconds": "50ms", "refresh_seconds": "20ms"}}
    here, there = make_machine(settings=quick), make_machine(settings=quick)
    path = write(here, "job/changing", b"%8d" % 0 * 2000)
    here.flush()
    read = there.path / "job/changing"
    assert read.read_bytes() == path.read_bytes()
    ends = tmp_path / "ends"
    command = [sys.executable, "-c", READER, str(read), str(ends)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    for number in range(1, CHANGES):
        path.write_bytes(b"%8d" % number * (1 + number % 9000))
    here.flush(timeout_seconds=60)
    eventually(read.read_bytes, path.read_bytes())
    ends.touch()
    for reader in readers:
        said, _ = reader.communicate(timeout=20)
        assert reader.returncode == 0
        assert int(said) > 10


@pytest.fixture
def others_job(make_machine: Machines) -> Two:
    """A job that the first machine wrote and the second one knows, in a git work tree around the second."""
    here, there = make_machine(), make_machine()
    for number in range(3):
        write(here, f"theirs/{number}", str(number).encode())
    here.flush()
    assert len(os.listdir(there.path / "theirs")) == 3
    subprocess.run(["git", "init", "-q", ".."], cwd=there.path, check=True)
    return here, there


def test_a_tool_that_wipes_the_tree_leaves_jobs_of_others_as_they_were(others_job: Two) -> None:
    here, there = others_job
    expected = {name: name.encode() for name in "012"}
    for wipe in ("rm -rf *", "git -C .. clean -ffdxq m1", "rm -rf theirs/1 ./*/*", "find . -delete"):
        write(there, "ours/file", b"ours")
        there.flush()
        subprocess.run(["sh", "-c", wipe], cwd=there.path, capture_output=True, check=False)
        assert os.listdir(there.path / "ours" if "*/*" in wipe else there.path) in ([], ["theirs"]), "what is ours goes"
        there.flush()
        for machine in others_job:
            assert {name: (machine.path / "theirs" / name).read_bytes() for name in "012"} == expected
    eventually(lambda: (here.path / "ours/file").exists(), False)


LAZY = {"sync": {"mode": "lazy"}}


@pytest.fixture
def lazy_and_full(make_machine: Machines) -> Two:
    """A runner that reads only what it looks at, and another machine."""
    return make_machine(settings=LAZY), make_machine()


def test_the_last_of_a_matrix_sees_the_shards_of_others(lazy_and_full: Two, job: str) -> None:
    """It wrote to the job itself, and looks at it only now: a first look, which sees what was flushed."""
    lazy, other = lazy_and_full
    write(lazy, f"{job}/one", b"1")
    lazy.flush()
    write(other, f"{job}/two", b"2")
    other.flush()
    with pytest.raises(FileNotFoundError):
        (lazy.path / job / "three").read_bytes()
    seen = subprocess.run(["cat", lazy.path / job / "two"], capture_output=True, check=False)  # not who wrote to it
    assert (seen.stdout, seen.stderr) == (b"2", b"")


def test_after_a_restart_a_runner_sees_what_came_meanwhile(lazy_and_full: Two, job: str) -> None:
    lazy, other = lazy_and_full
    write(lazy, f"{job}/one", b"1")
    lazy.flush()
    lazy.stop()
    write(other, f"{job}/two", b"2")
    other.flush()
    lazy.start()
    assert sorted(os.listdir(lazy.path / job)) == ["one", "two"]
