"""The bucket is complete: delete every local file, mount again, and everything is there, byte for byte."""

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.mounting import drop_caches
from tests.s3.two import Machine, Machines, eventually, seen_in

MIB = 1 << 20
ODD_NAMES = [b"a b", b"%2F", b"caf\xc3\xa9", b"\xff\xfe", b"x" * 255, b"~tilde", b"-dash", b"'quote\"", b"new\nline"]


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def a_bit_of_everything(root: Path, rng: random.Random) -> None:
    """Jobs as tools leave them: small and large, text and noise, nested, tagged, linked, dated, empty, odd."""
    job = root / "build-7"
    write(job / "junit.xml", b"<testsuite/>" * 3)
    write(job / "coverage/html/index.html", b"<html>" + bytes(70_000))
    write(job / "noise.bin", rng.randbytes(100_000))
    write(job / "large.bin", rng.randbytes(5 * MIB))
    write(job / "large.log", b"".join(b"%d: a line of a log\n" % number for number in range(300_000)))
    write(job / "empty", b"")
    write(job / "same", b"equal") and write(job / "copy", b"equal")
    (job / "bare/deeper").mkdir(parents=True)
    (job / "bare").chmod(0o700)
    (job / "tool").symlink_to("bin/tool")
    (job / "dangling").symlink_to(b"\xff/nowhere".decode(errors="surrogateescape"))
    write(job / "bin/tool", b"#!/bin/sh\n").chmod(0o755)
    os.utime(job / "bin/tool", ns=(1, 1_234_567_890_987_654_321))
    os.utime(job / "tool", ns=(1, 1_111_111_111_000_000_001), follow_symlinks=False)
    os.setxattr(job, "user.branch", b"main")
    os.setxattr(job / "junit.xml", "user.status", b"success")
    os.setxattr(job / "junit.xml", "user.origin.url", b"\x00\xff")
    os.setxattr(job / "junit.xml", "user.mountfs.type", b"test-results")
    for name in ODD_NAMES:
        path = os.path.join(os.fsencode(root / "odd"), name, name)
        os.makedirs(os.path.dirname(path))
        Path(os.fsdecode(path)).write_bytes(name)
    for name in ODD_NAMES:
        write(Path(os.fsdecode(os.fsencode(root) + b"/job " + name[:200])) / "file", name)
    history(root / "history")


def history(job: Path) -> None:
    """What was overwritten, renamed and removed."""
    for number in range(10):
        write(job / "old" / str(number), b"first %d" % number)
    write(job / "old/3", b"second")
    (job / "old/4").unlink()
    os.rename(job / "old/5", job / "old/6")
    os.rename(job / "old", job / "new")
    write(job / "old", b"a file where a directory was")
    write(job / "gone/below", b"x")
    shutil.rmtree(job / "gone")


@pytest.mark.usefixtures("unmeasured")
def test_after_the_state_directory_is_gone_everything_comes_back_from_the_bucket(machine: Machine) -> None:
    a_bit_of_everything(machine.path, random.Random(1))
    machine.flush()
    drop_caches()
    before = seen_in(machine.path)
    facts = os.getxattr(machine.path / "build-7/junit.xml", "user.mountfs.type")
    assert len(before) > 50
    machine.stop()
    shutil.rmtree(machine.state)
    machine.start()
    assert seen_in(machine.path) == before
    assert os.getxattr(machine.path / "build-7/junit.xml", "user.mountfs.type") == facts


def test_what_came_back_from_the_bucket_is_known_by_its_first_bytes_once_it_was_read(machine: Machine) -> None:
    """A record says names and digests: what a content is, and no name says, is seen when it comes."""
    heads = {"picture": b"\x89PNG\r\n\x1a\n", "page": b"<!doctype html>", "large": b"%PDF-1.7\n", "notes": b"so it is"}
    noise_bytes = {"page": 40_000, "large": 5 * MIB}
    for name, head in heads.items():
        write(machine.path / "job" / name, head + b" " * 600 + os.urandom(noise_bytes.get(name, 0)))
    os.setxattr(machine.path / "job/notes", "user.mountfs.mime_type", b"text/x-notes")
    machine.flush()

    def mimes() -> dict[str, bytes]:
        return {name: os.getxattr(machine.path / "job" / name, "user.mountfs.mime_type") for name in heads}

    before = mimes()
    assert sorted(before.values()) == [b"application/pdf", b"image/png", b"text/html", b"text/x-notes"]
    machine.stop()
    shutil.rmtree(machine.state)
    machine.start()
    assert mimes() == {**dict.fromkeys(heads, b"text/plain"), "notes": b"text/x-notes"}
    assert all((machine.path / "job" / name).read_bytes().startswith(head) for name, head in heads.items())
    eventually(mimes, before)
    assert "job/picture" in machine.mountfs("find", "job=job and mime=image/png").stdout


def test_who_deletes_the_prefix_of_a_job_has_deleted_the_job(make_machine: Machines) -> None:
    knows, fresh = make_machine(), make_machine(start=False)
    for job in ("kept", "deleted"):
        write(knows.path / job / "file", job.encode())
    knows.flush()
    remote = make_machine.remote()
    remote.delete([found.key for found in remote.list("jobs/deleted/").objects])
    eventually(lambda: (knows.path / "deleted/file").exists(), False)
    fresh.start()
    # This server goes on listing the empty "directory" for minutes: S3 does not.
    assert not (fresh.path / "deleted/file").exists()
    assert (fresh.path / "kept/file").read_bytes() == b"kept"


def test_what_was_not_in_the_bucket_yet_is_what_is_lost(machine: Machine) -> None:
    """The state directory is the only place of what nobody flushed: nothing else is promised, and nothing else lost."""
    write(machine.path / "job/flushed", b"flushed")
    machine.flush()
    machine.kill()
    shutil.rmtree(machine.state)
    machine.start()
    assert seen_in(machine.path / "job").keys() == {"flushed"}
