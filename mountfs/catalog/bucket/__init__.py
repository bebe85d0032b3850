"""Statements over what is known of the bucket: jobs, bundles, places of contents, and what is under way there.

Rows only: what they mean for an artifact is decided above. Part of `Catalog`, and bound by its protocol.
"""

from mountfs.catalog.bucket.bundles import BundleTables, KnownBundle, Placed
from mountfs.catalog.bucket.jobs import JobTables
from mountfs.catalog.bucket.owed import OwedTables
from mountfs.catalog.bucket.paths import Past, PathTables
from mountfs.catalog.bucket.work import Aside, NotedUpload, WorkTables
from mountfs.catalog.tables import Row

__all__ = [
    "TRASHED",
    "Aside",
    "BucketTables",
    "KnownBundle",
    "NotedUpload",
    "Past",
    "Placed",
    "Row",
    "Trashed",
    "Value",
]


class BucketTables(JobTables, BundleTables, PathTables, OwedTables, WorkTables):
    """See the module's docstring."""
