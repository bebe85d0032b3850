"""Notes of what retention is taking: written with the first entry that goes, struck out when the last one went.

Part of `Catalog`.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from typing import Final

from mountfs.catalog.tables import Tables


@dataclass(frozen=True, slots=True)
class Going:
    """One note; `id` is None until it is written. The columns say what each field means (`schema/going.py`)."""

    id: int | None
    job: int
    name: bytes
    type: bytes
    path: bytes
    newest_ms: int
    reason: bytes
    artifacts: int = 0
    size: int = 0
    stored: int = 0
    directory: int = 0
    tells: bool = False
    is_over: bool = False


_COLUMNS: Final = ", ".join(field.name for field in fields(Going))
_PLACES: Final = ",".join("?" * len(fields(Going)))


class GoingTables(Tables):
    """See the module's docstring."""

    def put(self, note: Going) -> int:
        """Its number. In the transaction in which something goes."""
        row = self._run(f"INSERT OR REPLACE INTO going ({_COLUMNS}) VALUES ({_PLACES})", astuple(note))
        assert row.lastrowid is not None, "a row was inserted"
        return row.lastrowid

    def all(self, *, is_over: bool) -> list[Going]:
        """Those of which something is left, or those of which somebody is to be told; in their order."""
        rows = self._run(f"SELECT {_COLUMNS} FROM going WHERE is_over = ? ORDER BY id", (is_over,))
        return [Going(*row) for row in rows]

    def is_open(self, number: int) -> bool:
        """Whether more of it is to go: nobody has ended it."""
        return self._run("SELECT 1 FROM going WHERE id = ? AND is_over = 0", (number,)).fetchone() is not None

    def forget(self, numbers: Iterable[int]) -> None:
        self._many("DELETE FROM going WHERE id = ?", ((number,) for number in numbers))
