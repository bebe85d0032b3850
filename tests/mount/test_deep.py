"""Directories one inside the other, deeper than calls may be: what tools copy into the mount, compare and remove."""

import subprocess

import pytest

from tests.deep import CONTENT, make_deep, read_deep
from tests.mount.test_cleanup import mountfs
from tests.mounting import Mounted

pytestmark = [pytest.mark.mountfs_only, pytest.mark.usefixtures("unmeasured")]

LEVELS = 1_100
RSYNC_LEVELS = 300
"""rsync itself goes no deeper than 1,024, and needs 15 s for that on any file system."""


@pytest.mark.parametrize(("command", "levels"), [(("cp", "-a"), LEVELS), (("rsync", "-a"), RSYNC_LEVELS)])
def test_what_tools_copied_is_equal_for_compare_and_goes_with_delete(
    shared: Mounted, command: tuple[str, ...], levels: int
) -> None:
    root = shared.path
    deep, copied = f"deep-{command[0]}", f"copied-{command[0]}"
    make_deep(root / deep, levels=levels)
    (root / copied).mkdir()
    subprocess.run([*command, f"{root}/{deep}/.", f"{root}/{copied}/"], check=True)
    assert read_deep(root / copied, levels=levels) == CONTENT
    assert "Nothing changed" in mountfs(shared, "compare", deep, copied)
    mountfs(shared, "delete", copied)
    assert not (root / copied).exists()
