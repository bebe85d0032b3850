"""Layouts: the part `{type}` of a path says the type of what lies there, wherever somebody asks for it (DESIGN §6)."""

import os
from pathlib import Path

import pytest

from mountfs.api import open_store
from tests.mount.conftest import MountFactory
from tests.mount.test_cleanup import mountfs
from tests.mounting import Mounted
from tests.written import answered, junit

pytestmark = pytest.mark.mountfs_only

LAYOUTS = {"layouts": ["{spec}/{task}/{type}"], "types": {"deal-memo": ["memo"]}}
PLACES = {
    "login/t1/coverage/index.txt": "coverage-report",
    "login/t1/perf": "performance-metrics",  # an alias
    "login/t1/memo/a.xml": "deal-memo",  # of the settings
    "login/t1/coverage/build.log": "coverage-report",  # the place goes before the name
    "login/t1/else/build.log": "build-logs",  # no type: the name says it
    "login/t1/else/data": "custom",
    "build.log": "build-logs",  # not so deep
}


def fill(job: Path) -> None:
    for path in PLACES:
        (job / path).parent.mkdir(parents=True, exist_ok=True)
        (job / path).write_text(path)


def test_the_place_says_the_type_to_whoever_asks(mounted: MountFactory) -> None:
    mount = mounted(LAYOUTS)
    fill(mount.path / "J")
    told = {path: os.getxattr(mount.path / "J" / path, b"user.mountfs.type").decode() for path in PLACES}
    assert told == PLACES
    with open_store(mount=mount.path) as store:
        assert {artifact.path: artifact.type for artifact in store.list("J")} == PLACES
    listed = mountfs(mount, "list", "--type", "coverage-report", "--paths").splitlines()
    assert sorted(listed) == [f"{mount.path}/J/login/t1/coverage/{name}" for name in ("build.log", "index.txt")]
    by_type = mount.path / ".by-type"
    assert sorted(os.listdir(by_type)) == sorted(set(PLACES.values()))
    assert os.listdir(by_type / "performance-metrics" / "J" / "login" / "t1") == ["perf"]


def test_what_is_said_explicitly_wins_and_a_format_is_asked_last(mounted: MountFactory) -> None:
    mount = mounted(LAYOUTS)
    task = mount.path / "J" / "login" / "t1"
    for kind in ("perf", "else"):
        (task / kind).mkdir(parents=True)
        (task / kind / "out.xml").write_bytes(junit(a="P"))
        answered(task / kind / "out.xml")
    (task / "perf" / "said.xml").write_bytes(junit(a="P", b="P"))
    os.setxattr(task / "perf" / "said.xml", b"user.mountfs.type", b"diff")
    with open_store(mount=mount.path) as store:
        assert {artifact.path.removeprefix("login/t1/"): artifact.type for artifact in store.list("J")} == {
            "perf/out.xml": "performance-metrics", "else/out.xml": "test-results", "perf/said.xml": "diff",
        }  # fmt: skip


def test_another_layout_holds_for_what_was_there_before_it(mounted: MountFactory) -> None:
    first = mounted()
    fill(first.path / "J")
    assert mountfs(first, "list", "--type", "performance-metrics", "--paths") == f"{first.path}/J/login/t1/perf\n"
    first.stop()
    second = mounted({"layouts": ["{type}"], "types": {"login": []}}, state=first.state)
    assert len(mountfs(second, "list", "--type", "login", "--paths").splitlines()) == len(PLACES) - 1


def test_where_nothing_is_mounted_the_place_says_it_too(tmp_path: Path) -> None:
    store = Mounted(tmp_path / "mnt", tmp_path / "state", settings=LAYOUTS)
    store.command()  # writes the settings
    mountfs(store, "put", "J/login/t1/coverage/index.txt", str(Path(__file__)))
    listed = mountfs(store, "list", "--type", "coverage-report")
    assert listed.split("\t")[:2] == ["J/login/t1/coverage/index.txt", "coverage-report"]
