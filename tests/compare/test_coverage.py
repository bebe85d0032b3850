"""What a comparison says of coverage: in points, like with like."""

import pytest

from mountfs.compare import Comparison, Side, Source, compare
from mountfs.compare.coverage import CoverageChange
from mountfs.reports.model import Coverage, Diff, FileCoverage, Parsed
from tests.compare.building import at, compared, project, side


def change(comparison: Comparison) -> CoverageChange:
    assert comparison.coverage is not None
    return comparison.coverage


def test_lines_are_compared_with_lines_whatever_else_a_report_mixes_in() -> None:
    """The same run is 62.5 % in Cobertura and 60.0 % in coverage.py's JSON (FORMATS, measured 3)."""
    files = {"a.py": FileCoverage(8, 5, 2, 1)}
    cobertura = Coverage(files, line_rate=62.5, branch_rate=50.0)
    counted = Coverage(files, 8, 5, 2, 1, line_rate=60.0)
    before, after = side(cobertura, format_name="cobertura"), side(counted, format_name="coverage.py")
    comparison = compare(before, after)
    assert change(comparison).line.change == 0
    assert change(comparison).branch.change == 0
    assert not comparison.changed
    assert comparison.notes == ("Coverage is compared across formats: cobertura before, coverage.py now.",)


def test_the_change_of_a_project_is_in_points() -> None:
    found = change(compared(project(a=(100, 80), b=(100, 80)), project(a=(100, 80), b=(100, 79))))
    assert found.line.change == pytest.approx(-0.5)
    assert [(file.path, file.line.change) for file in found.files] == [("b.py", -1.0)]
    assert found.unchanged == 1


def test_new_and_gone_files_are_told_as_such() -> None:
    found = change(compared(project(a=(10, 5), old=(10, 5)), project(a=(10, 5), new=(10, 5))))
    assert [(file.path, file.before is None, file.after is None) for file in found.files] == [
        ("new.py", True, False),
        ("old.py", False, True),
    ]


def test_a_file_that_changed_where_the_diff_did_not_touch_it_is_indirect() -> None:
    before, after = project(a=(10, 9), b=(10, 9)), project(a=(10, 8), b=(10, 7))
    comparison = compare(side(before), side(after, Diff({"src/a.py": (3, 1)})))
    assert {file.path: file.indirect for file in change(comparison).files} == {"a.py": False, "b.py": True}


def test_without_a_diff_nobody_knows_what_is_indirect() -> None:
    assert [f.indirect for f in change(compared(project(a=(2, 1)), project(a=(2, 2)))).files] == [None]


def test_a_line_that_one_shard_ran_was_run() -> None:
    one = Coverage({"a.py": FileCoverage(4, 2, missed=frozenset({3, 4}))}, 4, 2)
    other = Coverage({"a.py": FileCoverage(4, 2, missed=frozenset({1, 4}))}, 4, 2)
    assert change(compare(side(one, other), side(one, other))).line.after == 75.0


def test_shards_of_which_one_names_no_files_have_no_rate_rather_than_a_wrong_one() -> None:
    both = side(project(a=(10, 5)), Coverage({}, 100, 90))
    assert change(compare(both, both)).line.after is None


def test_one_run_in_two_formats_counts_once_and_the_other_half_of_a_project_counts_too() -> None:
    python, typescript = project(a=(100, 50)), Coverage({"app.ts": FileCoverage(100, 100)}, 100, 100)
    both = Side(
        "job",
        (
            Source("coverage.xml", Parsed("cobertura", python)),
            Source("coverage.json", Parsed("coverage.py", python)),
            Source("lcov.info", Parsed("lcov", typescript)),
        ),
    )
    assert change(compare(both, both)).line.after == 75.0


def test_the_same_files_below_different_roots_are_the_same() -> None:
    before = Coverage({"/home/runner/x/src/a.py": FileCoverage(4, 2), "/home/runner/x/src/b.py": FileCoverage(4, 2)})
    after = Coverage({"/builds/x/src/a.py": FileCoverage(4, 2), "/builds/x/src/b.py": FileCoverage(4, 3)})
    assert [file.path for file in change(compared(before, after)).files] == ["b.py"]


def test_a_tool_that_leaves_out_the_first_directory_names_the_same_files() -> None:
    before = Coverage({"a.py": FileCoverage(4, 2), "sub/b.py": FileCoverage(4, 2)})
    after = Coverage({"pkg/a.py": FileCoverage(4, 2), "pkg/sub/b.py": FileCoverage(4, 2)})
    assert change(compared(before, after)).files == ()


def test_a_moved_file_is_gone_and_new() -> None:
    before = Coverage({"a.py": FileCoverage(4, 2), "x/__init__.py": FileCoverage(1, 1)})
    after = Coverage({"a.py": FileCoverage(4, 2), "y/__init__.py": FileCoverage(1, 1)})
    assert [file.path for file in change(compared(before, after)).files] == ["x/__init__.py", "y/__init__.py"]


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), None])
def test_a_rate_that_is_none_is_not_said(rate: float | None) -> None:
    assert change(compared(Coverage({}, line_rate=rate), Coverage({}, line_rate=80.0))).line.before is None


def test_nothing_is_not_fully_covered() -> None:
    assert change(compared(Coverage({}), Coverage({}))).line.after is None


def test_a_report_of_the_whole_wins_over_the_sum_of_its_files() -> None:
    report = Coverage({"a.py": FileCoverage(10, 10)}, lines=100, covered=50)
    assert change(compare(at({"coverage.xml": report}), at({"coverage.xml": report}))).line.after == 50.0
