"""Which format a report has is told by its content, and what is not whole is never read as if it were."""

import codecs
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.reports.model import Parsed, Unknown, Unreadable
from mountfs.reports.reading import detect, read
from mountfs.reports.shape import Json, parse
from mountfs.reports.summaries import KIND_OF_FORMAT, kind_of, summarize
from mountfs.reports.wire import decode, encode
from tests.reports import samples

_ENCODINGS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (b"", "utf-16-le"),
    (b"", "utf-32-be"),
]


@pytest.mark.parametrize("name", samples.FORMATS)
def test_a_report_is_recognised_and_gives_its_numbers(name: str) -> None:
    format_, numbers = samples.FORMATS[name]
    answer = read(samples.content(name))
    assert isinstance(answer, Parsed)
    assert answer.format == format_
    assert summarize(answer.report).items() >= numbers.items()


def test_every_sample_is_judged() -> None:
    assert {path.name for path in samples.FOLDER.iterdir()} == {*samples.FORMATS, samples.ERROR}


@pytest.mark.parametrize(("mark", "encoding"), _ENCODINGS)
@pytest.mark.parametrize(
    "name", ["surefire.xml", "coverage-py.json", "lcov.info", "git.diff", "pytest-reportlog.jsonl"]
)
def test_a_report_says_the_same_in_every_unicode_encoding(name: str, mark: bytes, encoding: str) -> None:
    plain = samples.content(name)
    assert read(mark + plain.decode().encode(encoding)) == read(plain)


def test_what_a_byte_order_mark_says_counts_more_than_what_xml_declares() -> None:
    text = '<?xml version="1.0" encoding="utf-8"?><testsuite tests="1"><testcase name="ä"/></testsuite>'
    answer = read(codecs.BOM_UTF16_LE + text.encode("utf-16-le"))
    assert isinstance(answer, Parsed)


def test_xml_in_latin_1_is_read_as_it_declares() -> None:
    text = '<?xml version="1.0" encoding="iso-8859-1"?><testsuite tests="1"><testcase name="ä"/></testsuite>'
    assert "ä" in repr(read(text.encode("latin-1")))


@pytest.mark.parametrize("name", samples.FORMATS)
def test_a_report_that_was_cut_never_gives_numbers_of_less(name: str) -> None:
    whole = samples.content(name).rstrip()
    answers = [read(whole[: len(whole) * share // 10]) for share in range(1, 10)]
    kept = [answer for answer in answers if isinstance(answer, Parsed)]
    # a cut between two records of a text, or in the name of its last, leaves a whole text: only then there are numbers
    assert not kept or name in ("lcov.info", "git.diff", "locust_stats.csv", "tap.txt")


@pytest.mark.parametrize("name", [name for name in samples.FORMATS if not name.endswith((".csv", ".diff", ".txt"))])
def test_a_report_that_was_cut_near_its_end_is_recognised(name: str) -> None:
    whole = samples.content(name).rstrip()
    answer = read(whole[: len(whole) - 2] if not name.endswith((".jsonl", ".info")) else whole[: len(whole) - 30])
    assert isinstance(answer, Unreadable)
    assert answer.format == samples.FORMATS[name][0]
    assert answer.reason.startswith("The report ")


def test_an_error_document_is_not_an_audit_without_findings() -> None:
    answer = read(samples.content(samples.ERROR))
    assert answer == Unreadable(
        "error-document",
        "The report is an error message of the tool, no result: The audit endpoint returned an error.",
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n\n",
        b"hello",
        b"{}",
        b"[]",
        b"null",
        b'{"type": "test_results"}',
        b'{"results": [], "metrics": {}}',
        b'{"version": "2.1.0", "runs": []}',
        b'{"error": "no"}',
        b'{"vulnerabilities": {}}',
        b"<html><body/></html>",
        b"<coverage/>",
        b"<report/>",
        b"<testsuite/>",
        b'<report title="x"><counter/></report>',
        b"TN:",
        b"SF:is a city\nand no coverage",
        b"1..10 is a range",
        b"--- a rule\n+++ and another\n",
        b"diff --git a/x b/x\n",
        b"Type,Name\nGET,/",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"\xff\xfe\x00",
        b'{"a": 1}\n{"b": 2}\n',
        b"<",
        b"<?xml version='1.0'?>",
    ],
)
def test_one_fact_alone_is_no_format(content: bytes) -> None:
    assert read(content) == Unknown()
    assert detect(content) is None


def test_the_order_of_keys_means_nothing() -> None:
    document = json.loads(samples.content("sarif.json"))
    turned = json.dumps(dict(reversed(document.items()))).encode()
    assert read(turned) == read(samples.content("sarif.json"))


@given(st.binary(max_size=300))
def test_any_bytes_have_an_answer(content: bytes) -> None:
    assert isinstance(read(content), Parsed | Unreadable | Unknown)


@given(st.sampled_from(sorted(samples.FORMATS)), st.data())
def test_a_damaged_report_has_an_answer(name: str, data: st.DataObject) -> None:
    content = bytearray(samples.content(name))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"", b"{", b"0", b"-9e999", b"\xff", b"null", b"[]"])
        )
    assert isinstance(read(bytes(content)), Parsed | Unreadable | Unknown)


_JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(name for name in samples.FORMATS if name.endswith(".json"))), _JSON, st.data())
def test_a_report_with_another_value_somewhere_has_an_answer(name: str, value: Json, data: st.DataObject) -> None:
    document = parse(samples.content(name))
    place = data.draw(st.integers(0, _size(document) - 1))
    changed, _ = _with(document, place, value)
    answer = read(json.dumps(changed).encode())
    assert decode(encode(answer)) == answer


def _size(value: Json) -> int:
    """How many values there are in it, itself with them."""
    match value:
        case dict():
            return 1 + sum(map(_size, value.values()))
        case list():
            return 1 + sum(map(_size, value))
        case _:
            return 1


def _with(value: Json, place: int, new: Json) -> tuple[Json, int]:
    """The same with `new` at its n-th value; and where to go on counting."""
    if place == 0:
        return new, -1
    place -= 1
    if isinstance(value, dict):
        fields: dict[str, Json] = {}
        for key, inner in value.items():
            fields[key], place = _with(inner, place, new)
        return fields, place
    if isinstance(value, list):
        items: list[Json] = []
        for inner in value:
            item, place = _with(inner, place, new)
            items.append(item)
        return items, place
    return value, place


@pytest.mark.parametrize("name", samples.FORMATS)
def test_of_each_format_it_is_known_what_its_reports_are_about(name: str) -> None:
    """So that one that cannot be read is missed where it should have been."""
    answer = read(samples.content(name))
    assert isinstance(answer, Parsed)
    assert KIND_OF_FORMAT[answer.format] == kind_of(answer.report)
