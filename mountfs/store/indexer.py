"""Brings what changed into the search index, in pieces, behind the writes.

A piece reads what the catalog says now, so that it does not matter which of several changes it was noted for. What
changes while a directory is gone through is noted by itself. On the loop's thread; whoever asks for answers that hold
drains the ledger and steps until nothing is left.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mountfs import namespace
from mountfs.catalog import Catalog
from mountfs.catalog.reports import READER
from mountfs.catalog.search.filling import FoundRow, OwnTag, Seen
from mountfs.clock import milliseconds_of
from mountfs.model import ROOT_INO, Digest, Kind, Place, Standing
from mountfs.namespace import PLAIN_TEXT, TypeRules
from mountfs.reports.candidates import MOST_BYTES, is_typed, may_be_report

PIECE = 40  # entries: a piece takes 2 to 4 ms, up to 5 where each is in a job of its own
FOLDERS_KEPT = 10_000
RULES: Final = 2  # another number, and all is read again: types or MIME types are told in another way
DAY_NS: Final = 86400 * 1_000_000_000

_NONE: Final = TypeRules()


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory of a job: the job, the path below it, and the tags that those between the two give."""

    job: int
    path: tuple[bytes, ...]
    tags: Mapping[str, bytes]


@dataclass(slots=True)
class _Piece:
    """What one transaction is about."""

    files: dict[int, Seen] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)


class Indexer:
    """`types` are the settings' rules."""

    def __init__(self, catalog: Catalog, *, types: TypeRules = _NONE) -> None:
        self._catalog = catalog
        self._tables = catalog.index
        self._types = types
        self._rules = _named([RULES, READER, sorted(types.extra.items()), types.layouts.texts])
        self._words: dict[bytes, int] = {}
        self._folders: dict[int, _Folder | None] = {}  # good until a directory is noted

    @property
    def is_behind(self) -> bool:
        """Whether something in the catalog is not in the index yet."""
        return self._tables.is_behind() or self._tables.progress()[1] != self._rules

    def catch_up(self) -> None:
        """Bring in all there is, now."""
        while self.step():
            pass

    def step(self, limit: int = PIECE) -> bool:
        """Bring in the next entries, up to so many; whether there may be more. Raises CacheFull."""
        if not self.is_behind:
            return False
        try:
            with self._catalog.transaction():
                self._step(limit)
        except BaseException:
            self._words.clear()  # the numbers of new ones went with the transaction
            self._folders.clear()
            raise
        return True

    def _step(self, limit: int) -> None:
        read_to, rules = self._tables.progress()
        if rules != self._rules:
            read_to = 0
            self._tables.read_again(self._rules)
        piece = _Piece()
        left = self._take_changed(piece, read_to, limit)
        if left > 0:
            self._take_newer(piece, read_to, left)
        self._write(piece)

    # -- what a piece is about ------------------------------------------------------------------------------

    def _take_newer(self, piece: _Piece, read_to: int, limit: int) -> None:
        rows = self._tables.newer(read_to, limit)
        for seen in rows:
            if seen.kind != Kind.DIRECTORY:
                piece.files[seen.ino] = seen
            elif seen.parent == ROOT_INO and seen.ino != ROOT_INO:
                self._take_job(seen.ino)
        if rows:
            self._tables.read_on(rows[-1].ino)

    def _take_changed(self, piece: _Piece, read_to: int, limit: int) -> int:
        """How many may still follow."""
        noted = self._tables.noted(limit)
        if noted or len(self._folders) > FOLDERS_KEPT:
            self._folders.clear()
        known = self._tables.seen([ino for ino, _, _ in noted])
        done = []
        for ino, deep, after in noted:
            if limit <= 0:
                break
            seen = known.get(ino)
            limit -= 1
            if seen is None or ino == ROOT_INO:
                piece.gone.add(ino)
            elif seen.kind != Kind.DIRECTORY:
                piece.files[ino] = seen
            elif self._take_directory(seen, deep=deep):
                limit, upto = self._take_below(piece, ino, after, read_to, limit)
                if upto is not None:
                    self._tables.note_at(ino, upto)
                    continue
            done.append(ino)
        self._tables.done(done)
        return limit

    def _take_directory(self, seen: Seen, *, deep: bool) -> bool:
        """Whether what lies below it is to be looked at too."""
        if seen.parent == ROOT_INO:
            self._take_job(seen.ino)
            return deep
        self._tables.set_job_tags(seen.ino, ())
        return True

    def _take_job(self, ino: int) -> None:
        self._tables.set_job_tags(ino, self._tables.tags(ino).items())
        self._tables.set_beginnings([ino])

    def _take_below(self, piece: _Piece, ino: int, after: bytes, read_to: int, limit: int) -> tuple[int, bytes | None]:
        """(how many may still follow, the name up to which it was looked at; None: to the end)."""
        rows = self._tables.below(ino, after, max(limit, 1))
        self._tables.note(row.ino for row in rows if row.kind == Kind.DIRECTORY)
        for row in rows:
            if row.kind != Kind.DIRECTORY and row.ino <= read_to:  # the others are read when their number comes
                piece.files[row.ino] = row
        return limit - len(rows), rows[-1].name if len(rows) >= max(limit, 1) else None

    # -- rows -----------------------------------------------------------------------------------------------

    def _write(self, piece: _Piece) -> None:
        said = self._tables.said(list(piece.files))
        rows: list[FoundRow] = []
        tags: set[OwnTag] = set()
        unread: list[int] = []
        for seen in piece.files.values():
            folder = self._folder(seen.parent)
            registers = said.get(seen.ino, {})
            if folder is None:
                continue
            path = (*folder.path, seen.name)
            slug = self._type(path, registers, seen)
            rows.append(self._row(seen, folder, registers, self._word(slug)))
            if seen.content is not None and _is_unread(seen, slug, path):
                unread.append(seen.content)
            own = {**folder.tags, **_tags(registers)}
            tags.update(OwnTag(seen.ino, key, value, folder.job) for key, value in own.items())
        for ino in piece.gone:
            self._tables.set_job_tags(ino, ())
        inos = [*piece.files, *piece.gone]
        self._replace(self._tables.rows(inos), rows)
        self._retag(self._tables.own_tags(inos), tags)
        self._catalog.reports.note(unread)

    def _replace(self, before: dict[int, FoundRow], rows: Iterable[FoundRow]) -> None:
        """Write what differs, and into the indexes only where they do: most of what is noted has settled, no more."""
        moved: list[FoundRow] = []
        settled: list[FoundRow] = []
        for row in rows:
            old = before.get(row.ino)
            if old == row:
                del before[row.ino]
            elif old is not None and old.indexed == row.indexed:
                settled.append(row)
            else:
                moved.append(row)
        self._tables.put_beside_indexes(settled)
        self._count_stored((before.pop(row.ino), row) for row in settled)
        before |= self._displaced(moved)
        self._tables.remove(before)
        self._tables.put(moved)
        self._count(before.values(), moved)

    def _displaced(self, rows: Iterable[FoundRow]) -> dict[int, FoundRow]:
        """Whoever has the paths of these by now: they went elsewhere, and are brought in when their own note comes."""
        paths: dict[int, list[bytes]] = {}
        for row in rows:
            paths.setdefault(row.job, []).append(row.path)
        return {ino: row for job, some in paths.items() for ino, row in self._tables.at(job, some).items()}

    def _retag(self, before: set[OwnTag], tags: set[OwnTag]) -> None:
        self._tables.remove_own_tags(before - tags)
        self._tables.put_own_tags(tags - before)

    def _row(self, seen: Seen, folder: _Folder, registers: Mapping[str, bytes], slug: int) -> FoundRow:
        path = (*folder.path, seen.name)
        link = seen.kind == Kind.SYMLINK
        form = None if seen.format in (None, "", "unknown") else seen.format.encode()
        mime = registers.get("mime_type") or namespace.guess_mime(seen.name, seen.mime or PLAIN_TEXT).encode()
        return FoundRow(
            seen.ino, folder.job, b"/".join(path), seen.name, link, slug,
            self._word(mime), None if form is None else self._word(form), seen.size, seen.stored, seen.created_ns,
            seen.modified_ns, milliseconds_of(seen.stamp), namespace.expiry_seconds(registers.get("expires_at")),
            registers.get("pinned") == b"1", seen.standing == Standing.RECOVERED,
            Digest.of(seen.target or b"") if link else None,
        )  # fmt: skip

    def _type(self, path: tuple[bytes, ...], registers: Mapping[str, bytes], seen: Seen) -> bytes:
        explicit = registers.get("type")
        return explicit or self._types.type_of(path, explicit=None, by_format=seen.report_type or "").encode()

    def _word(self, text: bytes) -> int:
        number = self._words.get(text)
        if number is None:
            number = self._words[text] = self._tables.word(text)
        return number

    def _folder(self, ino: int) -> _Folder | None:
        """What a directory gives to all in it; None where it is in no job. Thousands may lie one in another."""
        way: list[Seen] = []
        while ino not in self._folders:
            seen = self._tables.one(ino) if ino > ROOT_INO else None
            if seen is None or seen.kind != Kind.DIRECTORY:
                self._folders[ino] = None
            elif seen.parent == ROOT_INO:
                self._folders[ino] = _Folder(ino, (), {})
            else:
                way.append(seen)
                ino = seen.parent
        folder = self._folders[ino]
        for seen in reversed(way):
            if folder is not None:
                folder = _Folder(folder.job, (*folder.path, seen.name), {**folder.tags, **self._tables.tags(seen.ino)})
            self._folders[seen.ino] = folder
        return folder

    # -- sums -----------------------------------------------------------------------------------------------

    def _count(self, before: Iterable[FoundRow], after: Iterable[FoundRow]) -> None:
        jobs, types, days = _Sums(), _Sums(), Counter[tuple[int, int]]()
        for sign, rows in ((-1, before), (1, after)):
            for row in rows:
                jobs.add((row.job,), sign, row)
                types.add((row.type, row.job), sign, row)
                days[row.created_ns // DAY_NS, row.job] += sign
        self._tables.add_to_jobs([(job, *sums) for (job,), sums in jobs.items()])
        self._tables.set_beginnings(job for (job,) in jobs)
        self._tables.add_to_types([(kind, job, *sums) for (kind, job), sums in types.items()])
        self._tables.add_to_days([(day, job, count) for (day, job), count in days.items() if count])

    def _count_stored(self, pairs: Iterable[tuple[FoundRow, FoundRow]]) -> None:
        jobs, types = Counter[int](), Counter[tuple[int, int]]()
        for old, new in pairs:
            jobs[new.job] += new.stored - old.stored
            types[new.type, new.job] += new.stored - old.stored
        self._tables.add_stored(jobs.items(), [(kind, job, stored) for (kind, job), stored in types.items()])


class _Sums(dict[tuple[int, ...], tuple[int, int, int]]):
    """By key: how many artifacts, their sizes, what they cost; all of it more or fewer than before."""

    def add(self, key: tuple[int, ...], sign: int, row: FoundRow) -> None:
        artifacts, size, stored = self.get(key, (0, 0, 0))
        self[key] = artifacts + sign, size + sign * row.size, stored + sign * row.stored


def _is_unread(seen: Seen, slug: bytes, path: tuple[bytes, ...]) -> bool:
    """Whether somebody should look what it says; of what is in the bucket alone when it comes here."""
    if seen.reader == READER or seen.place == Place.BUCKET:
        return False
    said = slug.decode("utf-8", "surrogateescape")
    return may_be_report(said, b"/".join(path)) and (seen.size <= MOST_BYTES or is_typed(said))


def _tags(registers: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name[4:]: value for name, value in registers.items() if name.startswith("tag:")}


def _named(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
