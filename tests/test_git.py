"""What git says of branches and commits: merged is what all of its references are; what nobody can tell is None."""

import subprocess
from pathlib import Path

import pytest

from mountfs.api.git import distance, merged_branches
from mountfs.errors import EnvironmentProblem, InvalidArgument, NotFound


def git(directory: Path, *arguments: str) -> str:
    said = ["-c", "user.name=me", "-c", "user.email=me@here", "-c", "init.defaultBranch=main"]
    said += ["-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", "-C", str(directory), *said, *arguments], check=True, capture_output=True, text=True
    )  # fmt: skip
    return done.stdout.strip()


def commit(directory: Path, message: str) -> None:
    git(directory, "commit", "--allow-empty", "-m", message)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """`done` is merged into `main`, `open` is not."""
    path = tmp_path / "origin"
    path.mkdir()
    git(path, "init")
    commit(path, "begun")
    for branch in ("done", "feature/open"):
        git(path, "checkout", "-b", branch, "main")
        commit(path, branch)
    git(path, "checkout", "main")
    git(path, "merge", "--no-ff", "-m", "merged", "done")
    return path


def test_a_merged_branch_is_told_and_the_one_it_went_into_is_not(origin: Path) -> None:
    assert merged_branches(origin, "main") == {"done"}


def test_in_a_clone_the_branches_of_the_remote_count(origin: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", str(origin), "clone")
    assert merged_branches(tmp_path / "clone", "main") == {"done"}


def test_a_branch_that_went_on_elsewhere_is_not_merged(origin: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", str(origin), "clone")
    clone = tmp_path / "clone"
    git(clone, "branch", "done", "origin/done")
    git(origin, "checkout", "done")
    commit(origin, "one more")
    git(clone, "fetch")
    assert merged_branches(clone, "main") == frozenset()


def test_a_shallow_clone_says_that_it_does_not_know(origin: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--depth", "1", f"file://{origin}", "shallow")
    with pytest.raises(EnvironmentProblem, match="git fetch --unshallow"):
        merged_branches(tmp_path / "shallow", "main")
    main = git(origin, "rev-parse", "main")
    assert distance(tmp_path / "shallow", main, main) is None


@pytest.mark.parametrize("name", ["no-such", "--output=/tmp/x", ""])
def test_a_branch_that_there_is_not_is_named(origin: Path, name: str) -> None:
    with pytest.raises(NotFound, match="has no branch"):
        merged_branches(origin, name)


def test_a_directory_without_a_repository_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="is no git repository"):
        merged_branches(tmp_path, "main")
    with pytest.raises(InvalidArgument, match="is no git repository"):
        merged_branches(tmp_path / "missing", "main")


def test_a_machine_without_git_is_told_so(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = git(origin, "rev-parse", "main")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EnvironmentProblem, match="git is not installed"):
        merged_branches(origin, "main")
    assert distance(origin, main, main) is None


def test_the_distance_counts_commits_from_the_ancestor(origin: Path) -> None:
    main, done, other = (git(origin, "rev-parse", name) for name in ("main", "done", "feature/open"))
    assert distance(origin, main, main) == 0
    assert distance(origin, done, main) == 1
    assert distance(origin, done[:8], main) == 1
    assert distance(origin, other, main) is None
    assert distance(origin, "0" * 40, main) is None


@pytest.mark.parametrize("name", ["main", "--output=x", "HEAD", ""])
def test_only_commits_have_a_distance(origin: Path, name: str) -> None:
    """They come from tags, which anybody may have set."""
    assert distance(origin, name, git(origin, "rev-parse", "main")) is None
