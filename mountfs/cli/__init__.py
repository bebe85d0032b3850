"""The command line: words in, tables and exit codes out.

Commands are imported when they are called: `mountfs --help` needs none of them. An error is one sentence on stderr and
an exit code (DESIGN §5); whatever else comes up here is a bug, exit 70.
"""

import importlib
import io
import os
import sys
from typing import NoReturn

import click

from mountfs import __version__
from mountfs.errors import MountfsError

# name: (module, what it is for); the order is that of the help
COMMANDS = {
    "mount": ("mount", "Mount a directory whose files are artifacts."),
    "umount": ("umount", "Unmount, and wait until the daemon has ended."),
    "status": ("status", "Show the mount, its daemon and what was refused last."),
    "list": ("reading", "List artifacts, all or those below a key."),
    "ls": ("reading", "The same as list."),
    "get": ("reading", "Copy an artifact or a whole directory out of the store."),
    "put": ("writing", "Store a file, or what comes from stdin."),
    "cat": ("reading", "Print the content of artifacts."),
    "show": ("reading", "Show all facts and tags of an artifact."),
    "exists": ("reading", "Exit 0 when the artifact exists, 3 when not."),
    "tag": ("writing", "Set or remove tags of a job, a directory or an artifact."),
    "delete": ("writing", "Delete an artifact, a directory or a whole job."),
    "stats": ("status", "Show how many artifacts there are and what they cost."),
    "doctor": ("doctor", "Check what a mount needs here, and say what to do."),
    "config": ("config", "Print, check, show or trust settings."),
    "completion": ("completion", "Print the completion script of a shell."),
}
BUG = 70
INTERRUPTED = 130
PIPE_CLOSED = 141


class _PipeClosedError(Exception):
    """Whoever read our output has enough."""


class Commands(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mountfs.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _PipeClosedError from error  # click would end the process with 1

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done · 2 wrong usage or settings · 3 not found · 4 refused · 5 no room now · 6 the machine"
    " lacks something · 7 damaged · 8 in use · 70 a bug · 130 interrupted",
)
@click.version_option(__version__, prog_name="mountfs", message="%(prog)s %(version)s")
def program() -> None:
    """Plain files in; compressed, hashed, tagged and indexed artifacts out."""


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code of a command line; what went wrong is on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")  # names are bytes, and come out as they are
    try:
        ended = program.main(arguments, prog_name="mountfs", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except MountfsError as error:
        complain(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except _PipeClosedError:
        return _pipe_closed()
    except Exception as error:  # noqa: BLE001  # whatever it is, the user gets a sentence and an exit code
        return _bug(error)
    return _flushed() or (ended if isinstance(ended, int) else 0)


def complain(text: str) -> None:
    """Each line of a message on stderr, with our name before it."""
    for line in text.splitlines() or [""]:
        click.echo(f"mountfs: {line}", err=True)


def _flushed() -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    return 0


def _pipe_closed() -> int:
    """Nothing to complain about, and nowhere to write what is left."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    return PIPE_CLOSED


def _bug(error: Exception) -> int:
    if os.environ.get("MOUNTFS_LOG", "").lower() == "debug":
        import traceback

        traceback.print_exception(error)
    complain(f"this is a bug: {type(error).__name__}: {error} (MOUNTFS_LOG=debug shows where)")
    return BUG
