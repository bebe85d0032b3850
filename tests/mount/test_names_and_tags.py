"""The root, jobs and tags: what DESIGN §3 promises about names and extended attributes."""

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.mount.conftest import MountFactory
from tests.mount.syscalls import RENAME_EXCHANGE, refused, rename
from tests.mounting import Ground

pytestmark = pytest.mark.mountfs_only

ANY_VALUES = [b"x" * 65_536, b"", b"\x00\xff binary \n"]


@pytest.fixture
def root(shared: Ground, job: Path) -> Path:
    """The mountpoint; depends on `job` for its checks of the daemon."""
    return shared.path


@pytest.fixture
def file(job: Path) -> Path:
    (job / "file").write_bytes(b"content")
    return job / "file"


# The root holds jobs only.


def test_a_file_in_the_root_is_refused(root: Path) -> None:
    with refused(errno.EPERM):
        os.open(root / "file", os.O_CREAT | os.O_WRONLY)
    assert not (root / "file").exists()


def test_a_symlink_in_the_root_is_refused(root: Path) -> None:
    with refused(errno.EPERM):
        os.symlink("job", root / "link")


def test_moving_a_file_or_a_symlink_into_the_root_is_refused(root: Path, file: Path) -> None:
    os.symlink("x", file.with_name("link"))
    for path in (file, file.with_name("link")):
        with refused(errno.EPERM):
            path.rename(root / "moved")
        assert os.path.lexists(path)


@pytest.mark.parametrize("name", [".hidden", ".git", ".by-other"])
def test_a_name_in_the_root_that_starts_with_a_dot_is_refused(root: Path, job: Path, name: str) -> None:
    with refused(errno.EPERM):
        (root / name).mkdir()
    with refused(errno.EPERM):
        os.open(root / name, os.O_CREAT | os.O_WRONLY)
    with refused(errno.EPERM):
        job.rename(root / name)
    assert name not in os.listdir(root)


@pytest.mark.parametrize("name", [".latest", ".recent", ".by-type"])
def test_the_name_of_a_view_is_taken(root: Path, job: Path, name: str) -> None:
    with refused(errno.EEXIST):
        (root / name).mkdir()
    with refused(errno.EISDIR):
        os.open(root / name, os.O_CREAT | os.O_WRONLY)
    with refused(errno.EPERM):
        job.rename(root / name)
    assert name not in os.listdir(root)


@pytest.mark.parametrize("name", [".nothing", ".git", ".Trash-0"])
def test_an_unknown_name_with_a_dot_is_not_there(root: Path, name: str) -> None:
    with refused(errno.ENOENT):
        os.lstat(root / name)


def test_names_with_a_dot_are_ordinary_below_a_job(job: Path) -> None:
    (job / ".git").mkdir()
    (job / ".coverage").write_bytes(b"x")
    assert sorted(os.listdir(job)) == [".coverage", ".git"]


def test_the_root_keeps_its_mode_owner_and_has_no_tags(root: Path) -> None:
    before = root.stat()
    with refused(errno.EPERM):
        root.chmod(0o777)
    with refused(errno.EPERM):
        os.chown(root, 1, 1)
    with refused(errno.EPERM):
        os.setxattr(root, "user.branch", b"main")
    assert (root.stat().st_mode, root.stat().st_uid) == (before.st_mode, before.st_uid)
    assert os.listxattr(root) == []


def test_jobs_are_made_and_removed_as_directories(root: Path) -> None:
    (root / "build-7").mkdir()
    assert stat.S_ISDIR((root / "build-7").stat().st_mode)
    assert "build-7" in os.listdir(root)
    (root / "build-7").rmdir()
    assert "build-7" not in os.listdir(root)


def test_the_root_itself_cannot_be_removed(root: Path) -> None:
    with pytest.raises(OSError, match=r"busy|not permitted|not empty"):
        root.rmdir()


# Tags.


@pytest.mark.parametrize("value", [b"main", b"", "größe".encode(), b"x" * 1024])
def test_a_tag_is_set_read_listed_and_removed(file: Path, value: bytes) -> None:
    os.setxattr(file, "user.branch", value)
    assert os.getxattr(file, "user.branch") == value
    assert os.listxattr(file) == ["user.branch"]
    os.removexattr(file, "user.branch")
    with refused(errno.ENODATA):
        os.getxattr(file, "user.branch")
    assert os.listxattr(file) == []


def test_a_tag_of_a_job_is_inherited_by_all_below_but_listed_only_there(job: Path) -> None:
    (job / "coverage" / "html").mkdir(parents=True)
    (job / "coverage" / "html" / "index.html").touch()
    os.setxattr(job, "user.branch", b"main")
    os.setxattr(job / "coverage", "user.tool", b"pytest")
    for below in (job / "coverage" / "html", job / "coverage" / "html" / "index.html"):
        assert os.getxattr(below, "user.branch") == b"main"
        assert os.getxattr(below, "user.tool") == b"pytest"
        assert os.listxattr(below) == []
    assert os.listxattr(job) == ["user.branch"]


def test_an_artifacts_own_tag_wins_over_the_inherited_one(job: Path, file: Path) -> None:
    os.setxattr(job, "user.branch", b"main")
    os.setxattr(file, "user.branch", b"topic")
    assert os.getxattr(file, "user.branch") == b"topic"
    os.removexattr(file, "user.branch")
    assert os.getxattr(file, "user.branch") == b"main"


def test_an_inherited_tag_cannot_be_removed_from_below(job: Path, file: Path) -> None:
    os.setxattr(job, "user.branch", b"main")
    with refused(errno.ENODATA):
        os.removexattr(file, "user.branch")
    assert os.getxattr(file, "user.branch") == b"main"


def test_an_inherited_tag_changes_with_its_directory_at_once(job: Path, file: Path) -> None:
    for value in (b"one", b"two"):
        os.setxattr(job, "user.pr", value)
        assert os.getxattr(file, "user.pr") == value
    os.removexattr(job, "user.pr")
    with refused(errno.ENODATA):
        os.getxattr(file, "user.pr")


def test_what_moves_to_another_job_inherits_from_there(shared: Ground, job: Path, file: Path) -> None:
    other = shared.path / f"{job.name}-other"
    other.mkdir()
    os.setxattr(job, "user.branch", b"main")
    os.setxattr(other, "user.branch", b"topic")
    moved = file.rename(other / "file")
    assert os.getxattr(moved, "user.branch") == b"topic"


def test_xattr_create_refuses_a_tag_that_exists(file: Path) -> None:
    os.setxattr(file, "user.branch", b"main", os.XATTR_CREATE)
    with refused(errno.EEXIST):
        os.setxattr(file, "user.branch", b"other", os.XATTR_CREATE)
    assert os.getxattr(file, "user.branch") == b"main"


def test_xattr_replace_refuses_a_tag_that_does_not_exist(file: Path) -> None:
    with refused(errno.ENODATA):
        os.setxattr(file, "user.branch", b"main", os.XATTR_REPLACE)
    os.setxattr(file, "user.branch", b"main")
    os.setxattr(file, "user.branch", b"other", os.XATTR_REPLACE)
    assert os.getxattr(file, "user.branch") == b"other"


def test_the_65th_tag_is_refused_and_an_existing_one_may_still_change(file: Path) -> None:
    for number in range(64):
        os.setxattr(file, f"user.tag-{number}", b"x")
    with refused(errno.E2BIG):
        os.setxattr(file, "user.one-more", b"x")
    os.setxattr(file, "user.tag-7", b"changed")
    assert os.getxattr(file, "user.tag-7") == b"changed"
    assert len(os.listxattr(file)) == 64
    os.removexattr(file, "user.tag-9")
    os.setxattr(file, "user.one-more", b"x")


def test_a_tag_of_2_kib_is_refused(file: Path) -> None:
    with refused(errno.E2BIG):
        os.setxattr(file, "user.branch", b"x" * 2048)
    assert os.listxattr(file) == []


@pytest.mark.parametrize("name", ["user.xdg.origin.url", "user.rsync.%stat", "user.DOSATTRIB", "user.a b"])
@pytest.mark.parametrize("value", ANY_VALUES, ids=["64KiB", "empty", "binary"])
def test_other_names_are_kept_as_they_are(job: Path, file: Path, name: str, value: bytes) -> None:
    os.setxattr(file, name, value)
    assert os.getxattr(file, name) == value
    assert os.listxattr(file) == [name]
    os.setxattr(job, name, b"of the directory")
    os.removexattr(file, name)
    with refused(errno.ENODATA):
        os.getxattr(file, name)


def test_tags_may_be_set_through_an_open_handle(job: Path) -> None:
    with (job / "new").open("wb") as handle:
        os.setxattr(handle.fileno(), "user.branch", b"main")
        handle.write(b"x")
        assert os.getxattr(handle.fileno(), "user.branch") == b"main"
    assert os.getxattr(job / "new", "user.branch") == b"main"


def test_moving_keeps_tags(job: Path, file: Path) -> None:
    os.setxattr(file, "user.branch", b"main")
    os.setxattr(file, "user.DOSATTRIB", b"0x20")
    (job / "folder").mkdir()
    moved = file.rename(job / "folder" / "moved")
    assert sorted(os.listxattr(moved)) == ["user.DOSATTRIB", "user.branch"]
    assert os.getxattr(moved, "user.branch") == b"main"


def test_overwriting_keeps_tags(file: Path) -> None:
    os.setxattr(file, "user.branch", b"main")
    file.write_bytes(b"other content")
    os.truncate(file, 3)
    assert os.getxattr(file, "user.branch") == b"main"


def test_renaming_over_a_file_drops_its_tags_and_brings_those_of_the_other(job: Path, file: Path) -> None:
    os.setxattr(file, "user.branch", b"old")
    os.setxattr(file, "user.pr", b"7")
    (job / "new").touch()
    os.setxattr(job / "new", "user.branch", b"new")
    os.replace(job / "new", file)
    assert os.listxattr(file) == ["user.branch"]
    assert os.getxattr(file, "user.branch") == b"new"


def test_a_name_made_anew_has_no_tags_of_its_predecessor(file: Path) -> None:
    os.setxattr(file, "user.branch", b"old")
    file.unlink()
    file.touch()
    assert os.listxattr(file) == []


def test_exchanged_files_take_their_tags_along(job: Path, file: Path) -> None:
    (job / "other").touch()
    os.setxattr(file, "user.branch", b"main")
    rename(file, job / "other", flags=RENAME_EXCHANGE)
    assert os.listxattr(file) == []
    assert os.getxattr(job / "other", "user.branch") == b"main"


# Other namespaces.


@pytest.mark.parametrize("name", ["security.capability", "security.selinux", "system.posix_acl_access"])
def test_other_namespaces_hold_nothing(file: Path, name: str) -> None:
    with pytest.raises(OSError, match=r"No data|not supported"):
        os.getxattr(file, name)


@pytest.mark.skipif(os.geteuid() != 0, reason="the kernel refuses these names to others than root by itself")
@pytest.mark.parametrize("name", ["trusted.overlay.opaque", "security.selinux"])
def test_setting_a_name_of_another_namespace_is_not_supported(file: Path, name: str) -> None:
    with refused(errno.EOPNOTSUPP):
        os.setxattr(file, name, b"x")
    assert os.listxattr(file) == []


def test_tags_of_the_settings_are_on_every_job_made_here(mounted: MountFactory) -> None:
    ground = mounted({"tags": {"team": "payments"}})
    (ground.path / "job").mkdir()
    (ground.path / "job" / "file").touch()
    assert os.getxattr(ground.path / "job", "user.team") == b"payments"
    assert os.getxattr(ground.path / "job" / "file", "user.team") == b"payments"
