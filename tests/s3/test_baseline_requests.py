"""What a baseline costs on a machine that knows nothing: heads tell which jobs to look at, and no other is read.

Beside a hundred jobs here, beside 100,000 in `scripts/soak baseline`.
"""

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from mountfs import objects
from mountfs.remote.protocol import Remote
from tests.bucket.index_size import many_jobs, objects_of
from tests.reports.samples import FOLDER
from tests.s3.conftest import Claims, lent
from tests.s3.program import Program, storage_of
from tests.s3.test_request_counts import PATIENT, flushed
from tests.s3.two import Machine, Machines, Two, eventually
from tests.written import cobertura, junit

pytestmark = pytest.mark.usefixtures("unmeasured")

CROWD = int(os.environ.get("BASELINE_JOBS", "100"))  # older jobs, one in ten of main, as `put` leaves them
AT_ONCE = 16
OTHERS = 40
MOST_REQUESTS = 12
STILL = {**PATIENT, "sync": {**PATIENT["sync"], "refresh_seconds": "60s", "mode": "lazy"}}


@pytest.fixture
def patient(shared_machines: Machines, _claims: Claims) -> Iterator[Two]:
    """Two machines of the module, as people have them; the first has made many jobs and two newer ones."""
    while len(shared_machines.made) < 2:
        shared_machines(settings=STILL)
    for two in lent(shared_machines, (0, 0), _claims):
        if not (two[0].path / "other-0").exists():
            _crowd(shared_machines)
            _fill(two[0])
        yield two


def _crowd(machines: Machines) -> None:
    """Jobs of other machines, put where their uploads would have."""
    remote = machines.remote()
    store_id = str(json.loads(remote.get("mountfs.json", most_bytes=4096).data)["store"])
    with ThreadPoolExecutor(AT_ONCE) as threads:
        began_ms = int(time.time() * 1000) - 86_400_000 - 100 * CROWD
        found = objects_of(many_jobs(CROWD, store_id=store_id, began_ms=began_ms), store_id=store_id)
        while some := list(islice(found, 1000)):
            list(threads.map(lambda one: remote.put(*one), some))


def _fill(machine: Machine) -> None:
    for number in range(OTHERS):
        _make(machine, f"other-{number}", {"junit.xml": junit(a="P")}, b"elsewhere" if number % 2 else b"main")
    _make(machine, "good", {"junit.xml": junit(a="P"), "coverage.xml": cobertura(80)}, b"main")
    _make(machine, "failed", {"junit.xml": junit(a="F"), "coverage.xml": cobertura(80)}, b"main", status=b"failed")
    _make(machine, "mine", {"junit.xml": junit(a="F"), "coverage.xml": cobertura(75)}, b"feature")


def _make(machine: Machine, job: str, files: dict[str, bytes], branch: bytes, *, status: bytes | None = None) -> None:
    (machine.path / job).mkdir()
    os.setxattr(machine.path / job, "user.branch", branch)
    if status is not None:
        os.setxattr(machine.path / job, "user.status", status)
    for name, content in files.items():
        (machine.path / job / name).write_bytes(content)
    flushed(machine)


def test_a_fresh_lazy_machine_compares_with_its_baseline_in_twelve_requests(patient: Two, beside: Machines) -> None:
    """However many jobs there are: they are listed by branch, newest first. Counted from the mount on."""
    fresh = beside(settings=STILL)
    done = fresh.mountfs("compare", "mine", "--baseline", "main", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    asked = fresh.proxy.counted()
    print(f"compare with a baseline: {asked.total()} requests {dict(asked)}")
    assert said["baseline"]["job"] == "good"
    assert [one["name"] for one in said["comparison"]["new_failures"]] == ["a"]
    assert said["comparison"]["coverage"]["change"] == -5
    assert asked.total() <= MOST_REQUESTS, [(one.method, one.target) for one in fresh.proxy.asked]


def test_so_does_a_runner_that_cannot_mount(
    patient: Two, shared_machines: Machines, beside: Machines, tmp_path_factory: pytest.TempPathFactory
) -> None:
    proxied = beside(start=False)
    storage = storage_of(shared_machines.bucket, endpoint_url=proxied.proxy.endpoint_url)
    runner = Program(tmp_path_factory.mktemp("runner"), storage, sync=STILL["sync"])
    (said,) = runner.json("compare", "mine", "--baseline", "main")
    baseline = said["baseline"]
    assert isinstance(baseline, dict)
    assert baseline["job"] == "good"
    asked = proxied.proxy.counted()
    print(f"without a mount: {asked.total()} requests {dict(asked)}")
    assert asked.total() <= MOST_REQUESTS, [(one.method, one.target) for one in proxied.proxy.asked]


def test_a_report_whose_name_says_nothing_makes_its_job_a_baseline_too(
    patient: Two, beside: Machines, job: str, shared_machines: Machines
) -> None:
    """Heads tell of the types of a job, also of those that were read in its reports after it was flushed."""
    here, remote = patient[0], shared_machines.remote()
    for name, branch in ((f"{job}-1", job.encode()), (f"{job}-2", b"other")):
        _make(here, name, {"out.json": (FOLDER / "bandit.json").read_bytes()}, branch)
    eventually(lambda: "security-findings" in _head(remote, job), True)
    done = beside(settings=STILL).mountfs("compare", f"{job}-2", "--baseline", job, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["baseline"]["job"] == f"{job}-1"


def _head(remote: Remote, branch: str) -> str:
    """The newest of a branch."""
    listed = remote.list(objects.heads_prefix("branch", branch.encode()))
    return remote.get(listed.objects[0].key, most_bytes=4096).data.decode()


def test_a_job_made_here_and_not_sent_yet_is_a_baseline_too(patient: Two, job: str) -> None:
    here = patient[1]
    (here.path / job).mkdir()
    os.setxattr(here.path / job, "user.branch", b"main")
    (here.path / job / "junit.xml").write_bytes(junit(a="P"))
    (said,) = [json.loads(here.mountfs("compare", "mine", "--baseline", "main", "--json").stdout)]
    assert said["baseline"]["job"] == job


def test_a_branch_that_nobody_has_is_no_baseline(patient: Two) -> None:
    done = patient[1].mountfs("compare", "mine", "--baseline", "nobody")
    assert done.returncode == 9, done.stderr
    assert "no job with branch=nobody" in done.stderr
