"""What a killed daemon must still have: for each file the content that was acknowledged, and what came after.

Names, modes, times, links and attributes survive as they were: every call that changed them had returned. For
content DESIGN §2 decides:

- closed: exactly that; what was written since and never closed is dropped;
- fsynced since: that, or any state of the draft after it ("published as found");
- never closed, new: any state it went through, from empty on; it may even be missing as long as nothing but
  writes was done to it;
- stored through a mapping since: anything, until the next close, msync or fsync.

Closing a descriptor that only reads may publish what others wrote, and need not: from then on both are right.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.model.tree import Event, EventKind, Node


@dataclass(slots=True)
class Standing:
    """What is known of one file: `acknowledged` is None until anything of it was."""

    acknowledged: str | None
    later: set[str] = field(default_factory=set)
    drops_later: bool = True
    mapped: bool = False
    may_be_missing: bool = False

    @property
    def is_dirty(self) -> bool:
        return self.acknowledged is None or bool(self.later) or self.mapped

    def allows(self, digest: str, *, drops_drafts: bool) -> bool:
        """Whether a daemon that was killed now may come back with content `digest`."""
        if self.mapped or digest == self.acknowledged:
            return True
        exactly = self.acknowledged is not None and self.drops_later and drops_drafts
        return not exactly and digest in self.later


class Ledger:
    """The standing of every file of the reference, by its inode number there."""

    def __init__(self) -> None:
        self._standings: dict[int, Standing] = {}

    def reset(self, nodes: Iterable[Node]) -> None:
        """Everything is closed and acknowledged, as it is after a start."""
        self._standings = {node.ino: Standing(node.digest) for node in nodes if node.kind == "file"}

    def standing(self, ino: int) -> Standing:
        return self._standings[ino]

    def take(self, event: Event) -> None:
        if event.kind is EventKind.CREATED:
            self._standings[event.ino] = Standing(None, later={event.digest}, may_be_missing=True)
            return
        standing = self._standings[event.ino]
        match event.kind:
            case EventKind.WROTE:
                standing.later.add(event.digest)
            case EventKind.MAPPED:
                standing.mapped = True
            case EventKind.CLOSED:
                self._standings[event.ino] = Standing(event.digest)
            case EventKind.SYNCED:
                self._standings[event.ino] = Standing(event.digest, drops_later=False)
            case EventKind.PEEKED:
                standing.drops_later &= not standing.is_dirty
            case EventKind.NAMED:
                standing.may_be_missing = False
