"""Promises F-045 to F-061: what is compressed, what is not, and how damage is met."""

import hashlib
import json
import os
import random
from pathlib import Path

import pytest

from mountfs import errors
from mountfs.api import ArtifactStore, open_store
from tests.features.conftest import Shell
from tests.mounting import Mounted

pytestmark = pytest.mark.usefixtures("unmeasured")

LOG = "".join(
    f"2026-11-21T12:{n % 60:02}:07 worker-{n % 7} finished step {n} of build\n" for n in range(20_000)
).encode()
REPORT = json.dumps(
    [{"file": f"src/module_{n}.py", "line_rate": round(n / 977 % 1, 3), "missing": [n, n + 4]} for n in range(9000)]
).encode()


def _place(directory: Path) -> dict[str, object]:
    return {"state": str(directory / "state"), "mountpoint": str(directory / "mnt")}


@pytest.mark.parametrize(("name", "content"), [("build.log", LOG), ("report.json", REPORT)])
def test_text_and_json_shrink_by_70_percent_and_read_back_whole(
    shell: Shell, served: Mounted, job: str, name: str, content: bytes
) -> None:
    """F-045: `du` shows what it costs, `cat` what was written."""
    path = served.path / job / name
    path.parent.mkdir()
    path.write_bytes(content)
    served.settle()
    assert int(shell(f"du -B1 {path}").split()[0]) < 0.3 * len(content)
    assert int(shell(f"getfattr --only-values -n user.mountfs.stored_size {path}")) < 0.3 * len(content)
    assert shell(f"cat {path}").encode() == content


def test_a_higher_level_stores_less(tmp_path: Path) -> None:
    """F-046: levels 1 to 9 as ever, and up to 19."""
    sizes = []
    for level in (1, 9, 19):
        with open_store({**_place(tmp_path / str(level)), "compression": {"level": level}}) as store:
            artifact = store.put("J/report.json", REPORT)
            assert store.get("J/report.json") == REPORT
            sizes.append(artifact.stored_size)
    assert sizes[0] > sizes[1] > sizes[2]


@pytest.mark.parametrize("level", [0, 20, "fast"])
def test_a_level_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path, level: object) -> None:
    """F-046."""
    with pytest.raises(errors.ConfigError, match=r"compression\.level.*1.*19|compression\.level"):
        open_store({**_place(tmp_path), "compression": {"level": level}})


def test_a_file_marked_before_its_first_write_is_kept_as_it_is(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-047: for one file; by type and for all in the settings."""
    shell(
        f"mkdir .artifacts/{job}; cd .artifacts/{job}; touch raw.log; "
        "setfattr -n user.mountfs.codec -v none raw.log; "
        "seq 50000 | tee raw.log > compressed.log"
    )
    assert store.metadata(f"{job}/raw.log").codec == "none"
    assert store.metadata(f"{job}/compressed.log").codec == "zstd"


def test_what_a_tool_gzipped_itself_comes_back_byte_for_byte(shell: Shell, job: str) -> None:
    """F-048: nothing is unpacked behind its back."""
    (shell.directory / "build.log").write_bytes(LOG)
    shell(f"mkdir .artifacts/{job}; gzip -k build.log; cp build.log.gz .artifacts/{job}/")
    assert shell(f"cmp build.log.gz .artifacts/{job}/build.log.gz; zcat .artifacts/{job}/build.log.gz").encode() == LOG


def test_noise_is_kept_raw_and_costs_no_more_than_itself(store: ArtifactStore, job: str) -> None:
    """F-049."""
    noise = random.Random(1).randbytes(1_000_000)
    artifact = store.put(f"{job}/noise", noise)
    assert (artifact.codec, artifact.stored_size) == ("none", 1_000_000)
    assert store.get(f"{job}/noise") == noise


def test_the_size_a_file_will_take_is_told_before_it_is_stored(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-050: from Python and by `put --dry-run`, and it comes true."""
    (shell.directory / "build.log").write_bytes(LOG)
    told = json.loads(shell(f"mountfs put {job}/build.log build.log --dry-run --json"))
    assert not store.exists(f"{job}/build.log")
    stored = store.put(f"{job}/build.log", LOG).stored_size
    assert told["estimated_stored_size"] == store.estimate_compressed_size(LOG) == pytest.approx(stored, rel=0.1)


def test_the_checksum_is_that_of_sha256sum(shell: Shell, store: ArtifactStore, job: str) -> None:
    """F-051: as a fact of the file and in what the API answers."""
    shell(f"mkdir .artifacts/{job}; head -c 300000 /dev/urandom > .artifacts/{job}/blob")
    digest = shell(f"sha256sum .artifacts/{job}/blob").split()[0]
    assert shell(f"getfattr --only-values -n user.mountfs.sha256 .artifacts/{job}/blob") == digest
    assert store.metadata(f"{job}/blob").sha256 == digest


def test_data_can_be_checked_against_what_was_stored(store: ArtifactStore, job: str) -> None:
    """F-053: what one holds, and what the store holds."""
    store.put(f"{job}/report.json", REPORT)
    assert store.verify_integrity(f"{job}/report.json")
    assert store.verify_integrity(f"{job}/report.json", REPORT)
    assert not store.verify_integrity(f"{job}/report.json", REPORT[:-1])


def test_cat_of_a_damaged_artifact_fails_and_is_counted(tmp_path: Path) -> None:
    """F-054: the shell hears EIO, `mountfs cat` the words, `show`, `stats` and the log tell of it."""
    project = tmp_path / "project"
    project.mkdir()
    mounted = Mounted(project / ".artifacts", tmp_path / "state")
    shell = Shell(project)
    mounted.start()
    try:
        with mounted.deadline(120):
            shell(
                "mkdir .artifacts/J; head -c 300000 /dev/urandom > .artifacts/J/blob; echo sound > .artifacts/J/sound"
            )
            mounted.settle()
            [stored] = [path for path in (mounted.state / "contents").rglob("*") if path.is_file()]
            _flip_a_bit(stored)
            mounted.restart()  # what the kernel and the daemon remember goes
            assert "Input/output error" in shell("cat .artifacts/J/blob > /dev/null", code=1)
            assert "integrity check" in shell("mountfs cat J/blob", code=7)
            assert json.loads(shell("mountfs show J/blob --json"))["damaged"]
            assert json.loads(shell("mountfs stats --json"))["damaged"] == 1
            assert shell("cat .artifacts/J/sound") == "sound\n"
    finally:
        mounted.stop()
    assert any("integrity check" in line for line in mounted.complaints())


def _flip_a_bit(stored: Path) -> None:
    stored.chmod(0o600)
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)


def test_codec_and_both_sizes_are_told(shell: Shell, job: str) -> None:
    """F-060: whether it is compressed, what it was, what it takes."""
    (shell.directory / "build.log").write_bytes(LOG)
    shell(f"mountfs put {job}/build.log build.log; rm build.log*")
    shown = json.loads(shell(f"mountfs show {job}/build.log --json"))
    assert (shown["codec"], shown["compressed"], shown["size"]) == ("zstd", True, len(LOG))
    file = f".artifacts/{job}/build.log"
    assert shell(f"getfattr --only-values -n user.mountfs.codec {file}") == "zstd"
    assert int(shell(f"getfattr --only-values -n user.mountfs.stored_size {file}")) == shown["stored_size"]


def test_what_compression_saves_is_told_by_type(alone: Shell) -> None:
    """F-061: from Python and by `stats --compression`."""
    place = {"state": str(alone.directory / "s"), "mountpoint": str(alone.directory / "m")}
    with open_store(place) as store:
        store.put("J/build.log", LOG)
        store.put("J/noise.mp4", random.Random(1).randbytes(100_000))
        told = store.compression_stats()
    logs, videos = told["build-logs"], told["videos"]
    assert (logs["artifacts"], logs["size_bytes"], logs["compressed"]) == (1, len(LOG), 1)
    assert logs["stored_bytes"] < 0.3 * len(LOG)
    assert (videos["stored_bytes"], videos["compressed"]) == (100_000, 0)
    said = alone("mountfs stats --compression --state s").splitlines()
    assert [line.split("\t")[1] for line in said if line.startswith(("build-logs", "videos"))] == ["1", "1"]


def test_a_stored_file_is_read_by_zstd_alone(alone: Shell) -> None:
    """F-045: with every program of ours gone."""
    with open_store(_place(alone.directory)) as store:
        content = LOG + os.urandom(200_000)
        store.put("J/build.log", content)
        [stored] = [path for path in (store.state / "contents").rglob("*") if path.is_file()]
    assert alone(f"zstd -dc {stored} | sha256sum").split()[0] == hashlib.sha256(content).hexdigest()
