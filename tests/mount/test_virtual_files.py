"""Virtual files: `<job>/.metadata.json` and `.stats.json` (DESIGN §3), on a real mount."""

import contextlib
import errno
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.mount.conftest import MountFactory
from tests.mounting import Ground
from tests.written import answered

pytestmark = pytest.mark.mountfs_only

Said = dict[str, object]


@pytest.fixture
def build(job: Path) -> Path:
    """A job with tags and a few artifacts."""
    os.setxattr(job, "user.branch", b"main")
    os.setxattr(job, "user.commit", b"0123abc")
    (job / "logs").mkdir()
    (job / "logs" / "a.log").write_text("a line of a log\n" * 1000)
    (job / "junit.xml").write_text("<testsuite/>\n")
    (job / "empty").touch()
    (job / "latest.log").symlink_to("logs/a.log")
    os.setxattr(job / "junit.xml", "user.status", b"failed")
    return job


def metadata(job: Path) -> Said:
    said = json.loads((job / ".metadata.json").read_bytes())
    assert isinstance(said, dict)
    return said


def artifacts(job: Path) -> list[Said]:
    found = metadata(job)["artifacts"]
    assert isinstance(found, list)
    return found


def refused(attempt: Callable[[], object]) -> int | None:
    with pytest.raises(OSError, match=r".") as raised:
        attempt()
    return raised.value.errno


def mountfs(mount: Ground, *arguments: str) -> list[Said]:
    """What a command prints with `--json`."""
    command = [sys.executable, "-m", "mountfs.cli", *arguments, "--json", "--mount", str(mount.path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in said.splitlines()]


# -- what they say ------------------------------------------------------------------------------------------------


def test_the_metadata_of_a_job_are_one_json_document(build: Path) -> None:
    """F-010, F-092."""
    said = metadata(build)
    listed = said.pop("artifacts")
    assert isinstance(listed, list)
    assert [one["path"] for one in listed] == ["empty", "junit.xml", "latest.log", "logs/a.log"]
    assert said["schema"] == 1
    assert said["job"] == build.name
    assert said["tags"] == {"branch": "main", "commit": "0123abc"}
    assert (said["count"], said["truncated"]) == (4, False)
    assert said["size_bytes"] == sum(one["size"] for one in listed) == 16_000 + 13 + len("logs/a.log")
    assert {"uri", "pinned", "expires_at", "created_at", "modified_at", "metadata", "stored_bytes"} < said.keys()


def test_each_artifact_is_said_as_mountfs_show_and_list_say_it(build: Path, shared: Ground) -> None:
    """F-010: one shape of an artifact, whoever is asked."""
    shared.settle()
    answered(build / "junit.xml")
    listed = sorted(mountfs(shared, "list", build.name), key=lambda one: str(one["key"]))
    assert [{"schema": 1, **one} for one in artifacts(build)] == listed
    [shown] = mountfs(shared, "show", f"{build.name}/junit.xml")
    assert {"schema": 1, **artifacts(build)[1]} == shown
    assert shown["tags"] == {"branch": "main", "commit": "0123abc", "status": "failed"}


def test_the_digest_of_what_was_closed_a_moment_ago_is_waited_for(job: Path) -> None:
    for number in range(5):
        (job / f"{number}.log").write_text(f"{number}\n" * 1000)
    assert all(one["sha256"] for one in artifacts(job))


def test_one_artifact_is_one_line(build: Path) -> None:
    said = subprocess.run(["grep", "-c", '"type": "build-logs"', build / ".metadata.json"], capture_output=True)
    assert said.stdout == b"2\n"


def test_an_empty_job_has_metadata_too(job: Path) -> None:
    said = metadata(job)
    assert (said["artifacts"], said["count"], said["size_bytes"], said["tags"]) == ([], 0, 0, {})


def test_the_stats_are_those_of_mountfs_stats(build: Path, shared: Ground) -> None:
    """F-011, F-061."""
    shared.settle()
    said = json.loads((shared.path / ".stats.json").read_text())
    assert [said] == mountfs(shared, "stats", "--compression")
    assert said["types"]["build-logs"]["artifacts"] >= 1
    assert said["schema"] == 1


def test_what_is_changed_is_said_at_once(build: Path) -> None:
    assert len(artifacts(build)) == 4
    (build / "new.log").write_text("new")
    os.setxattr(build, "user.branch", b"other")
    assert [one["path"] for one in artifacts(build)][-1] == "new.log"
    assert metadata(build)["tags"] == {"branch": "other", "commit": "0123abc"}


def test_names_of_any_bytes_are_json(job: Path) -> None:
    (job / os.fsdecode(b'a\xff "quoted"\n')).touch()
    [one] = artifacts(job)
    assert os.fsencode(str(one["path"])) == b'a\xff "quoted"\n'


# -- tools --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        ["cat", "{}"],
        ["tail", "-c", "+1", "{}"],
        ["dd", "if={}", "bs=1000", "status=none"],
        ["sh", "-c", "cp {} copied && cat copied"],
        ["sh", "-c", "rsync {} synced && cat synced"],
        ["sh", "-c", "tar cf - -C $(dirname {}) .metadata.json | tar xOf -"],
        ["python3", "-c", "import sys, shutil; shutil.copyfile('{}', 'c'); sys.stdout.write(open('c').read())"],
    ],
    ids=lambda command: command[-1].split()[0] if command[0] == "sh" else command[0],
)
def test_tools_read_all_of_it_at_first_sight(build: Path, tmp_path: Path, command: list[str]) -> None:
    """Nobody has asked for it before: what goes by its size has the right one."""
    words = [word.format(build / ".metadata.json") for word in command]
    said = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True).stdout
    assert len(json.loads(said)["artifacts"]) == 4
    assert said.endswith(b"]}\n")


def test_jq_and_json_load_read_it(build: Path) -> None:
    path = build / ".metadata.json"
    said = subprocess.run(["jq", "-r", ".artifacts[].path", path], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["empty", "junit.xml", "latest.log", "logs/a.log"]
    with open(path) as file:
        assert json.load(file)["job"] == build.name


def test_its_size_is_what_is_read(build: Path) -> None:
    path = build / ".metadata.json"
    found = os.stat(path)
    assert stat.S_IMODE(found.st_mode) == 0o444
    assert stat.S_ISREG(found.st_mode)
    assert found.st_blocks > 0
    assert abs(found.st_mtime - time.time()) < 60
    assert found.st_size == len(path.read_bytes())
    with open(path, "rb") as file:
        assert os.fstat(file.fileno()).st_size == len(file.read())


def test_who_has_it_open_reads_to_the_end_what_he_opened(build: Path) -> None:
    with open(build / ".metadata.json", "rb", buffering=0) as file:
        first = file.read(10)
        for number in range(20):
            (build / f"more-{number}").touch()
        assert len(artifacts(build)) == 24
        size = os.fstat(file.fileno()).st_size
        rest = file.read()
        assert len(first + rest) == size
        assert len(json.loads(first + rest)["artifacts"]) == 4
        assert os.pread(file.fileno(), 10, 0) == first


def test_its_time_moves_when_it_says_something_else(build: Path, shared: Ground) -> None:
    shared.settle()
    path = build / ".metadata.json"
    before = os.stat(path).st_mtime_ns
    (shared.path / f"{build.name}-other").mkdir()
    assert os.stat(path).st_mtime_ns == before
    (build / "new").touch()
    assert os.stat(path).st_mtime_ns > before


# -- never met ----------------------------------------------------------------------------------------------------


def test_nobody_meets_what_he_did_not_ask_for(build: Path, shared: Ground, tmp_path: Path) -> None:
    """F-038: `ls -a`, `find`, `cp -a`, `rsync -a`, `git clean` and `rm -r` meet what tools wrote."""
    assert metadata(build)["count"] == 4
    assert (shared.path / ".stats.json").stat().st_size
    names = {"empty", "junit.xml", "latest.log", "logs"}
    assert set(os.listdir(build)) == names
    assert not [name for name in os.listdir(shared.path) if name.startswith(".")]
    said = subprocess.run(["find", shared.path, "-name", ".*"], capture_output=True, text=True, check=True).stdout
    assert said.split() in ([], [str(shared.path)])
    other = shared.path / f"{build.name}-2"
    subprocess.run(["cp", "-a", build, other], check=True)
    subprocess.run(["rsync", "-a", f"{build}/", tmp_path / "synced"], check=True)
    assert set(os.listdir(other)) == set(os.listdir(tmp_path / "synced")) == names
    subprocess.run(["git", "init", "-q", other], check=True)
    subprocess.run(["git", "clean", "-ffdxq"], cwd=other, check=True)
    assert os.listdir(other) == [".git"]
    subprocess.run(["rm", "-r", other, build], check=True)
    assert not build.exists()
    assert not (build / ".metadata.json").exists()
    build.mkdir()


def test_only_a_job_has_metadata_and_only_the_root_has_stats(build: Path, shared: Ground) -> None:
    assert not (build / "logs" / ".metadata.json").exists()
    assert not (build / ".stats.json").exists()
    assert not (shared.path / ".metadata.json").exists()


# -- read-only ----------------------------------------------------------------------------------------------------


def test_they_cannot_be_written_removed_or_moved(build: Path, shared: Ground) -> None:
    for path in (build / ".metadata.json", shared.path / ".stats.json"):
        before = path.read_bytes()
        for attempt in (
            partial(path.write_text, "x"),
            partial(path.open, "r+b"),
            partial(path.open, "ab"),
            partial(os.truncate, path, 0),
            path.unlink,
            partial(path.rename, build / "moved"),
            partial(path.chmod, 0o600),
            partial(os.utime, path),
            partial(os.setxattr, path, "user.branch", b"main"),
            partial(os.link, path, build / "linked"),
        ):
            assert refused(attempt) == errno.EROFS
        assert path.read_bytes() == before
        assert os.listxattr(path) == []
    assert set(os.listdir(build)) == {"empty", "junit.xml", "latest.log", "logs"}


def test_a_view_and_a_virtual_file_have_no_attributes(build: Path, shared: Ground) -> None:
    for path in (build / ".metadata.json", shared.path / ".stats.json", shared.path / ".by-branch" / "main"):
        assert refused(partial(os.getxattr, path, "user.mountfs.sha256")) == errno.ENODATA


def test_a_real_file_of_that_name_wins(build: Path) -> None:
    """Programs that save by a temporary file and rename can make one; when it goes the virtual one is back."""
    (build / "draft").write_text('{"mine": true}')
    (build / "draft").rename(build / ".metadata.json")
    assert metadata(build) == {"mine": True}
    assert ".metadata.json" in os.listdir(build)
    (build / ".metadata.json").write_text("written")
    assert (build / ".metadata.json").read_text() == "written"
    (build / ".metadata.json").rename(build / "mine")
    assert metadata(build)["count"] == 5
    (build / "mine").rename(build / ".metadata.json")
    (build / ".metadata.json").unlink()
    assert metadata(build)["job"] == build.name


def test_a_thousand_readers_may_have_them_open_and_no_more(build: Path, shared: Ground) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1000):
            stack.callback(os.close, os.open(shared.path / ".stats.json", os.O_RDONLY))
        assert refused((build / ".metadata.json").open) == errno.ENFILE
        assert (build / "junit.xml").read_text() == "<testsuite/>\n"
    assert metadata(build)["count"] == 4


# -- settings -----------------------------------------------------------------------------------------------------


def test_views_that_are_off_answer_to_no_name(mounted: MountFactory) -> None:
    mount = mounted({"views": "off"})
    (mount.path / "build-1").mkdir()
    (mount.path / "build-1" / "a.log").touch()
    for name in (".by-type", ".latest", ".find", ".stats.json", "build-1/.metadata.json"):
        assert refused(partial(os.lstat, mount.path / name)) == errno.ENOENT
    assert os.listdir(mount.path / "build-1") == ["a.log"]


def test_views_that_are_listed_show_in_the_root_alone(mounted: MountFactory) -> None:
    mount = mounted({"views": "listed"})
    jobs = ["+job", *(f"job-{number:03}" for number in range(400))]  # before a dot, and more than a page
    for job in jobs:
        (mount.path / job).mkdir()
    found = os.listdir(mount.path)
    assert sorted(name for name in found if not name.startswith(".")) == sorted(jobs)
    views = [name for name in found if name.startswith(".")]
    assert {".by-branch", ".by-type", ".find", ".latest", ".recent", ".stats.json"} < set(views)
    assert len(found) == len(set(found))
    assert all((mount.path / name).exists() for name in views)
    assert (mount.path / ".stats.json").stat().st_size > 0
    assert os.listdir(mount.path / "+job") == []
    shutil.rmtree(mount.path / "+job")
