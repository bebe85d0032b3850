"""The Python API, on both of its routes: what a program stores, it gets back; what it may not do, it hears why.

Each test of `store` runs twice: with nothing mounted, and against a real mount.
"""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

import mountfs
from mountfs import aio, errors
from mountfs.api import ArtifactStore, open_store
from mountfs.api.direct import DirectStore
from mountfs.api.mounted import MountedStore
from mountfs.api.shared import SharedStore
from mountfs.config import load_settings
from mountfs.statedir import StateDirectory
from tests.mounting import Mounted

LINES = b"".join(b"line %d of a log\n" % number for number in range(20_000))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    directory = tmp_path_factory.mktemp("api")
    mounted = Mounted(directory / "mnt", directory / "state", settings={"types": {"deal-memo": ["memo"]}})
    mounted.start()
    try:
        yield mounted
    finally:
        mounted.stop()


@pytest.fixture
def direct(tmp_path: Path) -> dict[str, object]:
    """Settings of a store that nobody mounts."""
    return {
        "mountpoint": str(tmp_path / "mnt"),
        "state": str(tmp_path / "state"),
        "types": {"deal-memo": ["memo"]},
    }


@pytest.fixture(params=["direct", "mounted"])
def store(request: pytest.FixtureRequest) -> Iterator[ArtifactStore]:
    if request.param == "direct":
        opened = open_store(request.getfixturevalue("direct"))
    else:
        opened = open_store(mount=request.getfixturevalue("ground").path)
    with opened:
        yield opened


@pytest.fixture
def job(request: pytest.FixtureRequest) -> str:
    """A job of the test's own: those of one module share the mount."""
    return "j-" + hashlib.sha256(request.node.name.encode()).hexdigest()[:12]


# -- storing and reading ----------------------------------------------------------------------------------


def test_bytes_that_were_put_are_what_get_returns(store: ArtifactStore, job: str) -> None:
    """F-001, F-003, F-023: put returns the facts."""
    artifact = store.put(f"{job}/build.log", LINES)
    assert store.get(f"{job}/build.log") == LINES
    assert artifact.sha256 == hashlib.sha256(LINES).hexdigest()
    assert (artifact.size, artifact.type, artifact.compressed) == (len(LINES), "build-logs", True)
    assert 0 < artifact.stored_size < len(LINES) / 5
    assert artifact.uri == f"file://{store.mountpoint}/{job}/build.log"


def test_a_file_like_object_is_read_from_where_it_stands(store: ArtifactStore, job: str) -> None:
    """F-002."""
    source = io.BytesIO(LINES)
    source.seek(100)
    store.put(f"{job}/build.log", source)
    assert store.get(f"{job}/build.log") == LINES[100:]


def test_a_large_file_is_streamed_from_its_path_with_its_mode(store: ArtifactStore, job: str, tmp_path: Path) -> None:
    """F-028: 12 MB that do not compress."""
    source = tmp_path / "video.bin"
    source.write_bytes(os.urandom(12_000_000))
    source.chmod(0o750)
    artifact = store.put(f"{job}/video.bin", source)
    assert artifact.codec == "none"  # F-049
    target = tmp_path / "copy"
    assert store.save(f"{job}/video.bin", target) == 1
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o750


def test_open_gives_a_seekable_file(store: ArtifactStore, job: str) -> None:
    """F-004: random access without reading what lies before."""
    data = LINES * 20
    store.put(f"{job}/build.log", data)
    with store.open(f"{job}/build.log") as content:
        assert content.seek(5_000_000) == 5_000_000
        assert content.read(1000) == data[5_000_000:5_001_000]
        assert content.seek(-10, os.SEEK_END) == len(data) - 10
        assert content.read() == data[-10:]
        assert content.tell() == len(data)


def test_nothing_is_an_artifact_too(store: ArtifactStore, job: str) -> None:
    """F-030."""
    artifact = store.put(f"{job}/empty", b"")
    assert (artifact.size, store.get(f"{job}/empty")) == (0, b"")
    assert artifact.sha256 == hashlib.sha256(b"").hexdigest()


def test_exists_says_whether_there_is_something(store: ArtifactStore, job: str) -> None:
    """F-005."""
    store.put(f"{job}/deep/er/a.txt", b"a")  # F-012: parents are made
    assert store.exists(f"{job}/deep/er/a.txt")
    assert store.exists(f"{job}/deep")
    assert not store.exists(f"{job}/deep/other")
    assert not store.exists(f"{job}/deep/er/a.txt/below")


def test_delete_says_whether_it_existed(store: ArtifactStore, job: str) -> None:
    """F-006."""
    store.put(f"{job}/a.txt", b"a")
    assert store.delete(f"{job}/a.txt")
    assert not store.delete(f"{job}/a.txt")
    with pytest.raises(errors.NotFound, match="not found"):
        store.get(f"{job}/a.txt")


def test_deleting_a_job_takes_everything_below_it(store: ArtifactStore, job: str) -> None:
    for name in ("a", "b/c", "b/d/e"):
        store.put(f"{job}/{name}", name.encode())
    assert store.delete(job)
    assert list(store.list(job)) == []
    assert not store.exists(job)


def test_putting_again_replaces_content_and_tags(store: ArtifactStore, job: str) -> None:
    store.put(f"{job}/a.txt", LINES, tags={"old": "1"})
    again = store.put(f"{job}/a.txt", b"new")
    assert (store.get(f"{job}/a.txt"), again.tags) == (b"new", {})


def test_a_source_that_fails_halfway_leaves_what_was_there(store: ArtifactStore, job: str) -> None:
    class Broken(io.RawIOBase):
        def __init__(self) -> None:
            self._pieces = [b"half", None]

        def read(self, size: int = -1) -> bytes | None:
            piece = self._pieces.pop(0)
            if piece is None:
                raise OSError(5, "Input/output error")
            return piece

    store.put(f"{job}/a.txt", b"whole")
    with pytest.raises(errors.MountfsError, match="the source cannot be read"):
        store.put(f"{job}/a.txt", Broken())  # type: ignore[arg-type]
    assert store.get(f"{job}/a.txt") == b"whole"
    assert [a.key for a in store.list(job)] == [f"{job}/a.txt"]


def test_text_mode_is_refused(store: ArtifactStore, job: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="text mode"):
        store.put(f"{job}/a.txt", io.StringIO("text"))  # type: ignore[arg-type]


# -- listing ----------------------------------------------------------------------------------------------


def test_list_walks_below_a_prefix(store: ArtifactStore, job: str) -> None:
    """F-007: recursive or not."""
    for name in ("a.txt", "cov/index.html", "cov/sub/b.html"):
        store.put(f"{job}/{name}", b"x")
    assert [a.path for a in store.list(job)] == ["a.txt", "cov/index.html", "cov/sub/b.html"]
    assert [a.path for a in store.list(f"{job}/cov", recursive=False)] == ["cov/index.html"]
    assert [a.path for a in store.list(f"{job}/co")] == ["cov/index.html", "cov/sub/b.html"]
    assert list(store.list(f"{job}/nothing")) == []


def test_a_name_that_exists_is_not_a_prefix_of_longer_ones(store: ArtifactStore, job: str) -> None:
    store.put(f"{job}/run-1/a", b"")
    store.put(f"{job}/run-10/a", b"")
    assert [a.path for a in store.list(f"{job}/run-1")] == ["run-1/a"]
    assert [a.path for a in store.list(f"{job}/run")] == ["run-1/a", "run-10/a"]


def test_list_ends_at_a_hundred_unless_told_otherwise(store: ArtifactStore, job: str) -> None:
    """F-008."""
    for number in range(103):
        store.put(f"{job}/{number:03}", b"")
    assert len(list(store.list(job))) == 100
    assert len(list(store.list(job, limit=7))) == 7
    assert len(list(store.list(job, limit=None))) == 103


def test_all_metadata_comes_without_the_data(store: ArtifactStore, job: str) -> None:
    """F-010, F-085, F-086."""
    store.put(
        f"{job}/report.bin",
        LINES,
        type="coverage",
        mime_type="application/x-report",
        metadata={"runs": 3, "of": ["a", "ü"]},
        expires="+30d",
        tags={"branch": "main", "pr": 12, "label": ""},
    )
    found = store.metadata(f"{job}/report.bin")
    assert (found.type, found.mime_type) == ("coverage-report", "application/x-report")
    assert found.metadata == {"runs": 3, "of": ["a", "ü"]}
    assert found.tags == {"branch": "main", "pr": "12", "label": ""}
    assert found.expires_at is not None
    assert found.expires_at > found.created_at
    assert (found.job, found.path, found.state, found.version) == (job, "report.bin", "local", 1)
    assert store.get_size(f"{job}/report.bin") == len(LINES)  # F-009


def test_types_of_the_settings_are_known(store: ArtifactStore, job: str) -> None:
    """F-043."""
    assert store.put(f"{job}/x", b"", type="memo").type == "deal-memo"
    assert store.put(f"{job}/memo.txt", b"").type == "deal-memo"
    with pytest.raises(errors.InvalidName, match="is not a type; known: "):
        store.put(f"{job}/y", b"", type="nonsense")


def test_tags_of_a_directory_hold_below_it(store: ArtifactStore, job: str) -> None:
    """F-089, F-090."""
    store.put(f"{job}/a/b.txt", b"")
    store.tag(job, branch="main", env="ci")
    store.tag(f"{job}/a/b.txt", env="prod")
    assert store.metadata(f"{job}/a/b.txt").tags == {"branch": "main", "env": "prod"}
    store.untag(f"{job}/a/b.txt", "env")
    assert store.metadata(f"{job}/a/b.txt").tags == {"branch": "main", "env": "ci"}
    with pytest.raises(errors.TagNotFound):
        store.untag(f"{job}/a/b.txt", "env")


def test_stats_count_what_is_there(store: ArtifactStore, job: str) -> None:
    """F-011, F-061."""
    before = store.stats()
    store.put(f"{job}/stats.log", LINES + job.encode())
    after = store.stats()
    assert int(str(after["artifacts"])) == int(str(before["artifacts"])) + 1
    assert int(str(after["size_bytes"])) - int(str(before["size_bytes"])) == len(LINES) + len(job)
    grown = int(str(after["stored_bytes"])) - int(str(before["stored_bytes"]))
    assert grown == store.metadata(f"{job}/stats.log").stored_size
    assert store.compression_stats()["build-logs"]["compressed"] >= 1


def test_the_size_that_will_be_stored_can_be_estimated(store: ArtifactStore, job: str) -> None:
    """F-050."""
    estimate = store.estimate_compressed_size(LINES)
    assert estimate == store.put(f"{job}/a.log", LINES).stored_size


def test_integrity_can_be_verified(store: ArtifactStore, job: str) -> None:
    """F-053."""
    store.put(f"{job}/a.log", LINES)
    assert store.verify_integrity(f"{job}/a.log")
    assert store.verify_integrity(f"{job}/a.log", LINES)
    assert not store.verify_integrity(f"{job}/a.log", LINES + b"!")


# -- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key", ["J/../x", "../x", "J/a\0b", "", "/etc/passwd", "s3://bucket/J/x", "file:///etc/x", "J"]
)
def test_a_key_that_leads_elsewhere_is_refused(store: ArtifactStore, key: str) -> None:
    """F-019, F-020."""
    with pytest.raises(errors.InvalidName):
        store.put(key, b"x")


def test_a_name_of_256_bytes_is_too_long(store: ArtifactStore, job: str) -> None:
    with pytest.raises(errors.NameTooLong):
        store.put(f"{job}/{'x' * 256}", b"")
    assert store.put(f"{job}/{'x' * 255}", b"").size == 0


def test_names_that_begin_with_a_dot_belong_to_views(store: ArtifactStore) -> None:
    with pytest.raises(errors.Protected, match="reserved for views"):
        store.put(".latest/x", b"")


def test_uris_and_paths_inside_the_mount_are_keys(store: ArtifactStore, job: str) -> None:
    """F-020, F-021, F-022."""
    artifact = store.put(f"{job}/with space/ü.txt", b"x")
    assert store.get(artifact.uri) == b"x"
    assert store.get(store.mountpoint / job / "with space" / "ü.txt") == b"x"
    assert store.get(f"{job}//with space/./ü.txt") == b"x"
    assert store.url(artifact.key) == artifact.uri


def test_names_that_are_no_text_survive(store: ArtifactStore, job: str) -> None:
    key = f"{job}/" + os.fsdecode(b"caf\xe9.txt")
    store.put(key, b"x")
    assert [a.key for a in store.list(job)] == [key]
    assert store.get(key) == b"x"


def test_a_directory_is_no_artifact(store: ArtifactStore, job: str) -> None:
    store.put(f"{job}/a/b", b"x")
    with pytest.raises(errors.IsADirectory):
        store.get(f"{job}/a")
    with pytest.raises(errors.IsADirectory):
        store.put(f"{job}/a", b"x")
    with pytest.raises(errors.NotADirectory):
        store.put(f"{job}/a/b/c", b"x")
    assert store.metadata(f"{job}/a").kind == "directory"


def test_too_many_or_too_large_tags_are_refused_before_anything_is_stored(store: ArtifactStore, job: str) -> None:
    with pytest.raises(errors.TagTooLarge):
        store.put(f"{job}/a", b"", tags={f"k{n}": "" for n in range(65)})
    with pytest.raises(errors.TagTooLarge):
        store.put(f"{job}/a", b"", tags={"k": "x" * 2048})
    with pytest.raises(errors.InvalidName):
        store.put(f"{job}/a", b"", tags={"Not A Key": ""})
    with pytest.raises(errors.InvalidArgument):
        store.put(f"{job}/a", b"", expires="soon")
    assert not store.exists(job)


# -- symlinks ---------------------------------------------------------------------------------------------


def test_symlinks_inside_the_store_are_followed_and_others_are_not(ground: Mounted, job: str) -> None:
    """Artifacts may be a stranger's: a link to a file of the reader's machine is not an artifact."""
    directory = ground.path / job
    (directory / "run").mkdir(parents=True)
    (directory / "run" / "a.txt").write_text("inside")
    (directory / "latest").symlink_to("run")
    (directory / "absolute").symlink_to(directory / "run" / "a.txt")
    (directory / "out").symlink_to("/etc/hostname")
    (directory / "up").symlink_to("../../../etc/hostname")
    (directory / "loop").symlink_to("loop")
    with open_store(mount=ground.path) as store:
        assert store.get(f"{job}/latest/a.txt") == store.get(f"{job}/absolute") == b"inside"
        assert store.metadata(f"{job}/out").kind == "symlink"
        for name in ("out", "up"):
            with pytest.raises(errors.NotFound, match="leads out"):
                store.get(f"{job}/{name}")
        with pytest.raises(errors.InvalidArgument, match="symlinks"):
            store.get(f"{job}/loop")


def test_a_directory_is_saved_with_all_below_it(store: ArtifactStore, job: str, tmp_path: Path) -> None:
    """F-186."""
    for name in ("a.txt", "cov/index.html"):
        store.put(f"{job}/{name}", name.encode())
    assert store.save(job, tmp_path / "out") == 2
    assert (tmp_path / "out" / "cov" / "index.html").read_text() == "cov/index.html"
    with pytest.raises(errors.EnvironmentProblem):
        store.save(job, tmp_path / "no" / "where")


# -- routes -----------------------------------------------------------------------------------------------


def test_a_path_is_the_file_inside_the_mount(ground: Mounted, job: str) -> None:
    """F-016, F-015: what writes to that path stores an artifact."""
    with open_store(mount=ground.path) as store:
        store.put(f"{job}/a.txt", b"a")
        assert store.path(f"{job}/a.txt").read_bytes() == b"a"
        store.path(f"{job}/b.txt").write_bytes(b"b")
        assert store.get(f"{job}/b.txt") == b"b"
        assert store.metadata(f"{job}/b.txt").sha256 == hashlib.sha256(b"b").hexdigest()


def test_without_a_mount_there_is_no_path(direct: dict[str, object]) -> None:
    with open_store(direct) as store, pytest.raises(errors.NotMounted):
        store.path("J/a.txt")


def test_the_route_follows_what_is_mounted(direct: dict[str, object], ground: Mounted) -> None:
    with open_store(direct) as store:
        assert isinstance(store, DirectStore)
    with open_store(direct, read_only=True) as store:
        assert isinstance(store, SharedStore)
    with open_store(mount=ground.path) as store:
        assert isinstance(store, MountedStore)
    with open_store(state=ground.state) as store:
        assert isinstance(store, MountedStore)
        assert store.mountpoint == ground.path


def test_settings_come_as_an_object_a_mapping_or_a_file(direct: dict[str, object], tmp_path: Path) -> None:
    """F-182."""
    file = tmp_path / "mountfs.json"
    file.write_text(json.dumps({"state": direct["state"], "mountpoint": direct["mountpoint"]}))
    loaded = load_settings(direct, environ={"HOME": str(tmp_path)}, cwd=tmp_path).settings
    with open_store(direct) as store:
        store.put("J/a", b"a")
    for config in (loaded, file, str(file)):
        with open_store(config) as store:
            assert store.get("J/a") == b"a"


def test_a_limit_of_the_settings_holds(direct: dict[str, object]) -> None:
    with open_store({**direct, "limits": {"max_artifact_size": "1 KiB"}}) as store:
        with pytest.raises(errors.ArtifactTooLarge, match=r"^J/a: 1025 bytes exceeds limit of 1024"):
            store.put("J/a", b"x" * 1025)
        assert list(store.list()) == []


def test_compression_can_be_switched_off_and_chosen_by_type(direct: dict[str, object]) -> None:
    """F-047, F-048."""
    with open_store({**direct, "compression": {"enabled": False}}) as store:
        assert store.put("J/a.log", LINES).codec == "none"
    chosen = {**direct, "compression": {"algorithm": "none", "types": {"build-logs": 19}}}
    with open_store(chosen) as store:
        assert store.put("J/b.log", LINES + b"b").codec == "zstd"
        assert store.put("J/b.txt", LINES + b"t").codec == "none"


def test_readers_share_a_store_that_another_process_holds(direct: dict[str, object]) -> None:
    with open_store(direct) as writer:
        writer.put("J/small", b"small")
        writer.put("J/large", os.urandom(100_000))
        with open_store(direct, read_only=True) as first, open_store(direct, read_only=True) as second:
            assert first.get("J/small") == second.get("J/small") == b"small"
            assert len(first.get("J/large")) == 100_000
            with pytest.raises(errors.Protected):
                first.put("J/x", b"")


def test_there_is_nothing_to_read_where_no_store_is(direct: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(errors.NotMounted, match="there is no store"):
        open_store(direct, read_only=True)
    assert not (tmp_path / "state").exists()


HOLDER = """
import sys
from mountfs.api import open_store
store = open_store(state=sys.argv[1], mount=sys.argv[2])
store.put("J/a", b"a" * 1000)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(direct: dict[str, object]) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the store of `direct`."""
    arguments = [sys.executable, "-c", HOLDER, str(direct["state"]), str(direct["mountpoint"])]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_two_writers_never_hold_one_store(
    direct: dict[str, object], holder: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mountfs.api.LOCK_SECONDS", 0.1)
    with pytest.raises(errors.AlreadyMounted, match=str(holder.pid)):
        open_store(direct)


def test_what_a_killed_holder_stored_is_read_without_repair(
    direct: dict[str, object], holder: subprocess.Popen[bytes]
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert StateDirectory(Path(str(direct["state"]))).holder() is None
    with open_store(direct, read_only=True) as store:
        assert store.get("J/a") == b"a" * 1000


def test_a_store_of_another_user_is_not_opened(direct: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(direct).close()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(errors.EnvironmentProblem, match="another user"):
        open_store(direct)


# -- damage -----------------------------------------------------------------------------------------------


def _damage(state: Path) -> None:
    file = next(path for path in (state / "contents").rglob("*") if path.is_file())
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    file.chmod(0o600)
    file.write_bytes(raw)


def test_a_damaged_content_is_an_error_and_not_wrong_bytes(direct: dict[str, object]) -> None:
    """F-054."""
    with open_store(direct) as store:
        store.put("J/a.bin", os.urandom(300_000))
        store.put("J/b.bin", b"sound")
        _damage(store.state)
        with pytest.raises(errors.CorruptContent, match=r"J/a\.bin.*integrity check"):
            store.get("J/a.bin")
        assert not store.verify_integrity("J/a.bin")
        assert store.get("J/b.bin") == b"sound"


def test_a_damaged_content_is_an_error_through_the_mount_and_shown(tmp_path: Path) -> None:
    """F-054: EIO for that artifact alone, and `damaged` among its facts."""
    mounted = Mounted(tmp_path / "mnt", tmp_path / "state")
    mounted.start()
    try:
        with open_store(mount=mounted.path) as store:
            store.put("J/a.bin", os.urandom(300_000))
            _damage(store.state)
            with pytest.raises(errors.CorruptContent, match=r"J/a\.bin.*integrity check"):
                store.get("J/a.bin")
            assert store.metadata("J/a.bin").damaged
    finally:
        mounted.stop()
    assert any("integrity check" in line for line in mounted.complaints())


def test_the_sentence_of_the_daemon_reaches_the_caller(tmp_path: Path) -> None:
    """F-151: EFBIG alone does not say which limit."""
    mounted = Mounted(tmp_path / "mnt", tmp_path / "state", settings={"limits": {"max_artifact_size": "1 KiB"}})
    mounted.start()
    try:
        with (
            open_store(mount=mounted.path) as store,
            pytest.raises(errors.ArtifactTooLarge, match="exceeds limit of 1024 bytes"),
        ):
            store.put("J/a", b"x" * 1025)
    finally:
        mounted.stop()


# -- async ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _opened(config: dict[str, object]) -> AsyncIterator[aio.AsyncArtifactStore]:
    async with aio.open_store(config) as store:
        yield store


async def _work_through_everything(config: dict[str, object]) -> None:
    async with _opened(config) as store:
        artifact = await store.put("J/a.log", LINES, tags={"branch": "main"})
        assert artifact.sha256 == hashlib.sha256(LINES).hexdigest()
        assert await store.get("J/a.log") == LINES
        assert await store.exists("J/a.log")
        assert await store.get_size("J/a.log") == len(LINES)
        async with await store.open("J/a.log") as content:
            await content.seek(10)
            assert await content.read(5) == LINES[10:15]
        await store.tag("J", env="ci")
        assert (await store.metadata("J/a.log")).tags == {"branch": "main", "env": "ci"}
        await store.untag("J", "env")
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(store.put, f"J/{number}", b"%d" % number)
        assert [a.path async for a in store.list("J")] == ["0", "1", "2", "3", "4", "a.log"]
        assert (await store.stats())["artifacts"] == 6
        assert await store.verify_integrity("J/a.log")
        assert (await store.url("J/a.log")).startswith("file://")
        assert await store.delete("J/a.log")
        with pytest.raises(errors.NotMounted):
            await store.path("J/0")
    reopened = await aio.open_store(config)
    assert await reopened.get("J/3") == b"3"
    await reopened.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_same_store_serves_async_callers(direct: dict[str, object], backend: str) -> None:
    """F-026, F-027."""
    anyio.run(_work_through_everything, direct, backend=backend)


# -- what is imported, and when -----------------------------------------------------------------------------


def test_the_package_gives_its_public_names() -> None:
    names: list[Callable[..., object] | object] = [getattr(mountfs, name) for name in mountfs.__all__]
    assert len(names) == len(mountfs.__all__)
    assert mountfs.open_store is open_store
    assert mountfs.build_key("deal", "documents", "x.pdf", "teasers") == "deal/documents/teasers/x.pdf"  # F-018


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyfuse3", "trio"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
import mountfs
with mountfs.open_store({"state": sys.argv[1], "mountpoint": sys.argv[2]}) as store:
    store.put("J/a", b"x")
    assert store.get("J/a") == b"x"
"""


def test_without_a_mount_neither_pyfuse3_nor_trio_is_needed(direct: dict[str, object]) -> None:
    arguments = [sys.executable, "-c", BLOCKED, str(direct["state"]), str(direct["mountpoint"])]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")


# -- keep and drop ------------------------------------------------------------------------------------------------


def test_cleanup_says_how_many_went_and_leaves_what_is_pinned(store: ArtifactStore) -> None:
    """F-120, F-114."""
    for job in ("kept-1", "kept-2"):
        store.put(f"{job}/a.log", b"log", tags={"team": "cleanup"})
        store.tag(job, team="cleanup")
    assert store.pin("kept-1"), "without a bucket there is nobody to tell"
    assert store.cleanup(tags=["team=cleanup"], dry_run=True) == 1
    assert store.exists("kept-2/a.log")
    assert store.cleanup(tags=["team=cleanup"]) == 1
    assert not store.exists("kept-2")
    with pytest.raises(errors.Protected, match="mountfs unpin kept-1"):
        store.put("kept-1/a.log", b"other")
    store.unpin("kept-1")
    assert store.cleanup(tags=["team=cleanup"], types=["log"]) == 1
    assert [removed.reason for removed in store.removed("kept-1")][:1] == ["expired"]


def test_cleanup_refuses_an_age_that_is_none(store: ArtifactStore) -> None:
    with pytest.raises(errors.InvalidArgument, match="such as 90d"):
        store.cleanup(older_than="90")
