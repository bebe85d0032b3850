"""A draft as it was at one moment, while its writer goes on."""

from dataclasses import dataclass

from mountfs.codec import FRAME_BYTES
from mountfs.drafts import DraftFile


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a draft was at one moment: its size, the version of each chunk, and the bytes of its last, partial one."""

    size: int
    versions: dict[int, int]
    tail: bytes

    @classmethod
    def of(cls, draft: DraftFile) -> "Snapshot":
        """With the lock of the draft."""
        whole = draft.size // FRAME_BYTES
        return cls(draft.size, dict(draft.versions), draft.read_chunk(whole, draft.size - whole * FRAME_BYTES))

    def extends(self, before: "Snapshot", draft: DraftFile) -> bool:
        """Whether everything that was there before is there still, at the beginning. With the lock of the draft."""
        whole = before.size // FRAME_BYTES
        if self.size < before.size or any(
            self.versions.get(chunk, 0) != before.versions.get(chunk, 0) for chunk in range(whole)
        ):
            return False
        return draft.read_chunk(whole, len(before.tail)) == before.tail
