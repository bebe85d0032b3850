"""What all routes answer alike: everything that is read of a store, from its catalog."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from mountfs import namespace
from mountfs.api.copying import Copying, Told
from mountfs.api.finding import as_query, found_inos, parse_order, searching, sums
from mountfs.api.keys import Key, Names, names_of, prefix_of
from mountfs.api.pieces import PIECE_BYTES
from mountfs.api.ways import Ways
from mountfs.catalog.search import Search, Sum
from mountfs.errors import (
    ContentLost,
    CorruptContent,
    IsADirectory,
    NotFound,
    Protected,
)
from mountfs.model import Artifact, Kind
from mountfs.query import Query
from mountfs.reports.candidates import may_be_report
from mountfs.store import figures
from mountfs.store.pins import Pins
from mountfs.store.removed import Bin, Removed
from mountfs.store.trash import keep_ms_of

if TYPE_CHECKING:
    from mountfs.api.comparing import Compared
    from mountfs.api.getting import Chosen
    from mountfs.api.trends import HistoryFound, TrendFound
    from mountfs.compare.values import Options

LIST_LIMIT = 100  # what list_artifacts(prefix, limit=100) of an older store promised (F-008)
EXPECTED = 64  # of what is read next, said in advance


class ArtifactStore(Ways):
    """The artifacts of one store, by key `<job>/<path>`.

    Wherever a key is expected, a `file://` uri or an absolute path inside the mount does too. All methods may be
    called from any thread; each raises errors of `mountfs.errors`.
    """

    def exists(self, key: Key) -> bool:
        """Whether there is an artifact, directory or job of that name."""
        names = names_of(key, self.mountpoint)
        with self._lock:
            self._look(names[:1])
            self._refresh()
            if self._facts.find(names) is not None:
                return True
            self._be_sure(names[0])
            return False

    def cleanup(
        self,
        *,
        older_than: str | None = None,
        types: Sequence[str] = (),
        tags: Sequence[str] = (),
        branches: Sequence[str] = (),
        dry_run: bool = False,
        yes: bool = False,
    ) -> int:
        """Drop what expired, or what is selected (`older_than="90d"`, `tags=["team=payments"]`): how many artifacts.

        As `mountfs cleanup` does; with `dry_run` nothing goes, and it is how many would. Raises Protected where it
        would take too much or a clock has jumped: `yes` says that it is meant. Raises InvalidArgument too.
        """
        from mountfs.api.cleaning import Wanted, carry_out, plan_cleanup

        planned = plan_cleanup(self._ask, self.state, Wanted(older_than, types, tags, branches))
        if dry_run:
            return planned.artifacts
        if not yes:
            planned.refuse()
        return carry_out(self._ask, planned, told=lambda what, reason: None).artifacts

    def refuse_if_pinned(self, key: Key) -> None:
        """Raises Protected for what a pin keeps in its place: itself, something above it or something below it."""
        names = names_of(key, self.mountpoint)
        with self._lock:
            self._refresh()
            self._refuse_if_pinned(names)

    def _refuse_if_pinned(self, names: Names) -> None:
        entry = self._facts.find(names) if self._catalog.has_pins() else None
        holder = None if entry is None else Pins(self._catalog, self._catalog.entry).holding(entry)
        held_by = None if holder is None else self._catalog.entry(holder)
        if held_by is not None:
            pinned = namespace.join_key(self._facts.names_of(held_by))
            raise Protected(f"{namespace.join_key(names)}: {pinned} is pinned: `mountfs unpin {pinned}` lets it go")

    def jobs_tagged(self, key: str, value: str) -> Sequence[str]:
        """The jobs that have this tag themselves, in the order of their names. Of what this machine knows."""
        raw = value.encode("utf-8", "surrogateescape")
        with self._lock:
            self._index()
        with searching(self._catalog.path) as search:
            return [namespace.join_key((name,)) for name in search.values.jobs_tagged(key, raw)]

    def removed(self, key: Key = "") -> Iterator[Removed]:
        """What was removed or overwritten and can be brought back, at and below a key or all of it; newest first."""
        names = prefix_of(key, self.mountpoint)
        with self._lock:
            self._refresh()
            found = Bin(self._catalog)
            yield from found.all() if not names else reversed(found.all_below(names))

    def grace_ms(self, *, trash_days: int) -> int:
        """How long that is kept: what the bucket says, else the settings."""
        return keep_ms_of(self._catalog, days=trash_days)

    def metadata(self, key: Key) -> Artifact:
        """Everything known of one artifact but its content; of a directory what is said of it. Raises NotFound."""
        names = names_of(key, self.mountpoint)
        with self._lock:
            self._look(names[:1])
            self._refresh()
            found = self._artifact(names)
            if found.is_being_hashed:
                self._await_digest(names)
                found = self._artifact(names)
            if _is_to_be_read(found):
                self.understand()
                found = self._artifact(names)
            return found

    def get_size(self, key: Key) -> int:
        """The plain size in bytes. Raises NotFound."""
        return self.metadata(key).size

    def list(self, prefix: Key = "", *, recursive: bool = True, limit: int | None = LIST_LIMIT) -> Iterator[Artifact]:
        """The artifacts at and below a key, or whose keys begin so when nothing has exactly that name; None: all."""
        names = prefix_of(prefix, self.mountpoint)
        with self._lock:
            self.understand()
        found = self._below(names, recursive=recursive)
        while limit is None or limit > 0:
            with self._lock:
                artifact = next(found, None)
                if artifact is not None and artifact.is_being_hashed:
                    known = namespace.split_key(artifact.key)
                    self._await_digest(known)
                    artifact = self._artifact(known)
            if artifact is None:
                return
            yield artifact
            limit = limit and limit - 1

    def find(
        self, wanted: str | Query = "*", *, sort: str = "-published", limit: int | None = LIST_LIMIT
    ) -> Iterator[Artifact]:
        """The artifacts that a query asks for, `type=coverage and branch=main`; the newest first. None: all.

        Of what this machine knows: with `sync: lazy` those are the jobs that it looked at. Raises QueryError.
        """
        query = as_query(wanted, types=dict(self._types))
        order = parse_order(sort)
        with self.searching() as search:
            for inos in found_inos(search, query, order, limit=limit):
                with self._lock:
                    found = self._facts.of_inos(inos)
                yield from found

    def sums(self, by: str) -> Sequence[Sum]:
        """How much there is by `job`, `type`, `branch` or `tag:KEY`: artifacts, plain and stored bytes."""
        with self.searching() as search:
            return sums(search, by)

    @contextlib.contextmanager
    def searching(self) -> Iterator[Search]:
        """The search index, with all that was acknowledged by now."""
        with self._lock:
            self._index()
        with searching(self._catalog.path) as search:
            yield search

    def read_job(self, job: bytes) -> None:
        """Bring in what a job holds now, into the search index too. Raises where the bucket could not be asked."""
        with self._lock:
            self._look((job,))
            self._be_sure(job)
            self._index()

    def compare(
        self,
        a: Key,
        b: Key | None = None,
        *,
        baseline: str | None = None,
        repo: Path | None = None,
        fail_on: str | None = None,
        options: "Options | None" = None,
    ) -> "Compared":
        """What changed from `b`, or from the baseline of a branch, to `a`: jobs, or directories in jobs.

        The baseline is a pinned job of that branch, else its newest successful one, else, with a git repository, the
        nearest ancestor: always one that has the types of reports that `a` has. `fail_on` are gates, as in
        `new_failures>0, coverage.line<-0.5`. Raises InvalidArgument, NotFound; RemoteUnavailable, RemoteDenied.
        """
        from mountfs.api.comparing import Asked, compare

        return compare(self, a, b, Asked(baseline, repo, fail_on, options))

    def history(
        self, test: str, *, branch: str | None = None, newest: int = 50, type: str | None = None
    ) -> "HistoryFound":
        """How a test (`tests/test_a.py::test_b`, `pkg.Class.test_b`, `test_b`) ended in the newest jobs of a branch.

        Since which job and commit it fails, flakes, or is slower. Raises NotFound, InvalidArgument where it is several.
        """
        from mountfs.api.trends import Wanted, history

        return history(self, test, Wanted(branch, newest, type))

    def trend(self, what: str, *, branch: str | None = None, newest: int = 50, type: str | None = None) -> "TrendFound":
        """A number (`coverage.line`, `tests.failed`, `size`…) in the newest jobs that say it, oldest first.

        `type`: of artifacts of this type alone. Raises InvalidArgument for what is no number of a job.
        """
        from mountfs.api.trends import Wanted, trend

        return trend(self, what, Wanted(branch, newest, type))

    def badge(self, what: str, *, branch: str | None = None, type: str | None = None, label: str = "") -> str:
        """An SVG of a number in the newest job that says it; "unknown" where none does."""
        from mountfs.api.trends import Wanted, badge

        return badge(self, what, Wanted(branch, type=type), label=label)

    def get(self, key: Key) -> bytes:
        """The content of an artifact. Raises NotFound, IsADirectory, CorruptContent, RemoteUnavailable."""
        with self.open(key) as content:
            return content.read()

    def save(
        self, key: Key, target: Path, *, type: str | None = None, replace: bool = True, told: "Told | None" = None
    ) -> int:
        """Copy an artifact to the file `target`, or a directory's tree below it; how many artifacts that were.

        Modes and times are kept. A file is replaced when it is complete; without `replace` nothing is written where
        something is in the way. `type`: of a directory only artifacts of that type. `told` hears how far it is. Raises
        EnvironmentProblem, AlreadyExists, IsADirectory, NotADirectory too.
        """
        with self._lock:
            names, entry = self._resolved(names_of(key, self.mountpoint))
        from mountfs.api.getting import inos_of_type

        only = None if type is None else inos_of_type(self, self._catalog, names[0], type)
        copying = Copying(self._catalog, self._open, only=only, told=told)
        self.expect(list(islice(copying.files(entry), EXPECTED)))
        return copying.copy(names, entry, target, replace=replace)

    def choose(
        self, *, branch: str | None = None, commit: str | None = None, latest: bool = False, type: str | None = None
    ) -> "Chosen":
        """The one job of a branch, or of the commit that begins so; with `latest` of several the newest successful one.

        `type`: one that has artifacts of that type. By the rules of `.latest/`; where this machine does not know all
        jobs the bucket is asked. Raises NotFound, InvalidArgument where it is several, RemoteUnavailable, RemoteDenied.
        """
        from mountfs.api.getting import Asked, choose

        return choose(self, Asked(branch, commit, latest, type))

    def through_latest(self, key: Key) -> "Chosen | None":
        """What a path below `.latest/` leads to, and why there; None for any other key. Raises NotFound."""
        from mountfs.api.getting import through_latest

        return through_latest(self, names_of(key, self.mountpoint))

    def key_of(self, ino: int) -> str:
        """The key of an entry. Raises NotFound for one that has gone."""
        with self._lock:
            self._refresh()
            entry = self._catalog.entry(ino)
            names: Names = () if entry is None else self._facts.names_of(entry)
        if not names:
            raise NotFound("not found: it was removed meanwhile")
        return namespace.join_key(names)

    def open(self, key: Key) -> BinaryIO:
        """The content of an artifact as a seekable file. Raises NotFound, IsADirectory, CorruptContent.

        Where it is in the bucket alone it comes here first: RemoteUnavailable, RemoteDenied, ContentLost, CacheFull.
        """
        with self._lock:
            names, entry = self._resolved(names_of(key, self.mountpoint))
            if entry.kind == Kind.DIRECTORY:
                raise IsADirectory(f"{namespace.join_key(names)} is a directory, not an artifact")
            return self._open(names, entry)

    def verify_integrity(self, key: Key, data: bytes | None = None) -> bool:
        """Whether `data`, or what is stored when there is none, is what was once put under this key."""
        sha256 = self.metadata(key).sha256
        if data is not None:
            return hashlib.sha256(data).hexdigest() == sha256
        try:
            with self.open(key) as content:
                digest = hashlib.sha256()
                while piece := content.read(PIECE_BYTES):
                    digest.update(piece)
                return digest.hexdigest() == sha256
        except (CorruptContent, ContentLost):
            return False

    def url(self, key: Key, *, expires_in: float = 3600, plain: bool = False) -> str:
        """Where others may fetch it for so many seconds: signed by the bucket, or without one a `file://` uri.

        Answers with the plain file's content type and `Content-Encoding: zstd`; with `plain` from a decoded copy. What
        the bucket lacks is uploaded first. Raises NotFound; IsADirectory and Unsupported for what has no content.
        """
        uri = self.metadata(key).uri
        return self._url(names_of(key, self.mountpoint), seconds=int(expires_in), plain=plain) or uri

    def stats(self) -> dict[str, object]:
        """How many artifacts there are, and what they cost."""
        with self._lock:
            self._refresh()
            return figures.totals(
                self._catalog, quota_bytes=self.quota.limit_bytes, mountpoint=self.mountpoint, state=self.state
            )

    def compression_stats(self) -> dict[str, dict[str, int]]:
        """By type: artifacts, plain and stored bytes, and how many of them are compressed. Of what this machine knows.

        What was closed a moment ago may still be on its way to being compressed.
        """
        with self._lock:
            self._index()
        with searching(self._catalog.path) as search:
            return figures.by_type(search)

    @staticmethod
    def estimate_compressed_size(sample: bytes, *, total_bytes: int | None = None) -> int:
        """About how many bytes content like `sample` will take."""
        from mountfs.codec import estimate_compressed_size

        return estimate_compressed_size(sample, total_bytes=total_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_to_be_read(artifact: Artifact) -> bool:
    """Whether it may be a report that nobody has looked at."""
    is_file = artifact.kind == "file" and artifact.state != "draft"
    return is_file and artifact.summary is None and may_be_report(artifact.type, os.fsencode(artifact.path))
