"""What `mountfs doctor` looks at. Each check answers with findings: what it saw, how good that is, what to do."""

import os
import platform
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from mountfs import __version__
from mountfs.api import Place
from mountfs.bucket.oddities import stamps_ahead
from mountfs.catalog import Catalog
from mountfs.cli.output import shown_size
from mountfs.daemon.mountpoint import Health, Mount, health, our_mounts
from mountfs.errors import MountfsError
from mountfs.statedir import UNSAFE_FILE_SYSTEMS, StateDirectory, check_place, file_system_of

OK, WARNING, PROBLEM = "ok", "warning", "problem"
FREE_WARNING_BYTES = 1 << 30
FREE_PROBLEM_BYTES = 64 << 20
SECONDS = 10.0
MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs", "overlay"})


@dataclass(frozen=True, slots=True)
class Machine:
    """The files that describe this machine; a test has its own."""

    root: Path = Path("/")

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        try:
            return self.path(name).read_text(errors="replace")
        except OSError:
            return ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer."""

    check: str
    level: str
    saw: str
    advice: str = ""


def findings(place: Place, *, allow_other: bool, machine: Machine | None = None) -> Iterator[Finding]:
    """Everything that a mount of this store depends on."""
    machine = machine or Machine()
    yield from device(machine)
    yield from unmounter(machine)
    yield from fuse_conf(machine, allow_other=allow_other)
    yield from apparmor(machine, place.mountpoint)
    yield from versions()
    ill = ill_mounts()
    silent = any(mount.mountpoint == place.mountpoint and found is Health.SILENT for mount, found in ill)
    try:
        yield from state_directory(place, mountpoint=None if silent else place.mountpoint)
        yield from catalog(place)
    except PermissionError:
        yield Finding("store", PROBLEM, f"{place.state} may not be looked at by you", "run this as its owner")
    yield from mounts(ill)


def device(machine: Machine) -> Iterator[Finding]:
    path = machine.path("/dev/fuse")
    if not path.exists():
        yield Finding(
            "/dev/fuse",
            PROBLEM,
            "is missing",
            "run `modprobe fuse` as root, or start the container with --device /dev/fuse --cap-add SYS_ADMIN"
            " --security-opt apparmor=unconfined",
        )
        return
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        yield Finding("/dev/fuse", PROBLEM, f"cannot be opened: {error.strerror}", "run `chmod 666 /dev/fuse` as root")
        return
    yield Finding("/dev/fuse", OK, "can be opened")


def unmounter(machine: Machine) -> Iterator[Finding]:
    found = shutil.which("fusermount3")
    if found is None:
        level = WARNING if os.geteuid() == 0 else PROBLEM
        yield Finding("fusermount3", level, "is missing", "install the package fuse3")
        return
    if os.geteuid() != 0 and not os.stat(found).st_mode & stat.S_ISUID:
        yield Finding(
            "fusermount3",
            PROBLEM,
            f"{found} is not setuid root",
            f"run `chown root {found} && chmod 4755 {found}` as root",
        )
        return
    if os.geteuid() != 0 and not machine.path("/etc/mtab").exists():
        yield Finding(
            "fusermount3",
            PROBLEM,
            f"{found} unmounts nothing where /etc/mtab is missing",
            "run `ln -s /proc/self/mounts /etc/mtab` as root",
        )
        return
    yield Finding("fusermount3", OK, found)


def fuse_conf(machine: Machine, *, allow_other: bool) -> Iterator[Finding]:
    if not allow_other:
        return
    if re.search(r"^\s*user_allow_other\s*$", machine.text("/etc/fuse.conf"), re.MULTILINE):
        yield Finding("/etc/fuse.conf", OK, "has user_allow_other, as `allow_other: true` needs")
    elif os.geteuid() == 0:
        yield Finding("/etc/fuse.conf", OK, "has no user_allow_other; root does not need it")
    else:
        yield Finding(
            "/etc/fuse.conf",
            PROBLEM,
            "has no line user_allow_other, and the settings say `allow_other: true`",
            "add that line to /etc/fuse.conf as root, or take allow_other out of the settings",
        )


def apparmor(machine: Machine, mountpoint: Path) -> Iterator[Finding]:
    """Since 24.10 Ubuntu lets fusermount3 mount below a few places only."""
    profile = machine.text("/etc/apparmor.d/fusermount3")
    enabled = machine.text("/sys/module/apparmor/parameters/enabled").strip() == "Y"
    if not profile or not enabled or os.geteuid() == 0:
        return
    profile += machine.text("/etc/apparmor.d/local/fusermount3")
    if _is_allowed(profile, str(mountpoint)):
        yield Finding("AppArmor", OK, f"fusermount3 may mount at {mountpoint}")
        return
    yield Finding(
        "AppArmor",
        WARNING,
        f"the profile of fusermount3 does not name a place around {mountpoint}",
        "mount below your home directory, or add `mount fstype=@{fuse_types} -> " + f"{mountpoint}/,` and a line with"
        " umount to /etc/apparmor.d/local/fusermount3 and run `apparmor_parser -r /etc/apparmor.d/fusermount3`",
    )


def _is_allowed(profile: str, mountpoint: str) -> bool:
    targets = re.findall(r"^\s*mount\b[^#\n]*->\s*\"?(\S+?)\"?,?\s*(?:#.*)?$", profile, re.MULTILINE)
    return any(_pattern(target).fullmatch(mountpoint.rstrip("/") + "/") for target in targets)


def _pattern(glob: str) -> re.Pattern[str]:
    """AppArmor's globs, as far as that profile uses them."""
    words = {
        "@{HOME}": "(?:/root|/home/[^/]+)",
        "@{run}": "(?:/var)?/run",
        "@{uid}": "[0-9]+",
        "**": ".+",
        "*": "[^/]*",
    }
    words |= {"{": "(?:", "}": ")", ",": "|"}
    parts = re.split("(" + "|".join(map(re.escape, words)) + ")", glob)
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts))


def versions() -> Iterator[Finding]:
    known = {
        "mountfs": __version__,
        "python": platform.python_version(),
        "pyfuse3": _distribution("pyfuse3"),
        "libfuse": _libfuse(),
        "zstandard": _distribution("zstandard"),
        "sqlite": _sqlite(),
        "kernel": platform.release(),
    }
    missing = [name for name, version in known.items() if not version]
    saw = " · ".join(f"{name} {version}" for name, version in known.items() if version)
    if "pyfuse3" in missing:
        yield Finding("versions", PROBLEM, f"{saw}; pyfuse3 is missing", "`pip install pyfuse3` after libfuse3-dev")
    else:
        yield Finding("versions", OK, saw)


def _distribution(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _libfuse() -> str:
    try:
        said = subprocess.run(["fusermount3", "--version"], capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip().rpartition(" ")[2]


def _sqlite() -> str:
    module = sys.modules.get("sqlite3")  # the catalog has imported it; nobody else is to know it
    return str(getattr(module, "sqlite_version", ""))


def state_directory(place: Place, *, mountpoint: Path | None) -> Iterator[Finding]:
    """`mountpoint` is None where nothing may be asked about it: its daemon hangs."""
    name, path = "state directory", place.state
    try:
        check_place(path, mountpoint=mountpoint)
    except MountfsError as error:
        yield Finding(name, PROBLEM, str(error))
        return
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    kind = file_system_of(existing)
    if path.exists() and path.stat().st_uid != os.geteuid():
        yield Finding(name, PROBLEM, f"{path} belongs to another user", "run as that user, or set `state:`")
    elif path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding(name, WARNING, f"{path} is open to others", f"run `chmod 700 {path}`")
    elif not os.access(existing, os.W_OK):
        yield Finding(name, PROBLEM, f"{existing} may not be written by you", "set `state:` to a directory of yours")
    elif kind in MEMORY_FILE_SYSTEMS - UNSAFE_FILE_SYSTEMS:
        yield Finding(name, WARNING, f"{path} is on {kind}, which may not outlive a restart", "set `state:` to a disk")
    else:
        yield Finding(name, OK, f"{path} ({kind}{'' if path.exists() else ', not made yet'})")
    yield from _free(existing)


def _free(path: Path) -> Iterator[Finding]:
    found = os.statvfs(path)
    free = found.f_bavail * found.f_frsize
    saw = f"{shown_size(free)} free of {shown_size(found.f_blocks * found.f_frsize)}"
    level = PROBLEM if free < FREE_PROBLEM_BYTES else WARNING if free < FREE_WARNING_BYTES else OK
    yield Finding("disk", level, saw, "" if level == OK else "delete artifacts or other files on that disk")


def catalog(place: Place) -> Iterator[Finding]:
    path = place.state / "catalog.db"
    if not path.exists():
        yield Finding("catalog", OK, "there is none yet")
        return
    try:
        opened = Catalog.open(path, read_only=True)
        try:
            damaged = len(opened.damaged())
            count = opened.count_files()
            ahead = stamps_ahead(opened)
        finally:
            opened.close()
    except MountfsError as error:
        yield Finding("catalog", PROBLEM, str(error))
        return
    if damaged:
        yield Finding("catalog", PROBLEM, f"{damaged} contents failed their integrity check", "see `mountfs list`")
    else:
        yield Finding("catalog", OK, f"sound, {count} artifacts")
    for one in ahead:
        saw = f"writer {one.writer} stamped {one.key} with {_day(one.stamp_ms)}, more than an hour ahead of the server"
        yield Finding("clocks", WARNING, saw, "set the clock of that machine; what it wrote wins until then")


def _day(ms: int) -> str:
    """A time, also one that no calendar has."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"


def ill_mounts() -> list[tuple[Mount, Health]]:
    """Mounts whose daemon is dead or does not answer."""
    found = [(mount, health(mount.mountpoint)) for mount in our_mounts()]
    return [(mount, answer) for mount, answer in found if answer is not Health.ALIVE]


def mounts(ill: list[tuple[Mount, Health]]) -> Iterator[Finding]:
    for mount, answer in ill:
        path = mount.mountpoint
        if answer is Health.DEAD:
            saw, advice = f"the daemon of {path} has died", f"run `mountfs mount {path}`: it clears that"
        else:
            saw = f"the daemon of {path} (pid {_holder(mount)}) does not answer"
            advice = f"see {mount.state}/log; `kill -9` ends it, `mountfs mount {path}` clears what it leaves"
        yield Finding("mounts", PROBLEM, saw, advice)
    if not ill:
        yield Finding("mounts", OK, f"{len(our_mounts())} mounted, all of them answer")


def _holder(mount: Mount) -> str:
    try:
        return str(StateDirectory(mount.state).holder() or "unknown")
    except (OSError, ValueError):
        return "unknown"
