"""`mountfs mount`."""

import os
from pathlib import Path

import click

from mountfs.cli import complain
from mountfs.cli.where import exit_codes


@click.command("mount", epilog=exit_codes(2, 4, 6, 7, 8))
@click.argument("directory", required=False, type=click.Path(path_type=Path))
@click.option("--foreground", is_flag=True, help="Serve in this process; prints `ready` once the mount answers.")
@click.option("--state", type=click.Path(path_type=Path), help="The state directory, instead of the settings' one.")
@click.option("--config", type=click.Path(path_type=Path), help="The settings file.")
@click.option("--allow-other", is_flag=True, help="Let other users in, as far as permission bits allow.")
@click.option("--adopt", is_flag=True, help="Move what lies in the directory into the store first.")
@click.option("--no-git-exclude", is_flag=True, help="Leave .git/info/exclude alone.")
@click.option("--test-auto-unmount", is_flag=True, hidden=True)
def mount_command(
    directory: Path | None, *, foreground: bool, state: Path | None, config: Path | None, allow_other: bool,
    adopt: bool, no_git_exclude: bool, test_auto_unmount: bool,
) -> None:  # fmt: skip
    """Mount DIRECTORY (default: the settings' mountpoint, .artifacts) and return once it answers.

    Every file below it is an artifact of the job that its first directory names.
    """
    from mountfs.config import load_settings, state_dir_for
    from mountfs.daemon import process
    from mountfs.daemon.mountpoint import real_path
    from mountfs.daemon.service import service_of

    loaded = load_settings(environ=os.environ, cwd=Path.cwd(), cli_path=config)
    for warning in loaded.warnings:
        complain(warning)
    settings = loaded.settings
    mountpoint = real_path(Path.cwd() / (directory or settings.mountpoint))
    chosen = state or state_dir_for(mountpoint, settings, os.environ)
    service = service_of(
        settings,
        mountpoint=mountpoint,
        state=Path(os.path.realpath(chosen)),
        allow_other=allow_other,
        auto_unmount=test_auto_unmount,
    )
    if foreground:
        process.log_to_stderr()
        process.serve_in_foreground(service, lambda: click.echo("ready"))
        return
    process.start_in_background(service, os.environ)
    click.echo(f"mounted {mountpoint}")
