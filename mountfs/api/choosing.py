"""Steps that choose a job, driven by a store: what its index lacks it asks the bucket for, nothing of it twice."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from mountfs.compare.baseline import Candidate
from mountfs.views.choosing import AskHeads, Done, ReadJob, Request, Steps, advance

if TYPE_CHECKING:
    from mountfs.api.reading import ArtifactStore

T = TypeVar("T")


class Asker:
    """For as long as one command takes: what was told once is good enough for it."""

    def __init__(self, store: "ArtifactStore") -> None:
        self._store = store
        self._heads: dict[AskHeads, Sequence[Candidate]] = {}
        self._read: set[bytes] = set()

    def run(self, steps: Steps[T]) -> T:
        """Raises RemoteUnavailable, RemoteDenied."""
        turn = advance(steps, knows_all=self._store.knows_all)
        while not isinstance(turn, Done):
            turn = advance(steps, self._answer(turn), knows_all=False)
        return turn.value

    def _answer(self, request: Request) -> Sequence[Candidate] | None:
        match request:
            case AskHeads():
                if request not in self._heads:
                    self._heads[request] = self._store.heads(
                        request.key, request.value, limit=request.limit, is_beginning=request.is_beginning
                    )
                return self._heads[request]
            case ReadJob():
                if request.job not in self._read:
                    self._store.read_job(request.job)
                    self._read.add(request.job)
                return None
