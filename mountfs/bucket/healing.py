"""A content that rotted on this machine: the bucket's copy takes its place."""

from mountfs.bucket.fetching import whereabouts
from mountfs.bucket.ground import Ground
from mountfs.model import Owed, Place


def give_to_bucket(ground: Ground, content_id: int) -> bool:
    """From now on the content is in the bucket alone; False where the bucket may not have it."""
    content = ground.catalog.content(content_id)
    if content is None or content.digest is None or content.place not in (Place.CATALOG, Place.FILE):
        return False
    if any(entry.owed & Owed.CONTENT for entry in ground.catalog.entries_with(content.digest)):
        return False
    if not whereabouts(ground, content):
        return False
    with ground.ledger.transaction():
        ground.catalog.evict(content_id)
    return True
