"""`mountfs mount`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mountfs.cli import complain, legible
from mountfs.cli.output import shown, shown_size
from mountfs.cli.where import AnyPath, exit_codes

if TYPE_CHECKING:
    from mountfs.daemon.service import Service


@click.command("mount", epilog=exit_codes(2, 4, 6, 7, 8))
@click.argument("directory", required=False, type=AnyPath())
@click.option("--foreground", is_flag=True, help="Serve in this process; prints `ready` once the mount answers.")
@click.option("--state", type=AnyPath(), help="The state directory, instead of the settings' one.")
@click.option("--config", type=AnyPath(), help="The settings file.")
@click.option("--allow-other", is_flag=True, help="Let other users in, as far as permission bits allow.")
@click.option("--read-only", is_flag=True, help="Refuse every change, and write nothing to the bucket.")
@click.option("--adopt", is_flag=True, help="Move what lies in the directory into the store first.")
@click.option("--no-git-exclude", is_flag=True, help="Leave .git/info/exclude alone.")
@click.option("--test-auto-unmount", is_flag=True, hidden=True)
def mount_command(
    directory: Path | None, *, foreground: bool, state: Path | None, config: Path | None, allow_other: bool,
    read_only: bool, adopt: bool, no_git_exclude: bool, test_auto_unmount: bool,
) -> None:  # fmt: skip
    """Mount DIRECTORY (default: the settings' mountpoint, .artifacts) and return once it answers.

    Every file below it is an artifact of the job that its first directory names. The log of the daemon is the file
    `log` in the state directory.
    """
    from mountfs.daemon import process

    if read_only and adopt:
        raise click.UsageError("--adopt writes, and --read-only does not")
    said = {"allow_other": allow_other, "auto_unmount": test_auto_unmount, "read_only": read_only}
    if foreground:
        service = _service(directory, state, config, **said)
        process.log_to_stderr()
        if adopt:
            _adopt(service)
        process.serve_in_foreground(service, lambda: _ready(service.mountpoint, exclude=not no_git_exclude))
        return
    with process.Waiting(os.environ) as daemon:
        service = _service(directory, state, config, **said)
        if adopt:
            _adopt(service)
        daemon.serve(service)
    if not no_git_exclude:
        _exclude(service.mountpoint)
    click.echo(f"mounted {shown(str(service.mountpoint))}")


def _ready(mountpoint: Path, *, exclude: bool) -> None:
    if exclude:
        _exclude(mountpoint)
    click.echo("ready")


def _service(
    directory: Path | None, state: Path | None, config: Path | None, *, allow_other: bool, auto_unmount: bool,
    read_only: bool,
) -> "Service":  # fmt: skip
    from mountfs.config import load_settings, state_dir_for
    from mountfs.daemon.mountpoint import clear_dead, real_path, refuse_unless_text
    from mountfs.daemon.service import service_of

    loaded = load_settings(environ=os.environ, cwd=Path.cwd(), cli_path=config)
    for warning in loaded.warnings:
        complain(warning)
    settings = loaded.settings
    mountpoint = real_path(Path.cwd() / (directory or settings.mountpoint))
    refuse_unless_text(mountpoint)
    clear_dead(mountpoint)  # before anything is asked about a directory whose daemon may hang
    chosen = state or state_dir_for(mountpoint, settings, os.environ)
    return service_of(
        settings,
        mountpoint=mountpoint,
        state=Path(os.path.realpath(chosen)),
        allow_other=allow_other,
        auto_unmount=auto_unmount,
        read_only=read_only,
    )


def _adopt(service: "Service") -> None:
    from mountfs.daemon.adopt import adopt
    from mountfs.daemon.mountpoint import entries_of, make_ready, refuse_without_fuse

    refuse_without_fuse()
    make_ready(service.mountpoint)
    if entries_of(service.mountpoint):
        adopted = adopt(service)
        click.echo(f"adopted {adopted.files} files, {shown_size(adopted.size_bytes)}", err=True)


def _exclude(mountpoint: Path) -> None:
    from mountfs.daemon.gitexclude import exclude

    file = exclude(mountpoint)
    if file is not None:
        click.echo(legible(f"git ignores {mountpoint.name}/ now ({file}); --no-git-exclude leaves that"), err=True)
