"""`mountfs config example`, `check`, `show`, `trust`."""

import os
from pathlib import Path

import click

from mountfs.cli import complain
from mountfs.cli.output import shown
from mountfs.cli.where import exit_codes
from mountfs.errors import ConfigError

_FILE = click.argument("file", required=False, type=click.Path(path_type=Path))


@click.group("config", epilog=exit_codes(2))
def config_command() -> None:
    """Print, check, show or trust settings."""


@config_command.command("example", epilog=exit_codes())
def example_command() -> None:
    """Print a settings file with every key, commented."""
    from mountfs.config.example import example

    click.echo(example(), nl=False)


@config_command.command("check", epilog=exit_codes(2))
@_FILE
def check_command(file: Path | None) -> None:
    """Check FILE, or the settings that hold here. Prints every problem with its place and what is allowed."""
    from mountfs.config import load_settings

    loaded = load_settings(environ=os.environ, cwd=Path.cwd(), cli_path=file)
    for warning in loaded.warnings:
        complain(warning)
    click.echo(shown(f"{loaded.path or 'no file, the defaults'} ({loaded.origin}): right"))


@config_command.command("show", epilog=exit_codes(2))
@_FILE
def show_command(file: Path | None) -> None:
    """Print the settings that hold here, all of them, secrets as stars."""
    from mountfs.config import load_settings
    from mountfs.config.example import show

    loaded = load_settings(environ=os.environ, cwd=Path.cwd(), cli_path=file)
    click.echo(shown(f"# from {loaded.path or 'no file'} ({loaded.origin})"))
    click.echo(show(loaded.settings), nl=False)


@config_command.command("trust", epilog=exit_codes(2))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--remove", is_flag=True, help="Trust it no more.")
def trust_command(file: Path, *, remove: bool) -> None:
    """Let FILE say everything although it lies in a working directory, until its content changes."""
    from mountfs.config.trust import trust, untrust

    if remove:
        if not untrust(file, environ=os.environ):
            raise ConfigError(f"{file} was not trusted")
        click.echo(shown(f"{file} is trusted no more"))
        return
    digest = trust(file, environ=os.environ)
    click.echo(shown(f"{file} is trusted with its present content ({digest[:16]}…)"))
