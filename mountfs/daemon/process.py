"""The process of a mount: started in the foreground or behind, its log, and what it tells whoever waits for it.

In the background the mount is served by a fresh interpreter (`python -m mountfs.daemon.process`): it inherits no
thread, no descriptor and no settings library of the command that started it. It reads what to serve from stdin, as
JSON, and its first line on stdout is `ready`, or one line of JSON with what went wrong.
"""

import contextlib
import faulthandler
import json
import logging
import logging.handlers
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mountfs import errors
from mountfs.daemon import notify
from mountfs.daemon.mountpoint import Lent, make_ready, our_mounts, refuse_unless_empty, refuse_without_fuse
from mountfs.daemon.service import Service
from mountfs.errors import ConfigError, EnvironmentProblem, MountfsError
from mountfs.statedir import StateDirectory

LOCK_SECONDS = 10.0
LOCK_POLL_SECONDS = 0.02
LOG_BYTES = 1 << 20
LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LEVELS = ("debug", "info", "warning", "error")


def serve_in_foreground(service: Service, ready: Callable[[], None]) -> None:
    """Mount and serve in this process until unmounted or told to end. Raises what `serve` raises."""
    refuse_without_fuse()
    made_here = make_ready(service.mountpoint)
    refuse_unless_empty(service.mountpoint)
    serve = _serve()
    _await_lock(service.state)
    lent = Lent(service.mountpoint, made_here=made_here)
    mounted = False

    def answers() -> None:
        nonlocal mounted
        mounted = True
        lent.give_back()
        notify.ready(service.mountpoint)
        ready()

    try:
        serve(service, answers, notify.stopping)
    finally:
        if not mounted:
            lent.give_up()


def _await_lock(path: Path) -> None:
    """Let a command that uses the store for a moment, or a daemon that is ending, finish; another mount is an error."""
    state = StateDirectory(path)
    deadline = time.monotonic() + LOCK_SECONDS
    while state.holder() is not None and time.monotonic() < deadline:
        if any(mount.state == path for mount in our_mounts()):
            return  # opening the store says who it is
        time.sleep(LOCK_POLL_SECONDS)


def _serve() -> Callable[[Service, Callable[[], None], Callable[[], None]], None]:
    """The event loop and pyfuse3 are imported here, by whoever serves, and nowhere else."""
    try:
        from mountfs.daemon.serve import serve
    except ImportError as error:
        raise EnvironmentProblem(
            f"a mount needs {error.name or 'pyfuse3'}, which cannot be imported ({error}): install libfuse3 and"
            " `pip install pyfuse3`"
        ) from error
    return serve


# -- in the background ------------------------------------------------------------------------------------


class Waiting:
    """An interpreter that imports what serving needs while its parent still reads the settings.

    So a mount answers after 0.57 instead of 0.69 s, where there are two cores.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._daemon = subprocess.Popen(
            [sys.executable, "-m", "mountfs.daemon.process"],
            cwd="/",
            env={**environ, "PYTHONPATH": python_path(environ)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def __enter__(self) -> "Waiting":
        return self

    def __exit__(self, *_: object) -> None:
        """Whoever was not told to serve ends."""
        if self._daemon.returncode is None:
            self._daemon.kill()
            self._daemon.communicate()

    def serve(self, service: Service) -> int:
        """Have it serve; its pid once the mount answers. Raises what went wrong in it."""
        daemon = self._daemon
        StateDirectory(service.state).make(mountpoint=service.mountpoint)
        assert daemon.stdin is not None
        assert daemon.stdout is not None
        try:
            with daemon.stdin, daemon.stdout:
                with contextlib.suppress(BrokenPipeError):  # it has died: what it said tells
                    daemon.stdin.write(service.as_json().encode())
                    daemon.stdin.close()
                said = daemon.stdout.read()
        except KeyboardInterrupt:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait()
            raise
        if said.strip() == b"ready":
            daemon.returncode = 0  # it outlives us: nobody is to wait for it
            return daemon.pid
        daemon.wait()
        raise _failure(said, service.state / "log")


def python_path(environ: Mapping[str, str]) -> str:
    """Our own place first: the daemon is of the version that starts it, whatever its working directory."""
    ours = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([ours, *filter(None, [environ.get("PYTHONPATH")])])


def _failure(said: bytes, log: Path) -> MountfsError:
    try:
        told = json.loads(said)
        kind = getattr(errors, told["error"])
        error = kind(told["message"])
    except (ValueError, KeyError, AttributeError, TypeError):
        return MountfsError(f"the daemon ended before the mount was ready: see {log}")
    return error if isinstance(error, MountfsError) else MountfsError(str(error))


def main() -> None:
    """The process behind `Waiting`: reads what to serve from stdin."""
    with contextlib.suppress(EnvironmentProblem):  # told when it is asked to serve
        _serve()
    said = sys.stdin.read()
    if not said:
        return
    try:
        service = Service.from_json(said)
        log_to(service.state / "log")
        serve_in_foreground(service, lambda: _tell("ready"))
    except MountfsError as error:
        logging.getLogger(__name__).error("%s", error)
        _tell(json.dumps({"error": type(error).__name__, "message": str(error)}))
        sys.exit(error.exit_code)


def _tell(line: str) -> None:
    """Say one line to the parent and let go of it: it waits for the end of our stdout. Says nothing the second time."""
    with contextlib.suppress(OSError):
        os.write(1, line.encode() + b"\n")
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    os.close(null)


# -- the log ----------------------------------------------------------------------------------------------


def log_level(environ: Mapping[str, str]) -> int:
    """`MOUNTFS_LOG` as a level of logging. Raises ConfigError."""
    said = environ.get("MOUNTFS_LOG", "info").lower()
    if said not in LEVELS:
        raise ConfigError(f"MOUNTFS_LOG: {said!r} is no level; allowed: {', '.join(LEVELS)}")
    level: int = getattr(logging, said.upper())
    return level


def log_to_stderr() -> None:
    logging.basicConfig(level=log_level(os.environ), format=LOG_FORMAT, stream=sys.stderr)
    _quieten()


def _quieten() -> None:
    """An answer that the kernel no longer waits for (its caller was killed, or the mount is going) is no error."""
    logging.getLogger("pyfuse3").addFilter(lambda record: "fuse_reply_* failed" not in record.getMessage())


def log_to(path: Path) -> None:
    """Log into a file that is rotated at 1 MiB; what the interpreter itself has to say goes there too."""
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1, errors="backslashreplace")
    with open(path, "ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    logging.basicConfig(level=log_level(os.environ), format=LOG_FORMAT, handlers=[handler])
    _quieten()
    faulthandler.enable()


if __name__ == "__main__":
    main()
