"""`mountfs umount`."""

from pathlib import Path

import click

from mountfs.cli.output import shown
from mountfs.cli.where import WHERE, AnyPath, Where, exit_codes


@click.command("umount", epilog=exit_codes(3, 5, 6, 8))
@click.argument("directory", required=False, type=AnyPath())
@click.option("--wait", is_flag=True, help="First wait until everything is compressed and in the catalog.")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds for all of it.")
@WHERE
def umount_command(directory: Path | None, *, wait: bool, timeout: float, where: Where) -> None:
    """Unmount DIRECTORY (default: the mount that other commands would use) and wait until its daemon has ended.

    When somebody still uses the mount it stays, and the message says who.
    """
    from mountfs.daemon.unmount import mount_to_end, unmount_and_wait

    mount = mount_to_end(Path.cwd() / directory if directory else where.place().mountpoint)
    unmount_and_wait(mount, settled=wait, timeout_seconds=timeout)
    click.echo(f"unmounted {shown(str(mount.mountpoint))}")
