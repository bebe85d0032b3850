"""The numbers of reports: as the catalog has them, else read now."""

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mountfs.catalog.reports import Told
from mountfs.catalog.search import Found, Search
from mountfs.errors import ContentLost, CorruptContent
from mountfs.reports.candidates import MOST_BYTES, TOO_LARGE, is_typed
from mountfs.reports.model import Unknown, Unreadable

if TYPE_CHECKING:
    from mountfs.api.reading import ArtifactStore
    from mountfs.reports.process import Reader


class Summaries:
    """Of one store, between `with`; a child is started when the first report has to be read."""

    def __init__(self, store: "ArtifactStore") -> None:
        self._store = store
        self._stack = ExitStack()
        self._reader: Reader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def of(self, search: Search, found: Found) -> Told:
        """What a report says. Raises what `ArtifactStore.open` raises where waiting or asking somebody helps."""
        known = search.reports.of_entry(found.ino)
        if known is not None:
            return known
        if found.size > MOST_BYTES:
            return TOO_LARGE if is_typed(found.type) else Unknown()
        try:
            with self._store.open(found.key) as content:
                return self._started().summarize(content, found.size)
        except (CorruptContent, ContentLost) as error:
            return Unreadable("unknown", f"{error}.")

    def _started(self) -> "Reader":
        if self._reader is None:
            from mountfs.reports.process import Reader

            self._reader = self._stack.enter_context(Reader())
        return self._reader
