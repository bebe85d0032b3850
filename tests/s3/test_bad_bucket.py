"""Buckets that are not what they should be: a clear error, or a refused record that is counted and named.

Never a wrong byte and never a crash. What lies in the bucket here is put there by hand, beside a machine's own.
"""

import errno
import io
import json
import os
import random
import struct
import subprocess
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mountfs import bundle, codec, objects
from mountfs.bucket.connecting import parsed
from mountfs.bundle import Member
from mountfs.errors import ConfigError, CorruptContent
from mountfs.model import Codec, Digest
from mountfs.records import FileContent, Record, Value
from mountfs.remote.bucket import S3Remote
from tests.mounting import DaemonFailed
from tests.s3.conftest import ExpectedLog
from tests.s3.two import Machine, Machines, Two, eventually, wait_until

pytestmark = pytest.mark.usefixtures("unmeasured")

RESIDENT_MIB = 300
A_YEAR_MS = 365 * 86_400_000


def mount_fails(machine: Machine) -> str:
    """What a mount says that is refused."""
    with pytest.raises(DaemonFailed) as failed:
        machine.start()
    return str(failed.value)


@pytest.fixture
def raw(make_machine: Machines) -> S3Remote:
    return make_machine.remote()


# Buckets


def test_a_bucket_that_does_not_exist_is_named(make_machine: Machines) -> None:
    bucket = make_machine.bucket.model_copy(update={"bucket": "no-such-bucket"})
    said = mount_fails(make_machine(bucket=bucket, start=False))
    assert "no-such-bucket" in said
    assert "does not exist" in said
    assert "Traceback" not in said


def test_wrong_credentials_are_said_and_not_shown(make_machine: Machines) -> None:
    wrong = {"AWS_ACCESS_KEY_ID": "nobody12345", "AWS_SECRET_ACCESS_KEY": "very-secret-thing"}
    said = mount_fails(make_machine(environment=wrong, start=False))
    assert "InvalidAccessKeyId" in said or "AccessDenied" in said
    assert "very-secret-thing" not in said
    assert "Traceback" not in said


def test_credentials_that_stop_working_leave_the_mount_serving(
    make_machine: Machines, expected_log: ExpectedLog
) -> None:
    expected_log(
        r"mounted without the bucket|is not in the bucket|InvalidAccessKeyId|AccessDenied|SignatureDoesNotMatch"
    )
    machine = make_machine()
    (machine.path / "job").mkdir()
    (machine.path / "job/file").write_bytes(b"here")
    machine.flush()
    machine.stop()
    machine.also = {"AWS_SECRET_ACCESS_KEY": "another-one"}
    machine.start()
    assert (machine.path / "job/file").read_bytes() == b"here"
    (machine.path / "job/more").write_bytes(b"more")
    wait_until(lambda: bool(machine.bucket_status()["refused"] or machine.bucket_status()["failed"]), "it is said")
    assert os.getxattr(machine.path / "job/more", "user.mountfs.state") == b"failed"
    shown = json.loads(machine.mountfs("show", "job/more", "--json").stdout)
    assert shown["state"] == "failed"
    assert os.getxattr(machine.path / "job/file", "user.mountfs.state") == b"remote"
    assert machine.mountfs("evict", "job/file").returncode == 0
    with pytest.raises(PermissionError):  # it is refused, and waiting does not help
        (machine.path / "job/file").read_bytes()
    assert machine.mountfs("cat", "job/file").returncode == 6
    machine.stop()
    machine.also = {}
    machine.start()
    machine.flush()


def test_a_machine_connects_only_to_the_store_that_it_knows(make_machine: Machines, raw: S3Remote) -> None:
    machine = make_machine()
    (machine.path / "job").mkdir()
    (machine.path / "job/file").write_bytes(b"here")
    machine.flush()
    machine.stop()
    said = json.loads(raw.get(objects.MOUNTFS_JSON, most_bytes=10_000).data)
    raw.put(objects.MOUNTFS_JSON, json.dumps({**said, "store": "00" * 16}).encode())
    refused = mount_fails(machine)
    assert "another store" in refused
    assert "nothing was changed" in refused
    raw.delete([objects.MOUNTFS_JSON, *(found.key for found in raw.list("").objects)])
    assert "is empty" in mount_fails(machine), "an empty bucket is an error, never `all was deleted`"
    raw.put(objects.MOUNTFS_JSON, json.dumps(said).encode())
    machine.start()
    assert machine.status()["bucket"]


@pytest.mark.parametrize(
    "said",
    [b"", b"[]", b'{"format": "1"}', b'{"format":1,"store":"../..","grace_seconds":1}', b"[" * 50_000],
    ids=["empty", "list", "text", "climbing", "nested"],
)
def test_no_word_of_the_store_is_believed_that_cannot_be_right(said: bytes) -> None:
    with pytest.raises(CorruptContent, match=objects.MOUNTFS_JSON):
        parsed(said, server_ms=0)


def test_a_newer_format_asks_for_an_upgrade() -> None:
    with pytest.raises(ConfigError, match="upgrade"):
        parsed(json.dumps({"format": 2, "store": "00" * 16, "grace_seconds": 3600}).encode(), server_ms=0)


def test_a_prefix_with_other_things_is_left_as_it_is(make_machine: Machines, raw: S3Remote) -> None:
    raw.put("holiday.jpg", b"photo")
    assert "holiday.jpg" in mount_fails(make_machine(start=False))
    assert [found.key for found in raw.list("").objects] == ["holiday.jpg"]


# Bundles and records


class Forger:
    """Puts bundles into a job of a store that no mountfs would have made."""

    def __init__(self, remote: S3Remote, job: str) -> None:
        self.remote = remote
        self.job = job.encode()
        self.store_id = json.loads(remote.get(objects.MOUNTFS_JSON, most_bytes=10_000).data)["store"]
        self.made = 0

    def name(self) -> str:
        self.made += 1
        return objects.bundle_name(int(time.time() * 1000), "f0f0f0f0", f"{self.made:08x}")

    def put(self, data: bytes, *, name: str | None = None) -> str:
        name = name or self.name()
        self.remote.put(objects.job_prefix(self.job) + name, data)
        return name

    def packed(self, *members: Member, records: tuple[Record, ...] = (), job: bytes | None = None) -> tuple[str, bytes]:
        """The name and the bytes of a bundle."""
        name = self.name()
        made = bundle.pack(
            store_id=self.store_id, job=job or self.job, name=name, members=members, large=(), records=records
        )
        return name, made.data

    def lines(self, *lines: bytes, members: tuple[Member, ...] = ()) -> str:
        """A bundle with these lines in its manifest, whatever they say."""
        name = self.name()
        made = bundle.pack(
            store_id=self.store_id, job=self.job, name=name, members=members, large=(), records=(), carried=lines
        )
        return self.put(made.data, name=name)


@pytest.fixture
def machine(two: Two, job: str, expected_log: ExpectedLog) -> Machine:
    """A machine with a job of its own in the bucket."""
    expected_log(r"left alone|line \d+: |integrity check|could not be read|said another size")
    machine, _ = two
    (machine.path / job).mkdir()
    (machine.path / job / "good").write_bytes(b"good")
    machine.flush()
    return machine


@pytest.fixture
def fresh(machine: Machine, two: Two) -> Machine:
    """Another machine, which has seen nothing of that job yet."""
    return two[1]


@pytest.fixture
def forger(machine: Machine, shared_machines: Machines, job: str) -> Forger:
    return Forger(shared_machines.remote(), job)


def odd(machine: Machine, job: str) -> list[str]:
    """What the status names as refused of a job."""
    found = machine.bucket_status()["odd"]
    assert isinstance(found, list)
    return [str(one["reason"]) for one in found if one["job"] == job]


def most_resident_mib(machine: Machine) -> float:
    lines = Path(f"/proc/{machine.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def refuses(path: Path) -> bool:
    """Whether reading it is an error, and not some bytes."""
    with pytest.raises(OSError, match="Input/output error") as failed:
        path.read_bytes()
    return failed.value.errno == errno.EIO


def read_in_pieces(path: Path, piece_bytes: int = 1 << 16) -> None:
    """To the end, as the kernel reads where nobody asks for more."""
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        while file.read(piece_bytes):
            pass


def stamp(*, ms: int | None = None, writer: str = "f0f0f0f0") -> str:
    return f"{ms or int(time.time() * 1000):012x}-0000-{writer}"


def member(plain: bytes) -> Member:
    encoded = codec.encode(plain, level=3)
    return Member(encoded.digest, encoded.codec, len(plain), encoded.stored, sums=encoded.sums)


def record_of(path: str, one: Member) -> Record:
    content = FileContent(one.digest, one.size, len(one.data), one.codec, 1, 1).to_value()
    return Record(path.encode(), stamp(), False, {"content": content})


def line_of(path: str, *, of: Member | None = None, **more: Value) -> bytes:
    """A record that makes a file of that content."""
    content: Value = {"kind": "file", "size": 0, "stored": 0, "codec": "none", "mtime": 1, "created_at": 1}
    if of is not None:
        content = FileContent(of.digest, of.size, len(of.data), of.codec, 1, 1).to_value()
    fields = {"path": path, "stamp": stamp(), "set": {"content": content}, **more}
    return json.dumps(fields).encode()


def a_foreign_zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.jsonl.zst", b"not ours")
    return data.getvalue()


def a_zip_bomb() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.jsonl.zst", bytes(64 << 20))
    return data.getvalue()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: data[:30] + b"\xff" * 20 + data[50:-60] + b"\0" * 60,
        lambda data: a_foreign_zip(),
        lambda data: a_zip_bomb(),
        lambda data: b"PK\x05\x06" + bytes(18),
        lambda data: os.urandom(5000),
    ],
    ids=["half", "last-byte", "empty", "overwritten", "foreign", "zip-bomb", "no-members", "noise"],
)
def test_a_bundle_that_cannot_be_read_is_left_alone_and_named(
    forger: Forger, fresh: Machine, job: str, spoil: Callable[[bytes], bytes]
) -> None:
    name, data = forger.packed(member(b"x" * 5000))
    forger.put(spoil(data), name=name)
    assert (fresh.path / job / "good").read_bytes() == b"good"
    assert sorted(os.listdir(fresh.path / job)) == ["good"]
    (said,) = odd(fresh, job)
    assert said.startswith(f"{name}: left alone: ")
    assert job in fresh.mountfs("status").stdout


def test_a_job_of_nothing_but_half_a_bundle_is_named_and_no_bug(
    make_machine: Machines, shared_machines: Machines, expected_log: ExpectedLog, job: str
) -> None:
    expected_log("left alone|cannot be understood")
    machine = make_machine(settings={"sync": {"mode": "full", "sync_seconds": "300ms"}})
    (machine.path / "own").mkdir()
    machine.flush()
    Forger(make_machine.remote(), "half").put(b"half")
    assert not (machine.path / "half").exists()
    for command in (("maintain", "--all"), ("sync",), ("status",), ("flush",)):
        said = machine.mountfs(*command)
        assert said.returncode == 0, (command, said)
    assert any("left alone" in str(one) for one in odd(machine, "half"))


def test_a_bundle_that_cannot_be_read_is_not_read_again_and_again(forger: Forger, fresh: Machine, job: str) -> None:
    name = forger.put(b"noise")
    eventually(lambda: len(os.listdir(fresh.path / job)), 1)

    def asked(kind: str) -> int:
        mine = [one for one in fresh.proxy.asked if job in one.target]
        return sum(one.kind == kind and (kind == "list" or name in one.target) for one in mine)

    assert asked("range") == 1
    wait_until(lambda: asked("list") >= 3 and bool(os.listdir(fresh.path / job)), "the job is refreshed")
    assert asked("range") == 1


def test_a_bundle_of_another_store_job_or_name_is_not_believed(forger: Forger, fresh: Machine, job: str) -> None:
    record = Record(b"stolen", stamp(), False, {"content": FileContent(None, 0, 0, Codec.RAW, 1, 1).to_value()})
    name, data = forger.packed(records=(record,), job=b"other")
    forger.put(data, name=name)
    _, data = forger.packed(records=(record,))
    renamed = forger.put(data)
    forger.store_id = "11" * 16
    other, data = forger.packed(records=(record,))
    forger.put(data, name=other)
    assert os.listdir(fresh.path / job) == ["good"]
    assert sorted(said.partition(":")[0] for said in odd(fresh, job)) == sorted([name, renamed, other])


def test_paths_that_lead_elsewhere_are_refused_and_named(forger: Forger, fresh: Machine, job: str) -> None:
    climbing = ["../climbed", "/absolute", "a/../../climbed", "nul\0", "a//b", ".", "..", "a/./b", "x" * 256, "/"]
    forger.lines(*map(line_of, climbing), line_of("honest"))
    assert sorted(os.listdir(fresh.path / job)) == ["good", "honest"]
    assert "climbed" not in os.listdir(fresh.path)
    assert [f"line {number}" in said for number, said in enumerate(odd(fresh, job), start=2)] == [True] * len(climbing)


def test_a_manifest_that_lies_about_its_members_serves_no_wrong_byte(forger: Forger, fresh: Machine, job: str) -> None:
    honest, other = member(b"honest " * 2000), member(b"another " * 2000)
    lied = Member(Digest.of(b"promised " * 2000), Codec.ZSTD, 18_000, b"only said")
    place = {
        "digest": lied.digest.hex(), "codec": "zstd", "size": lied.size, "stored": 9, "sum": "ab" * 32,
    }  # fmt: skip
    forger.lines(
        json.dumps({**place, "offset": 200_000_000}).encode(),
        json.dumps({**place, "offset": 0}).encode(),
        json.dumps({**place, "object": "../../mountfs.json"}).encode(),
        json.dumps({**place, "size": -1, "offset": 0}).encode(),
        line_of("lie", of=lied),
        line_of("nowhere", of=other),
        line_of("honest", of=honest),
        members=(honest,),
    )
    assert (fresh.path / job / "honest").read_bytes() == b"honest " * 2000
    assert refuses(fresh.path / job / "lie")
    assert refuses(fresh.path / job / "nowhere")
    assert len(odd(fresh, job)) == 4


def test_a_record_that_lies_about_a_size_is_found_out_by_the_content_and_named(
    forger: Forger, fresh: Machine, job: str
) -> None:
    plain = f"never seen before {job} ".encode() * 2000
    honest = member(plain)
    forger.lines(
        line_of("lie", of=replace(honest, size=1 << 50)), line_of("honest", of=honest), members=(honest,)
    )  # fmt: skip
    lie = fresh.path / job / "lie"
    assert lie.stat().st_size == 1 << 50
    assert subprocess.run(["cat", lie], capture_output=True, check=True).stdout == plain
    assert [path.stat().st_size for path in (lie, fresh.path / job / "honest")] == [len(plain)] * 2
    with lie.open("ab") as file:
        file.write(b"and more")
    assert lie.read_bytes() == plain + b"and more"
    assert any("lie': a record said another size" in said for said in odd(fresh, job))
    forger.lines(line_of("again", of=replace(honest, size=5)))
    fresh.mountfs("sync")
    assert (fresh.path / job / "again").stat().st_size == len(plain)


def test_a_record_that_lies_about_the_size_of_a_large_content_is_found_out_when_it_is_opened(
    forger: Forger, machine: Machine, fresh: Machine, job: str
) -> None:
    plain = random.Random(job).randbytes(6 << 20)
    (machine.path / job / "large").write_bytes(plain)
    machine.flush()
    digest = Digest.of(plain)
    for path, size in (("longer", 1 << 50), ("shorter", 100)):
        content = FileContent(digest, size, 1000, Codec.ZSTD, 1, 1).to_value()
        forger.lines(json.dumps({"path": path, "stamp": stamp(), "set": {"content": content}}).encode())
    for path in ("longer", "shorter", "large"):
        found = subprocess.run(["cat", fresh.path / job / path], capture_output=True, check=True).stdout
        assert found == plain, path
        assert (fresh.path / job / path).stat().st_size == len(plain)


def test_a_lie_about_a_content_keeps_nobody_from_publishing_that_content(
    forger: Forger, machine: Machine, fresh: Machine, job: str
) -> None:
    plain = b"known to everybody " * 2000
    known = member(plain)
    forger.lines(line_of("lie", of=replace(known, size=1 << 50)))
    assert (fresh.path / job / "lie").stat().st_size == 1 << 50
    own = fresh.path / f"{job}-own" / "file"
    own.parent.mkdir()
    own.write_bytes(plain)
    fresh.flush()
    assert (machine.path / f"{job}-own" / "file").read_bytes() == plain


def test_a_member_with_other_bytes_than_said_is_an_error_and_not_those_bytes(
    forger: Forger, fresh: Machine, job: str
) -> None:
    true = member(b"the truth " * 2000)
    forged = Member(true.digest, true.codec, true.size, member(b"forgery!! " * 2000).data)
    small = Member(Digest.of(b"five!"), Codec.RAW, 5, b"wrong", sums=codec.encode(b"five!", level=3).sums)
    name, data = forger.packed(forged, small, records=(record_of("forged", forged), record_of("small", small)))
    forger.put(data, name=name)
    for path in ("forged", "small", "forged", "small"):
        assert refuses(fresh.path / job / path)
    assert (fresh.path / job / "good").read_bytes() == b"good"


def test_a_large_object_with_another_content_than_said_is_never_read_to_its_end(
    forger: Forger, fresh: Machine, job: str
) -> None:
    """Its frames are sound: only the SHA-256 of all of it gives the lie away."""
    plain, promised = os.urandom(9 << 20), Digest.of(b"promised")
    stored = codec.pack_text(plain, level=1)
    name = objects.large_name(int(time.time() * 1000), "f0f0f0f0", "0f0f0f0f", promised, Codec.ZSTD)
    forger.put(stored, name=name)
    place = {"digest": promised.hex(), "codec": "zstd", "size": len(plain), "stored": len(stored), "sum": "ab" * 32}
    lied = Member(promised, Codec.ZSTD, len(plain), stored)
    forger.lines(json.dumps({**place, "object": name}).encode(), line_of("lie", of=lied))
    with pytest.raises(OSError, match="Input/output error"):
        read_in_pieces(fresh.path / job / "lie")
    fresh.proxy.forget()
    assert refuses(fresh.path / job / "lie")
    assert fresh.proxy.counted()["GET", "range"] == 0, "it is known"
    (said,) = odd(fresh, job)
    assert "integrity check" in said
    assert name in said
    assert (fresh.path / job / "good").read_bytes() == b"good"


def test_a_content_that_unpacks_to_more_than_it_says_costs_no_memory(forger: Forger, fresh: Machine, job: str) -> None:
    bomb = Member(Digest.of(b"bomb"), Codec.ZSTD, 4, codec.pack_text(bytes(1 << 20), level=1) * 512)
    name, data = forger.packed(bomb, records=(record_of("bomb", bomb),))
    forger.put(data, name=name)
    assert refuses(fresh.path / job / "bomb")
    assert most_resident_mib(fresh) < RESIDENT_MIB


def test_a_manifest_that_is_a_bomb_costs_no_memory(forger: Forger, fresh: Machine, job: str) -> None:
    name, honest = forger.packed(member(b"x" * 5000))
    extent = bundle.find_manifest(honest, object_bytes=len(honest))
    bomb = codec.pack_text(b"{}\n" * (1 << 20), level=1) * 200
    forger.put(with_manifest(honest, extent, bomb), name=name)
    assert sorted(os.listdir(fresh.path / job)) == ["good"]
    assert name in odd(fresh, job)[0]
    assert most_resident_mib(fresh) < RESIDENT_MIB


def with_manifest(data: bytes, extent: bundle.Extent, manifest: bytes) -> bytes:
    """The ZIP with another manifest in it, its lengths set right."""
    end = data.rindex(b"PK\x05\x06")
    start = struct.unpack_from("<I", data, end + 16)[0]
    directory = bytearray(data[start:end])
    last = directory.rindex(b"PK\x01\x02")
    struct.pack_into("<II", directory, last + 20, len(manifest), len(manifest))
    head = data[: extent.offset] + manifest
    tail = bytearray(data[end:])
    struct.pack_into("<I", tail, 16, len(head))
    return head + bytes(directory) + bytes(tail)


def test_what_is_not_known_is_kept_and_passed_on(forger: Forger, fresh: Machine, machine: Machine, job: str) -> None:
    registers = {"hologram": {"depth": 3}, "content": FileContent(None, 0, 0, Codec.RAW, 1, 1).to_value()}
    said = {"path": "file", "stamp": stamp(), "set": registers, "tomorrow": 1}
    forger.lines(json.dumps(said).encode(), b'{"kind":"of tomorrow"}')
    assert sorted(os.listdir(fresh.path / job)) == ["file", "good"]
    assert odd(fresh, job) == []
    (fresh.path / job / "file").write_bytes(b"written over")
    os.setxattr(fresh.path / job / "file", "user.pr", b"1")
    fresh.flush()
    eventually(lambda: (machine.path / job / "file").read_bytes(), b"written over")


def test_a_stamp_far_in_the_future_folds_and_its_writer_is_named_by_doctor(
    forger: Forger, fresh: Machine, job: str
) -> None:
    ahead = stamp(ms=int(time.time() * 1000) + A_YEAR_MS, writer="deadbeef")
    forger.lines(line_of("good", stamp=ahead), line_of("other"))
    assert (fresh.path / job / "good").read_bytes() == b""
    assert "deadbeef" in fresh.mountfs("doctor").stdout
    (fresh.path / job / "good").write_bytes(b"goes on")
    assert (fresh.path / job / "good").read_bytes() == b"goes on"
    (fresh.path / job / "new").write_bytes(b"new")
    fresh.flush()
    fresh.restart()
    assert (fresh.path / job / "good").read_bytes() == b"goes on"
    assert "deadbeef" in fresh.mountfs("doctor").stdout
