"""`mountfs umount`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mountfs.cli.output import shown
from mountfs.cli.where import WHERE, AnyPath, Duration, Where, exit_codes
from mountfs.errors import ConfigError, MountfsError, NotMounted, RemoteUnavailable

if TYPE_CHECKING:
    from mountfs.daemon.mountpoint import Mount

SECONDS = 60.0
WAIT_SECONDS = 600.0


@click.command("umount", epilog=exit_codes(3, 5, 6, 8))
@click.argument("directory", required=False, type=AnyPath())
@click.option(
    "--wait", is_flag=True,
    help="First wait until everything is compressed and in the catalog, and until the bucket has confirmed it.",
)  # fmt: skip
@click.option("--timeout", type=Duration(), help="For all of it: 90s, 10m.  [default: 60s, with --wait 10m]")
@WHERE
def umount_command(directory: Path | None, *, wait: bool, timeout: float | None, where: Where) -> None:
    """Unmount DIRECTORY (default: the mount that other commands would use) and wait until its daemon has ended.

    When somebody still uses the mount it stays, and the message says who. With --wait it also stays where not
    everything could be brought into the bucket, and the message says what is missing.
    """
    from mountfs.daemon.unmount import mount_to_end, unmount_and_wait

    mount = mount_to_end(Path.cwd() / directory if directory else where.place().mountpoint)
    seconds = timeout if timeout is not None else WAIT_SECONDS if wait else SECONDS
    deadline = time.monotonic() + seconds
    served = not wait or _flush(mount, seconds)
    unmount_and_wait(mount, settled=wait, timeout_seconds=max(0.1, deadline - time.monotonic()))
    if not served:
        raise RemoteUnavailable(
            f"{mount.mountpoint} was unmounted, but its daemon had died: what it had not sent is kept; mount again, and"
            " then `mountfs umount --wait`"
        )
    click.echo(f"unmounted {shown(str(mount.mountpoint))}")


def _flush(mount: "Mount", seconds: float) -> bool:
    """Bring everything into the bucket, where there is one; False where no daemon is there to do it.

    Raises what kept it from that.
    """
    from functools import partial

    from mountfs.cli.flush import flush_with
    from mountfs.daemon import client

    try:
        bucket = client.ask(mount.state, "status", timeout=min(10.0, seconds)).get("bucket")
    except NotMounted:
        return False
    if not isinstance(bucket, dict) or bucket.get("read_only"):
        return True
    try:
        flush_with(partial(client.ask, mount.state), [], seconds=seconds)
    except MountfsError as error:
        raise _still_mounted(mount, error) from error
    return True


def _still_mounted(mount: "Mount", error: MountfsError) -> MountfsError:
    sentence = f"{mount.mountpoint} is still mounted: {error}"
    return ConfigError([sentence]) if isinstance(error, ConfigError) else type(error)(sentence)
