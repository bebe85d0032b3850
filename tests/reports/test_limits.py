"""Every limit has an answer: what is beyond it is refused with its number, never cut to something smaller."""

import json
import time
from collections.abc import Callable

import pytest

from mountfs.reports import limits
from mountfs.reports.model import Components, Coverage, Findings, Parsed, TestRun, Unknown, Unreadable
from mountfs.reports.reading import read
from tests.reports import samples


def reason(content: bytes, **room: int) -> str:
    answer = read(content, limits={**limits.ROOM, **room})
    assert isinstance(answer, Unreadable)
    return answer.reason


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("surefire.xml", "tests"),
        ("pytest-json-report.json", "tests"),
        ("pytest-reportlog.jsonl", "tests"),
        ("mountfs-tests.json", "tests"),
        ("tap.txt", "tests"),
        ("lcov.info", "lines"),
        ("jacoco.xml", "lines"),
        ("clover.xml", "lines"),
        ("coverage-py.json", "lines"),
        ("git.diff", "files"),
        ("mountfs-coverage.json", "files"),
        ("sarif.json", "findings"),
        ("trivy.json", "findings"),
        ("npm-audit.json", "findings"),
        ("pip-audit.json", "findings"),
        ("code-quality.json", "findings"),
        ("mountfs-security.json", "findings"),
        ("hyperfine.json", "benchmarks"),
        ("pytest-benchmark.json", "benchmarks"),
        ("k6.json", "endpoints"),
        ("k6-handle-summary.json", "endpoints"),
        ("locust.json", "endpoints"),
        ("locust_stats.csv", "endpoints"),
        ("cyclonedx.json", "components"),
        ("spdx.json", "components"),
    ],
)
def test_a_report_of_more_than_its_limit_is_unreadable(name: str, what: str) -> None:
    single = name in ("hyperfine.json", "pytest-benchmark.json", "locust_stats.csv")
    most = 0 if single else 1
    assert reason(samples.content(name), **{what: most}) == f"The report has more than {most} {what}."


@pytest.mark.parametrize("name", ["jacoco.xml", "clover.xml", "lcov.info", "coverage-py.json"])
def test_a_report_of_more_files_than_its_limit_is_unreadable(name: str) -> None:
    assert reason(samples.content(name), files=0) == "The report has more than 0 files."


@pytest.mark.parametrize("name", [name for name in samples.FORMATS if name not in ("cobertura-rates.xml",)])
def test_names_and_messages_together_have_a_limit(name: str) -> None:
    told = reason(samples.content(name), **{"characters of names and messages": 0})
    assert told == "The report has more than 0 characters of names and messages."


def _junit(*cases: str) -> bytes:
    return f"<testsuite tests='{len(cases)}'>{''.join(cases)}</testsuite>".encode()


def test_a_long_message_is_kept_to_its_beginning() -> None:
    answer = read(_junit(f"<testcase name='a'><failure>{'x' * 5000}</failure></testcase>"))
    assert isinstance(answer, Parsed)
    assert isinstance(answer.report, TestRun)
    assert answer.report.cases[0].message == "x" * limits.MESSAGE_SIGNS


def test_two_long_names_stay_two() -> None:
    long = "x" * 5000
    answer = read(_junit(f"<testcase name='{long}1'/>", f"<testcase name='{long}2'/>"))
    assert isinstance(answer, Parsed)
    assert isinstance(answer.report, TestRun)
    first, second = (case.name for case in answer.report.cases)
    assert first != second
    assert len(first) == len(second) == limits.NAME_SIGNS


def test_a_long_path_in_two_records_stays_one_file() -> None:
    record = f"SF:{'x' * 5000}\nDA:1,1\nend_of_record\n"
    answer = read(f"TN:\n{record}{record}".encode())
    assert isinstance(answer, Parsed)
    assert isinstance(answer.report, Coverage)
    assert [file.lines for file in answer.report.files.values()] == [1]


def test_json_beyond_64_mib_is_refused_unread() -> None:
    content = samples.content("coverage-py.json").rstrip()
    assert read(content + b" " * (limits.JSON_BYTES - len(content))) == read(content)
    assert reason(content + b" " * (limits.JSON_BYTES - len(content) + 1)) == (
        "The report is larger than 64 MiB, the most that is read."
    )
    assert read(b"{" + b" " * limits.JSON_BYTES + b"}") == Unknown()


def test_a_report_with_a_long_prolog_is_read() -> None:
    for prolog in (
        f"<!--{'x' * 70_000}-->",
        f"<!DOCTYPE testsuite [{'<!ELEMENT a (b)>' * 7000}]>",
        "<?a b?>\n" * 10_000,
    ):
        answer = read(prolog.encode() + _junit("<testcase name='a'/>"))
        assert isinstance(answer, Parsed)
        assert answer.format == "junit"


@pytest.mark.parametrize("piece", ["<!--", "<?", '"x', "'", "<", "<!ELEMENT ", "[", "]"])
def test_a_prolog_that_does_not_end_is_answered_soon(piece: str) -> None:
    """Each sign is looked at a few times, not once for each one before it."""
    began = time.process_time()
    assert not isinstance(read(f"<!DOCTYPE testsuite [{piece * 200_000}".encode()), Parsed)
    assert time.process_time() - began < 5


class _Endless:
    """A source that would go on for ever, and says how much was taken."""

    def __init__(self, start: bytes) -> None:
        self._start = start
        self.taken = 0

    def read(self, size: int, /) -> bytes:
        piece = self._start[:size] or b" " * size
        self._start = self._start[size:]
        self.taken += len(piece)
        return piece


@pytest.mark.parametrize("start", [b"<testsuite tests='1'>", b"SF:a\nDA:1,1\n"])
def test_a_stream_beyond_512_mib_is_refused_unread(start: bytes) -> None:
    source = _Endless(start)
    answer = read(source, limits.STREAM_BYTES + 1)
    assert isinstance(answer, Unreadable)
    assert answer.reason == "The report is larger than 512 MiB, the most that is read."
    assert source.taken <= limits.HEAD_BYTES


def test_no_more_is_read_than_the_size_that_was_said() -> None:
    source = _Endless(b"<testsuite tests='1'/>")
    assert isinstance(read(source, 22), Parsed)
    assert source.taken == 22


def test_xml_that_is_nested_too_deeply_is_refused() -> None:
    def nested(depth: int) -> bytes:
        return b"<testsuite tests='0'>" + b"<x>" * (depth - 1) + b"</x>" * (depth - 1) + b"</testsuite>"

    assert isinstance(read(nested(limits.XML_DEPTH)), Parsed)
    assert reason(nested(limits.XML_DEPTH + 1)) == "The report is nested too deeply."


def test_json_that_is_nested_too_deeply_is_refused() -> None:
    deep = b'{"auditReportVersion": 2, "vulnerabilities": ' + b"[" * 100_000
    assert reason(deep) == "The report is nested too deeply."


@pytest.mark.parametrize("text", ["<!--%s-->", "<testcase name='%s'/>"])
def test_one_tag_or_comment_beyond_8_mib_is_refused(text: str) -> None:
    inner = text % ("x" * (limits.TOKEN_BYTES + 200_000))
    told = reason(f"<testsuite tests='1'>{inner}</testsuite>".encode())
    assert told == "The report has a single tag or comment of more than 8 MiB."


class _Filled:
    """A source of a start, that many bytes more, and an end, which never has all of it in memory."""

    def __init__(self, start: bytes, filler: bytes, filled: int, end: bytes) -> None:
        self._pieces = [start, *([filler * 1024] * (filled // 1024)), end]
        self.size = sum(map(len, self._pieces))

    def read(self, size: int, /) -> bytes:
        if not self._pieces:
            return b""
        piece, self._pieces[0] = self._pieces[0][:size], self._pieces[0][size:]
        if not self._pieces[0]:
            del self._pieces[0]
        return piece


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (b"<testsuite tests='1'><testcase name='a'><system-out>", b"</system-out></testcase></testsuite>"),
        (b"<testsuite tests='1'><testcase name='a'><failure>", b"</failure></testcase></testsuite>"),
        (b"<testsuite tests='1'><testcase name='a'/>", b"</testsuite>"),
        (b"TN:x\nSF:a\nDA:1,1\nend_of_record\nTN:", b""),
    ],
)
def test_a_text_of_32_mib_needs_no_memory(start: bytes, end: bytes, measured_memory: Callable[[], int]) -> None:
    source = _Filled(start, b"x", 32 * 1024 * 1024, end)
    assert isinstance(read(source, source.size), Parsed)
    assert measured_memory() < 8 * 1024 * 1024


@pytest.mark.parametrize("number", ["1" * 5000, "1e999", "-1", "NaN", "Infinity", "1.5", '"5"', "true", "null"])
def test_a_count_that_is_none_makes_a_report_unreadable(number: str) -> None:
    content = samples.content("coverage-py.json").replace(
        b'"num_statements": 8', b'"num_statements": ' + number.encode()
    )
    assert reason(content).startswith("The report has no count where '")


@pytest.mark.parametrize("number", ["1" * 5000, "1e999", "NaN", "-Infinity"])
def test_a_time_that_is_none_is_not_kept(number: str) -> None:
    document = samples.content("mountfs-tests.json").replace(b"3.5", number.encode())
    answer = read(document)
    assert isinstance(answer, Parsed)
    assert isinstance(answer.report, TestRun)
    assert answer.report.seconds is None


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    content = b'{"tests_run": 9, "tests_run": 1, "passed": 0, "passed": 1, "failed": 0}'
    answer = read(content)
    assert isinstance(answer, Parsed)
    assert isinstance(answer.report, TestRun)
    assert answer.report.totals["tests"] == 1


def test_paths_are_texts_that_nobody_opens() -> None:
    paths = ["../../etc/passwd", "/etc/passwd", "a\x1b[31m", "\ud800", "a\0b", "C:\\x"]
    document = [
        {"check_name": "x", "fingerprint": str(at), "location": {"path": path}, "description": ""}
        for at, path in enumerate(paths)
    ]
    answer = read(json.dumps(document).encode())
    assert isinstance(answer, Parsed)
    assert isinstance(answer.report, Findings)
    kept = [finding.path for finding in answer.report.findings]
    assert kept == ["../../etc/passwd", "/etc/passwd", "a\x1b[31m", "?", "a\N{REPLACEMENT CHARACTER}b", "C:/x"]
    assert all(path.encode() for path in kept)


def test_a_component_of_many_versions_is_kept_in_bounds() -> None:
    components = [{"name": "x", "version": str(version)} for version in range(2000)]
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}
    answer = read(json.dumps(document).encode())
    assert isinstance(answer, Parsed)
    assert isinstance(answer.report, Components)
    assert len(answer.report.components["x"]) == limits.NAME_SIGNS
