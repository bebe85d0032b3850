"""The state directory: where it may be, who holds it, what lies in it.

lock          flock of the process that holds the store; its pid inside
control.sock  the daemon's control socket
catalog.db    what is true (and -wal, -shm)
journal/      what close acknowledged and the catalog does not hold yet
drafts/       files being written; contents/, incoming/  settled bytes
ballast       room for removing when the disk is full
"""

import errno
import fcntl
import os
from pathlib import Path

from mountfs.errors import AlreadyMounted, CatalogError, ConfigError, EnvironmentProblem

_NETWORK = "nfs nfs4 cifs smb3 smbfs 9p afs ceph glusterfs lustre gpfs beegfs"
_NETWORK_FUSE = "mountfs sshfs s3fs rclone juicefs glusterfs s3ql gcsfuse mount-s3 ceph"
UNSAFE_FILE_SYSTEMS = frozenset({*_NETWORK.split(), *(f"fuse.{name}" for name in _NETWORK_FUSE.split())})
BALLAST_BYTES = 4 << 20
SPARE = 3  # times the ballast: less than the reserve that a full cache leaves, so that it comes back beside one
MOUNT_TABLE = Path("/proc/self/mountinfo")
_FILES = "lock log log.1 control.sock ballast catalog.db catalog.db-wal catalog.db-shm"
_OURS = frozenset([*_FILES.split(), "journal", "drafts", "contents", "incoming"])


class StateDirectory:
    """One store's files. `lock` raises AlreadyMounted, with the pid, while another process holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.catalog = path / "catalog.db"
        self.journal = path / "journal"
        self.drafts = path / "drafts"
        self.socket = path / "control.sock"
        self._lock_fd = -1

    def make(self, *, mountpoint: Path | None) -> None:
        """Create what is missing, mode 0700; refuse places where SQLite and locks are not safe."""
        check_place(self.path, mountpoint=mountpoint)
        self._refuse_what_is_not_ours()
        try:
            for missing in reversed([one for one in self.path.parents if not one.exists()]):
                missing.mkdir(mode=0o700, exist_ok=True)  # `parents` would make those with all that the umask allows
            self.path.mkdir(mode=0o700, exist_ok=True)
            os.chmod(self.path, 0o700)
        except OSError as error:
            raise EnvironmentProblem(
                f"the state directory {self.path} cannot be used: {error.strerror}; set `state:` to one of yours"
            ) from error

    def _refuse_what_is_not_ours(self) -> None:
        """A directory of others would be closed to them, and filled."""
        try:
            names = set(os.listdir(self.path))
        except OSError:
            return  # it is missing, or what is wrong with it is said when it is used
        if not names <= _OURS and not names & {"lock", "catalog.db"}:
            raise ConfigError(
                f"{self.path} is not empty and no state directory of mountfs: set `state:` to an empty one"
            )

    def refuse_without_catalog(self) -> None:
        """Raises CatalogError where contents are here and what knows them is gone: a new catalog would forget them."""
        if self.catalog.exists() and self.catalog.stat().st_size:
            return
        rooms = (self.journal, self.drafts, self.path / "contents")
        if any(path.is_file() and path.stat().st_size for room in rooms for path in room.rglob("*")):
            raise CatalogError(
                f"{self.catalog} is missing or empty, but contents are in {self.path}: nothing was changed. Restore a"
                " backup of the catalog, or move the state directory aside and mount with a new one"
            )

    def make_rooms(self) -> None:
        for directory in (self.journal, self.drafts):
            directory.mkdir(mode=0o700, exist_ok=True)

    def lock(self) -> None:
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
            os.close(fd)
            if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
                raise
            raise AlreadyMounted(f"{self.path} is in use by process {holder or 'unknown'}") from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._lock_fd = fd

    def unlock(self) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def holder(self) -> int | None:
        """The pid of the process that holds the store now; None when nobody does."""
        try:
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return int(os.pread(fd, 32, 0).strip() or b"0")
        else:
            return None
        finally:
            os.close(fd)

    def make_ballast(self) -> bool:
        """Set room aside that only removing and evicting may use, where the disk has it to spare; whether it is there.

        Cheap where it is: asked again and again, so that it is back as soon as there is room.
        """
        path = self.path / "ballast"
        found = os.statvfs(self.path)
        size = min(BALLAST_BYTES, found.f_blocks * found.f_frsize // 32)
        if path.exists():
            return True
        if found.f_bavail * found.f_frsize < SPARE * size:
            return False
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, size)
        except OSError:
            path.unlink(missing_ok=True)
            return False
        finally:
            os.close(fd)
        return True

    def drop_ballast(self) -> bool:
        """Give the room set aside to a removal, or to eviction; whether there was any."""
        try:
            (self.path / "ballast").unlink()
        except FileNotFoundError:
            return False
        return True


def check_place(path: Path, *, mountpoint: Path | None) -> None:
    """Refuse a state directory below the mountpoint, on a network file system or in another mount of ours."""
    resolved = Path(os.path.realpath(path))
    if mountpoint is not None and resolved.is_relative_to(os.path.realpath(mountpoint)):
        raise ConfigError(
            f"the state directory {path} lies below the mountpoint {mountpoint}: set `state:` to a directory outside it"
        )
    kind = file_system_of(resolved)
    if kind in UNSAFE_FILE_SYSTEMS:
        raise ConfigError(
            f"the state directory {path} is on {kind}, where SQLite and locks are unsafe: set `state:` to a local disk"
        )


def file_system_of(path: Path) -> str:
    """The type of the file system that holds a path (or would hold it), from the kernel's mount table."""
    best, kind = -1, ""
    for mountpoint, fstype in mounts():
        if path.is_relative_to(mountpoint) and len(mountpoint.parts) >= best:
            best, kind = len(mountpoint.parts), fstype
    return kind


def mounts() -> list[tuple[Path, str]]:
    """(mountpoint, type) of everything mounted here."""
    if not MOUNT_TABLE.exists():
        return []
    found = []
    for line in MOUNT_TABLE.read_text(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        found.append((Path(unescape(left.split()[4])), right.split()[0]))
    return found


def unescape(name: str) -> str:
    """Undo the octal escapes of the kernel's mount table."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        name = name.replace(code, char)
    return name


def boot_id() -> str:
    """Changes with every start of the machine; what was not synced may be lost then."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
