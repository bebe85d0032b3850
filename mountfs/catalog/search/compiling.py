"""Queries as SQL over the rows of the index.

`where` says exactly what `query.matches` says, of a row `f` of `found`; it is never NULL, so that NOT turns it around.
`may_hold` says of a row `h` of `holding` whether the job can have such an artifact, and errs on the side of yes. Both
are written so that the planner finds no index in them: which one leads is the choice of `drivers`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from mountfs.catalog.tables import Run, Value
from mountfs.model import Digest
from mountfs.query import And, Flag, HasTag, Moment, Not, Number, Op, Or, Query, TagText, Text, fits

UNIT_NS: Final = {"created": 1, "modified": 1, "published": 1_000_000, "expires": 1_000_000_000}
MOMENT_COLUMN: Final = {
    "created": "created_ns", "modified": "modified_ns", "published": "published_ms", "expires": "expires_s",
}  # fmt: skip
DAY_NS: Final = 86400 * 1_000_000_000

_EMPTY: Final = Digest.of(b"")
_PLAIN_GLOB: Final = re.compile(r"[^?\[\0]*", re.ASCII)
_MOST_STARS: Final = 3  # SQLite tries every place for every star; our own does not
_WORDS: Final = frozenset({"type", "mime", "format"})


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL and the values of its marks."""

    text: str
    args: tuple[Value, ...] = ()

    def __bool__(self) -> bool:
        """Whether it says more than yes."""
        return self.text != "1"


YES: Final = Sql("1")
NO: Final = Sql("0")


def joined(word: str, parts: Sequence[Sql]) -> Sql:
    """`a AND b`, `a UNION ALL b`."""
    return Sql(f" {word} ".join(part.text for part in parts), tuple(arg for part in parts for arg in part.args))


def _in_parentheses(word: str, parts: Sequence[Sql]) -> Sql:
    if len(parts) == 1:
        return parts[0]
    found = joined(word, parts)
    return Sql(f"({found.text})", found.args)


def both(parts: Sequence[Sql]) -> Sql:
    kept = [part for part in parts if part]
    return NO if NO in kept else _in_parentheses("AND", kept) if kept else YES


def either(parts: Sequence[Sql]) -> Sql:
    kept = [part for part in parts if part != NO]
    return YES if YES in kept else _in_parentheses("OR", kept) if kept else NO


def raw(text: str) -> bytes:
    """Text as names and tags are stored."""
    return text.encode("utf-8", "surrogateescape")


def fits_raw(glob: bytes, value: bytes | None) -> bool | None:
    """The function `fits` of the readers' connections."""
    if value is None:
        return None
    return fits(glob.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))


def bounds(op: Op, begin: int, end: int) -> tuple[int | None, int | None]:
    """From which value, and up to below which, a number is that compares so with [begin, end)."""
    match op:
        case Op.EQ:
            return begin, end
        case Op.LT:
            return None, begin
        case Op.LE:
            return None, end
        case Op.GT:
            return end, None
        case Op.GE:
            return begin, None
        case Op.LIKE:
            raise AssertionError("numbers and moments have no globs")
        case _:
            assert_never(op)


def bounds_of(part: Number | Moment) -> tuple[str, int | None, int | None]:
    """(column, from which value, up to below which)."""
    if isinstance(part, Number):
        return part.field, *bounds(part.op, part.value, part.value + 1)
    unit = UNIT_NS[part.field]
    begin, end = -(-part.span.begin_ns // unit), -(-part.span.end_ns // unit)
    return MOMENT_COLUMN[part.field], *bounds(part.op, begin, end)


def between(column: str, least: int | None, below: int | None) -> Sql:
    parts = [Sql(f"{column} {sign} ?", (value,)) for sign, value in ((">=", least), ("<", below)) if value is not None]
    return both(parts)


class Compiler:
    """For one snapshot of the index: `run` reads it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._own: dict[str, bool] = {}

    # -- of an artifact -----------------------------------------------------------------------------------

    def where(self, query: Query) -> Sql:
        match query:
            case And(parts):
                return both([self.where(part) for part in parts])
            case Or(parts):
                return either([self.where(part) for part in parts])
            case Not(part):
                return _negated(self.where(part))
            case Text():
                return self._text(query)
            case Number() | Moment():
                column, least, below = bounds_of(query)
                found = between(f"+f.{column}", least, below)
                return Sql(f"ifnull({found.text}, 0)", found.args) if column == "expires_s" else found
            case Flag(field):
                return Sql(f"+f.{field}")
            case HasTag() | TagText():
                return self._tag(query, self._value(query.key))
            case _:
                assert_never(query)

    def _text(self, part: Text) -> Sql:
        match part.field:
            case "path" | "name":
                return _compared(f"+f.{part.field}", part)
            case "job":
                return self._job("f.job", part)
            case "kind":
                return Sql("+f.link = ?", (part.value == "symlink",))
            case "sha256":
                return _digest(part.value)
            case _:
                found = self.words(part)
                marks = ",".join("?" * len(found))
                told = f"+f.{part.field} IN ({marks})"
                told = f"ifnull({told}, 0)" if part.field == "format" else told
                return Sql(told, tuple(found)) if found else NO

    def words(self, part: Text) -> list[int]:
        """The numbers of the types, MIME types or formats that this condition holds for."""
        if part.op is Op.EQ:
            rows = self._run("SELECT id FROM word WHERE text = ?", (raw(part.value),))
        else:
            rows = self._run("SELECT id FROM word WHERE fits(?, text)", (raw(part.value),))
        return [number for (number,) in rows]

    @staticmethod
    def _job(column: str, part: Text) -> Sql:
        if part.op is Op.EQ:
            return Sql(f"{column} IS (SELECT ino FROM entry WHERE parent = 1 AND name = ?)", (raw(part.value),))
        found = _compared(f"(SELECT name FROM entry WHERE ino = {column})", part)
        return Sql(f"ifnull({found.text}, 0)", found.args)

    # -- tags ---------------------------------------------------------------------------------------------

    def has_own(self, key: str) -> bool:
        """Whether any artifact has a tag of that key that is not its job's."""
        if key not in self._own:
            sql = "SELECT EXISTS (SELECT 1 FROM own_tag WHERE key = ?)"
            self._own[key] = bool(self._run(sql, (key,)).fetchone()[0])
        return self._own[key]

    def _value(self, key: str) -> Sql:
        said = Sql("(SELECT value FROM job_tag WHERE job = f.job AND key = ?)", (key,))
        if not self.has_own(key):
            return said
        own = "(SELECT value FROM own_tag WHERE ino = f.ino AND key = ?)"
        return Sql(f"coalesce({own}, {said.text})", (key, *said.args))

    @staticmethod
    def _tag(part: HasTag | TagText, value: Sql) -> Sql:
        if isinstance(part, HasTag):
            return Sql(f"{value.text} IS NOT NULL", value.args)
        if part.op is Op.EQ:
            return Sql(f"{value.text} IS ?", (*value.args, raw(part.value)))
        return Sql(f"ifnull(fits(?, {value.text}), 0)", (raw(part.value), *value.args))

    # -- of a job -----------------------------------------------------------------------------------------

    def may_hold(self, query: Query) -> Sql:
        match query:
            case And(parts):
                return both([self.may_hold(part) for part in parts])
            case Or(parts):
                return either([self.may_hold(part) for part in parts])
            case Not(Text("job") as part):
                return _negated(self._job("h.job", part))
            case Text("job"):
                return self._job("h.job", query)
            case Text("type"):
                return self._may_hold_type(query)
            case HasTag() | TagText():
                return self._may_hold_tag(query)
            case Moment("created" | "published"):
                return _may_hold_time(query)
            case _:
                return YES

    def of_job(self, query: Query) -> Sql | None:
        """Where a query says the same of all artifacts of a job: of which jobs it holds. None: it does not."""
        match query:
            case And(parts) | Or(parts):
                found = [self.of_job(part) for part in parts]
                known = [part for part in found if part is not None]
                together = both if isinstance(query, And) else either
                return together(known) if len(known) == len(found) else None
            case Not(part):
                inner = self.of_job(part)
                return None if inner is None else _negated(inner)
            case Text("job"):
                return self._job("h.job", query)
            case HasTag() | TagText() if not self.has_own(query.key):
                return self._may_hold_tag(query)
            case _:
                return None

    def _may_hold_type(self, part: Text) -> Sql:
        found = self.words(part)
        marks = ",".join("?" * len(found))
        sql = f"EXISTS (SELECT 1 FROM tally WHERE type IN ({marks}) AND job = h.job)"
        return Sql(sql, tuple(found)) if found else NO

    def _may_hold_tag(self, part: HasTag | TagText) -> Sql:
        said = Sql("(SELECT value FROM job_tag WHERE job = h.job AND key = ?)", (part.key,))
        of_job = self._tag(part, said)
        if not self.has_own(part.key):
            return of_job
        own = Sql("EXISTS (SELECT 1 FROM own_tag WHERE job = h.job AND key = ?)", (part.key,))
        if isinstance(part, TagText) and part.op is Op.EQ:
            own = Sql(
                "EXISTS (SELECT 1 FROM own_tag WHERE key = ? AND value = ? AND job = h.job)",
                (part.key, raw(part.value)),
            )
        return either([of_job, own])


def _negated(found: Sql) -> Sql:
    if found in (YES, NO):
        return NO if found == YES else YES
    return Sql(f"NOT ({found.text})", found.args)


def _compared(column: str, part: Text) -> Sql:
    value = raw(part.value)
    if part.op is Op.EQ:
        return Sql(f"{column} = ?", (value,))
    if value.isascii() and _PLAIN_GLOB.fullmatch(part.value) and part.value.count("*") <= _MOST_STARS:
        return Sql(f"CAST({column} AS TEXT) GLOB ?", (part.value,))
    return Sql(f"fits(?, {column})", (value,))


def digests(prefix: str) -> tuple[bytes, bytes]:
    """The first and the last digest that begin so."""
    return bytes.fromhex(prefix.ljust(64, "0")), bytes.fromhex(prefix.ljust(64, "f"))


def _digest(prefix: str) -> Sql:
    first, last = digests(prefix)
    of_file = (
        "SELECT 1 FROM entry e JOIN content c ON c.id = e.content WHERE e.ino = f.ino AND c.digest BETWEEN ? AND ?"
    )
    of_link = "f.link = 1 AND +f.digest BETWEEN ? AND ?"
    empty = " OR (f.link = 0 AND +f.size = 0)" if first <= _EMPTY <= last else ""
    return Sql(f"(EXISTS ({of_file}) OR ifnull({of_link}, 0){empty})", (first, last, first, last))


def _may_hold_time(part: Moment) -> Sql:
    _, least, below = bounds_of(part)
    if part.field == "published":
        newest, oldest = between("h.newest_ms", least, None), between("h.oldest_ms", None, below)
        return both([newest, oldest])
    found = on_days(least, below)
    return Sql(f"EXISTS (SELECT 1 FROM daily WHERE job = h.job AND {found.text})", found.args)


def on_days(least: int | None, below: int | None) -> Sql:
    """The days on which these nanoseconds lie."""
    first = None if least is None else least // DAY_NS
    after = None if below is None else (below - 1) // DAY_NS + 1
    return between("day", first, after)
