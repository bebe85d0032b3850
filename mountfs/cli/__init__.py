"""The command line: words in, tables and exit codes out.

Commands are imported when they are called: `mountfs --help` needs none of them. An error is one sentence on stderr and
an exit code (DESIGN §5); whatever else comes up here is a bug, exit 70.
"""

import errno
import importlib
import io
import os
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from mountfs import __version__
from mountfs.errors import CacheFull, EnvironmentProblem, MountfsError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# name: (module, what it is for); the order is that of the help
COMMANDS = {
    "mount": ("mount", "Mount a directory whose files are artifacts."),
    "umount": ("umount", "Unmount, and wait until the daemon has ended."),
    "status": ("status", "Show the mount, its daemon and what was refused last."),
    "list": ("finding", "List artifacts, all or those below a key."),
    "ls": ("finding", "The same as list."),
    "find": ("finding", "Find artifacts by a query."),
    "compare": ("comparing", "Say what changed between two jobs, or since the baseline of a branch."),
    "history": ("trending", "Say when a test failed, flaked or became slower, and since which commit."),
    "trend": ("trending", "Show a number through the newest jobs, as text, SVG or JSON."),
    "badge": ("trending", "Print an SVG badge of a number in the newest job."),
    "get": ("reading", "Copy an artifact or a whole directory out of the store."),
    "put": ("writing", "Store a file, or what comes from stdin."),
    "cat": ("reading", "Print the content of artifacts."),
    "show": ("reading", "Show all facts and tags of an artifact."),
    "exists": ("reading", "Exit 0 when the artifact exists, 3 when not."),
    "tag": ("writing", "Set or remove tags of a job, a directory or an artifact."),
    "pin": ("writing", "Keep an artifact, a directory or a job: it never expires."),
    "unpin": ("writing", "Let go of what is pinned."),
    "delete": ("writing", "Delete an artifact, a directory or a whole job."),
    "cleanup": ("cleanup", "Drop what expired, or what is selected, and say why."),
    "url": ("url", "Print a URL that anybody may read an artifact with."),
    "adopt": ("adopt", "Make a job of another machine this machine's own."),
    "restore": ("trash", "Bring back what was removed or overwritten."),
    "trash": ("trash", "List or empty what was removed or overwritten."),
    "remote": ("remote", "Check and set up the bucket that the settings name."),
    "migrate": ("migrate", "Bring a store that had no bucket into one."),
    "flush": ("flush", "Send everything to the bucket, and wait until it has confirmed it."),
    "wait": ("flush", "Wait until the bucket has confirmed all of a job."),
    "sync": ("sync", "Catch up with what other machines wrote, or rebuild the index from the bucket."),
    "maintain": ("maintain", "Merge small bundles and drop what is dead in the bucket."),
    "prefetch": ("cache", "Bring contents of a job or a path here before they are read."),
    "evict": ("cache", "Let go of contents here that the bucket has."),
    "stats": ("status", "Show how many artifacts there are and what they cost."),
    "doctor": ("doctor", "Check what a mount needs here, and say what to do."),
    "config": ("config", "Print, check, show or trust settings."),
    "completion": ("completion", "Print the completion script of a shell."),
}
BUG = 70
INTERRUPTED = 130
PIPE_CLOSED = 141


_HELD: list[TextIO] = []
"""What stands in for stdout: were it closed with its last name, the next file of ours would get what is printed."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _PipeClosedError(Exception):
    """Whoever read our output has enough."""


class _OutputError(OSError):
    """Stdout cannot be written."""


class _Output(io.FileIO):
    """Stdout, so that its trouble can be told from that of any other file."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _OutputError(error.errno, error.strerror) from error


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
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "color": True,  # nothing here is coloured by click: what it would take out of a pipe are parts of names
    },
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
    _open_what_is_closed()
    if sys.stdout is sys.__stdout__ or sys.__stdout__ is None:  # nobody has put another in its place
        sys.stdout = _output(sys.stdout)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="surrogateescape")
    if "_MOUNTFS_COMPLETE" in os.environ:
        importlib.import_module("mountfs.cli.completion").teach_bash()
    try:
        ended = program.main(arguments, prog_name="mountfs", standalone_mode=False)
    except click.ClickException as error:
        _show_usage(error)
        return error.exit_code
    except MountfsError as error:
        complain(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except _PipeClosedError:
        return _pipe_closed()
    except _OutputError as error:
        return _output_failed(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, the user gets a sentence and an exit code
        return _bug(error)
    return _flushed() or (ended if isinstance(ended, int) else 0)


def _show_usage(error: click.ClickException) -> None:
    said = io.StringIO()
    error.show(said)
    for line in said.getvalue().rstrip("\n").split("\n"):
        click.echo(legible(line), err=True)


def complain(text: str) -> None:
    """Each line of a message on stderr, with our name before it."""
    for line in text.split("\n"):
        click.echo(f"mountfs: {legible(line)}", err=True)


def legible(text: str) -> str:
    """A sentence as a terminal may show it: control characters in names would be obeyed."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode-escape", "surrogatepass").decode() for c in text)


def _output(stdout: TextIO) -> TextIO:
    """The same stream, with errors of its own; names are bytes, and come out as they are."""
    raw = io.BufferedWriter(_Output(stdout.fileno(), "w", closefd=False))
    return io.TextIOWrapper(
        raw, encoding=stdout.encoding, errors="surrogateescape", line_buffering=stdout.isatty(), write_through=False
    )


def _open_what_is_closed() -> None:
    """No file of ours becomes stdout because the shell has closed that (`>&-`); writing there fails nonetheless."""
    while (descriptor := os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)) <= 2:
        pass
    if sys.stdout is None:
        sys.stdout = open(descriptor, "w", encoding="utf-8")  # noqa: SIM115  # for as long as we live
        _HELD.append(sys.stdout)
    else:
        os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _flushed() -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    except _OutputError as error:
        return _output_failed(error)
    return 0


def _output_failed(error: _OutputError) -> int:
    _give_up_stdout()
    complain(f"stdout cannot be written: {error.strerror}")
    return (CacheFull if error.errno in NO_ROOM else EnvironmentProblem).exit_code


def _pipe_closed() -> int:
    """Nothing to complain about."""
    _give_up_stdout()
    return PIPE_CLOSED


def _give_up_stdout() -> None:
    """There is nowhere to write what is left."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())


def _bug(error: Exception) -> int:
    if os.environ.get("MOUNTFS_LOG", "").lower() == "debug":
        import traceback

        traceback.print_exception(error)
    complain(f"this is a bug: {type(error).__name__}: {error} (MOUNTFS_LOG=debug shows where)")
    return BUG
