"""Where the state may lie. The lines are from mount tables of machines that have such mounts."""

import os
from pathlib import Path

import pytest

from mountfs import statedir
from mountfs.errors import CatalogError, ConfigError, EnvironmentProblem
from mountfs.store.store import Store

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 22 0:27 / /home rw,relatime shared:14 - nfs4 server:/home rw,vers=4.2,addr=10.0.0.5
33 22 0:29 / /mnt/team\\040share rw,nosuid,nodev shared:16 - cifs //server/share rw
34 31 0:31 / /home/me/fast rw,relatime shared:17 - xfs /dev/sdb1 rw
35 22 0:33 / /mnt/remote rw,nosuid,nodev shared:18 - fuse.sshfs me@server: rw,user_id=1000
"""


@pytest.fixture
def _table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text(TABLE)
    monkeypatch.setattr(statedir, "MOUNT_TABLE", tmp_path / "mountinfo")


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/home/me/.local/state/mountfs", "nfs4"),
        ("/mnt/team share/state", "cifs"),
        ("/mnt/remote/state", "fuse.sshfs"),
    ],
)
def test_a_network_file_system_is_refused_with_its_name_and_what_to_do(place: str, kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"is on {kind}, .*set `state:` to a local disk"):
        statedir.check_place(Path(place), mountpoint=None)


@pytest.mark.usefixtures("_table")
@pytest.mark.parametrize("place", ["/var/lib/mountfs", "/home/me/fast/state", "/homework/state"])
def test_a_local_disk_is_taken_also_below_a_network_mount(place: str) -> None:
    statedir.check_place(Path(place), mountpoint=None)


@pytest.mark.parametrize("how", ["empty", "missing"])
def test_a_store_whose_catalog_is_gone_is_refused_and_left_as_it_is(tmp_path: Path, how: str) -> None:
    """A new catalog would know none of the contents, and clear them away."""
    Store.open(tmp_path / "state").close()
    content = tmp_path / "state" / "contents" / "ab" / ("ab" * 32)
    content.parent.mkdir()
    content.write_bytes(b"the only copy")
    if how == "empty":
        os.truncate(tmp_path / "state" / "catalog.db", 0)
    else:
        (tmp_path / "state" / "catalog.db").unlink()
    with pytest.raises(CatalogError, match="missing or empty, but contents are in"):
        Store.open(tmp_path / "state")
    assert content.read_bytes() == b"the only copy"


def test_a_directory_of_others_is_not_taken_for_the_state(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir(mode=0o755)
    (tmp_path / "etc" / "passwd").write_text("root")
    with pytest.raises(ConfigError, match="is not empty and no state directory of mountfs"):
        Store.open(tmp_path / "etc")
    assert (tmp_path / "etc").stat().st_mode & 0o777 == 0o755
    assert os.listdir(tmp_path / "etc") == ["passwd"]


def test_directories_on_the_way_are_for_nobody_else_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Store.open(tmp_path / "state" / "mountfs" / "one").close()
    finally:
        os.umask(before)
    for made in ("state", "state/mountfs", "state/mountfs/one"):
        assert (tmp_path / made).stat().st_mode & 0o777 == 0o700


def test_a_file_where_the_state_should_be_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "file").chmod(0o644)
    with pytest.raises(EnvironmentProblem, match="cannot be used"):
        Store.open(tmp_path / "file")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
