"""The Python API where a name is a trap: devices, symlinks on the way, and values that are no JSON.

Each test of `store` runs twice: with nothing mounted, and against a real mount.
"""

import hashlib
import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mountfs import errors
from mountfs.api import ArtifactStore, open_store
from mountfs.api.pieces import umask
from mountfs.cli.output import print_json
from tests.mounting import Mounted


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    directory = tmp_path_factory.mktemp("safety")
    mounted = Mounted(directory / "mnt", directory / "state")
    mounted.start()
    try:
        yield mounted
    finally:
        mounted.stop()


@pytest.fixture(params=["direct", "mounted"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ArtifactStore]:
    if request.param == "direct":
        opened = open_store({"mountpoint": str(tmp_path / "mnt"), "state": str(tmp_path / "state")})
    else:
        opened = open_store(mount=request.getfixturevalue("ground").path)
    with opened:
        yield opened


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    return "j-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]


# -- copying out ------------------------------------------------------------------------------------------


def test_what_is_saved_to_a_fifo_is_written_into_it(store: ArtifactStore, job: str, tmp_path: Path) -> None:
    """So is what goes to a device, whatever its name: `get KEY -o /dev/null` once replaced it by a file."""
    store.put(f"{job}/a", b"content")
    fifo, link, heard = tmp_path / "fifo", tmp_path / "link", []
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    for target in (fifo, link):
        reader = threading.Thread(target=lambda: heard.append(fifo.read_bytes()), daemon=True)
        reader.start()
        store.save(f"{job}/a", target)
        reader.join(10)
    assert heard == [b"content"] * 2
    assert stat.S_ISFIFO(fifo.lstat().st_mode)
    assert link.is_symlink()


def test_a_symlink_to_a_file_is_replaced_and_the_file_is_left(store: ArtifactStore, job: str, tmp_path: Path) -> None:
    store.put(f"{job}/a", b"content")
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "out").symlink_to("mine")
    store.save(f"{job}/a", tmp_path / "out")
    assert ((tmp_path / "mine").read_text(), (tmp_path / "out").read_bytes()) == ("mine", b"content")
    assert not (tmp_path / "out").is_symlink()


def test_a_directory_is_not_saved_through_a_symlink(store: ArtifactStore, job: str, tmp_path: Path) -> None:
    store.put(f"{job}/sub/a", b"a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.NotADirectory, match="out/sub is in the way"):
        store.save(job, tmp_path / "out")
    assert os.listdir(tmp_path / "elsewhere") == []
    (tmp_path / "out" / "sub").unlink()
    (tmp_path / "out" / "sub").write_text("mine")
    with pytest.raises(errors.NotADirectory, match="out/sub is in the way"):
        store.save(job, tmp_path / "out")


def test_what_is_no_file_stays_where_a_tree_is_saved(store: ArtifactStore, job: str, tmp_path: Path) -> None:
    store.put(f"{job}/a", b"a")
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / "a")
    with pytest.raises(errors.AlreadyExists, match="out/a is a device, socket or FIFO"):
        store.save(job, tmp_path / "out")
    (tmp_path / "out" / "a").unlink()
    (tmp_path / "out" / "a").mkdir()
    with pytest.raises(errors.IsADirectory, match="out/a is a directory"):
        store.save(job, tmp_path / "out")


def test_saved_directories_have_the_stored_mode_within_the_umask(ground: Mounted, job: str, tmp_path: Path) -> None:
    (ground.path / job / "sub").mkdir(parents=True)
    (ground.path / job / "sub").chmod(0o7777)
    (ground.path / job).chmod(0o750)
    with open_store(mount=ground.path) as store:
        store.save(job, tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750 & ~umask()
    assert stat.S_IMODE((tmp_path / "out" / "sub").stat().st_mode) == 0o777 & ~umask()


def test_a_missing_directory_is_named_and_what_to_do(store: ArtifactStore, job: str, tmp_path: Path) -> None:
    store.put(f"{job}/a", b"a")
    with pytest.raises(errors.EnvironmentProblem, match=r"no directory .*/no: make it first"):
        store.save(f"{job}/a", tmp_path / "no" / "such")


# -- symlinks inside the store ----------------------------------------------------------------------------


@pytest.fixture
def outside(ground: Mounted, job: str, tmp_path: Path) -> Path:
    """A directory of the user's, which a symlink in the mount leads to."""
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (ground.path / job).mkdir()
    (ground.path / job / "ld").symlink_to(tmp_path / "outside")
    (ground.path / job / "file").write_text("")
    return tmp_path / "outside"


def test_nothing_is_put_through_a_symlink(ground: Mounted, job: str, outside: Path) -> None:
    with open_store(mount=ground.path) as store:
        for key in ("ld/x", "ld/deep/x", "ld/new/x", "file/x", "file/new/x"):
            with pytest.raises(errors.NotADirectory):
                store.put(f"{job}/{key}", b"x")
    assert [path.name for path in outside.rglob("*")] == ["deep"]


def test_nothing_is_tagged_through_a_symlink(ground: Mounted, job: str, outside: Path) -> None:
    os.setxattr(outside / "deep", "user.branch", b"main")
    with open_store(mount=ground.path) as store:
        with pytest.raises(errors.NotADirectory):
            store.tag(f"{job}/ld/deep", branch="other")
        with pytest.raises(errors.NotADirectory):
            store.untag(f"{job}/ld/deep", "branch")
    assert os.getxattr(outside / "deep", "user.branch") == b"main"


def test_a_symlink_takes_no_tags_on_either_route(tmp_path: Path) -> None:
    mounted = Mounted(tmp_path / "mnt", tmp_path / "state")
    mounted.start()
    try:
        (tmp_path / "mnt" / "J").mkdir()
        (tmp_path / "mnt" / "J" / "link").symlink_to("a")
        with open_store(mount=tmp_path / "mnt") as store:
            said = [_refusal(store)]
    finally:
        mounted.stop()
    with open_store({"mountpoint": str(tmp_path / "mnt"), "state": str(tmp_path / "state")}) as store:
        said.append(_refusal(store))
    assert said == ["J/link is a symlink, which takes no tags: tag what it points to"] * 2


def _refusal(store: ArtifactStore) -> str:
    with pytest.raises(errors.Protected):
        store.untag("J/link", "branch")
    with pytest.raises(errors.Protected) as refused:
        store.tag("J/link", branch="main")
    return str(refused.value)


# -- metadata ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"], ids=["nan", "inf", "surrogate"])
def test_metadata_that_json_cannot_say_is_refused(store: ArtifactStore, job: str, value: object) -> None:
    with pytest.raises(errors.InvalidArgument, match="not JSON"):
        store.put(f"{job}/a", b"", metadata={"of": [value]})
    assert not store.exists(f"{job}/a")


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", '"\\ud800"'])
def test_the_fact_metadata_refuses_what_is_no_json(ground: Mounted, job: str, text: str) -> None:
    (ground.path / job).mkdir()
    with pytest.raises(OSError, match="Invalid argument"):
        os.setxattr(ground.path / job, "user.mountfs.metadata", f'{{"of": {text}}}'.encode())
    os.setxattr(ground.path / job, "user.mountfs.metadata", '{"of": "ü😀", "\\ud83d\\ude00": 1e99}'.encode())


def test_what_is_printed_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"value": float("nan")})
    print_json({"value": 1.5})
    assert json.loads(capsys.readouterr().out)["value"] == 1.5
