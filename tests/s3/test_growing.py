"""Files that are still being written: followed on another machine, and confirmed when `fsync` asks for it."""

import errno
import os

import pytest

from tests.faults.proxy import Refuse
from tests.s3.conftest import ExpectedLog, MachineFactory
from tests.s3.two import eventually

LIVE = {"live": {"patterns": ["*.log"], "seconds": "200ms"}}


def test_an_open_log_is_seen_elsewhere_while_it_grows(make_machine: MachineFactory) -> None:
    a, b = make_machine(settings=LIVE), make_machine()
    (a.path / "job").mkdir()
    with (a.path / "job" / "run.log").open("wb", buffering=0) as log:
        written = b""
        for number in range(3):
            line = b"line %d\n" % number * 20_000
            log.write(line)
            written += line
            eventually((b.path / "job" / "run.log").read_bytes, written)


def test_who_follows_a_growing_log_by_its_descriptor_sees_it_grow(make_machine: MachineFactory) -> None:
    a, b = make_machine(settings=LIVE), make_machine()
    (a.path / "job").mkdir()
    with (a.path / "job" / "run.log").open("wb", buffering=0) as log:
        log.write(b"first\n")
        eventually((b.path / "job" / "run.log").read_bytes, b"first\n")
        with (b.path / "job" / "run.log").open("rb", buffering=0) as follower:
            assert follower.read(100) == b"first\n"
            log.write(b"second\n")
            eventually(lambda: os.pread(follower.fileno(), 100, 6), b"second\n")


def test_fsync_returns_when_the_bucket_has_it(make_machine: MachineFactory) -> None:
    a, b = make_machine(settings={"fsync": "bucket"}), make_machine()
    (a.path / "job").mkdir()
    with (a.path / "job" / "result").open("wb", buffering=0) as file:
        file.write(b"synced")
        os.fsync(file.fileno())
        assert (b.path / "job" / "result").read_bytes() == b"synced"


def test_fsync_never_says_yes_when_the_bucket_has_not(make_machine: MachineFactory, expected_log: ExpectedLog) -> None:
    a = make_machine(settings={"fsync": "bucket"})
    expected_log("does not answer|not in the bucket")
    (a.path / "job").mkdir()
    with (a.path / "job" / "result").open("wb", buffering=0) as file:
        file.write(b"not synced")
        a.proxy.rule(Refuse())
        with pytest.raises(OSError, match=os.strerror(errno.ETIMEDOUT)):
            os.fsync(file.fileno())
        a.proxy.clear()
