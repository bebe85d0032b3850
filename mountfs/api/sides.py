"""The reports of a job, read for a comparison: each in the child, whatever it is, and what cannot be read is told."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mountfs import namespace, query
from mountfs.catalog.search import Found, Order, Search
from mountfs.compare.sides import Side, Source
from mountfs.errors import ContentLost, CorruptContent
from mountfs.query import Op, Query, Text
from mountfs.reports.candidates import MOST_BYTES, TOO_LARGE, is_typed, may_be_report
from mountfs.reports.model import Answer, Unreadable

if TYPE_CHECKING:
    from mountfs.api.reading import ArtifactStore
    from mountfs.reports.process import Reader

MOST_REPORTS: Final = 5000
"""Reports of one job that are read; of more, gates on their kind cannot pass."""
PAGE: Final = 500
EXPECTED: Final = 64
_BY_KEY: Final = Order("job", descending=False)

Names = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What a job, or a directory in one, holds: plain bytes by type, and what may be reports, by the path below it."""

    names: Names
    sizes: Counter[str]
    reports: tuple[tuple[str, Found], ...]

    @property
    def types(self) -> list[str]:
        """Those of the reports, in the order of their names."""
        return sorted({found.type for _, found in self.reports})


def held_in(store: "ArtifactStore", search: Search, names: Names) -> Held:
    """What there is at and below a key that exists."""
    above = b"/".join(names[1:])
    sizes: Counter[str] = Counter()
    reports: list[tuple[str, Found]] = []
    for found in _pages(search, _below(names)):
        sizes[found.type] += found.size
        path = found.path[len(above) + 1 :] if above and found.path != above else found.path
        if found.kind == "file" and may_be_report(found.type, found.path):
            reports.append((path.decode("utf-8", "surrogateescape"), found))
    return Held(names, sizes, tuple(reports))


def _pages(search: Search, wanted: Query) -> Iterator[Found]:
    page = search.page(wanted, order=_BY_KEY, limit=PAGE)
    while True:
        yield from page.rows
        if page.next is None:
            return
        page = search.page(wanted, order=_BY_KEY, after=page.next, limit=PAGE)


def _below(names: Names) -> Query:
    job, *path = (name.decode("utf-8", "surrogateescape") for name in names)
    if not path:
        return Text("job", Op.EQ, job)
    inside = "/".join(path)
    below = Text("path", Op.LIKE, query.escaped(inside) + "/*")
    return query.conjunction(
        (Text("job", Op.EQ, job), query.disjunction((Text("path", Op.EQ, inside), below)))
    )  # fmt: skip


def side_of(
    store: "ArtifactStore",
    reader: "Reader",
    held: Held,
    *,
    types: Collection[str] | None = None,
) -> Side:
    """The reports of these types, None: all of them, as one side of a comparison.

    Raises what `ArtifactStore.open` raises where waiting or asking somebody helps; content that is lost is unreadable.
    """
    name = namespace.join_key(held.names)
    wanted = [(path, found) for path, found in held.reports if types is None or found.type in types]
    return Side(name, tuple(_sources(store, reader, wanted)), dict(held.sizes))


def _sources(
    store: "ArtifactStore",
    reader: "Reader",
    wanted: list[tuple[str, Found]],
) -> Iterator[Source]:
    store.expect([found.ino for _, found in wanted[:EXPECTED]])
    for path, found in wanted[:MOST_REPORTS]:
        if found.size > MOST_BYTES:
            if is_typed(found.type):
                yield Source(path, TOO_LARGE, found.type)
            continue
        yield Source(path, read(store, reader, found), found.type)
    yield from _left_out(wanted[MOST_REPORTS:])


def _left_out(left: Iterable[tuple[str, Found]]) -> Iterator[Source]:
    """One for each type: the job has too many of them."""
    counted = Counter(found.type for _, found in left)
    for slug, number in counted.items():
        reason = f"{number} more reports of type {slug}: at most {MOST_REPORTS} of a job are read."
        yield Source("", Unreadable("unknown", reason), slug)


def read(store: "ArtifactStore", reader: "Reader", found: Found) -> Answer:
    """What one report says."""
    try:
        with store.open(found.key) as content:
            return reader.read(content, found.size)
    except (CorruptContent, ContentLost) as error:
        return Unreadable("unknown", f"{error}.")
