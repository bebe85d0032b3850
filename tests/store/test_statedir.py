"""Where the state may lie. The lines are from mount tables of machines that have such mounts."""

from pathlib import Path

import pytest

from mountfs import statedir
from mountfs.errors import ConfigError

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
31 22 0:27 / /home rw,relatime shared:14 - nfs4 server:/home rw,vers=4.2,addr=10.0.0.5
33 22 0:29 / /mnt/team\\040share rw,nosuid,nodev shared:16 - cifs //server/share rw
34 31 0:31 / /home/me/fast rw,relatime shared:17 - xfs /dev/sdb1 rw
35 22 0:33 / /mnt/remote rw,nosuid,nodev shared:18 - fuse.sshfs me@server: rw,user_id=1000
"""


@pytest.fixture(autouse=True)
def _table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text(TABLE)
    monkeypatch.setattr(statedir, "MOUNT_TABLE", tmp_path / "mountinfo")


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


@pytest.mark.parametrize("place", ["/var/lib/mountfs", "/home/me/fast/state", "/homework/state"])
def test_a_local_disk_is_taken_also_below_a_network_mount(place: str) -> None:
    statedir.check_place(Path(place), mountpoint=None)
