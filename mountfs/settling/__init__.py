"""From plain bytes to stored ones: the work behind the writers, done in worker threads, returned as values.

Nothing here touches the catalog. `settle_small` takes a whole content; `Behind` follows a draft file while it is
being written.
"""

from mountfs.settling.behind import Behind
from mountfs.settling.settled import Abandoned, Settled, Small, settle_small
from mountfs.settling.snapshot import Snapshot

__all__ = ["Abandoned", "Behind", "Settled", "Small", "Snapshot", "settle_small"]
