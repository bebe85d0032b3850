"""The numbers of reports: as the catalog has them, else read now."""

from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from mountfs.catalog.reports import Told
from mountfs.catalog.search import Found, Search
from mountfs.errors import ContentLost, CorruptContent
from mountfs.reports.candidates import MOST_BYTES
from mountfs.reports.model import Unreadable

if TYPE_CHECKING:
    from mountfs.api.reading import ArtifactStore
    from mountfs.reports.process import Reader

_TOO_LARGE: Final = f"The report is larger than {MOST_BYTES >> 20} MiB, the most that is read."


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
            return Unreadable("unknown", _TOO_LARGE)
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
