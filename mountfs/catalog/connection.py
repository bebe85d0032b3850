"""How the catalog's file is opened, and what SQLite says about it in our words.

A connection never repairs by overwriting, and never checkpoints (that means fsync): `checkpoint` does it on a
connection of its own, in a worker thread.
"""

import errno
import sqlite3
from pathlib import Path

from mountfs.catalog import schema
from mountfs.errors import CacheFull, CatalogError, MountfsError

LOG_KEPT_BYTES = 8 << 20  # what the log may keep of the disk once it begins anew
PASSES = 4  # each carries what was written during the one before it: the log begins anew when nothing was
MOST_FRAMES = 8192  # 32 MiB: a log that writers never let begin anew is made to
QUICK_CHECK_BYTES = 32 << 20  # larger catalogs are not read whole at start: a mount is ready within a second


def open_connection(path: Path, *, read_only: bool, was_checked: bool = False) -> sqlite3.Connection:
    """A connection to a sound catalog of this version, made or migrated where that is allowed.

    `was_checked`: by whom this one is opened beside, so that it is not read whole once more.
    Raises CatalogError where the file is damaged, foreign or from a newer version.
    """
    existed = path.exists() and path.stat().st_size > 0
    if read_only and not existed:
        raise CatalogError(f"there is no catalog at {path}")
    try:
        connection = _connect(path, read_only=read_only)
        _check_version(connection, path, existed=existed)
        if not read_only and _version(connection) < schema.VERSION:
            schema.migrate(connection)
        if existed and not was_checked and path.stat().st_size <= QUICK_CHECK_BYTES:
            _quick_check(connection, path)
        return connection
    except sqlite3.Error as error:
        raise _damaged(path, error) from error


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    uri = f"file:{_quoted(path)}?mode={'ro' if read_only else 'rwc'}"
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, timeout=5, cached_statements=256, check_same_thread=False
    )
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL syncs the head of the log whenever a checkpoint has emptied it, on the event loop. OFF would not, and
        # the power-loss test then finds a damaged catalog.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_KEPT_BYTES}")
        # What a statement over many rows would undo is noted apart; in a file that is a quarter of its time.
        connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _check_version(connection: sqlite3.Connection, path: Path, *, existed: bool) -> None:
    version = _version(connection)
    if version > schema.VERSION:
        raise CatalogError(
            f"{path} was written by a newer mountfs (catalog version {version}, this one reads up to {schema.VERSION}):"
            " upgrade mountfs, or use another state directory"
        )
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if existed and version > 0 and application != schema.APPLICATION_ID:
        raise CatalogError(f"{path} is an SQLite database of another program: use another state directory")


def _quick_check(connection: sqlite3.Connection, path: Path) -> None:
    answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if answer != "ok":
        raise _damaged(path, sqlite3.DatabaseError(answer))


def translated(error: sqlite3.Error, path: Path) -> MountfsError:
    """What a statement raised, in our words."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return CacheFull("no space left on the disk that holds the catalog")
    return _damaged(path, error)


def _damaged(path: Path, error: sqlite3.Error) -> MountfsError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CANTOPEN:
        return CatalogError(f"{path} cannot be opened ({error}): check the permissions of the state directory")
    raised = CatalogError(
        f"the catalog {path} is damaged ({error}): nothing was changed. Move the state directory aside and restore a"
        " backup of it, or mount with a new state directory"
    )
    raised.errno = errno.EIO
    return raised


def checkpoint(path: Path, *, truncate: bool) -> tuple[int, int]:
    """Carry the write-ahead log into the database, with fsync; for a worker thread.

    Returns (frames in the log, of them carried over).
    """
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        for _ in range(PASSES):
            _busy, frames, carried = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if frames == carried:
                break
        if (truncate and frames == carried) or frames > MOST_FRAMES:  # locks writers out; little is left to sync
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return frames, carried
    except sqlite3.OperationalError:
        return 0, 0  # locked: the next round gets it
    finally:
        connection.close()
