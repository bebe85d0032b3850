"""`mount --read-only`: every change is refused, here and in the bucket, whichever way it is asked for."""

import os

import pytest

from tests.s3.conftest import MachineFactory
from tests.s3.two import Machine, seen_in

CHANGES = (
    ("delete", "build-1/report.xml"),
    ("delete", "build-1"),
    ("restore", "build-1/gone.log"),
    ("adopt", "build-1"),
    ("trash", "empty"),
    ("tag", "build-1", "branch=main"),
    ("flush",),
    ("maintain",),
)


@pytest.fixture
def reader(make_machine: MachineFactory) -> Machine:
    """A machine that mounts read-only a bucket with a job and something in its trash; it was ordinary before."""
    writer = make_machine()
    (writer.path / "build-1").mkdir()
    for name in ("report.xml", "gone.log"):
        (writer.path / "build-1" / name).write_bytes(name.encode())
    writer.flush()
    machine = make_machine()
    assert os.listdir(machine.path / "build-1")
    machine.mountfs("delete", "build-1/gone.log")
    machine.flush()
    machine.stop()
    machine.arguments = ["--read-only"]
    machine.start()
    return machine


def test_every_command_that_changes_something_is_refused(reader: Machine, make_machine: MachineFactory) -> None:
    before = seen_in(reader.path / "build-1")
    for command in CHANGES:
        said = reader.mountfs(*command)
        assert said.returncode == 4, (command, said)
        assert "read-only" in said.stderr.lower(), (command, said)
    assert seen_in(reader.path / "build-1") == before
    reader.stop()
    reader.arguments = []
    reader.start()
    reader.flush()
    assert seen_in(make_machine().path / "build-1") == before


def test_what_only_looks_works(reader: Machine) -> None:
    for command in (("status",), ("list",), ("trash", "list"), ("evict",), ("prefetch", "build-1"), ("sync",)):
        said = reader.mountfs(*command)
        assert said.returncode == 0, (command, said)
    assert (reader.path / "build-1/report.xml").read_bytes() == b"report.xml"
