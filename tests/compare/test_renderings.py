"""A comparison as JSON, as Markdown and as rows (F-109, F-110)."""

import html
import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mountfs.compare import (
    Baseline,
    Comparison,
    Mark,
    Rule,
    Side,
    Source,
    as_json,
    as_markdown,
    changed_only,
    compare,
    judge,
    parse_gates,
    tables,
    verdict,
)
from mountfs.reports.model import (
    Benchmarks,
    Case,
    Coverage,
    FileCoverage,
    Finding,
    Findings,
    Load,
    LoadTest,
    Outcome,
    Sample,
    Severity,
    TestRun,
    Unreadable,
)
from tests.compare.building import at, case, compared, finding, findings, project, run, side

BASELINE = Baseline("build-6", Rule.LATEST, 7200.0, None)


def everything() -> Comparison:
    """A comparison with something in each of its parts."""
    before = side(
        run(a="P", b="F", c="P", d="P", e="F"),
        project(a=(10, 9), gone=(5, 5)),
        findings(finding("B1"), finding("B2")),
        Benchmarks({"parse": Sample(1.0), "same": Sample(1.0)}),
        LoadTest({"GET /": Load(p95=0.1, failures=0)}, Load(p95=0.1, failures=0)),
        sizes={"build-logs": 1000, "videos": 5},
    )
    after = side(
        run(a="F", b="P", d="S", e="F", f="P"),
        project(a=(10, 8), new=(5, 5)),
        findings(finding("B2"), finding("B3", Severity.CRITICAL)),
        Benchmarks({"parse": Sample(2.0), "same": Sample(1.0)}),
        LoadTest({"GET /": Load(p95=0.2, failures=1)}, Load(p95=0.2, failures=1)),
        sizes={"build-logs": 2000, "videos": 5},
    )
    return compare(before, Side("build-7", after.sources, after.sizes))


def table_of(document: dict[str, object], *path: str) -> dict[str, object]:
    for name in path:
        inner = document[name]
        assert isinstance(inner, dict)
        document = inner
    return document


def test_json_keeps_the_promised_shape() -> None:
    document = as_json(everything(), baseline=BASELINE)
    assert document["schema"] == 1
    coverage = table_of(document, "comparison", "coverage")
    assert coverage["before"] == pytest.approx(100 * 14 / 15)
    assert coverage["after"] == pytest.approx(100 * 13 / 15)
    assert coverage["change"] == pytest.approx(-100 / 15)
    comparison = table_of(document, "comparison")
    assert [test["name"] for test in listed(comparison["new_failures"])] == ["a"]
    assert [test["name"] for test in listed(comparison["fixed"])] == ["b"]
    assert [found["rule"] for found in listed(comparison["new_findings"])] == ["B3"]
    assert table_of(comparison, "tests", "after")["failed"] == 2


def listed(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def test_json_says_which_baseline_and_that_its_distance_is_unknown() -> None:
    assert as_json(everything(), baseline=BASELINE)["baseline"] == {
        "job": "build-6",
        "rule": "latest",
        "age_seconds": 7200.0,
        "commits_away": None,
        "distance": "distance unknown",
        "because": None,
    }


def test_json_of_gates_says_whether_all_passed() -> None:
    comparison = everything()
    document = as_json(comparison, gates=judge(parse_gates("new_failures>0, fixed>5"), comparison))
    assert document["passed"] is False
    assert [gate["failed"] for gate in listed(document["gates"])] == [True, False]


def test_what_a_side_lacks_is_null_and_told() -> None:
    document = as_json(compare(Side("a"), side(project(a=(2, 1)))))
    assert table_of(document, "comparison", "coverage")["before"] is None
    assert table_of(document, "comparison", "coverage")["change"] is None
    assert listed(document["lacks"])[0]["side"] == "before"


def test_diff_only_leaves_out_what_is_as_it_was() -> None:
    short = changed_only(everything())
    document = as_json(short)
    comparison = table_of(document, "comparison")
    assert comparison["still_failing"] == []
    assert list(table_of(comparison, "sizes")) == ["build-logs"]
    assert [change["name"] for change in listed(table_of(comparison, "benchmarks")["changes"])] == ["parse"]
    assert {table.title for table in tables(short)} < {table.title for table in tables(everything())}


def test_the_verdict_is_one_line_with_what_matters_most_first() -> None:
    said, mark = verdict(everything())
    assert said == (
        "1 new failure; 1 test fixed; 1 test disappeared; line coverage −6.67 points; 1 new finding; 1 benchmark slower"
    )
    assert mark is Mark.BAD


def test_a_comparison_without_change_says_so() -> None:
    assert verdict(compared(run(a="P"), run(a="P"))) == ("Nothing changed", Mark.PLAIN)


def test_the_verdict_of_gates_counts_those_that_failed() -> None:
    comparison = compared(run(a="P"), run(a="F"))
    results = judge(parse_gates("new_failures>0, fixed>1"), comparison)
    assert verdict(comparison, results) == ("1 gate of 2 failed: 1 new failure", Mark.BAD)
    assert verdict(comparison, results[1:])[1] is Mark.GOOD


def test_an_unreadable_report_is_in_the_verdict() -> None:
    after = Side("b", (Source("junit.xml", Unreadable("junit", "it is cut off", "tests")),))
    assert "reports missing or unreadable" in verdict(compare(side(run(a="P")), after))[0]


def test_rows_say_good_and_bad() -> None:
    marks = {table.title: [row.mark for row in table.rows] for table in tables(everything())}
    assert marks["New failures"] == [Mark.BAD]
    assert marks["Fixed"] == [Mark.GOOD]
    assert marks["Benchmarks"] == [Mark.BAD, Mark.PLAIN]


# -- Markdown ---------------------------------------------------------------------------------------------------

HOSTILE = [
    "|", "\\|", "\\\\|", "`|`", "``", "a\nb", "a\r\n\r\n# title", "</code>", "</details>", "<script>x</script>",
    "@octocat", "http://evil.example", "www.evil.example", "[x](http://evil)", "![x](y)", "**b**", "_i_", "~~s~~",
    "&amp;", "&#124;",
    "<!--", "$x$", ":tada:", "#12", "a@b.example", "\x1b[31m", "\u202e", "\x00", "\udcff", "---", "| --- |", "x" * 5000,
]  # fmt: skip
names = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=40), st.text(alphabet="|\\`<>&#;*_[]()!@:/.-\n\r ~$", max_size=20)
)


def cells(text: str) -> list[list[str]]:
    """The cells of all rows of all tables, as a Markdown parser sees them."""
    found: list[list[str]] = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough").parse(text):
        if token.type == "tr_open":
            found.append([])
        elif token.type == "inline" and found and token.level > 2:
            assert {child.type for child in token.children or ()} <= {"text", "html_inline", "text_special"}
            found[-1].append(re.sub(r"</?code>", "", html.unescape(token.content)))
    return found


def of_names(name: str, message: str) -> Comparison:
    before = Side(name, (Source(name, Unreadable("junit", message)),))
    hostile = Case(name, name, name, Outcome.FAILED, message=message)
    found = Finding((name,), name, Severity.HIGH, message, name, 1, name)
    after = side(
        TestRun((hostile, case("b"))),
        Findings((found,)),
        Coverage({name: FileCoverage(2, 1)}, 2, 1),
        Benchmarks({name: Sample(1.0)}),
        LoadTest({name: Load(p95=1.0)}, Load(p95=1.0), (name,)),
        sizes={name: 1},
    )
    passed = TestRun((Case(name, name, name, Outcome.PASSED), case("b")))
    base = side(passed, Findings((), tools=(name,)), Coverage({}, 2, 2), Benchmarks({}), LoadTest({}, Load()))
    return compare(Side(name, (*before.sources, *base.sources)), Side(name, after.sources, after.sizes))


@settings(deadline=None)
@given(names, names)
@example("a|b", "c|d")
def test_no_name_breaks_out_of_its_table(name: str, message: str) -> None:
    comparison = of_names(name, message)
    found = cells(as_markdown(comparison, baseline=Baseline(name, Rule.PINNED)))
    shown = sum(len(table.rows) + 1 for table in tables(comparison))
    assert len(found) == shown
    assert {len(row) for row in found} == {5}


@settings(deadline=None)
@given(names)
def test_markdown_holds_no_elements_but_its_own(name: str) -> None:
    text = as_markdown(of_names(name, name))
    assert set(re.findall(r"<[^>]*>?", text)) <= {
        "<code>", "</code>", "<details>", "</details>", "<summary>", "</summary>"
    }  # fmt: skip
    assert text.count("<details>") == text.count("</details>")
    assert not re.search(r"@|://|www\.|[`\[\]\\~$]", text)


@pytest.mark.parametrize("name", ["tests/test_a.py::test_b[1|2]", "a & b <c>", "x_y __z__"])
def test_a_name_is_read_as_it_was_written(name: str) -> None:
    text = as_markdown(
        compared(TestRun((Case("", "", name, Outcome.PASSED),)), TestRun((Case("", "", name, Outcome.FAILED),)))
    )
    assert any(name.split("::")[-1] in row[1] for row in cells(text))


def test_markdown_begins_with_the_verdict_and_what_was_compared() -> None:
    lines = as_markdown(everything(), baseline=BASELINE).splitlines()
    assert lines[0].startswith("❌ **1 new failure; ")
    assert "build-7" in lines[2]
    assert "2 h old" in html.unescape(lines[2])


@pytest.mark.parametrize("limit", [200, 2_000, 10_000, 60_000])
def test_markdown_is_never_longer_than_its_limit(limit: int) -> None:
    many = TestRun(tuple(case(f"test_{number}_" + "x" * 300, "F") for number in range(3_000)))
    passed = TestRun(tuple(case(f"test_{number}_" + "x" * 300) for number in range(3_000)))
    text = as_markdown(compared(passed, many), limit=limit)
    assert len(text) <= limit
    assert "3,000 new failures" in html.unescape(text)


def test_rows_that_were_left_out_are_counted() -> None:
    many = TestRun(tuple(case(f"test_{number}", "F") for number in range(80)))
    passed = TestRun(tuple(case(f"test_{number}") for number in range(80)))
    assert "… and 30 more" in as_markdown(compared(passed, many))


def test_long_lists_are_folded() -> None:
    text = as_markdown(everything())
    assert "<summary>New failures (1)</summary>" in text
    assert text.index("**Summary**") < text.index("<details>")


def test_json_holds_no_nan_whatever_a_report_says() -> None:
    broken = at(
        {
            "a": TestRun((case("a", seconds=float("nan")),), seconds=float("inf")),
            "b": Coverage({"a": FileCoverage(0, 0)}, line_rate=float("nan")),
            "c": Benchmarks({"a": Sample(float("inf"), stddev=float("nan")), "b": Sample(5e-324, stddev=1e308)}),
            "d": LoadTest({}, Load(p95=float("nan"), per_second=float("-inf"))),
        }
    )
    json.dumps(as_json(compare(broken, broken)), allow_nan=False)


def test_a_file_whose_branches_alone_changed_says_so() -> None:
    before, after = (Coverage({"a.py": FileCoverage(4, 4, 4, covered)}, 4, 4, 4, covered) for covered in (4, 3))
    comparison = compared(before, after)
    assert verdict(comparison)[0] == "Branch coverage −25.00 points"
    row = next(table for table in tables(comparison) if table.title == "Coverage of files").rows[0]
    assert row.detail == "branches 4 of 4 → 3 of 4"
