"""What parent and child say to each other comes back as it was, and what is none of it is refused."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.reports.limits import SUMMARY_BYTES
from mountfs.reports.model import (
    Answer,
    Benchmarks,
    Case,
    Components,
    Coverage,
    Diff,
    FileCoverage,
    Finding,
    Findings,
    Load,
    LoadTest,
    Outcome,
    Parsed,
    Report,
    Sample,
    Severity,
    TestRun,
    Unknown,
    Unreadable,
)
from mountfs.reports.summaries import kind_of, summarize, type_of
from mountfs.reports.wire import (
    REQUEST_BYTES,
    AnswerRefused,
    Request,
    Summary,
    decode,
    decode_request,
    encode,
    encode_request,
    summary_of,
)

names = st.text(max_size=8)
counts = st.integers(0, 2**53)
numbers = st.floats(min_value=-1e12, max_value=1e12)
maybe_numbers = st.none() | numbers
maybe_counts = st.none() | counts

cases = st.builds(Case, names, names, names, st.sampled_from(Outcome), maybe_numbers, names, st.booleans(), names)
totals = st.dictionaries(st.sampled_from(["tests", "failed", "errors", "skipped"]), counts).map(MappingProxyType)
lines = st.frozensets(counts, max_size=3)
files = st.builds(FileCoverage, counts, counts, counts, counts, lines, maybe_numbers)
findings = st.builds(
    Finding,
    st.lists(names, max_size=3).map(tuple),
    names,
    st.sampled_from(Severity),
    names,
    names,
    maybe_counts,
    names,
    st.booleans(),
)
by_severity = st.dictionaries(st.sampled_from([word.value for word in Severity]), counts).map(MappingProxyType)
benchmarks = st.builds(Sample, maybe_numbers, maybe_numbers, maybe_numbers, maybe_numbers, maybe_counts)
values = st.dictionaries(names, numbers, max_size=2).map(MappingProxyType)
loads = st.builds(Load, maybe_counts, maybe_counts, maybe_numbers, maybe_numbers, maybe_numbers, values)
several: st.SearchStrategy[int] = st.just(3)

reports: st.SearchStrategy[Report] = st.one_of(
    st.builds(TestRun, st.lists(cases, max_size=3).map(tuple), totals, maybe_numbers),
    st.builds(
        Coverage,
        st.dictionaries(names, files, max_size=3).map(MappingProxyType),
        counts,
        counts,
        counts,
        counts,
        maybe_numbers,
        maybe_numbers,
    ),
    st.builds(Findings, st.lists(findings, max_size=3).map(tuple), by_severity, st.lists(names, max_size=2).map(tuple)),
    st.builds(
        Benchmarks,
        st.dictionaries(names, benchmarks, max_size=3).map(MappingProxyType),
        st.dictionaries(names, names, max_size=2).map(MappingProxyType),
    ),
    st.builds(
        LoadTest,
        st.dictionaries(names, loads, max_size=3).map(MappingProxyType),
        loads,
        st.lists(names, max_size=2).map(tuple),
    ),
    st.builds(Diff, st.dictionaries(names, st.tuples(counts, counts), max_size=3).map(MappingProxyType)),
    st.builds(Components, st.dictionaries(names, names, max_size=3).map(MappingProxyType)),
)
words = st.text(min_size=1, max_size=8)
answers: st.SearchStrategy[Answer] = st.one_of(
    st.builds(Parsed, words, reports, names), st.builds(Unreadable, words, names), st.builds(Unknown)
)


@given(answers)
def test_an_answer_comes_back_as_it_was(answer: Answer) -> None:
    assert decode(encode(answer)) == answer


@given(answers)
def test_a_summary_comes_back_as_it_was(answer: Answer) -> None:
    assert decode(encode(summary_of(answer))) == summary_of(answer)


@given(answers)
def test_an_answer_is_one_line_of_ascii(answer: Answer) -> None:
    line = encode(answer)
    assert line.isascii()
    assert line.index(b"\n") == len(line) - 1


@given(reports)
def test_a_summary_is_small_flat_and_of_plain_numbers(report: Report) -> None:
    summary = summarize(report)
    assert len(json.dumps(dict(summary), allow_nan=False)) <= SUMMARY_BYTES
    assert all(name.partition(".")[0] for name in summary)
    assert kind_of(report) in ("tests", "coverage", "findings", "benchmarks", "load", "diff", "components")
    assert type_of(Parsed("x", report))


def test_a_summary_of_many_benchmarks_keeps_the_first_by_name_and_says_so() -> None:
    samples = {f"{at:05d}" + "x" * 300: Sample(median=0.001) for at in range(20_000)}
    summary = summarize(Benchmarks(samples))
    kept = [name for name in summary if name not in ("bench.total", "bench.left_out")]
    assert summary["bench.total"] == 20_000
    assert summary["bench.left_out"] == 20_000 - len(kept)
    assert kept[0].startswith("bench.00000xxx")
    assert SUMMARY_BYTES // 2 < len(json.dumps(dict(summary))) <= SUMMARY_BYTES


@given(st.builds(Request, counts, st.sampled_from(["summary", "report"])))
def test_a_request_comes_back_as_it_was(request: Request) -> None:
    line = encode_request(request)
    assert len(line) <= REQUEST_BYTES
    assert decode_request(line) == request


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b'{"size": -1, "want": "report"}',
        b'{"size": 1, "want": "all"}',
        b'{"size": true, "want": "report"}',
    ],
)
def test_what_is_no_request_is_refused(line: bytes) -> None:
    with pytest.raises(AnswerRefused):
        decode_request(line)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"answer": "yes"},
        {"answer": "unreadable"},
        {"answer": "parsed"},
        {"answer": "parsed", "format": "junit"},
        {"answer": "parsed", "format": "junit", "kind": "tests", "summary": {"a": [1]}},
        {"answer": "parsed", "format": "junit", "kind": "tests", "summary": {"a": True}},
        {"answer": "parsed", "format": "junit", "kind": "poems", "report": {}},
        {"answer": "parsed", "format": "junit", "kind": "tests", "report": []},
        {"answer": "parsed", "format": "junit", "kind": "tests", "report": {"cases": [[1]], "totals": {}}},
        {"answer": "parsed", "format": "x", "kind": "diff", "report": {"a": [1, -1]}},
        {"answer": "parsed", "format": "x", "kind": "components", "report": {"a": 1}},
    ],
)
def test_what_is_no_answer_is_refused(document: object) -> None:
    with pytest.raises(AnswerRefused):
        decode(json.dumps(document).encode())


@given(answers, st.data())
def test_a_damaged_answer_is_refused_or_another(answer: Answer, data: st.DataObject) -> None:
    line = bytearray(encode(answer))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    try:
        told = decode(bytes(line))
    except AnswerRefused:
        return
    assert isinstance(told, Parsed | Summary | Unreadable | Unknown)
