"""One project in two checkouts: what a comparison says does not depend on where a tool ran."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs.compare import (
    Comparison,
    JobFacts,
    Side,
    Source,
    as_json,
    compare,
    history,
    judge,
    parse_gates,
)
from mountfs.compare.findings import FindingChanges
from mountfs.compare.outcomes import TestChanges
from mountfs.reports.formats.findings import without_numbers
from mountfs.reports.model import (
    Case,
    Coverage,
    FileCoverage,
    Finding,
    Findings,
    Outcome,
    Parsed,
    Report,
    Severity,
    TestRun,
)
from tests.compare.building import at, compared, side

ROOTS = ("/w/x", "/builds/12/group/x", "/var/jenkins/workspace/job@2", "C:/agent/work/1/s", "/home/runner/x/x")


def found(path: str, rule: str = "B1", *, code: str = "eval(x)") -> Finding:
    return Finding(("ruff", rule, path, code), rule, Severity.HIGH, f"about {rule}", path, 7, "ruff")


def findings(*paths: str, root: str = "") -> Findings:
    return Findings(tuple(found(f"{root}/{path}" if root else path) for path in paths))


def linted(*paths: str, root: str = "") -> TestRun:
    """As ruff writes JUnit: the file is the suite, and without its ending the class."""
    files = [f"{root}/{path}" if root else path for path in paths]
    return TestRun(tuple(Case(file, file.removesuffix(".py"), "org.ruff.F401", Outcome.FAILED) for file in files))


def covered(files: dict[str, int], *, root: str = "") -> Coverage:
    return Coverage({f"{root}/{path}" if root else path: FileCoverage(10, many) for path, many in files.items()})


def change(comparison: Comparison) -> FindingChanges:
    assert comparison.findings is not None
    return comparison.findings


def outcomes(comparison: Comparison) -> TestChanges:
    assert comparison.tests is not None
    return comparison.tests


def told(comparison: Comparison) -> tuple[list[str], list[str], int]:
    """The paths of new and of fixed findings, and how many are as they were."""
    result = change(comparison)
    return [one.path for one in result.new], [one.path for one in result.fixed], result.unchanged


# -- what people do ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("names", [["m.py"], ["src/a.py", "src/b.py"], ["src/a.py", "tests/t.py"]])
def test_the_same_findings_in_two_checkouts_have_not_changed(root: str, names: list[str]) -> None:
    assert not compared(findings(*names, root="/home/me/wa"), findings(*names, root=root)).changed


@pytest.mark.parametrize("root", ROOTS)
def test_a_finding_that_is_new_in_another_checkout_is_told_by_its_path_in_the_project(root: str) -> None:
    before = findings("src/a.py", "tests/t.py", root="/home/me/wa")
    after = findings("src/a.py", "src/b.py", root=root)
    assert told(compared(before, after)) == (["src/b.py"], ["tests/t.py"], 1)


def test_a_gate_on_new_findings_passes_in_the_second_workspace() -> None:
    comparison = compared(findings("src/a.py", root="/ws/job"), findings("src/a.py", root="/ws/job@2"))
    assert [result.failed for result in judge(parse_gates("findings.high>0"), comparison)] == [False]


def test_a_linters_junit_names_the_same_tests_in_two_checkouts() -> None:
    comparison = compared(linted("m.py", "sub/n.py", root="/wa"), linted("m.py", "sub/n.py", root="/a/b/wb"))
    changes = outcomes(comparison)
    assert (changes.new_failures, changes.disappeared) == ((), ())
    assert [str(test) for test in changes.still_failing] == ["m::org.ruff.F401", "sub/n::org.ruff.F401"]


def test_windows_and_linux_check_out_the_same_files() -> None:
    before = TestRun((Case("C:\\ws\\src\\m.py", "C:\\ws\\src\\m", "r", Outcome.FAILED),))
    after = TestRun((Case("/builds/src/m.py", "/builds/src/m", "r", Outcome.FAILED),))
    assert len(outcomes(compared(before, after)).still_failing) == 1


def test_a_tool_that_wrote_relative_paths_before_names_the_same_files() -> None:
    paths = ("src/a.py", "setup.py")
    assert not compared(findings(*paths), findings(*paths, root="/ws")).changed
    assert not compared(findings(*paths, root="/ws"), findings(*paths)).changed


def test_a_message_that_names_the_file_is_the_same_message_in_two_checkouts() -> None:
    def side_at(root: str) -> Findings:
        message = f"{root}/src/a.py is imported by {root}/src/b.py"
        identity = ("tool", "R", f"{root}/src/a.py", without_numbers(message))
        return Findings((Finding(identity, "R", Severity.HIGH, message, f"{root}/src/a.py", tool="tool"),))

    assert not compared(side_at("/builds/12/x"), side_at("/home/me/wa")).changed


def test_each_leg_of_a_matrix_has_a_checkout_of_its_own() -> None:
    legs = {"linux.sarif": "/home/runner/x", "windows.sarif": "D:/a/x"}
    others = {"linux.sarif": "/builds/x1", "windows.sarif": "C:/agent/x2"}
    before, after = (
        at({path: findings("src/a.py", "t.py", root=root) for path, root in some.items()}) for some in (legs, others)
    )
    assert told(compare(before, after)) == ([], [], 4)


def test_the_history_of_a_test_goes_through_all_checkouts() -> None:
    roots = ("/ws/job", "/ws/job@2", "/builds/9/x")
    runs = [(JobFacts(f"job-{number}", number), linted("m.py", "n.py", root=root)) for number, root in enumerate(roots)]
    told = history("m::org.ruff.F401", runs)
    assert [row.times for row in told.rows] == [1, 1, 1]


# -- what must not be taken for one -----------------------------------------------------------------------------


def test_two_files_of_one_report_stay_two() -> None:
    """Both roots hold an `a.py`: the second keeps its own path."""
    before = covered({"/ws/a.py": 5, "/ws/b.py": 5, "/ws/c.py": 5, "/gen/a.py": 1, "/gen/d.py": 1})
    after = covered({"/ci/a.py": 5, "/ci/b.py": 5, "/ci/c.py": 5, "/tmp/a.py": 1, "/tmp/d.py": 1})
    coverage = compared(before, after).coverage
    assert coverage is not None
    assert coverage.before is not None
    assert sorted(coverage.before.files) == ["/gen/a.py", "a.py", "b.py", "c.py", "d.py"]
    assert (sorted(file.path for file in coverage.files), coverage.unchanged) == (["/gen/a.py", "/tmp/a.py"], 4)


def test_a_file_that_may_be_either_of_two_is_neither() -> None:
    before = Findings((found("/wa/x/m.py"), found("/wa/y/m.py")))
    assert told(compared(before, findings("m.py", root="/wb"))) == (["m.py"], ["x/m.py", "y/m.py"], 0)


def test_what_was_found_in_it_tells_which_of_two_files_it_is() -> None:
    before = Findings((found("/wa/x/m.py", "B1"), found("/wa/y/m.py", "B2")))
    after = Findings((found("/wb/m.py", "B2"),))
    assert told(compared(before, after)) == ([], ["/wa/x/m.py"], 1)


def test_one_name_that_is_everywhere_joins_no_two_projects() -> None:
    before = findings("vendor/setup.py", "x.py", "y.py", root="/wa")
    after = findings("setup.py", "z.py", "q.py", root="/wb")
    assert change(compared(before, after)).unchanged == 0


def test_files_that_another_report_names_as_two_are_two() -> None:
    coverage = covered({"a/x.py": 5, "b/x.py": 5})
    before, after = (side(findings(f"{name}/x.py", root="/ws"), coverage) for name in "ab")
    assert change(compare(before, after)).unchanged == 0


def test_a_file_in_one_checkout_is_not_that_of_another_directory() -> None:
    before, after = findings("a/x.py", "c.py", root="/ws"), findings("b/x.py", "c.py", root="/ws")
    assert told(compared(before, after)) == (["b/x.py"], ["a/x.py"], 1)


def test_a_route_is_no_path() -> None:
    run = TestRun(
        (Case("s", "/api/users", "answers", Outcome.FAILED), Case("s", "/api/jobs", "answers", Outcome.PASSED))
    )
    assert [str(test) for test in outcomes(compared(run, run)).still_failing] == ["/api/users::answers"]


def test_what_lies_outside_the_checkout_keeps_its_path() -> None:
    def at_root(root: str, name: str) -> Findings:
        inside = tuple(found(f"{root}/{path}") for path in ("a.py", "b/c.py"))
        return Findings((*inside, found("/usr/lib/python3/site.py"), found(f"/usr/lib/python3/{name}")))

    comparison = compared(at_root("/wa", "old.py"), at_root("/builds/wb", "new.py"))
    assert told(comparison) == (["/usr/lib/python3/new.py"], ["/usr/lib/python3/old.py"], 3)


def test_ten_thousand_files_are_matched() -> None:
    names = [f"pkg{number % 100}/mod{number % 7}/f{number}.py" for number in range(10_000)]
    names += [f"pkg{number}/__init__.py" for number in range(100)]
    comparison = compared(findings(*names, root="/wa"), findings(*names, root="/builds/7/wb"))
    assert change(comparison).unchanged == len(names)


# -- wherever it ran --------------------------------------------------------------------------------------------

names = st.lists(
    st.sampled_from(["m.py", "n.py", "src/m.py", "src/n.py", "src/sub/m.py", "tests/m.py", "tests/t.py"]),
    max_size=5,
    unique=True,
)
rules = st.sampled_from(["B1", "B2"])
parts = st.lists(st.sampled_from(["w", "x", "job@2", "12", "src", "m.py", "a b"]), min_size=1, max_size=4)


@st.composite
def jobs(draw: st.DrawFn) -> Side:
    """Reports of findings, tests and coverage, with all paths below `/w/x`."""
    some = Findings(tuple(found(f"/w/x/{path}", draw(rules)) for path in draw(names)))
    run = linted(*draw(names), root="/w/x")
    lines = covered({path: draw(st.integers(0, 3)) for path in draw(names)}, root="/w/x")
    every: list[Report] = [some, run, lines]
    reports = draw(st.lists(st.sampled_from(every), max_size=3, unique_by=id))
    return Side("job", tuple(Source(str(number), Parsed("x", one)) for number, one in enumerate(reports)))


def moved(job: Side, prefix: str) -> Side:
    """The job as it is when its checkout lies below that directory."""
    return replace(
        job,
        sources=tuple(
            replace(source, answer=replace(source.answer, report=_report(source.answer, prefix)))
            for source in job.sources
            if isinstance(source.answer, Parsed)
        ),
    )


def _report(said: Parsed, prefix: str) -> Findings | TestRun | Coverage:
    match said.report:
        case Findings(findings=some):
            return Findings(tuple(found(prefix + one.path, one.rule) for one in some))
        case TestRun(cases=cases):
            return linted(*(prefix + case.suite for case in cases))
        case Coverage(files=files):
            return Coverage({prefix + path: file for path, file in files.items()})
        case _:
            raise AssertionError


def said_of(comparison: Comparison) -> str:
    return json.dumps(as_json(comparison), sort_keys=True)


@settings(deadline=None)
@given(jobs(), jobs(), parts, st.booleans())
def test_a_directory_before_all_paths_of_one_side_changes_nothing(
    before: Side, after: Side, directory: list[str], earlier: bool
) -> None:
    prefix = "/" + "/".join(directory)
    sides = (moved(before, prefix), after) if earlier else (before, moved(after, prefix))
    assert said_of(compare(*sides)) == said_of(compare(before, after))
