"""The paths that reports name: as short as they still tell which file it is."""

import json
from collections.abc import Mapping

import pytest

from mountfs.reports.model import Coverage, Findings, Parsed
from mountfs.reports.paths import common_directory, is_absolute, plain_path
from mountfs.reports.reading import read

Place = Mapping[str, object]
Bases = Mapping[str, Place]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("src/a.py", "src/a.py"),
        ("./src/a.py", "src/a.py"),
        ("src\\a.py", "src/a.py"),
        ("file:///ws/a.py", "/ws/a.py"),
        ("file:/ws/a.py", "/ws/a.py"),
        ("FILE://localhost/ws/a.py", "/ws/a.py"),
        ("file:///C:/ws/a.py", "C:/ws/a.py"),
        ("C:\\ws\\a.py", "C:/ws/a.py"),
        ("file://src/a.py", "src/a.py"),
        ("https://example.com/a.py", "https://example.com/a.py"),
    ],
)
def test_a_path_is_plain_however_it_was_written(written: str, plain: str) -> None:
    assert plain_path(written) == plain


@pytest.mark.parametrize("path", ["/a", "C:/a", "d:\\a"])
def test_absolute_paths_of_linux_and_windows_are_known(path: str) -> None:
    assert is_absolute(path)


@pytest.mark.parametrize("path", ["a/b", "/", "", "C:a", "ab:/c", "https://a/b"])
def test_what_is_none_is_not_absolute(path: str) -> None:
    assert not is_absolute(path)


@pytest.mark.parametrize(
    ("directories", "common"),
    [([], ""), (["/a/b"], "/a/b"), (["/a/b", "/a/bc"], "/a"), (["/a", "/b"], ""), (["C:/a", "/a"], "")],
)
def test_the_common_directory_is_one_of_whole_names(directories: list[str], common: str) -> None:
    assert common_directory(directories) == common


def sarif(places: list[Place], bases: Bases | None = None) -> list[str]:
    """The paths of findings at these places."""
    results = [{"ruleId": "R", "locations": [{"physicalLocation": {"artifactLocation": place}}]} for place in places]
    run = {"tool": {"driver": {"name": "t"}}, "results": results, "originalUriBaseIds": bases or {}}
    answer = read(json.dumps({"version": "2.1.0", "runs": [run]}).encode())
    assert isinstance(answer, Parsed)
    assert isinstance(answer.report, Findings)
    return [finding.path for finding in answer.report.findings]


def test_a_path_below_the_only_base_is_that_of_the_project() -> None:
    bases = {"%SRCROOT%": {"uri": "file:///ws/x/"}}
    assert sarif([{"uri": "src/a.py", "uriBaseId": "%SRCROOT%"}], bases) == ["src/a.py"]
    assert sarif([{"uri": "file:///ws/x/src/a.py"}], bases) == ["src/a.py"]
    assert sarif([{"uri": "file:///elsewhere/a.py"}], bases) == ["/elsewhere/a.py"]


def test_a_base_below_another_one_is_part_of_the_path() -> None:
    bases = {"SRC": {"uri": "src/", "uriBaseId": "ROOT"}, "TESTS": {"uri": "tests", "uriBaseId": "ROOT"}, "ROOT": {}}
    places = [{"uri": "a.py", "uriBaseId": "SRC"}, {"uri": "a.py", "uriBaseId": "TESTS"}]
    assert sarif([*places], bases) == ["src/a.py", "tests/a.py"]


def test_two_files_below_two_bases_are_two() -> None:
    bases = {"ROOT": {"uri": "file:///ws/"}, "HOME": {"uri": "file:///home/me"}, "OTHER": {}}
    places = [{"uri": "a.py", "uriBaseId": base} for base in ("ROOT", "ROOT", "HOME", "OTHER")]
    assert sarif([*places], bases) == ["a.py", "a.py", "/home/me/a.py", "OTHER/a.py"]


def test_a_base_that_is_named_nowhere_is_the_project() -> None:
    assert sarif([{"uri": "./a.py", "uriBaseId": "%SRCROOT%"}]) == ["a.py"]


def test_a_base_that_lies_below_itself_ends() -> None:
    bases = {"A": {"uri": "a/", "uriBaseId": "B"}, "B": {"uri": "b/", "uriBaseId": "A"}}
    assert sarif([{"uri": "x.py", "uriBaseId": "A"}], bases)[0].endswith("x.py")


def cobertura(sources: list[str], files: list[str]) -> list[str]:
    told = "".join(f"<source>{source}</source>" for source in sources)
    classes = "".join(
        f'<class name="c" filename="{file}"><lines><line number="1" hits="1"/></lines></class>' for file in files
    )
    text = f'<coverage line-rate="1"><sources>{told}</sources><packages><package><classes>{classes}</classes></package>'
    answer = read(f"{text}</packages></coverage>".encode())
    assert isinstance(answer, Parsed)
    assert isinstance(answer.report, Coverage)
    return sorted(answer.report.files)


def test_files_of_cobertura_are_named_below_their_source() -> None:
    assert cobertura(["/ws"], ["/ws/src/a.py", "b.py"]) == ["b.py", "src/a.py"]


def test_files_below_two_sources_of_cobertura_are_two() -> None:
    assert cobertura(["/ws/one", "/ws/two"], ["/ws/one/a.py", "/ws/two/a.py"]) == ["one/a.py", "two/a.py"]
