"""Promises F-101 to F-103 as users keep them: what is copied out, by key, by commit, by branch; and what TAB offers."""

import json
import shlex
from pathlib import Path

import pytest

from mountfs import errors
from mountfs.api import ArtifactStore
from mountfs.api.copying import Progress
from tests.features.conftest import Shell

pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest.fixture
def here(shell: Shell, job: str) -> Path:
    """A directory of the test's own, where it stands in the shell."""
    directory = shell.directory / f"out-{job}"
    directory.mkdir()
    return directory


def make(shell: Shell, job: str, *names: str, **tags: str) -> None:
    for name in names:
        shell(f"mkdir -p $(dirname .artifacts/{job}/{name}); echo {job} {name} > .artifacts/{job}/{name}")
    shell(f"mountfs tag {job} {' '.join(f'{key}={shlex.quote(value)}' for key, value in tags.items())}")


def commit_of(number: int, job: str) -> str:
    """A SHA of which no other test has the beginning."""
    return f"{job.removeprefix('build-').zfill(6)}{number}" + "0a" * 16


# -- by key -----------------------------------------------------------------------------------------------


def test_a_job_or_a_directory_is_extracted_below_a_directory(shell: Shell, here: Path, job: str) -> None:
    """F-101."""
    make(shell, job, "junit.xml", "cov/index.html", env="x")
    shell(f"mountfs get {job} -o {here}; mountfs get {job}/cov -o {here}/report")
    assert (here / job / "junit.xml").read_text() == f"{job} junit.xml\n"
    assert (here / job / "cov" / "index.html").read_text() == (here / "report" / "index.html").read_text()
    shell(f"diff -r .artifacts/{job} {here}/{job}")


def test_a_file_goes_to_a_file_into_a_directory_or_to_stdout(shell: Shell, here: Path, job: str) -> None:
    """F-101."""
    make(shell, job, "cov/index.html", env="x")
    said = f"{job} cov/index.html\n"
    assert shell(f"cd {here}; mountfs get {job}/cov/index.html -o page; cat page") == said
    assert shell(f"cd {here}; mountfs get {job}/cov/index.html; cat index.html") == said
    assert shell(f"cd {here}; mountfs get {job}/cov/index.html -o new/deep/; cat new/deep/index.html") == said
    assert shell(f"mountfs get {job}/cov/index.html -o -") == said
    assert "is a directory" in shell(f"mountfs get {job} -o -", code=4)


def test_what_is_in_the_way_is_refused_before_anything_is_written(shell: Shell, here: Path, job: str) -> None:
    make(shell, job, "a.log", "z/b.log", env="x")
    (here / job / "z").mkdir(parents=True)
    (here / job / "z" / "b.log").write_text("mine")
    refused = shell(f"mountfs get {job} -o {here}", code=4)
    assert f"{job}/z/b.log is in the way" in refused
    assert "--force" in refused
    assert [path.name for path in (here / job).iterdir()] == ["z"]
    assert (here / job / "z" / "b.log").read_text() == "mine"
    shell(f"mountfs get {job} -o {here} --force")
    assert (here / job / "z" / "b.log").read_text() == f"{job} z/b.log\n"
    assert "is in the way" in shell(f"mountfs get {job}/a.log -o {here}/{job}", code=4)


def test_force_puts_no_file_in_the_place_of_a_directory(shell: Shell, here: Path, job: str) -> None:
    make(shell, job, "a.log", env="x")
    (here / job / "a.log" / "mine").mkdir(parents=True)
    assert "is a directory" in shell(f"mountfs get {job} -o {here} --force", code=4)
    assert (here / job / "a.log" / "mine").is_dir()


def test_a_caller_hears_how_far_a_copy_is(store: ArtifactStore, job: str, tmp_path: Path) -> None:
    store.put(f"{job}/a", b"x" * 3_000_000)
    store.put(f"{job}/b", b"x")
    heard: list[tuple[int, int, int]] = []

    def told(progress: Progress) -> None:
        heard.append((progress.artifacts, progress.done_bytes, progress.total_bytes))

    assert store.save(job, tmp_path / "out", told=told) == 2
    assert heard == sorted(heard)
    assert len(heard) > 4
    assert heard[-1] == (2, 3_000_001, 3_000_001)
    with pytest.raises(errors.AlreadyExists, match="out/a is in the way"):
        store.save(job, tmp_path / "out", replace=False)


# -- by commit --------------------------------------------------------------------------------------------


def test_the_job_of_a_commit_is_named_by_the_beginning_of_it(shell: Shell, here: Path, job: str) -> None:
    """F-102: whatever its end, for it is the one that is asked for."""
    make(shell, job, "junit.xml", commit=commit_of(1, job), status="failed")
    said = shell(f"mountfs get --commit {commit_of(1, job)[:8]} -o {here} 2>&1")
    assert f"{job}: the job with commit={commit_of(1, job)[:8]}…" in said
    assert (here / job / "junit.xml").exists()
    assert "at least its first 4 characters" in shell(f"mountfs get --commit {commit_of(1, job)[:3]}", code=2)
    assert "no such job is known" in shell("mountfs get --commit fffffff", code=3)


def test_of_several_jobs_of_a_commit_none_is_guessed(shell: Shell, here: Path, job: str) -> None:
    """F-102."""
    for number, status in ((1, "success"), (2, "success"), (3, "failed")):
        make(shell, f"{job}-{number}", "junit.xml", commit=commit_of(1, job), status=status)
    make(shell, f"{job}-1", "a.sarif", commit=commit_of(1, job))
    short = commit_of(1, job)[:9]
    refused = shell(f"mountfs get --commit {short} -o {here}", code=2)
    assert all(f"{job}-{number}" in refused for number in (1, 2, 3))
    assert "--latest" in refused
    assert list(here.iterdir()) == []
    shell(f"mountfs get --commit {short} --latest -o {here}")
    assert [path.name for path in here.iterdir()] == [f"{job}-2"]  # the last that began, not the last written to
    shell(f"mountfs get --commit {short} --type sarif -o {here}/one")
    assert (here / "one").read_text() == f"{job}-1 a.sarif\n"


# -- by branch --------------------------------------------------------------------------------------------


def test_the_latest_of_a_branch_is_the_newest_successful_job(shell: Shell, here: Path, job: str) -> None:
    """F-103: as .latest/ has it."""
    for number, more in ((1, {}), (2, {}), (3, {"status": "failed"}), (4, {"pr": "7"})):
        make(shell, f"{job}-{number}", "junit.xml", branch=job, **more)
    said = shell(f"mountfs get --branch {job} --latest -o {here} 2>&1")
    assert f"{job}-2: the newest successful job with branch={job}" in said
    assert [path.name for path in here.iterdir()] == [f"{job}-2"]
    assert shell(f"readlink .artifacts/.latest/branch/{job}/.job") == f"../../../{job}-2\n"
    assert f"{job}-3, {job}-2, {job}-1" in shell(f"mountfs get --branch {job}", code=2)


def test_a_type_leads_to_the_newest_job_that_has_it(shell: Shell, here: Path, job: str) -> None:
    """F-103: one artifact is a file, several are their directory with nothing else of it."""
    make(shell, f"{job}-1", "junit.xml", "logs/a.log", "logs/b.log", "logs/c.xyz", "other/d.txt", branch=job)
    make(shell, f"{job}-2", "junit.xml", branch=job)
    shell(f"mountfs get --branch {job} --latest --type logs -o {here}/logs")
    assert sorted(path.name for path in (here / "logs").iterdir()) == ["a.log", "b.log", "c.xyz"]
    shell(f"mountfs get --branch {job} --latest --type junit -o {here}/junit.xml")
    assert (here / "junit.xml").read_text() == f"{job}-2 junit.xml\n"
    assert shell(f"mountfs get --branch {job} --latest --type junit -o -") == f"{job}-2 junit.xml\n"
    assert f"{job}-2: holds no videos" in shell(f"mountfs get --branch {job} --latest --type videos", code=3)


def test_a_directory_that_others_share_is_copied_without_them(shell: Shell, here: Path, job: str) -> None:
    make(shell, job, "x/a.log", "x/deep/b.log", "x/junit.xml", "y/c.txt", branch=job)
    shell(f"mountfs get --branch {job} --type build-logs -o {here}/out")
    assert sorted(str(path.relative_to(here / "out")) for path in (here / "out").rglob("*.*")) == [
        "a.log", "deep/b.log"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "said", ["", "a --branch b", "a --latest", "--latest", "--branch a --commit abcdef", "--type junit"]
)
def test_what_does_not_say_which_is_refused(shell: Shell, said: str) -> None:
    assert "which" in shell(f"mountfs get {said}", code=2)


# -- through .latest --------------------------------------------------------------------------------------


def test_show_says_which_job_latest_chose_and_by_which_rule(shell: Shell, job: str) -> None:
    make(shell, f"{job}-1", "coverage.xml", "deep/a.log", branch=job)
    make(shell, f"{job}-2", "coverage.xml", branch=job, status="failed")
    latest = f".latest/branch/{job}"
    said = shell(f"mountfs show {latest}/coverage.xml")
    assert f"{job}-1: the newest successful job with branch={job} that holds coverage.xml" in said
    assert f"{job}-2: not successful: status=failed" in said
    (found,) = (
        json.loads(line) for line in shell(f"mountfs show .artifacts/{latest}/coverage.xml --json").splitlines()
    )
    assert found["key"] == f"{job}-1/coverage.xml"
    assert found["chosen"] == {
        "job": f"{job}-1",
        "rule": "latest",
        "why": f"the newest successful job with branch={job} that holds coverage.xml",
        "others": [{"job": f"{job}-2", "reason": "not successful: status=failed"}],
    }
    for path, key in (("", ""), ("/.job/deep/a.log", "/deep/a.log"), ("/deep/a.log", "/deep/a.log"),
                      ("/coverage-report", "/coverage.xml")):  # fmt: skip
        assert json.loads(shell(f"mountfs show {latest}{path} --json"))["key"] == f"{job}-1{key}"


def test_what_latest_leads_to_is_printed_and_copied(shell: Shell, here: Path, job: str) -> None:
    make(shell, job, "coverage.xml", branch=f"feature/{job}")
    latest = f".latest/branch/feature%2F{job}"
    assert shell(f"mountfs cat {latest}/coverage.xml") == f"{job} coverage.xml\n"
    shell(f"mountfs get {latest}/coverage.xml -o {here}; diff {here}/coverage.xml .artifacts/{latest}/coverage.xml")


def test_what_latest_has_not_is_not_found_and_why(shell: Shell, job: str) -> None:
    make(shell, job, "a.log", branch=job)
    assert f"{job}: holds no b.log" in shell(f"mountfs show .latest/branch/{job}/b.log", code=3)
    assert "no such job is known" in shell(f"mountfs show .latest/branch/{job}-none/b.log", code=3)
    for path in (".latest", ".latest/branch"):
        assert ".latest/<key>/<value>/<name>" in shell(f"mountfs show {path}", code=3)


# -- TAB --------------------------------------------------------------------------------------------------


def tab(shell: Shell, *words: str) -> list[str]:
    """What bash offers for the last of these words; it takes `KEY=VALUE` for three."""
    quoted = " ".join(map(shlex.quote, words))
    script = f"""
        set +eu
        eval "$(mountfs completion bash)"
        COMP_WORDS=({quoted}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _mountfs_completion mountfs
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return shell(script).split()


def test_tab_completes_branches_commits_tags_and_types(alone: Shell) -> None:
    alone("mountfs put J/a.log - < /dev/null --tag branch=main --tag commit=0123abc --tag env=prod")
    alone("mountfs put K/a.log - < /dev/null --tag branch=maintenance --tag 'branch2=$(reboot)' --tag 'env=a b;c'")
    assert tab(alone, "mountfs", "list", "--branch", "ma") == ["main", "maintenance"]
    assert tab(alone, "mountfs", "get", "--branch", "maint") == ["maintenance"]
    assert tab(alone, "mountfs", "get", "--commit", "01") == ["0123abc"]
    assert tab(alone, "mountfs", "compare", "J", "--baseline", "") == ["main", "maintenance"]
    assert tab(alone, "mountfs", "list", "--type", "s") == ["screenshots", "security-findings", "static-analysis"]
    assert tab(alone, "mountfs", "list", "--tag", "b") == ["branch", "branch2"]
    assert tab(alone, "mountfs", "list", "--tag", "e") == ["env=prod"]
    assert tab(alone, "mountfs", "list", "--tag", "branch", "=") == ["main", "maintenance"]
    assert tab(alone, "mountfs", "list", "--tag", "branch", "=", "mainten") == ["maintenance"]
    assert tab(alone, "mountfs", "list", "--branch", "=", "mainten") == ["maintenance"]
    assert tab(alone, "mountfs", "list", "--tag", "branch2", "=") == []  # a shell would run it


def test_tab_is_silent_where_there_is_no_store_or_a_broken_one(alone: Shell) -> None:
    assert tab(alone, "mountfs", "list", "--branch", "") == []
    assert "videos" in tab(alone, "mountfs", "list", "--type", "")
    (alone.directory / "mountfs.yml").write_text("nonsense: [")
    assert tab(alone, "mountfs", "list", "--branch", "") == []
