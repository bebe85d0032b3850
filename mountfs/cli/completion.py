"""`mountfs completion`."""

import click

from mountfs.cli.where import exit_codes


@click.command("completion", epilog=exit_codes(2))
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print what makes SHELL complete commands and options.

    For bash: put `eval "$(mountfs completion bash)"` into ~/.bashrc.
    """
    from click.shell_completion import get_completion_class

    from mountfs.cli import program

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(program, {}, "mountfs", "_MOUNTFS_COMPLETE").source())
