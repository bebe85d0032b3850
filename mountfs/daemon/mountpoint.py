"""Mountpoints: which there are, whether one may be used, and how one that a dead daemon left is cleared.

The kernel's mount table is the only register of mounts: the device it names for one of ours is the state directory
(`session.mounted`). So a mount is found with its store however it was started, also after its daemon died.
"""

import contextlib
import enum
import errno
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mountfs.errors import (
    AlreadyMounted,
    DeadlineExceeded,
    EnvironmentProblem,
    InvalidName,
    NotADirectory,
    NotEmpty,
)
from mountfs.statedir import StateDirectory, unescape

FSTYPE = "fuse.mountfs"
MOUNTPOINT_MODE = 0o555  # what is written while nothing is mounted there fails, instead of being hidden later
COMMAND_SECONDS = 30.0
PROBE_SECONDS = 3.0
LINKS_MAX = 40  # as many as the kernel follows

# Another process asks, since a question to a mount that hangs may be one that no signal ends. The kernel may answer
# `stat` from what it remembers; it does not remember the answer to `statvfs`.
_PROBE = "import os, sys\ntry: os.statvfs(os.fsencode(sys.argv[1]))\nexcept OSError as e: sys.exit(e.errno)"


class Health(enum.Enum):
    """How a mount answers."""

    ALIVE = enum.auto()
    DEAD = enum.auto()
    """Its daemon has gone and left it behind."""
    SILENT = enum.auto()
    """There is no answer in time."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table that is ours."""

    mountpoint: Path
    state: Path


def our_mounts() -> list[Mount]:
    """Every mount of ours that this process sees, also those whose daemon is dead; later ones cover earlier ones."""
    table = Path("/proc/self/mountinfo")
    if not table.exists():
        return []
    found = []
    for line in table.read_text(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fstype, source = right.split(" ")[:2]
        if fstype == FSTYPE:
            found.append(Mount(Path(unescape(left.split(" ")[4])), Path(unescape(source))))
    return found


def mount_at(mountpoint: Path) -> Mount | None:
    """Our mount at exactly this place; the path is free of symlinks."""
    return next((m for m in reversed(our_mounts()) if m.mountpoint == mountpoint), None)


def real_path(path: Path) -> Path:
    """Absolute and free of symlinks, as the mount table has it; asks nothing of a mount, which may be dead or hang."""
    for _ in range(LINKS_MAX):
        if path.name in ("", ".."):
            return path.resolve()
        path = Path(os.path.realpath(path.parent)) / path.name
        if mount_at(path) is not None or not path.is_symlink():
            return path
        path = path.parent / os.readlink(path)
    return path


def health(mountpoint: Path, *, seconds: float = PROBE_SECONDS) -> Health:
    """Whether the daemon of a mount answers; known after `seconds` at the latest."""
    code = _exit_code([sys.executable, "-ISc", _PROBE, str(mountpoint)], seconds)
    if code is None:
        return Health.SILENT
    return Health.DEAD if code == errno.ENOTCONN else Health.ALIVE


def _exit_code(command: list[str], seconds: float) -> int | None:
    """None where there is none in time: nobody waits for the end of that process, it may never come."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.returncode = -9
        return None


def unmount(mountpoint: Path, *, lazily: bool = False, seconds: float = COMMAND_SECONDS) -> str:
    """Unmount; the empty string, or what the program that does it says. Raises EnvironmentProblem, DeadlineExceeded."""
    said = ""
    for command in _unmount_commands(lazily=lazily):
        code, errors = _run([*command, str(mountpoint)], seconds)
        if code is None:
            raise DeadlineExceeded(f"{mountpoint} could not be unmounted in time: its daemon does not answer")
        if code == 0:
            return ""
        said = said or errors.strip() or f"{command[0]} failed"
        if "busy" in said:  # the next program would say the same, and hang where the daemon does
            break
    if not said:
        raise EnvironmentProblem("there is no fusermount3: install the package fuse3")
    return said


def _run(command: list[str], seconds: float) -> tuple[int | None, str]:
    """Exit code, None where there is none in time, and stderr."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.returncode = -9
        return None, ""
    return process.returncode, errors


def _unmount_commands(*, lazily: bool) -> Iterator[list[str]]:
    if shutil.which("fusermount3"):
        yield ["fusermount3", "-u", *(["-z"] if lazily else [])]
    if os.geteuid() == 0 and shutil.which("umount"):
        yield ["umount", *(["-l"] if lazily else [])]


def make_ready(mountpoint: Path) -> bool:
    """Clear a dead mount, make a missing directory; whether it was made here.

    Raises AlreadyMounted, NotADirectory, EnvironmentProblem. What lies in the directory is not looked at.
    """
    clear_dead(mountpoint)
    try:
        mountpoint.mkdir(mode=MOUNTPOINT_MODE, parents=True)
    except FileExistsError:
        if not mountpoint.is_dir():
            raise NotADirectory(f"{mountpoint} is not a directory: a mount needs one") from None
        return False
    except OSError as error:
        raise EnvironmentProblem(
            f"the mountpoint {mountpoint} cannot be made: {error.strerror}; choose one in a directory of yours"
        ) from error
    return True


def clear_dead(mountpoint: Path) -> None:
    """What a dead daemon left here goes. Raises AlreadyMounted where the daemon is not dead, EnvironmentProblem."""
    mounted = mount_at(mountpoint)
    if mounted is None:
        return
    found = health(mountpoint)
    if found is not Health.DEAD:
        raise AlreadyMounted(_already_mounted(mounted) + (", which does not answer" if found is Health.SILENT else ""))
    said = unmount(mountpoint, lazily=True)
    if said:
        raise EnvironmentProblem(f"the dead mount at {mountpoint} could not be cleared: {said}")


def _already_mounted(mount: Mount) -> str:
    try:
        pid = StateDirectory(mount.state).holder()
    except (OSError, ValueError):
        return f"{mount.mountpoint} is mounted already, by another user"
    return f"{mount.mountpoint} is mounted already, by process {pid or 'unknown'}"


def refuse_unless_text(path: Path) -> None:
    """pyfuse3 takes paths that are UTF-8, and no others. Raises InvalidName."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InvalidName(f"{path} is not UTF-8, which a mount needs: choose another directory") from None


def refuse_unless_empty(mountpoint: Path) -> None:
    """What lies in the directory would be hidden by the mount. Raises NotEmpty."""
    names = entries_of(mountpoint)
    if names:
        shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise NotEmpty(
            f"{mountpoint} is not empty ({shown}) and a mount would hide that: `--adopt` moves it into the store,"
            " or choose another directory"
        )


def entries_of(mountpoint: Path) -> list[str]:
    try:
        return sorted(os.listdir(mountpoint))
    except OSError as error:
        raise EnvironmentProblem(f"the mountpoint {mountpoint} cannot be read: {error.strerror}") from error


def refuse_without_fuse() -> None:
    """One sentence with what to do where this machine cannot mount. Raises EnvironmentProblem."""
    if not os.path.exists("/dev/fuse"):
        raise EnvironmentProblem(
            "there is no /dev/fuse: run `modprobe fuse` as root, or start the container with --device /dev/fuse"
            " --cap-add SYS_ADMIN --security-opt apparmor=unconfined"
        )
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise EnvironmentProblem("/dev/fuse may not be opened by you: run `chmod 666 /dev/fuse` as root")
    if os.geteuid() != 0 and shutil.which("fusermount3") is None:
        raise EnvironmentProblem("there is no fusermount3: install the package fuse3")


class Lent:
    """The mountpoint's own directory, open until something is mounted on it: no path leads there any more then.

    fusermount3 wants write permission on it, which a directory of mode 0555 does not give to its owner: it is lent
    until `give_back`.
    """

    def __init__(self, mountpoint: Path, *, made_here: bool) -> None:
        self._path = mountpoint
        self._made_here = made_here
        self._mode: int | None = None
        self._fd = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        found = os.fstat(self._fd)
        if os.geteuid() not in (0, found.st_uid):
            os.close(self._fd)
            raise EnvironmentProblem(f"{mountpoint} belongs to somebody else: choose a directory of yours")
        if os.geteuid() != 0 and not found.st_mode & stat.S_IWUSR:
            self._mode = stat.S_IMODE(found.st_mode)
            os.fchmod(self._fd, self._mode | stat.S_IWUSR)

    def give_back(self) -> None:
        """The mount stands: the directory below gets the mode it had. Does nothing the second time."""
        if self._fd < 0:
            return
        if self._mode is not None:
            os.fchmod(self._fd, self._mode)
        os.close(self._fd)
        self._fd = -1

    def give_up(self) -> None:
        """The mount never came about: what was made for it goes."""
        self.give_back()
        if self._made_here and mount_at(self._path) is None:
            with contextlib.suppress(OSError):
                self._path.rmdir()
