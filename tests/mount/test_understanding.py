"""Reports of strangers beside a running mount: each gets its answer, and nobody else notices."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mountfs.api import open_store
from tests.mount.conftest import MountFactory
from tests.mounting import Ground, Mounted
from tests.written import ANSWER_SECONDS, answered, junit, summary

pytestmark = [pytest.mark.mountfs_only, pytest.mark.usefixtures("unmeasured")]

GROWTH_BYTES = 30 << 20
MEBI = 1 << 20


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_report_is_understood_behind_its_writer(job: Path) -> None:
    (job / "out.xml").write_bytes(junit(a="P", b="F"))
    found = answered(job / "out.xml")
    assert found["status"] == "parsed"
    assert os.getxattr(job / "out.xml", b"user.mountfs.format") == b"junit"
    assert os.getxattr(job / "out.xml", b"user.mountfs.type") == b"test-results"


def test_find_and_show_know_formats(shared: Ground, job: Path) -> None:
    (job / "out.xml").write_bytes(junit(a="P", b="F"))
    answered(job / "out.xml")
    with open_store(mount=shared.path) as store:
        assert [found.key for found in store.find(f"job={job.name} and format=junit")] == [f"{job.name}/out.xml"]
        shown = store.metadata(f"{job.name}/out.xml")
    assert (shown.format, shown.type) == ("junit", "test-results")
    assert shown.summary is not None
    assert shown.summary["status"] == "parsed"
    assert (shared.path / ".by-type/test-results" / job.name).exists()


HOSTILE: Mapping[str, Callable[[], bytes]] = {
    "laughs.xml": lambda: (
        b"<!DOCTYPE testsuites ["
        + b'<!ENTITY a0 "lol">'
        + b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
        + b"]><testsuites>&a9;</testsuites>"
    ),
    "test-outside.xml": lambda: (
        b'<!DOCTYPE testsuites [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        b'<testsuites><testsuite name="&x;"/></testsuites>'
    ),
    "test-deep.xml": lambda: b"<testsuites>" + b"<testsuite>" * 1_000_000,
    "test-deep.json": lambda: b"[" * 5_000_000,
    "test-node.xml": lambda: (
        b'<testsuites><testsuite><testcase name="a"><system-out>' + b"x" * (60 * MEBI) + b"</system-out></testcase>"
        b"</testsuite></testsuites>"
    ),
    "test-larger.xml": lambda: b"<testsuites><testsuite><testcase name='" + b"x" * (100 * MEBI) + b"'/></testsuite>",
    "test-bytes.xml": lambda: b'<testsuites><testsuite><testcase name="\xff\xfe\xc3\x28"/></testsuite></testsuites>',
    "test-utf16.xml": lambda: b"\xff\xfe" + "<testsuites>".encode("utf-16-le") + b"\x00\xd8" * 1000,
    "test-many.xml": lambda: (
        b"<testsuites><testsuite>" + b'<testcase name="a"/>' * 2_000_000 + b"</testsuite></testsuites>"
    ),
    "bandit.json": lambda: (
        b'{"results":[' + b'{"test_id":"x","filename":"../../../etc/passwd","code":"x"},' * 400_000 + b"{}],"
        b'"metrics":{"_totals":{}},"generated_at":"x"}'
    ),
    "coverage.json": lambda: (
        b'{"meta":{"version":"7","branch_coverage":true},"files":{},"totals":' + b"9" * 10_000_000 + b"}"
    ),
}


@pytest.mark.timeout(600)
def test_hostile_reports_are_answered_and_the_daemon_stays_as_it_was(mounted: MountFactory) -> None:
    """Done-when 7: bombs, nesting, nodes of 100 MB, broken encodings. Nothing of them is held by the daemon."""
    daemon: Mounted = mounted()
    (daemon.path / "job").mkdir()
    (daemon.path / "job" / "junit.xml").write_bytes(junit(a="P"))
    answered(daemon.path / "job" / "junit.xml")
    _warm_up(daemon)
    before = resident(daemon.pid)
    for name, content in HOSTILE.items():
        (daemon.path / "job" / name).write_bytes(content())
    written = resident(daemon.pid)
    most, slowest = 0, 0.0
    waiting = {name: daemon.path / "job" / name for name in HOSTILE}
    answers: dict[str, Mapping[str, object]] = {}
    until = time.monotonic() + 20 * len(HOSTILE) + ANSWER_SECONDS
    while waiting:
        assert time.monotonic() < until, f"no answer about {sorted(waiting)}"
        began = time.monotonic()
        os.listdir(daemon.path / "job")
        slowest = max(slowest, time.monotonic() - began)
        for name, path in list(waiting.items()):
            if (found := summary(path)) is not None:
                answers[name] = found
                del waiting[name]
        most = max(most, resident(daemon.pid))
        time.sleep(0.05)
    memory = " → ".join(f"{size >> 20} MiB" for size in (before, written, most))
    print(f"daemon: {memory}; slowest listing {slowest:.3f} s")
    assert most - max(before, written) < GROWTH_BYTES
    others = {"test-node.xml": "parsed", "test-deep.json": "unknown", "test-utf16.xml": "unknown"}
    assert {name: found["status"] for name, found in answers.items()} == dict.fromkeys(HOSTILE, "unreadable") | others
    (daemon.path / "job" / "after").write_bytes(b"it still serves")
    assert (daemon.path / "job" / "after").read_bytes() == b"it still serves"
    (daemon.path / "job" / "test-after.xml").write_bytes(junit(a="P", b="P"))
    assert answered(daemon.path / "job" / "test-after.xml")["status"] == "parsed"


def _warm_up(daemon: Mounted) -> None:
    """What the daemon holds after its first large file it holds anyway."""
    (daemon.path / "job" / "large.bin").write_bytes(os.urandom(64 * MEBI))
    daemon.settle()


def test_a_child_that_dies_is_replaced_and_its_report_answered(mounted: MountFactory) -> None:
    daemon = mounted()
    (daemon.path / "job").mkdir()
    (daemon.path / "job" / "junit.xml").write_bytes(junit(a="P"))
    answered(daemon.path / "job" / "junit.xml")
    [child] = _children(daemon.pid)
    os.kill(child, signal.SIGKILL)
    (daemon.path / "job" / "test-2.xml").write_bytes(junit(a="P", b="F"))
    assert answered(daemon.path / "job" / "test-2.xml")["status"] == "parsed"


def _children(pid: int) -> list[int]:
    """The processes in which it has reports read."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return [int(child) for child in children if b"mountfs.reports" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_compare_through_a_mount_reads_what_was_just_written(shared: Ground, job: Path) -> None:
    """F-107: the command beside the daemon."""
    for part, outcome in (("a", "P"), ("b", "F")):
        (job / part).mkdir()
        (job / part / "junit.xml").write_bytes(junit(a=outcome))
    pair = (f"{job.name}/b", f"{job.name}/a")
    done = subprocess.run(
        [sys.executable, "-m", "mountfs.cli", "compare", *pair, "--fail-on", "new_failures>0"],
        env={**os.environ, "MOUNTFS_MOUNT": str(shared.path)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "1 gate of 1 failed: 1 new failure" in done.stdout
