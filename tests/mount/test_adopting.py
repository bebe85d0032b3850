"""`mount --adopt` beside programs that go on writing: what they write is never what is removed."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mountfs import errors
from mountfs.api import open_store
from mountfs.config import Settings
from mountfs.daemon import adopt as adopting
from mountfs.daemon.adopt import adopt
from mountfs.daemon.service import Service, service_of
from tests.deep import CONTENT, deep_key, make_deep

Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def service(tmp_path_for_depth: Path) -> Service:
    tmp_path = tmp_path_for_depth
    job = tmp_path / "mnt" / "J"
    (job / "sub").mkdir(parents=True)
    (job / "a.log").write_text("first")
    (job / "sub" / "b.txt").write_text("b")
    (job / "link").symlink_to("a.log")
    return service_of(
        Settings(), mountpoint=tmp_path / "mnt", state=tmp_path / "state", allow_other=False, auto_unmount=False
    )


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Do something when everything is in the store and nothing is removed yet."""
    finish = adopting._Importing.finish

    def install(action: Callable[[], object]) -> None:
        def finish_then_act(importing: adopting._Importing) -> None:
            finish(importing)
            action()
            monkeypatch.setattr(adopting._Importing, "finish", finish)

        monkeypatch.setattr(adopting._Importing, "finish", finish_then_act)

    return install


def _stored(service: Service, key: str) -> bytes:
    with open_store({"mountpoint": str(service.mountpoint), "state": str(service.state)}) as store:
        return store.get(key)


def _files_in(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir())


def test_what_is_written_while_adopting_stays_and_the_next_attempt_takes_it(
    service: Service, meanwhile: Meanwhile
) -> None:
    job = service.mountpoint / "J"

    def write() -> None:
        (job / "sub" / "new").write_text("new")
        (service.mountpoint / "K").mkdir()
        (service.mountpoint / "K" / "other").write_text("other")

    meanwhile(write)
    with pytest.raises(errors.NotEmpty, match=r"J/sub/new.*run the same command again"):
        adopt(service)
    assert _files_in(service.mountpoint) == ["J/sub/new", "K/other"]
    assert _stored(service, "J/a.log") == b"first"
    adopt(service)
    assert os.listdir(service.mountpoint) == []
    assert (_stored(service, "J/sub/new"), _stored(service, "K/other")) == (b"new", b"other")
    assert _stored(service, "J/sub/b.txt") == b"b"


def test_a_file_that_changed_since_it_was_read_stays_and_is_taken_again(service: Service, meanwhile: Meanwhile) -> None:
    """The same size and the old times do not hide it: ctime cannot be set."""
    file, link = service.mountpoint / "J" / "a.log", service.mountpoint / "J" / "link"

    def write() -> None:
        before = file.stat()
        file.write_text("again")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        link.unlink()
        link.symlink_to("sub/b.txt")

    meanwhile(write)
    with pytest.raises(errors.NotEmpty, match=r"J/a\.log, .*J/link stayed"):
        adopt(service)
    assert _files_in(service.mountpoint) == ["J/a.log", "J/link"]
    adopt(service)
    assert os.listdir(service.mountpoint) == []
    assert (_stored(service, "J/a.log"), _stored(service, "J/link")) == (b"again", b"b")


def test_what_the_store_had_before_is_not_given_up_for_a_file_that_changed(
    service: Service, meanwhile: Meanwhile
) -> None:
    with open_store({"mountpoint": str(service.mountpoint), "state": str(service.state)}) as store:
        store.put("J/a.log", b"first")
    file = service.mountpoint / "J" / "a.log"
    meanwhile(lambda: file.write_text("grown"))
    with pytest.raises(errors.NotEmpty):
        adopt(service)
    with pytest.raises(errors.AlreadyExists, match="move it away"):
        adopt(service)
    assert (_stored(service, "J/a.log"), file.read_text()) == (b"first", "grown")


def test_many_files_that_stay_are_counted(service: Service, meanwhile: Meanwhile) -> None:
    meanwhile(lambda: [(service.mountpoint / "J" / f"n{n}").write_text("") for n in range(9)])
    with pytest.raises(errors.NotEmpty, match=r"J/n0, .*J/n1, .*J/n2 and 6 more stayed"):
        adopt(service)


def test_what_vanished_meanwhile_is_no_error(service: Service, meanwhile: Meanwhile) -> None:
    meanwhile((service.mountpoint / "J" / "a.log").unlink)
    assert adopt(service).files == 2
    assert _stored(service, "J/a.log") == b"first"


def test_a_directory_2000_levels_deep_is_adopted(service: Service) -> None:
    deep = service.mountpoint / "J" / "deep"
    levels = (4095 - len(os.fsencode(deep)) - len("/log")) // len("/d")  # a path that a program may still name
    make_deep(deep, levels=levels)
    assert adopt(service).files == 3
    assert os.listdir(service.mountpoint) == []
    assert _stored(service, deep_key("J/deep", levels=levels)) == CONTENT
