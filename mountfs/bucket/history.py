"""What other machines wrote over: the contents that the records of a job say its files had before.

A reading folds records and remembers what counts now. Where the store keeps versions the records of what counted
before are in the bundles still: they are looked through when somebody asks for versions, once for each set of bundles.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mountfs.bucket.ground import Ground
from mountfs.bucket.reading import stored_manifests
from mountfs.bucket.requests import Pause, Steps, Work, ask
from mountfs.errors import MountfsError
from mountfs.model import Kind
from mountfs.records import FileContent, Record, content_of
from mountfs.store.origins import Where


@dataclass(slots=True)
class _Said:
    """Of one path: its contents by stamp, and its highest clear."""

    contents: dict[str, FileContent] = field(default_factory=dict)
    clear: str = ""

    @property
    def superseded(self) -> dict[str, FileContent]:
        newest = max(self.contents, default="")
        return {stamp: said for stamp, said in self.contents.items() if self.clear <= stamp < newest}


def histories(records: Iterable[Record]) -> dict[bytes, dict[str, FileContent]]:
    """By path and stamp, the contents with bytes that others took the place of, since the path was cleared."""
    paths: dict[bytes, _Said] = {}
    for record in records:
        said = paths.setdefault(record.path, _Said())
        if record.clear:
            said.clear = max(said.clear, record.stamp)
        content = _file_of(record)
        if content is not None:
            said.contents[record.stamp] = content
    found = {path: said.superseded for path, said in paths.items()}
    return {path: superseded for path, superseded in found.items() if superseded}


def _file_of(record: Record) -> FileContent | None:
    try:
        content = content_of(record.set["content"]) if record.set.get("content") is not None else None
    except MountfsError:
        return None
    return content if isinstance(content, FileContent) and content.digest is not None else None


def learn_history(ground: Ground, job: int) -> Steps[None]:
    """Note what the bundles of a job, as far as they are read, say that its files had before."""
    known = ground.tables.bundles(job)
    bundles = frozenset(found.id for found in known.values())
    if not ground.versions or ground.histories.get(job) == bundles:
        return
    manifests = stored_manifests(ground, job, known.values())
    found = yield from ask(Work(lambda: histories(record for read in manifests for record in read().records)))
    for number, (path, contents) in enumerate(sorted(found.items())):
        if number % ground.piece == ground.piece - 1:
            yield Pause()
        with ground.ledger.transaction():
            _note(ground, Where(job, path), contents)
    ground.histories[job] = bundles


def _note(ground: Ground, where: Where, contents: dict[str, FileContent]) -> None:
    entry = ground.paths.find(where)
    if entry is None or entry.kind != Kind.FILE:
        return
    for stamp, said in contents.items():
        content, size = ground.paths.content_of(said)
        if content is not None and stamp < entry.stamp:
            ground.catalog.versions.add(
                entry.ino, stamp, content, size=size, mtime_ns=said.mtime_ns, birth_ns=said.created_ns
            )
