"""The tables of the catalog, the meaning of each column beside it, and the migrations that make them.

Migrations run through sqlite-utils, which is imported only when there is one to run: opening an up-to-date
catalog costs two pragmas.
"""

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite_utils

from mountfs.catalog.schema.beginnings import BEGINNINGS
from mountfs.catalog.schema.bucket import BUCKET
from mountfs.catalog.schema.first import FIRST
from mountfs.catalog.schema.going import GOING
from mountfs.catalog.schema.index import INDEX
from mountfs.catalog.schema.mimes import MIMES
from mountfs.catalog.schema.reports import REPORTS
from mountfs.catalog.schema.versions import VERSIONS

APPLICATION_ID = 0x6D746673  # "mtfs"

MIGRATIONS: tuple[tuple[str, str], ...] = (
    ("first", FIRST), ("bucket", BUCKET), ("index", INDEX), ("reports", REPORTS), ("versions", VERSIONS),
    ("mimes", MIMES), ("beginnings", BEGINNINGS), ("going", GOING),
)  # fmt: skip
VERSION = len(MIGRATIONS)


def statements(script: str) -> list[str]:
    """Split a DDL script into statements, triggers whole; `executescript` would commit the migration's transaction."""
    done: list[str] = []
    current = ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            done.append(current)
            current = ""
    return done


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the catalog to `VERSION`; each migration is one transaction, recorded with it."""
    import sqlite_utils  # 180 ms, and only a new or older catalog needs it
    from sqlite_utils import Migrations

    migrations = Migrations("mountfs")
    for number, (name, script) in enumerate(MIGRATIONS, 1):
        migrations(name=name)(_step(script, number))
    migrations.apply(sqlite_utils.Database(connection, execute_plugins=False))


def _step(script: str, number: int) -> "Callable[[sqlite_utils.Database], None]":
    def apply(db: "sqlite_utils.Database") -> None:
        for statement in statements(script):
            db.conn.execute(statement)
        db.conn.execute(f"PRAGMA user_version = {number}")
        db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    return apply
