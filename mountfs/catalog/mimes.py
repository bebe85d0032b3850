"""What contents are, as their first bytes tell, by their digest: the same bytes are the same, whatever they are called.

Rows only, part of `Catalog` and bound by its protocol. Most contents are plain text: those have no row, and cost none.
"""

from mountfs.catalog.tables import Tables
from mountfs.namespace import PLAIN_TEXT


class MimeTables(Tables):
    """See the module's docstring."""

    def of_digest(self, digest: bytes) -> str:
        """`text/plain` also of what nobody here has seen."""
        row = self._run("SELECT text FROM mime WHERE digest = ?", (digest,)).fetchone()
        return PLAIN_TEXT if row is None else str(row[0])

    def put(self, digest: bytes, text: str) -> None:
        """What a content is. The index looks at its entries again when that is new."""
        if text != PLAIN_TEXT:
            self._run("INSERT INTO mime VALUES (?, ?) ON CONFLICT (digest) DO NOTHING", (digest, text))
