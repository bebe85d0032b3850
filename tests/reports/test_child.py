"""The child: what a stranger's report can do to it, and that whoever asked always gets an answer."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.reports import child
from mountfs.reports.model import Answer, Parsed, TestRun, Unknown, Unreadable
from mountfs.reports.process import Reader, environment
from mountfs.reports.wire import Request, Summary, decode, encode_request
from tests.reports import samples

_PATIENCE_SECONDS = 120.0  # what is tested is the answer, not how busy the machine is
_JUNIT = b"<testsuite tests='1'><testcase name='a'/></testsuite>"


@pytest.fixture
def reader() -> Iterator[Reader]:
    with Reader(deadline_seconds=_PATIENCE_SECONDS) as reader:
        yield reader


def told(reader: Reader, content: bytes) -> Answer:
    return reader.read(io.BytesIO(content), len(content))


def reason(reader: Reader, content: bytes) -> str:
    answer = told(reader, content)
    assert isinstance(answer, Unreadable)
    return answer.reason


def still_answers(reader: Reader) -> None:
    assert isinstance(told(reader, _JUNIT), Parsed)


# --- the loop, in this process ---------------------------------------------------------------


def test_the_loop_answers_one_report_after_the_other() -> None:
    requests = [(content, want) for content in (_JUNIT, b"", b"x" * 300_000) for want in ("summary", "report")]
    stream = io.BytesIO(b"".join(encode_request(Request(len(body), want)) + body for body, want in requests))  # type: ignore[arg-type]
    answers = io.BytesIO()
    assert not child.serve(stream, answers)
    kinds = [type(decode(line)) for line in answers.getvalue().splitlines()]
    assert kinds == [Summary, Parsed, Unknown, Unknown, Unknown, Unknown]


# --- the child -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*samples.FORMATS, samples.ERROR])
def test_the_child_says_what_reading_here_says(shared: Reader, name: str) -> None:
    from mountfs.reports.reading import read

    content = samples.content(name)
    assert told(shared, content) == read(content)


@pytest.fixture(scope="module")
def shared() -> Iterator[Reader]:
    with Reader(deadline_seconds=_PATIENCE_SECONDS) as reader:
        yield reader


def test_a_summary_is_asked_for_alone(shared: Reader) -> None:
    content = samples.content("surefire.xml")
    summary = shared.summarize(io.BytesIO(content), len(content))
    assert isinstance(summary, Summary)
    assert (summary.format, summary.kind, summary.type) == ("junit", "tests", "test-results")
    assert summary.numbers["tests.flaky"] == 1


def test_the_child_has_limits_of_its_own(shared: Reader) -> None:
    still_answers(shared)
    limits = Path(f"/proc/{_pid(shared)}/limits").read_text()
    told_limits = {line[:26].strip(): line[26:].split()[1] for line in limits.splitlines()}
    assert told_limits["Max file size"] == "0"
    assert told_limits["Max core file size"] == "0"
    assert told_limits["Max open files"] == "32"
    assert child.MEMORY_BYTES < int(told_limits["Max address space"]) < 1.5 * child.MEMORY_BYTES
    assert os.getpriority(os.PRIO_PROCESS, _pid(shared)) >= 10


def test_the_child_gets_no_environment_of_ours(shared: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert environment().keys() <= {"PATH", "PYTHONPATH", "LD_LIBRARY_PATH"}
    with Reader() as reader:
        still_answers(reader)
        assert b"secret" not in Path(f"/proc/{_pid(reader)}/environ").read_bytes()


def test_the_child_imports_nothing_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    (tmp_path / "mountfs").mkdir()
    monkeypatch.chdir(tmp_path)
    with Reader() as reader:
        still_answers(reader)


def _pid(reader: Reader) -> int:
    assert reader.pid is not None
    return reader.pid


def test_one_child_reads_many_reports(reader: Reader) -> None:
    still_answers(reader)
    pid = _pid(reader)
    still_answers(reader)
    assert _pid(reader) == pid


def test_a_child_that_was_killed_is_replaced(reader: Reader) -> None:
    still_answers(reader)
    os.kill(_pid(reader), signal.SIGKILL)
    os.waitid(os.P_PID, _pid(reader), os.WEXITED | os.WNOWAIT)
    still_answers(reader)


def test_a_child_ends_with_its_parent_though_its_input_stays_open() -> None:
    script = (
        "import os, subprocess, sys\n"
        "command = [sys.executable, '-P', '-m', 'mountfs.reports']\n"
        "child = subprocess.Popen(command, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ours, theirs = os.pipe(), [sys.executable, "-P", "-c", script]
    try:
        os.write(ours[1], encode_request(Request(0, "summary")))
        done = subprocess.run(theirs, stdin=ours[0], capture_output=True, env=environment(), check=False, timeout=60)
        stat = Path(f"/proc/{int(done.stdout)}/stat")
        until = time.monotonic() + 20
        while stat.exists() and stat.read_text().split()[2] != "Z":
            assert time.monotonic() < until
    finally:
        for descriptor in ours:
            os.close(descriptor)


def test_a_report_that_takes_too_long_is_answered_in_time() -> None:
    slow = b"<testsuite tests='1'>" + b"<x/>" * 4_000_000
    with Reader(deadline_seconds=0.5) as reader:
        started = time.monotonic()
        assert reason(reader, slow) == "Reading the report took longer than 0.5 s."
        assert time.monotonic() - started < 10
    with Reader() as reader:
        still_answers(reader)


def test_a_source_that_shrinks_is_answered(reader: Reader) -> None:
    answer = reader.read(io.BytesIO(_JUNIT), len(_JUNIT) + 1)
    assert answer == Unreadable("unknown", "The report became shorter while it was read.")
    still_answers(reader)


class _Failing:
    def read(self, size: int, /) -> bytes:
        raise OSError("lost")


def test_an_error_of_the_source_is_the_callers(reader: Reader) -> None:
    with pytest.raises(OSError, match="lost"):
        reader.read(_Failing(), 10)
    still_answers(reader)


# --- ten hostile reports, and some more ------------------------------------------------------

_BOMB = "".join(f'<!ENTITY l{at} "{f"&l{at - 1};" * 10}">' for at in range(1, 10))
_ENTITIES = "declares entities, which can hide bombs and files of others; they are refused"

HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "billion laughs": (
        lambda: f'<!DOCTYPE testsuites [<!ENTITY l0 "ha">{_BOMB}]><testsuites name="&l9;" tests="0"/>'.encode(),
        _ENTITIES,
    ),
    "billion laughs under a DOCTYPE of another name": (
        lambda: f'<!DOCTYPE lolz [<!ENTITY l0 "ha">{_BOMB}]><testsuites name="&l9;" tests="0"/>'.encode(),
        _ENTITIES,
    ),
    "billion laughs behind a long DOCTYPE": (
        lambda: f'<!DOCTYPE lolz [{"<!ELEMENT a (b)>" * 7000}{_BOMB}]><testsuites tests="0">&l9;</testsuites>'.encode(),
        _ENTITIES,
    ),
    "billion laughs behind a long comment": (
        lambda: f'<!--{"x]>" * 70_000}--><!DOCTYPE testsuites [{_BOMB}]><testsuites tests="0"/>'.encode(),
        _ENTITIES,
    ),
    "quadratic blowup": (
        lambda: b'<!DOCTYPE coverage [<!ENTITY a "' + b"a" * 50_000 + b'">]><coverage line-rate="1">' + b"&a;" * 50_000,
        _ENTITIES,
    ),
    "external entity": (
        lambda: b'<!DOCTYPE testsuite [<!ENTITY x SYSTEM "file:///etc/passwd">]><testsuite tests="0">&x;</testsuite>',
        _ENTITIES,
    ),
    "external parameter entity": (
        lambda: b'<!DOCTYPE report [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><report/>',
        _ENTITIES,
    ),
    "100,000-deep XML": (lambda: b"<testsuite tests='1'>" + b"<x>" * 100_000, "is nested too deeply"),
    "100,000-deep JSON": (
        lambda: b'{"auditReportVersion": 2, "vulnerabilities": ' + b"[" * 100_000,
        "is nested too deeply",
    ),
    "invalid UTF-8 in XML": (
        lambda: b"<testsuite tests='1'><testcase name='\xff\xfe'/></testsuite>",
        "is not well-formed XML: not well-formed (invalid token) (line 1, column 38)",
    ),
    "invalid UTF-8 in JSON": (
        lambda: b'{"tests_run": 1, "passed": 1, "failed": 0, "x": "\xff"}',
        "is not UTF-8 text: byte 50 is wrong",
    ),
    "truncated": (
        lambda: samples.content("trivy.json")[:-10],
        "is not whole JSON: unterminated string starting at (line 12, column 57)",
    ),
    "NUL bytes": (
        lambda: b"<testsuite tests='1'>" + b"x" * 70_000 + b"\0</testsuite>",
        "is not well-formed XML: not well-formed (invalid token) (line 1, column 70022)",
    ),
    "a number of 5,000 digits": (
        lambda: b'{"tests_run": 1' + b"0" * 5000 + b', "passed": 1, "failed": 0}',
        "has no count where 'tests_run' should be",
    ),
    "1e999": (
        lambda: b'{"tests_run": 1e999, "passed": NaN, "failed": 0}',
        "has no count where 'tests_run' should be",
    ),
    "a tag of 9 MB": (
        lambda: b"<testsuite tests='1'><testcase name='" + b"x" * 9_000_000 + b"'/></testsuite>",
        "has a single tag or comment of more than 8 MiB",
    ),
    "300,000 tests": (
        lambda: b"<testsuite tests='1'>" + b"<testcase name='a'/>" * 300_000 + b"</testsuite>",
        "has more than 250,000 tests",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_report_is_answered(shared: Reader, name: str) -> None:
    content, why = HOSTILE[name]
    assert reason(shared, content()) == f"The report {why}."
    still_answers(shared)


def test_a_text_node_of_100_mb_is_read_in_little_memory(shared: Reader) -> None:
    text = b"x" * 100_000_000
    content = b"<testsuite tests='1'><testcase name='a'><system-out>" + text + b"</system-out></testcase></testsuite>"
    answer = told(shared, content)
    assert isinstance(answer, Parsed)
    assert isinstance(answer.report, TestRun)
    assert len(answer.report.cases) == 1
    status = Path(f"/proc/{_pid(shared)}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) < 100_000


def test_duplicate_keys_and_paths_upwards_are_plain_values(shared: Reader) -> None:
    row = {"check_name": "x", "fingerprint": "1", "description": "", "location": {"path": "../../\x1b[2J/etc/passwd"}}
    content = json.dumps([row]).replace('"fingerprint": "1"', '"fingerprint": "0", "fingerprint": "1"').encode()
    assert "../../\\x1b[2J/etc/passwd" in repr(told(shared, content))


def too_much() -> bytes:
    many = b'{"auditReportVersion": 2, "metadata": {}, "vulnerabilities": {"x": ['
    content = many + b"[],{}," * 10_500_000 + b"0]}}"
    assert len(content) < 64 * 1024 * 1024
    return content


def test_a_document_that_needs_too_much_memory_is_answered(reader: Reader) -> None:
    assert reason(reader, too_much()) == "Reading the report needs more than 1024 MiB of memory."
    still_answers(reader)


def test_and_so_is_the_next_one_however_slowly_the_child_begins_anew(reader: Reader) -> None:
    """It once ended by the alarm of its former life, on a busy machine."""
    reason(reader, too_much())
    assert reader.pid is not None
    while _catches(reader.pid, signal.SIGALRM):
        pass
    os.kill(reader.pid, signal.SIGSTOP)
    time.sleep(1.2)
    os.kill(reader.pid, signal.SIGCONT)
    still_answers(reader)


def _catches(pid: int, number: signal.Signals) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught >> (number - 1) & 1)
