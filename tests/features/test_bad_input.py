"""What cannot be meant: each a sentence with its exit code, with nothing changed and nobody kept waiting (issue 5)."""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mountfs import errors
from mountfs.api import ArtifactStore
from tests.features.conftest import Shell
from tests.mount.syscalls import refused
from tests.mounting import Mounted
from tests.written import answered, cobertura, junit

pytestmark = pytest.mark.usefixtures("unmeasured")

CONTRADICTIONS = {
    "group_by: [type, type]": "my0.yml:1: retention.group_by: names type 2 times; allowed: each once",
    "keep_latest_n: 3, group_by: [job]": "retention.group_by: job: N counts jobs, so that in groups of one job none",
    'schedule: "0 0 31 2 *"': "retention.schedule: '0 0 31 2 *' is not a schedule: ",
    "default_ttl_days: -1": "retention.default_ttl_days: ",
}


@pytest.fixture
def build(served: Mounted, store: ArtifactStore, job: str) -> Iterator[str]:
    """A job with a report and a tag; whatever a test asks for, it is as it was, and the mount answers."""
    store.put(f"{job}/junit.xml", junit(a="P"), expires="+30d")
    store.tag(job, team="payments")
    answered(served.path / job / "junit.xml")
    before = _all(store, job)
    yield job
    assert _all(store, job) == before
    assert os.listdir(served.path / job) == ["junit.xml"]
    (served.path / job / "goes on").write_bytes(b"x")


def _all(store: ArtifactStore, job: str) -> list[object]:
    return [store.metadata(job), list(store.list(job)), [store.get(found.key) for found in store.list(job)]]


def answers(shell: Shell, *lines: Sequence[str]) -> list[tuple[int, str]]:
    """The exit code of each command line, and what it said on stderr."""
    return [(code, said) for code, _, said in shell.answers(*lines)]


def test_a_query_that_does_not_parse_is_refused_with_its_position(
    shell: Shell, served: Mounted, store: ArtifactStore, build: str
) -> None:
    """By command, in Python, and as a directory."""
    found = answers(shell, ["find", "branch=main and size~~1"], ["list", "type=log and"], ["list", "(type=log"])
    assert [code for code, _ in found] == [2, 2, 2]
    assert found[0][1] == (
        "mountfs: size is compared with = != < <= > >=, not with ~ (at 20)\n"
        "mountfs:   branch=main and size~~1\n"
        f"mountfs:   {'^':>21}\n"
    )
    assert "here a condition is expected" in found[1][1]
    assert "this ( has no )" in found[2][1]
    with pytest.raises(errors.QueryError) as error:
        list(store.find("branch=main and size~~1"))
    assert (error.value.position, error.value.errno) == (20, errno.EINVAL)
    with refused(errno.EINVAL):
        os.listdir(served.path / ".find" / "branch=main and size~~1")


def test_a_tag_key_with_an_equals_sign_is_refused_with_what_is_allowed(
    shell: Shell, store: ArtifactStore, build: str
) -> None:
    """What stands after the first `=` of `key=value` is all value; an attribute `user.a=b` is kept and is no tag."""
    found = answers(shell, ["tag", build, "--remove", "a=b"], ["tag", build, "=b"], ["list", "--tag", "=b"])
    assert [code for code, _ in found] == [2, 2, 2]
    assert all("is not a tag key" in said and "a-z 0-9 _ -" in said for _, said in found)
    with pytest.raises(errors.InvalidName, match="no '=' in a key"):
        store.tag(build, **{"a=b": "c"})
    with pytest.raises(errors.InvalidName, match="no '=' in a key"):
        store.put(f"{build}/more", b"x", tags={"a=b": "c"})


def test_a_date_that_is_none_is_refused_with_what_is_allowed(
    shell: Shell, served: Mounted, store: ArtifactStore, build: str
) -> None:
    lines = [
        ["list", "--since", "yesterday"],
        ["list", "--until", "2026-02-30"],
        ["find", "created>soon"],
        ["put", f"{build}/more", "/dev/null", "--expires", "tomorrow"],
        ["cleanup", "--older-than", "soon"],
        ["cleanup", "--older-than", "90"],
    ]
    found = answers(shell, *lines)
    assert [code for code, _ in found] == [2] * len(lines)
    assert all(said.startswith("mountfs: ") and ("allowed:" in said or "out of range" in said) for _, said in found)
    with refused(errno.EINVAL):
        os.setxattr(served.path / build / "junit.xml", b"user.mountfs.expires_at", b"2026-02-30")
    with refused(errno.ENOENT):
        os.listdir(served.path / ".by-date" / "2026" / "02" / "30")


def test_a_branch_that_nobody_has_is_said_and_nothing_is_taken_for_it(
    shell: Shell, served: Mounted, build: str
) -> None:
    """Nothing to compare with is 9, nothing to tell of or to delete 3; what asks for a list gets an empty one."""
    expected = {
        ("compare", build, "--baseline", "nobody"): (9, "no baseline: no job with branch=nobody is known"),
        ("history", "a", "--branch", "nobody"): (3, "no job of branch nobody has a report of tests that can be read"),
        ("trend", "size", "--branch", "nobody"): (3, "no job of branch nobody says size"),
        ("delete", "--branch", "nobody", "--all"): (3, "no job has the branch nobody"),
        ("list", "--branch", "nobody"): (0, "nothing here is of branch nobody"),
        ("badge", "coverage", "--branch", "nobody"): (0, ""),
        ("cleanup", "--branch", "nobody"): (0, ""),
    }
    found = answers(shell, *expected)
    assert [code for code, _ in found] == [code for code, _ in expected.values()]
    assert all(words in said for (_, said), (_, words) in zip(found, expected.values(), strict=True))
    assert os.listdir(served.path / ".by-branch" / "nobody") == []
    with refused(errno.ENOENT):
        (served.path / ".latest" / "branch" / "nobody" / "junit.xml").read_bytes()


def test_a_job_is_not_compared_with_itself_however_it_is_written(shell: Shell, served: Mounted, build: str) -> None:
    path = str(served.path / build)
    found = answers(shell, ["compare", build, build], ["compare", f"{build}/", build], ["compare", path, build])
    assert found == [(2, f"mountfs: {build} is compared with itself: name two different jobs\n")] * 3


def test_formats_that_differ_on_the_two_sides_are_told(store: ArtifactStore, build: str, job: str) -> None:
    """Numbers are compared all the same, and what cannot be is no gate's pass."""
    for name, files in {
        "lines": {"junit.xml": junit(a="P", b="P"), "coverage.xml": cobertura(80)},
        "rates": {
            "tap.tap": b"TAP version 13\n1..1\nnot ok 1 - b\n",
            "coverage.json": b'{"line_rate": 0.7, "files": {}}',
        },
    }.items():
        for path, content in files.items():
            store.put(f"{job}-{name}/{path}", content)
    compared = store.compare(f"{job}-rates", f"{job}-lines", fail_on="new_failures>0, coverage.line<-0.5")
    assert [gate.failed for gate in compared.gates] == [True, True]
    assert compared.comparison.notes == (
        "Tests are compared across formats: junit before, tap now; what these name differently counts as disappeared"
        " and new.",
        "Coverage is compared across formats: cobertura before, mountfs-coverage now.",
    )
    lacking = store.compare(build, f"{job}-lines", fail_on="coverage.line<-0.5")
    assert not lacking.passed
    assert [str(lack) for lack in lacking.comparison.lacks] == [
        "after: no report of coverage that can be read; the other side has cobertura"
    ]


def test_a_policy_that_contradicts_itself_is_refused_where_it_stands(shell: Shell, tmp_path: Path) -> None:
    """By `config check` and by `mount`, which then makes neither directory nor state."""
    lines: list[list[str]] = []
    for number, retention in enumerate(CONTRADICTIONS):
        settings = tmp_path / f"my{number}.yml"
        settings.write_text(f"retention: {{{retention}}}\n")
        mount = ["mount", str(tmp_path / "mnt"), "--state", str(tmp_path / "state"), "--config", str(settings)]
        lines += [["config", "check", str(settings)], mount]
    found = answers(shell, *lines)
    assert [code for code, _ in found] == [2] * len(lines)
    assert found[::2] == found[1::2]
    assert all(words in said for (_, said), words in zip(found[::2], CONTRADICTIONS.values(), strict=True))
    assert {path.suffix for path in tmp_path.iterdir()} == {".yml"}
