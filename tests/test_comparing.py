"""`compare` where nothing is mounted: which reports are read, which baseline is taken, how it ends."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from mountfs.api import ArtifactStore, git, open_store
from mountfs.api.comparing import why_none
from mountfs.compare import Rule
from mountfs.errors import InvalidArgument, NotFound
from mountfs.reports.candidates import may_be_report
from tests.written import cobertura, junit

SECONDS = 60


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ArtifactStore]:
    with open_store({"mountpoint": str(tmp_path / "mnt"), "state": str(tmp_path / "state")}) as opened:
        yield opened


Put = Callable[..., None]


@pytest.fixture
def put(store: ArtifactStore) -> Put:
    """`put("build-1", {"junit.xml": …}, branch="main")`."""

    def put(job: str, files: Mapping[str, bytes], **tags: str) -> None:
        for path, content in files.items():
            store.put(f"{job}/{path}", content)
        if tags:
            store.tag(job, **tags)

    return put


# -- two jobs -------------------------------------------------------------------------------------------------


def test_two_jobs_are_compared_by_what_their_reports_say(store: ArtifactStore, put: Put) -> None:
    """F-107, F-111."""
    put("build-1", {"junit.xml": junit(a="P", b="F"), "coverage.xml": cobertura(80)})
    put("build-2", {"junit.xml": junit(a="F", b="P"), "coverage.xml": cobertura(75)})
    found = store.compare("build-2", "build-1").comparison
    assert found.tests is not None
    assert [change.id.name for change in found.tests.new_failures] == ["a"]
    assert [change.id.name for change in found.tests.fixed] == ["b"]
    assert found.coverage is not None
    assert found.coverage.line.change == pytest.approx(-5)


def test_the_promised_shape_is_what_programs_get(store: ArtifactStore, put: Put) -> None:
    """F-110."""
    put("build-1", {"coverage.xml": cobertura(80), "junit.xml": junit(a="P")})
    put("build-2", {"coverage.xml": cobertura(75), "junit.xml": junit(a="F")})
    said = json.loads(json.dumps(store.compare("build-2", "build-1").as_json()))
    coverage = said["comparison"]["coverage"]
    assert (coverage["before"], coverage["after"], coverage["change"]) == (80, 75, -5)
    assert [one["name"] for one in said["comparison"]["new_failures"]] == ["a"]
    assert said["schema"] == 1


def test_directories_in_jobs_are_compared_by_the_paths_below_them(store: ArtifactStore, put: Put) -> None:
    put("build-1", {"unit/junit.xml": junit(a="P"), "e2e/junit.xml": junit(b="P")})
    put("build-2", {"unit/junit.xml": junit(a="F"), "e2e/junit.xml": junit(b="F")})
    found = store.compare("build-2/unit", "build-1/unit").comparison
    assert found.tests is not None
    assert [change.id.name for change in found.tests.new_failures] == ["a"]


def test_sizes_are_told_by_type_from_the_catalog(store: ArtifactStore, put: Put) -> None:
    put("build-1", {"app.log": b"x" * 1000})
    put("build-2", {"app.log": b"x" * 3000, "more.log": b"y" * 500})
    sizes = store.compare("build-2", "build-1").comparison.sizes
    assert (sizes["build-logs"].before, sizes["build-logs"].after) == (1000, 3500)


def test_a_report_that_cannot_be_read_is_told_and_fails_its_gate(store: ArtifactStore, put: Put) -> None:
    put("build-1", {"junit.xml": junit(a="P")})
    put("build-2", {"junit.xml": junit(a="P")[:-30]})
    compared = store.compare("build-2", "build-1", fail_on="new_failures>0")
    assert not compared.passed
    assert any("junit.xml" in str(lack) for lack in compared.comparison.lacks)


def test_an_unreadable_report_among_good_ones_fails_the_gate_whatever_its_file_is_called(
    store: ArtifactStore, put: Put
) -> None:
    """A name that says nothing has no type; the format of the file says what it should have been about."""
    put("build-1", {"junit.xml": junit(a="P"), "results.xml": junit(b="P")})
    put("build-2", {"junit.xml": junit(a="P"), "results.xml": junit(b="F")[:-30]})
    assert not store.compare("build-2", "build-1", fail_on="new_failures>0").passed


@pytest.mark.parametrize(("a", "b"), [("build-1", "build-1"), ("build-1/", "build-1"), ("build-1", None)])
def test_a_job_is_not_compared_with_itself_or_with_nothing(
    store: ArtifactStore, put: Put, a: str, b: str | None
) -> None:
    put("build-1", {"junit.xml": junit(a="P")})
    with pytest.raises(InvalidArgument):
        store.compare(a, b)


def test_a_job_that_is_not_there_is_not_found(store: ArtifactStore, put: Put) -> None:
    put("build-1", {"junit.xml": junit(a="P")})
    for pair in (("build-1", "build-9"), ("build-9", "build-1")):
        with pytest.raises(NotFound):
            store.compare(*pair)


@pytest.mark.parametrize(
    ("slug", "path", "may"),
    [
        ("test-results", b"junit.xml", True),
        ("test-results", b"report", True),
        ("coverage-report", b"coverage/index.html", False),
        ("coverage-report", b"coverage/status.json", True),
        ("coverage-report", b"htmlcov/style.css", False),
        ("custom", b"out/results.json", True),
        ("custom", b"out.d/results", True),
        ("custom", b"app.bin", False),
        ("build-logs", b"a.json.log", False),
        ("screenshots", b"a.png", False),
    ],
)
def test_pages_and_pictures_are_not_opened_as_reports(slug: str, path: bytes, may: bool) -> None:
    assert may_be_report(slug, path) is may


# -- baselines ------------------------------------------------------------------------------------------------


def test_the_baseline_is_the_newest_successful_job_of_the_branch_that_has_the_type(
    store: ArtifactStore, put: Put
) -> None:
    """F-108."""
    put("build-1", {"junit.xml": junit(a="P")}, branch="main", status="success")
    put("build-2", {"junit.xml": junit(a="P")}, branch="main")
    put("build-3", {"app.log": b"no report"}, branch="main")
    put("build-4", {"junit.xml": junit(a="F")}, branch="main", status="failed")
    put("build-5", {"junit.xml": junit(a="P")}, branch="main", pr="7")
    put("mine", {"junit.xml": junit(a="F")}, branch="main")
    compared = store.compare("mine", baseline="main")
    assert compared.baseline is not None
    assert (compared.baseline.job, compared.baseline.rule) == ("build-2", Rule.LATEST)
    assert compared.baseline.age_seconds is not None
    assert compared.choice is not None
    why = dict(compared.choice.others)
    assert (why[b"build-3"], why[b"mine"]) == ("holds no test-results", "the job itself")


@pytest.mark.parametrize("what", ["build-1", "build-1/junit.xml", "build-1/unit"])
def test_a_pinned_job_of_the_branch_goes_first(store: ArtifactStore, put: Put, tmp_path: Path, what: str) -> None:
    """F-114."""
    put("build-1", {"junit.xml": junit(a="P"), "unit/junit.xml": junit(a="P")}, branch="main", status="failed")
    put("build-2", {"junit.xml": junit(a="P")}, branch="main")
    put("mine", {"junit.xml": junit(a="F")})
    _pin(store, what)
    found = store.compare("mine", baseline="main").baseline
    assert found is not None
    assert (found.job, found.rule) == ("build-1", Rule.PINNED)


def _pin(store: ArtifactStore, key: str) -> None:
    inside = store._store  # type: ignore[attr-defined]  # there is no command for it yet
    inside.attributes.set(inside.tree.walk(store.names_of(key)).ino, b"user.mountfs.pinned", b"1")


def test_what_the_baseline_lacks_is_carried_forward_and_told(store: ArtifactStore, put: Put) -> None:
    put("build-1", {"junit.xml": junit(a="P"), "coverage.xml": cobertura(80)}, branch="main")
    put("build-2", {"junit.xml": junit(a="P")}, branch="main")
    put("mine", {"junit.xml": junit(a="P"), "coverage.xml": cobertura(75)})
    compared = store.compare("mine", baseline="main")
    assert compared.baseline is not None
    assert compared.baseline.job == "build-2"
    assert compared.comparison.coverage is not None
    assert compared.comparison.coverage.line.before == 80
    assert any("carried forward from build-1" in note for note in compared.comparison.notes)


def test_without_a_baseline_nothing_is_judged_and_it_is_said_why(store: ArtifactStore, put: Put) -> None:
    put("build-1", {"junit.xml": junit(a="P")}, branch="main", status="failed")
    put("mine", {"junit.xml": junit(a="F")})
    compared = store.compare("mine", baseline="main", fail_on="new_failures>0")
    assert not compared.has_baseline
    assert compared.gates == ()
    assert "build-1: not successful: status=failed" in why_none(compared, "main")
    assert "no job with branch=nobody" in why_none(store.compare("mine", baseline="nobody"), "nobody")


@pytest.fixture
def repository(tmp_path: Path) -> "Repository":
    return Repository(tmp_path / "repo")


class Repository:
    """A git repository with as many commits as one asks for; `commits` from the first on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits: list[str] = []
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.path.parent)}
        command = ["git", *who, *arguments]
        done = subprocess.run(command, cwd=self.path, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, number: int = 1) -> str:
        for _ in range(number):
            self.git("commit", "--quiet", "--allow-empty", "-m", "more")
            self.commits.append(self.git("rev-parse", "HEAD"))
        return self.commits[-1]


def test_the_distance_in_commits_is_told_where_a_repository_knows_it(
    store: ArtifactStore, put: Put, repository: Repository
) -> None:
    first, last = repository.commit(), repository.commit(3)
    put("build-1", {"junit.xml": junit(a="P")}, branch="main", commit=first)
    put("mine", {"junit.xml": junit(a="P")}, commit=last)
    found = store.compare("mine", baseline="main", repo=repository.path).baseline
    assert found is not None
    assert found.commits_away == 3
    assert "3 commits away" in str(found)
    assert "distance unknown" in str(store.compare("mine", baseline="main").baseline)


def test_a_shallow_clone_knows_no_distance(
    store: ArtifactStore, put: Put, repository: Repository, tmp_path: Path
) -> None:
    first, last = repository.commit(), repository.commit(2)
    put("build-1", {"junit.xml": junit(a="P")}, branch="main", commit=first)
    put("mine", {"junit.xml": junit(a="P")}, commit=last)
    repository.git("clone", "--quiet", "--depth", "1", f"file://{repository.path}", str(tmp_path / "shallow"))
    found = store.compare("mine", baseline="main", repo=tmp_path / "shallow").baseline
    assert found is not None
    assert (found.job, found.commits_away) == ("build-1", None)


def test_where_the_branch_has_none_the_nearest_ancestor_is_taken(
    store: ArtifactStore, put: Put, repository: Repository
) -> None:
    commits = [repository.commit() for _ in range(5)]
    put("far", {"junit.xml": junit(a="P")}, branch="feature", commit=commits[0])
    put("near", {"junit.xml": junit(a="P")}, branch="feature", commit=commits[2])
    put("nothing", {"app.log": b"x"}, branch="feature", commit=commits[3])
    put("mine", {"junit.xml": junit(a="F")}, branch="feature", commit=commits[4])
    found = store.compare("mine", baseline="main", repo=repository.path).baseline
    assert found is not None
    assert (found.job, found.rule, found.commits_away) == ("near", Rule.ANCESTOR, 2)


def test_a_branch_that_nobody_has_is_said_beside_the_ancestor_that_is_taken(
    store: ArtifactStore, put: Put, repository: Repository, tmp_path: Path
) -> None:
    put("before", {"junit.xml": junit(a="P")}, branch="feature", commit=repository.commit())
    put("mine", {"junit.xml": junit(a="P")}, branch="feature", commit=repository.commit())
    store.close()
    asked = ("compare", "mine", "--baseline", "nobody", "--repo", str(repository.path))
    text, markdown, document = (run_in(tmp_path, *asked, "--format", form) for form in ("text", "markdown", "json"))
    said = "an ancestor commit instead: no other job with branch=nobody is known"
    assert text.stdout.splitlines()[2] == said
    assert said in re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), markdown.stdout)
    assert json.loads(document.stdout)["baseline"]["because"] == "no other job with branch=nobody is known"


def test_a_tag_that_is_no_commit_is_never_given_to_git(repository: Repository) -> None:
    last = repository.commit(2)
    for said in ("--all", "HEAD", "main", f"{last}..", "--output=/dev/null"):
        assert git.first_parent_commits(repository.path, said, most=9) == []
        assert git.distance(repository.path, said, last) is None
        assert git.distance(repository.path, last, said) is None
    assert len(git.first_parent_commits(repository.path, last[:8], most=9)) == 2


# -- the command ----------------------------------------------------------------------------------------------


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def mountfs(store: ArtifactStore, put: Put, tmp_path: Path) -> Run:
    """The command, on a store with `old` and `good` of main and `bad` of nobody, that this process has let go of."""
    put("good", {"junit.xml": junit(a="P", b="P"), "coverage.xml": cobertura(80), "a.log": b"log"}, branch="main")
    put("bad", {"junit.xml": junit(a="F", b="P"), "coverage.xml": cobertura(79), "a.log": b"gol"})
    store.close()

    return partial(run_in, tmp_path)


def run_in(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command on the store of `store`."""
    place = ("--state", str(folder / "state"), "--mount", str(folder / "mnt"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MOUNTFS_", "XDG_", "GIT_"))}
    return subprocess.run(
        [sys.executable, "-m", "mountfs.cli", *arguments, *place],
        cwd=folder,
        env={**kept, "HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_compare_says_what_changed_and_which_baseline_it_took(mountfs: Run) -> None:
    """F-108, F-112."""
    done = mountfs("compare", "bad", "--baseline", "main")
    assert done.returncode == 0, done.stderr
    first, second, *rest = done.stdout.splitlines()
    assert first == "1 new failure; line coverage −1.00 points"
    assert second.startswith("bad against good (latest, ")
    assert second.endswith("distance unknown)")
    assert any("tests.test_a::a" in line for line in rest)


def test_the_exit_code_of_compare_says_what_the_gates_found(mountfs: Run) -> None:
    """F-112."""
    codes = {
        ("bad", "good", "--fail-on", "new_failures>0"): 1,
        ("bad", "good", "--fail-on", "coverage.line<-2"): 0,
        ("bad", "good", "--fail-on", "new_failure>0"): 2,
        ("bad", "good"): 0,
        ("bad", "good", "--fail-on", ""): 2,
        ("bad", "bad"): 2,
        ("bad",): 2,
        ("bad", "nowhere"): 3,
        ("bad", "--baseline", "nobody"): 9,
        ("bad", "--baseline", "nobody", "--no-baseline", "ok", "--fail-on", "new_failures>0"): 0,
    }
    found = {arguments: mountfs("compare", *arguments) for arguments in codes}
    assert {arguments: done.returncode for arguments, done in found.items()} == codes
    assert all(done.stderr.startswith("mountfs: ") for done in found.values() if done.returncode > 1)


def test_diff_only_leaves_out_what_is_as_it_was(mountfs: Run) -> None:
    """F-109."""
    whole = json.loads(mountfs("compare", "good", "bad", "--json").stdout)["comparison"]
    changed = json.loads(mountfs("compare", "good", "bad", "--json", "--diff-only").stdout)["comparison"]
    assert set(whole["sizes"]) - set(changed["sizes"]) == {"build-logs"}
    assert [one["name"] for one in changed["fixed"]] == ["a"]


def test_markdown_is_what_a_pull_request_shows(mountfs: Run) -> None:
    said = mountfs("compare", "bad", "--baseline", "main", "--format", "markdown", "--fail-on", "new_failures>0")
    assert said.returncode == 1
    assert said.stdout.startswith("❌ **1 gate of 1 failed")
