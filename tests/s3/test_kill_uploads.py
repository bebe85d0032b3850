"""A real daemon killed with -9 in the middle of uploads under load, again and again, on a real S3 server.

3 rounds, or as many as `UPLOAD_KILLS` says. After each, everything acknowledged is there and the uploads go on; in
the end a fresh machine reads the same from the bucket alone, and maintenance past the grace leaves no orphan.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from mountfs import bundle, objects
from mountfs.bundle import Manifest
from mountfs.remote.protocol import Remote
from tests.crash.test_kill import judged, written_until_killed
from tests.faults.proxy import Hang, Refuse, ShiftDate, SlowRequest
from tests.s3.conftest import ExpectedLog, MachineFactory
from tests.s3.two import Machine, Machines, seen_in

pytestmark = pytest.mark.usefixtures("unmeasured")

ROUNDS = int(os.environ.get("UPLOAD_KILLS", "3"))
SEED = int(os.environ.get("CRASH_SEED", "1"))
PAST_THE_GRACE_SECONDS = 2 * 3600
AN_HOUR = {"trash_days": 0}
"""The shortest grace there is."""

MAINTENANCE_ROUNDS = 3
"""What a reading finds dead goes when another one, the grace later, finds it dead still."""


@pytest.mark.timeout(3600)
def test_kill_in_the_middle_of_uploads_loses_nothing_and_leaves_nothing(
    make_machine: Machines, expected_log: ExpectedLog
) -> None:
    expected_log(r"does not answer|is not in the bucket|were still open|was open|recovered|draft")
    rng = random.Random(SEED)
    machine = make_machine(settings=AN_HOUR)
    machine.proxy.rule(SlowRequest(3 << 20), method="PUT")
    for number in range(ROUNDS):
        job = machine.path / f"job-{number}"
        job.mkdir()
        told = written_until_killed(machine, job, seed=rng.randrange(1 << 30), lines=rng.randrange(40, 200))
        machine.start()
        wrong = [f"{path}: {said}" for path, promised in told.paths.items() if (said := judged(path, promised))]
        assert not wrong, f"round {number} (CRASH_SEED={SEED}), after {told.lines} lines: {wrong}"
    machine.proxy.clear()
    machine.flush(timeout_seconds=120)
    fresh = make_machine(settings=AN_HOUR)
    for number in range(ROUNDS):
        assert seen_in(fresh.path / f"job-{number}") == seen_in(machine.path / f"job-{number}")
    often = most_often_uploaded(make_machine.remote())
    print(f"{ROUNDS} rounds, a content was uploaded {often} times at most")
    assert often <= 1 + ROUNDS, "a content was uploaded in vain more than once a restart"
    assert_no_orphan_past_the_grace(make_machine, machine)


def test_what_an_interrupted_upload_left_goes_after_the_grace(
    make_machine: Machines, expected_log: ExpectedLog
) -> None:
    expected_log(r"does not answer|is not in the bucket|without the bucket")
    machine = make_machine(settings=AN_HOUR)
    job, remote = machine.path / "job", make_machine.remote()
    job.mkdir()
    (job / "kept").write_bytes(b"kept")
    machine.flush()
    no_bundle = machine.proxy.rule(Hang(), method="PUT", path=r"\.zip")
    (job / "whole").write_bytes(random.Random(1).randbytes(6 << 20))
    assert no_bundle.reached.wait(20), "a large content is there that no manifest names"
    no_parts = machine.proxy.rule(Hang(), kind="part", skip=1)
    (machine.path / "parts").mkdir()
    (machine.path / "parts/large").write_bytes(random.Random(2).randbytes(24 << 20))
    assert no_parts.reached.wait(20), "an upload in parts is under way"
    machine.kill()
    machine.proxy.clear()
    machine.also = {"MOUNTFS_SYNC__SETTLE_SECONDS": "60s", "MOUNTFS_SYNC__SETTLE_MAX_SECONDS": "60s"}
    machine.start()
    (job / "whole").unlink()
    (machine.path / "parts/large").unlink()
    said = machine.mountfs("flush")
    assert said.returncode == 0, said.stderr
    assert orphans(remote) != []
    assert remote.unfinished("") != []
    assert_no_orphan_past_the_grace(make_machine, machine)
    assert (make_machine(settings=AN_HOUR).path / "job/kept").read_bytes() == b"kept"


def assert_no_orphan_past_the_grace(machines: Machines, machine: Machine) -> None:
    """Two hours pass by the server's clock between one run of `mountfs maintain` and the next."""
    for number in range(1, MAINTENANCE_ROUNDS + 1):
        machine.proxy.clear()
        machine.proxy.rule(ShiftDate(number * PAST_THE_GRACE_SECONDS))
        said = machine.mountfs("maintain")
        assert said.returncode == 0, said.stderr
    assert orphans(machines.remote()) == []
    assert machines.remote().unfinished("") == []
    machine.proxy.clear()


def orphans(remote: Remote) -> list[str]:
    """Large objects that no manifest names."""
    found = []
    for job in jobs(remote):
        named = {place.object for manifest in manifests(remote, job) for place in manifest.places}
        names = [key.rpartition("/")[2] for key in keys(remote, objects.job_prefix(job))]
        large = [name for name in names if isinstance(objects.parse_object(name), objects.LargeName)]
        found += [f"{job!r}: {name}" for name in large if name not in named]
    return found


def most_often_uploaded(remote: Remote) -> int:
    """How many copies of one content lie in one job, at most."""
    copies: Counter[tuple[bytes, bytes]] = Counter()
    for job in jobs(remote):
        for manifest in manifests(remote, job):
            copies.update((job, place.digest) for place in manifest.places)
    return max(copies.values())


def jobs(remote: Remote) -> list[bytes]:
    return [objects.decode_name(part.split("/")[1]) or b"" for part in remote.list("jobs/", delimiter="/").prefixes]


def keys(remote: Remote, prefix: str) -> Iterator[str]:
    token: str | None = None
    while True:
        page = remote.list(prefix, token=token)
        yield from (found.key for found in page.objects)
        token = page.token
        if token is None:
            return


def manifests(remote: Remote, job: bytes) -> Iterator[Manifest]:
    for key in keys(remote, objects.job_prefix(job)):
        name = key.rpartition("/")[2]
        if isinstance(objects.parse_object(name), objects.BundleName):
            data = remote.get(key, most_bytes=bundle.MOST_OBJECT_BYTES).data
            extent = bundle.find_manifest(data, object_bytes=len(data))
            stored = extent.within(data, object_bytes=len(data))
            assert stored is not None
            yield bundle.read_manifest(stored, store_id=None, job=job, name=name, extent=extent)


def test_what_was_written_over_evicted_content_survives_a_kill_without_the_bucket(
    make_machine: MachineFactory, expected_log: ExpectedLog
) -> None:
    """Neither the write nor the start after the kill needs a byte of what was there before."""
    expected_log("mounted without the bucket|does not answer|not in the bucket")
    machine = make_machine()
    (machine.path / "job").mkdir()
    path = machine.path / "job" / "file"
    path.write_bytes(os.urandom(1 << 20))
    machine.flush()
    assert machine.mountfs("evict").returncode == 0
    machine.proxy.rule(Refuse())
    another = os.urandom(400_000)
    path.write_bytes(another)
    machine.kill()
    machine.start()
    assert path.read_bytes() == another
    machine.proxy.clear()
    machine.flush()
    assert os.getxattr(path, "user.mountfs.state") == b"remote"
    assert (make_machine().path / "job" / "file").read_bytes() == another
