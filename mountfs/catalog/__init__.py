"""What is true: entries, contents, registers, in one SQLite database. The only room that imports sqlite.

One connection writes, on the thread that made the catalog; every other connection reads or checkpoints.
"""

from mountfs.catalog.connection import checkpoint
from mountfs.catalog.database import Catalog
from mountfs.catalog.schema import VERSION

__all__ = ["VERSION", "Catalog", "checkpoint"]
