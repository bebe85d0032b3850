"""Views: directories of links that answer questions (DESIGN §3, FEATURES 6), on a real mount."""

import errno
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.mounting import Ground

pytestmark = pytest.mark.mountfs_only


@pytest.fixture
def empty(shared: Ground) -> Path:
    """The root of one mount for all, with nothing in it."""
    for job in shared.path.iterdir():
        shutil.rmtree(job)
    return shared.path


@pytest.fixture
def root(empty: Path) -> Path:
    """Three jobs: two of main, one of a feature."""
    root = empty
    for job, branch, files in (
        ("build-1", "main", ("junit.xml", "coverage.xml", "logs/a.log")),
        ("build-2", "main", ("junit.xml", "coverage.xml")),
        ("build-3", "feature/x", ("a.log", "b.log")),
    ):
        (root / job).mkdir()
        os.setxattr(root / job, "user.branch", branch.encode())
        for name in files:
            (root / job / name).parent.mkdir(exist_ok=True)
            (root / job / name).write_text(f"{job} {name}\n" * 100)
    os.setxattr(root / "build-1", "user.commit", b"0123456789abcdef")
    os.setxattr(root / "build-2", "user.status", b"failed")
    return root


def tree(path: Path) -> dict[str, str]:
    """Links below a path, and what each leads to."""
    found = {}
    for directory, names, files in os.walk(path):
        for name in (*names, *files):
            link = Path(directory, name)
            if link.is_symlink():
                found[str(link.relative_to(path))] = str(link.resolve().relative_to(path.resolve().parents[1]))
    return found


def test_a_branch_lists_its_jobs_as_links(root: Path) -> None:
    """F-091, F-095."""
    assert sorted(os.listdir(root / ".by-branch")) == ["feature%2Fx", "main"]
    assert sorted(os.listdir(root / ".by-branch" / "main")) == ["build-1", "build-2"]
    assert os.readlink(root / ".by-branch" / "main" / "build-1") == "../../build-1"
    assert (root / ".by-branch" / "main" / "build-1" / "junit.xml").read_text().startswith("build-1 junit.xml")
    assert os.listdir(root / ".by-branch" / "feature%2Fx") == ["build-3"]


def test_a_job_that_matches_in_part_is_a_directory_of_links(root: Path) -> None:
    """F-044."""
    logs = root / ".by-type" / "build-logs"
    assert sorted(os.listdir(logs)) == ["build-1", "build-3"]
    assert (logs / "build-3").is_symlink()
    assert not (logs / "build-1").is_symlink()
    assert os.readlink(logs / "build-1" / "logs" / "a.log") == "../../../../build-1/logs/a.log"
    assert (logs / "build-1" / "logs" / "a.log").read_bytes() == (root / "build-1" / "logs" / "a.log").read_bytes()
    assert os.listdir(root / ".by-type" / "coverage-report" / "build-2") == ["coverage.xml"]


def test_links_resolve_from_anywhere(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "here"
    link.symlink_to(root)
    said = subprocess.run(
        ["cat", "here/.by-type/build-logs/build-1/logs/a.log"], cwd=tmp_path, capture_output=True, check=True
    )
    assert said.stdout.startswith(b"build-1 logs/a.log")


def test_types_are_listed_and_aliases_answer_too(root: Path) -> None:
    assert sorted(os.listdir(root / ".by-type")) == ["build-logs", "coverage-report", "test-results"]
    assert sorted(os.listdir(root / ".by-type" / "coverage")) == ["build-1", "build-2"]
    assert not (root / ".by-type" / "nonsense").exists()


def test_further_tags_ask_for_both(root: Path) -> None:
    """F-095: AND."""
    assert os.listdir(root / ".by-tag" / "branch" / "main" / "status" / "failed") == ["build-2"]
    assert sorted(os.listdir(root / ".by-tag")) == ["branch", "commit", "status"]


def test_a_commit_is_found_by_its_beginning(root: Path) -> None:
    """F-102."""
    assert os.listdir(root / ".by-commit" / "01234") == ["build-1"]


def test_today_lists_what_was_made_today(root: Path) -> None:
    """F-094."""
    year, month, day = datetime.now(UTC).strftime("%Y %m %d").split()
    assert os.listdir(root / ".by-date") == [year]
    assert os.listdir(root / ".by-date" / year) == [month]
    assert sorted(os.listdir(root / ".by-date" / year / month / day)) == ["build-1", "build-2", "build-3"]


def test_recent_lists_the_jobs_that_came_last(root: Path) -> None:
    """F-093."""
    assert sorted(os.listdir(root / ".recent")) == ["build-1", "build-2", "build-3"]
    assert os.readlink(root / ".recent" / "build-1") == "../build-1"


def test_a_query_is_a_directory(root: Path) -> None:
    """F-096."""
    found = root / ".find" / "type=build-logs and not branch=main"
    assert os.listdir(found) == ["build-3"]
    assert os.listdir(root / ".find" / "name~*.xml%20and%20branch=main%20and not status=failed") == ["build-1"]
    assert os.listdir(root / ".find") == []
    with pytest.raises(OSError, match="Invalid argument") as raised:
        os.listdir(root / ".find" / "size~~1")
    assert raised.value.errno == errno.EINVAL


def test_what_expires_soon_is_in_expiring(root: Path) -> None:
    """F-126."""
    os.setxattr(root / "build-3" / "a.log", "user.mountfs.expires_at", b"+3d")
    os.setxattr(root / "build-3" / "b.log", "user.mountfs.expires_at", b"+30d")
    assert tree(root / ".expiring") == {"build-3/a.log": "build-3/a.log"} or os.listdir(root / ".expiring") == [
        "build-3"
    ]
    assert os.listdir(root / ".expiring" / "build-3") == ["a.log"]


def test_latest_is_the_newest_successful_job(root: Path) -> None:
    """F-103, F-108."""
    latest = root / ".latest" / "branch" / "main"
    assert os.readlink(latest / ".job") == "../../../build-1"
    assert (latest / "coverage.xml").read_text().startswith("build-1")
    os.setxattr(root / "build-2", "user.status", b"success")
    assert (latest / "coverage.xml").read_text().startswith("build-2")
    assert (latest / "logs" / "a.log").read_text().startswith("build-1")  # the newest that has one
    assert (latest / "coverage-report").read_text().startswith("build-2")
    assert (latest / "build-logs").read_text().startswith("build-1")
    assert sorted(os.listdir(latest)) == [".job", "coverage-report", "coverage.xml", "junit.xml", "test-results"]


def test_a_pull_request_counts_under_pr_and_commit_only(root: Path) -> None:
    os.setxattr(root / "build-1", "user.pr", b"7")
    assert not (root / ".latest" / "branch" / "main" / ".job").is_symlink()
    assert os.readlink(root / ".latest" / "pr" / "7" / ".job") == "../../../build-1"
    assert os.readlink(root / ".latest" / "commit" / "0123456789abcdef" / ".job") == "../../../build-1"


def test_views_are_not_listed(root: Path) -> None:
    assert sorted(os.listdir(root)) == ["build-1", "build-2", "build-3"]
    said = subprocess.run(["find", root], capture_output=True, text=True, check=True).stdout.split()
    assert not [line for line in said if "/." in line.removeprefix(str(root))]


def test_a_view_cannot_be_written(root: Path) -> None:
    view = root / ".by-branch" / "main"
    for attempt in (
        lambda: (view / "x").mkdir(),
        lambda: (view / "x").write_text("x"),
        lambda: (view / "build-1").unlink(),
        lambda: (view / "build-1").rename(view / "other"),
        lambda: (root / "build-1" / "junit.xml").rename(view / "junit.xml"),
        lambda: view.rmdir(),
        lambda: os.symlink("x", view / "x"),
        lambda: view.chmod(0o700),
    ):
        with pytest.raises(OSError, match=r".") as raised:
            attempt()
        assert raised.value.errno == errno.EROFS
    assert (root / "build-1" / "junit.xml").exists()


def test_what_is_written_is_in_the_views_at_once(root: Path) -> None:
    (root / "build-4").mkdir()
    os.setxattr(root / "build-4", "user.branch", b"main")
    (root / "build-4" / "x.log").write_text("x")
    assert sorted(os.listdir(root / ".by-branch" / "main")) == ["build-1", "build-2", "build-4"]
    shutil.rmtree(root / "build-1")
    assert sorted(os.listdir(root / ".by-branch" / "main")) == ["build-2", "build-4"]
    os.setxattr(root / "build-4", "user.branch", b"other")
    assert sorted(os.listdir(root / ".by-branch" / "main")) == ["build-2"]


def test_a_renamed_directory_is_followed(root: Path) -> None:
    (root / "build-1" / "logs").rename(root / "build-1" / "output")
    assert os.listdir(root / ".by-type" / "build-logs" / "build-1") == ["output"]
    link = root / ".by-type" / "build-logs" / "build-1" / "output" / "a.log"
    assert link.read_text().startswith("build-1 logs/a.log")


def test_many_jobs_are_listed_each_once(empty: Path) -> None:
    names = sorted(f"job-{number}" for number in range(300))  # more than a page
    for name in names:
        (empty / name).mkdir()
        os.setxattr(empty / name, "user.branch", b"main")
        (empty / name / "x").touch()
    assert sorted(os.listdir(empty / ".by-branch" / "main")) == names
    assert len(list((empty / ".by-branch" / "main").glob("*/x"))) == len(names)


def test_a_label_and_odd_values_have_names(root: Path) -> None:
    """F-090."""
    os.setxattr(root / "build-1", "user.nightly", b"")
    os.setxattr(root / "build-2", "user.nightly", b"..")
    os.setxattr(root / "build-3", "user.nightly", b"a%2Fb/c")
    assert sorted(os.listdir(root / ".by-tag" / "nightly")) == ["%", "%2E%2E", "a%252Fb%2Fc"]
    assert os.listdir(root / ".by-tag" / "nightly" / "%") == ["build-1"]
    assert os.listdir(root / ".by-tag" / "nightly" / "a%252Fb%2Fc") == ["build-3"]
