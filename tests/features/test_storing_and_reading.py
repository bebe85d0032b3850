"""Promises F-001 to F-033: how artifacts come in, are found, and go out."""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

import mountfs
from mountfs import aio, errors
from mountfs.api import ArtifactStore, open_store
from tests.features.conftest import Shell
from tests.mounting import Mounted

pytestmark = pytest.mark.usefixtures("unmeasured")

REPORT = json.dumps({f"src/module_{n}.py": {"line_rate": n / 2000, "missing": [n, n + 1]} for n in range(2000)})
LARGE_BYTES = 100_000_000


# -- in and out -------------------------------------------------------------------------------------------


def test_echo_into_a_job_stores_an_artifact(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-001: the directory of the job is made by mkdir, as anywhere."""
    shell(f"mkdir .artifacts/{job}; echo passed > .artifacts/{job}/result")
    assert store.get(f"{job}/result") == b"passed\n"


def test_cp_and_tee_store_what_they_copy(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-002."""
    (shell.directory / "report.json").write_text(REPORT)
    shell(f"mkdir .artifacts/{job}; cp report.json .artifacts/{job}/; tee .artifacts/{job}/teed < report.json")
    assert store.get(f"{job}/report.json") == store.get(f"{job}/teed") == REPORT.encode()


def test_a_stream_without_end_in_sight_is_put_in_pieces(store: ArtifactStore, job: str) -> None:
    """F-002: neither its size nor all of it at once is asked for."""

    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.asked: list[int] = []

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            self.asked.append(size)
            return b"" if len(self.asked) > 12 else b"x" * size

    stream = Stream()
    artifact = store.put(f"{job}/stream", stream)  # type: ignore[arg-type]  # a reader, as programs write them
    assert all(0 < size <= 4 << 20 for size in stream.asked)
    assert artifact.size == sum(stream.asked[:12])


def test_cat_prints_what_was_put(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-003: by path and by key."""
    store.put(f"{job}/deep/report.json", REPORT.encode())
    assert shell(f"cat .artifacts/{job}/deep/report.json") == REPORT
    assert shell(f"mountfs cat {job}/deep/report.json") == REPORT


def test_mountfs_get_copies_an_artifact_to_where_one_stands(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-003."""
    store.put(f"{job}/{job}.json", REPORT.encode())
    shell(f"mountfs get {job}/{job}.json")
    assert (shell.directory / f"{job}.json").read_text() == REPORT


def test_a_reader_of_a_part_does_not_read_the_rest(alone: Shell) -> None:
    """F-004: damage near the end is not met by who reads the beginning."""
    content = os.urandom(5_000_000)
    state = alone.directory / "state"
    with open_store({"state": str(state), "mountpoint": str(alone.directory / "mnt")}) as store:
        store.put("J/video", content)
        [stored] = [path for path in (state / "contents").rglob("*") if path.is_file()]
        stored.chmod(0o600)
        with stored.open("r+b") as file:
            file.seek(-1000, os.SEEK_END)
            byte = file.read(1)[0]
            file.seek(-1000, os.SEEK_END)
            file.write(bytes([byte ^ 1]))
        with store.open("J/video") as video:
            assert video.read(1000) == content[:1000]
            video.seek(2_000_000)
            assert video.read(1000) == content[2_000_000:2_001_000]
            video.seek(-100, os.SEEK_END)
            with pytest.raises(errors.CorruptContent):
                video.read(100)


def test_a_program_seeks_in_a_stored_file(served: Mounted, store: ArtifactStore, job: str) -> None:
    """F-004: on the mount `open` is that of every file."""
    content = os.urandom(3_000_000)
    store.put(f"{job}/video", content)
    with (served.path / job / "video").open("rb") as video:
        video.seek(2_345_678)
        assert video.read(1000) == content[2_345_678:2_346_678]


def test_test_e_and_mountfs_exists_say_whether_it_is_there(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-005."""
    store.put(f"{job}/there", b"")
    shell(f"test -e .artifacts/{job}/there; mountfs exists {job}/there")
    shell(f"test -e .artifacts/{job}/missing", code=1)
    shell(f"mountfs exists {job}/missing", code=3)
    assert store.exists(f"{job}/there")
    assert not store.exists(f"{job}/missing")


def test_rm_removes_an_artifact_from_every_listing(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-006."""
    store.put(f"{job}/a", b"a")
    store.put(f"{job}/b", b"b")
    shell(f"rm .artifacts/{job}/a")
    assert not store.exists(f"{job}/a")
    assert [artifact.path for artifact in store.list(job)] == ["b"]
    assert not store.delete(f"{job}/a")


# -- listing and facts ------------------------------------------------------------------------------------


def test_ls_find_and_list_agree_on_what_is_there(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-007: from the shell, as paths of the command line, and from Python."""
    for name in ("a.txt", "cov/index.html", "cov/sub/b.html"):
        store.put(f"{job}/{name}", b"x")
    assert shell(f"ls .artifacts/{job}").split() == ["a.txt", "cov"]
    found = sorted(shell(f"find $PWD/.artifacts/{job} -type f").split())
    assert sorted(shell(f"mountfs list {job} --paths").split()) == found
    assert sorted(str(store.path(artifact.key)) for artifact in store.list(job)) == found
    assert [artifact.path for artifact in store.list(job, recursive=False)] == ["a.txt"]


def test_mountfs_list_ends_at_a_hundred_and_says_so(alone: Shell) -> None:
    """F-008."""
    with open_store({"mountpoint": str(alone.directory / ".artifacts"), "state": str(alone.directory / "s")}) as store:
        for number in range(101):
            store.put(f"J/{number:03}", b"")
    assert len(alone("mountfs list --state s 2>more").splitlines()) == 100
    assert "more than 100" in (alone.directory / "more").read_text()
    assert len(alone("mountfs list --state s --limit 0").splitlines()) == 101


def test_stat_prints_the_plain_size(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-009: however little of it is stored."""
    store.put(f"{job}/build.log", b"the same line\n" * 50_000)
    assert int(shell(f"stat -c %s .artifacts/{job}/build.log")) == store.get_size(f"{job}/build.log") == 700_000


def test_getfattr_and_show_tell_what_is_known_without_the_data(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-010: facts come when asked for, and are not in a dump of all attributes."""
    store.put(f"{job}/report.json", REPORT.encode(), tags={"branch": "main"})
    file, digest = f".artifacts/{job}/report.json", hashlib.sha256(REPORT.encode()).hexdigest()
    assert shell(f"getfattr --only-values -n user.mountfs.sha256 {file}") == digest
    assert shell(f"getfattr -d -m - {file}").splitlines() == [f"# file: {file}", 'user.branch="main"', ""]
    shown = json.loads(shell(f"mountfs show {job}/report.json --json"))
    assert (shown["sha256"], shown["size"], shown["tags"]) == (digest, len(REPORT), {"branch": "main"})
    assert (shown["job"], shown["path"]) == (job, "report.json")


def test_df_and_mountfs_stats_tell_what_the_store_holds(
    served: Mounted, shell: Shell, store: ArtifactStore, job: str
) -> None:
    """F-011."""
    served.settle()  # nothing of an earlier test comes or goes any more
    before = json.loads(shell("mountfs stats --json"))
    content = os.urandom(3_000_000)
    used_before = int(shell("df --output=used -B1 .artifacts | tail -1"))
    store.put(f"{job}/blob", content)
    store.put(f"{job}/same", content)
    after = json.loads(shell("mountfs stats --json"))
    assert after["artifacts"] - before["artifacts"] == 2
    assert after["size_bytes"] - before["size_bytes"] == 6_000_000
    assert 3_000_000 <= after["stored_bytes"] - before["stored_bytes"] < 3_100_000  # equal contents are stored once
    assert int(shell("df --output=used -B1 .artifacts | tail -1")) > used_before


# -- names ------------------------------------------------------------------------------------------------


def test_missing_directories_are_made_on_the_way(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-012: `mkdir -p` on the mount; the API makes what is missing."""
    shell(f"mkdir -p .artifacts/{job}/a/b/c; echo x > .artifacts/{job}/a/b/c/d")
    store.put(f"{job}/e/f/g", b"x")
    assert shell(f"cd .artifacts/{job}; find . -type f | sort").split() == ["./a/b/c/d", "./e/f/g"]


@pytest.mark.parametrize("said", ["true", "false"])
def test_create_dirs_of_older_settings_is_accepted(alone: Shell, said: str) -> None:
    """F-012."""
    (alone.directory / "mountfs.json").write_text(f'{{"create_dirs": {said}}}')
    assert alone("mountfs config check mountfs.json").endswith(": right\n")


def test_artifacts_are_organised_by_job_and_type(shell: Shell, job: str) -> None:
    """F-013, F-029: several types in each of two jobs, found by either."""
    types = {
        "junit.xml": "test-results",
        "coverage/index.html": "coverage-report",
        "scan.sarif": "security-findings",
        "build.log": "build-logs",
        "change.diff": "diff",
    }
    for one in (job, f"{job}-retry"):
        shell(
            f"mkdir -p .artifacts/{one}/coverage; cd .artifacts/{one}; for f in {' '.join(types)}; do echo > $f; done"
        )
    listed = _listed(shell, f"mountfs list {job}/ --json")
    assert {artifact["path"]: artifact["type"] for artifact in listed} == types
    assert {artifact["job"] for artifact in listed} == {job}
    results = _listed(shell, "mountfs list --type test-results --limit 0 --json")
    assert {f"{job}/junit.xml", f"{job}-retry/junit.xml"} <= {str(artifact["key"]) for artifact in results}


def _listed(shell: Shell, line: str) -> list[dict[str, object]]:
    return [json.loads(row) for row in shell(line).splitlines()]


def test_documents_lie_in_nested_categories(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-014, F-018: plain directories, and the keys that `build_key` makes lead into them."""
    shell(
        f"mkdir -p .artifacts/{job}; cd .artifacts/{job}; "
        "mkdir -p emails documents/{cim,teasers,financials} generated/{loi,responses} extracted; "
        "echo offer > generated/loi/offer.md; echo mail > emails/1.eml"
    )
    assert store.get(mountfs.build_key(job, "generated", "offer.md", "loi")) == b"offer\n"
    assert store.get(mountfs.build_key(job, "emails", "1.eml")) == b"mail\n"
    store.put(mountfs.build_key(job, "documents", "q3.pdf", subcategory="financials"), b"%PDF-")
    assert shell(f"ls .artifacts/{job}/documents/financials") == "q3.pdf\n"


def test_write_bytes_to_a_path_stores_an_artifact(served: Mounted, store: ArtifactStore, job: str) -> None:
    """F-015, F-016: what a program did before it knew us goes on working."""
    root = store.path(job)
    assert root == served.path / job
    (root / "financials").mkdir(parents=True)
    (root / "financials" / "q3.pdf").write_bytes(b"%PDF-1.7")
    assert store.metadata(f"{job}/financials/q3.pdf").sha256 == hashlib.sha256(b"%PDF-1.7").hexdigest()
    assert store.path(f"{job}/financials/q3.pdf").read_bytes() == b"%PDF-1.7"


def test_an_action_stores_finds_and_hands_out_its_artifact(store: ArtifactStore, job: str) -> None:
    """F-017: the calls of a document store, in the order its actions made them."""
    key = mountfs.build_key(job, "generated", "loi.md", "loi")
    assert not store.exists(key)
    artifact = store.put(key, b"# Letter of intent\n", mime_type="text/markdown")
    assert store.exists(key)
    assert store.get(key) == b"# Letter of intent\n"
    assert (artifact.key, artifact.mime_type) == (key, "text/markdown")
    assert store.url(key) == artifact.uri == store.metadata(key).uri


@pytest.mark.parametrize("key", ["{job}/../../etc/passwd", "../{job}/x", "{job}/a\0b", "/etc/passwd"])
def test_no_key_leads_out_of_the_store(store: ArtifactStore, job: str, key: str) -> None:
    """F-019: neither to read nor to write."""
    for ask in (store.get, store.exists, store.delete, store.metadata):
        with pytest.raises(errors.InvalidName):
            ask(key.format(job=job))


def test_an_absolute_path_is_a_key_only_below_the_mount(shell: Shell, job: str) -> None:
    """F-020: on the command line as in Python."""
    shell(f"mkdir .artifacts/{job}; echo x > .artifacts/{job}/a")
    assert shell(f"mountfs cat $PWD/.artifacts/{job}/a") == "x\n"
    assert "outside the mount" in shell("mountfs cat /etc/hostname", code=2)


def test_the_uri_of_a_file_leads_back_to_it(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-021: from the xattr into the API and the command line."""
    shell(f"mkdir .artifacts/{job}; echo x > '.artifacts/{job}/with space'")
    uri = shell(f"getfattr --only-values -n user.mountfs.uri '.artifacts/{job}/with space'")
    assert uri.startswith("file:///")
    assert " " not in uri
    assert store.get(uri) == b"x\n"
    assert shell(f"mountfs cat {uri}") == "x\n"
    with pytest.raises(errors.InvalidName, match="s3://"):
        store.get(f"s3://bucket/{job}/with space")


# -- what a call answers, and how it fails ----------------------------------------------------------------


def test_put_answers_all_facts_of_what_it_stored(store: ArtifactStore, job: str) -> None:
    """F-023, F-024: what an upload result held, as one value."""
    artifact = store.put(f"{job}/report.json", REPORT.encode(), tags={"branch": "main"})
    assert artifact == store.metadata(f"{job}/report.json")
    assert (artifact.size, artifact.sha256) == (len(REPORT), hashlib.sha256(REPORT.encode()).hexdigest())
    assert 0 < artifact.stored_size < artifact.size
    assert (artifact.version, artifact.mime_type, artifact.tags) == (1, "application/json", {"branch": "main"})
    assert artifact.uri.endswith(f"{job}/report.json")


def test_an_upload_that_fails_says_why_in_the_promised_words(alone: Shell) -> None:
    """F-024: an exception instead of `success` and `error_message`."""
    place = {"state": str(alone.directory / "s"), "mountpoint": str(alone.directory / "m")}
    with open_store({**place, "limits": {"max_artifact_size": "1 KiB"}}) as store:
        with pytest.raises(errors.ArtifactTooLarge, match="exceeds limit") as refused:
            store.put("J/large", b"x" * 2000)
        assert (refused.value.exit_code, refused.value.waiting_helps) == (4, False)
        assert not store.exists("J/large")


def test_a_download_that_fails_says_why_in_the_promised_words(store: ArtifactStore, job: str) -> None:
    """F-025: the words for damage are shown by F-054."""
    store.put(f"{job}/there", b"x")
    with pytest.raises(errors.NotFound, match=f"not found: {job}/missing") as refused:
        store.get(f"{job}/missing")
    assert (refused.value.exit_code, refused.value.waiting_helps) == (3, False)
    assert isinstance(refused.value, mountfs.MountfsError)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_program_stores_in_the_mount(served: Mounted, job: str, backend: str) -> None:
    """F-026, F-027: the same awaitable calls as without a mount, many at once."""

    async def work() -> None:
        async with aio.open_store(mount=served.path) as store:
            async with anyio.create_task_group() as tasks:
                for number in range(5):
                    tasks.start_soon(store.put, f"{job}-{backend}/{number}", b"%d" % number)
            assert [artifact.path async for artifact in store.list(f"{job}-{backend}")] == ["0", "1", "2", "3", "4"]
            assert await store.get(f"{job}-{backend}/3") == b"3"
            path = await store.path(f"{job}-{backend}/4")
            assert await anyio.Path(path).read_bytes() == b"4"

    anyio.run(work, backend=backend)


def test_a_file_of_100_mb_streams_in_and_out(shell: Shell, served: Mounted, job: str) -> None:
    """F-028: its digest is right, and the daemon never holds it in memory."""
    before = _memory(served.pid, "VmRSS")
    shell(f"mkdir .artifacts/{job}; head -c {LARGE_BYTES} /dev/urandom | tee .artifacts/{job}/video | sha256sum > sum")
    digest = (shell.directory / "sum").read_text().split()[0]
    assert shell(f"sha256sum < .artifacts/{job}/video").split()[0] == digest
    assert shell(f"getfattr --only-values -n user.mountfs.sha256 .artifacts/{job}/video") == digest
    assert _memory(served.pid, "VmHWM") - before < LARGE_BYTES / 2


def _memory(pid: int, field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_touch_stores_an_empty_artifact(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-030: it is published without a single write."""
    shell(f"mkdir .artifacts/{job}; touch .artifacts/{job}/done")
    artifact = store.metadata(f"{job}/done")
    assert (artifact.size, artifact.sha256) == (0, hashlib.sha256(b"").hexdigest())
    assert store.get(f"{job}/done") == b""


RUNNER = """
import pathlib, sys
job = pathlib.Path(sys.argv[1])
job.mkdir()
(job / "diff.txt").write_text("--- a\\n+++ b\\n")
with open(job / "log.txt", "w") as log:
    for number in range(1000):
        print("step", number, file=log)
"""
REVIEWER = """
import json, pathlib, sys
job = pathlib.Path(sys.argv[1])
print(json.dumps({path.name: len(path.read_text().splitlines()) for path in sorted(job.iterdir())}))
"""


def test_what_an_agent_wrote_another_service_reads(served: Mounted, job: str) -> None:
    """F-033: two programs that share nothing but the directory."""

    def run(program: str) -> str:
        command = [sys.executable, "-c", program, str(served.path / job)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    run(RUNNER)
    assert json.loads(run(REVIEWER)) == {"diff.txt": 2, "log.txt": 1000}
