"""Large artifacts: up and down in pieces, in bounded memory, and on from where they were after a crash."""

import contextlib
import hashlib
import os
import random
from pathlib import Path

import boto3
import pytest

from mountfs.config.schema import S3
from tests.faults.proxy import Corrupt, Hang
from tests.s3.conftest import ExpectedLog
from tests.s3.two import Machine, Machines, Two, wait_until

pytestmark = pytest.mark.usefixtures("unmeasured")

MIB = 1 << 20
LARGE_MIB = int(os.environ.get("LARGE_MIB", "64"))
RESIDENT_MIB = 300
PIECE = MIB


def write_noise(path: Path, mebibytes: int) -> str:
    """So many MiB that do not compress; their digest."""
    rng, digest = random.Random(str(path)), hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(mebibytes):
            piece = rng.randbytes(PIECE)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def comes_back(path: Path, digest: str) -> bool:
    """Whether it could be read; what was read was right."""
    with contextlib.suppress(OSError):
        assert digest_of(path) == digest
        return True
    return False


def resident_mib(machine: Machine) -> float:
    """The most that the daemon ever had in memory."""
    lines = Path(f"/proc/{machine.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.timeout(3600)
def test_a_large_artifact_goes_up_and_comes_back_in_bounded_memory(two: Two, job: str) -> None:
    """64 MiB in the gate, 2 GiB in the soak, with the same bound."""
    writer, reader = two
    (writer.path / job).mkdir()
    digest = write_noise(writer.path / job / "video", LARGE_MIB)
    writer.flush(timeout_seconds=1800)
    found = digest_of(reader.path / job / "video")
    resident = {"up": resident_mib(writer), "down": resident_mib(reader)}
    print(f"{LARGE_MIB} MiB: {resident['up']:.0f} MiB resident up, {resident['down']:.0f} down")
    assert found == digest
    assert max(resident.values()) < RESIDENT_MIB


def test_any_part_of_a_large_artifact_can_be_read_without_the_rest(two: Two, job: str) -> None:
    writer, reader = two
    (writer.path / job).mkdir()
    write_noise(writer.path / job / "video", 40)
    writer.flush()
    reader.proxy.forget()
    with (writer.path / job / "video").open("rb") as expected, (reader.path / job / "video").open("rb") as found:
        for offset in (0, 30 * MIB + 7, 5 * MIB - 3, 40 * MIB - 100):
            expected.seek(offset)
            found.seek(offset)
            assert found.read(1000) == expected.read(1000)
    assert reader.proxy.counted()["GET", "range"] < 10, "the other 20 MiB stayed there"


@pytest.mark.parametrize("skip", [0, 1, 2, 4], ids=["first", "second", "third", "fifth"])
def test_a_bit_that_flips_on_the_way_is_never_served(two: Two, job: str, skip: int, expected_log: ExpectedLog) -> None:
    expected_log(r"integrity check|damaged|corrupt")
    writer, reader = two
    (writer.path / job).mkdir()
    digest = write_noise(writer.path / job / "video", 20)
    writer.flush()
    assert os.listdir(reader.path / job) == ["video"]
    flipping = reader.proxy.rule(Corrupt(at=100_000), method="GET", kind="range", path="jobs/", skip=skip, times=1)
    wait_until(lambda: comes_back(reader.path / job / "video", digest), "the right bytes come after all")
    assert flipping.hits == 1


def test_a_bit_that_flips_on_the_way_of_a_small_file_is_never_served(
    two: Two, job: str, expected_log: ExpectedLog
) -> None:
    expected_log(r"integrity check|damaged|corrupt")
    writer, reader = two
    (writer.path / job).mkdir()
    digest = write_noise(writer.path / job / "photo", 1)
    writer.flush()
    assert os.listdir(reader.path / job) == ["photo"]
    flipping = reader.proxy.rule(Corrupt(at=1000), method="GET", kind="range|object", path="jobs/", times=1)
    wait_until(lambda: comes_back(reader.path / job / "photo", digest), "the right bytes come after all")
    assert flipping.hits == 1


def parts_there(settings: S3) -> int:
    """How many parts of unfinished uploads the server has below a prefix."""
    client = boto3.client("s3", endpoint_url=settings.endpoint_url, region_name="us-east-1")
    try:
        begun = client.list_multipart_uploads(Bucket=settings.bucket, Prefix=settings.prefix).get("Uploads", [])
        found = [
            client.list_parts(Bucket=settings.bucket, Key=one["Key"], UploadId=one["UploadId"]).get("Parts", [])
            for one in begun
        ]
        return sum(map(len, found))
    finally:
        client.close()


def test_an_upload_in_parts_goes_on_after_a_kill_where_it_was(beside: Machines, elsewhere: Machine, job: str) -> None:
    machine = beside()
    (machine.path / job).mkdir()
    held = machine.proxy.rule(Hang(), kind="part", skip=3)
    digest = write_noise(machine.path / job / "video", 64)
    assert held.reached.wait(20)
    wait_until(lambda: parts_there(beside.bucket) >= 3, "three parts are there, the next ones hang")
    machine.kill()
    machine.proxy.clear()
    machine.proxy.forget()
    machine.start()
    machine.flush(timeout_seconds=60)
    asked = machine.proxy.counted()
    assert asked["POST", "begin"] == 0, "it was not begun anew"
    assert asked["PUT", "part"] <= 64 // 8 - 3 + 1, dict(asked)
    assert digest_of(elsewhere.path / job / "video") == digest
