"""Queries and artifacts that hypothesis makes up, from few words, so that one often fits the other."""

from hypothesis import strategies as st

from mountfs import query as q
from mountfs.query import Op, Query, Span

SECOND = 1_000_000_000
DAY = 86400 * SECOND
NOW = 20_000 * DAY + 12_345_678_901

KEYS = ("branch", "status", "pr", "size", "and")
VALUES = ("main", "dev", "", "é", "it's", "a b", "\udcff", "x\0y", "mai")
GLOBS = ("*", "m*", "*ain", "[md]*", "[!m]*", "?ev", "main", "", "*é*", "[", "x?y", "*.xml", "a/*", "j*1", "*\udcff*")
JOBS = ("job-1", "job-2", "j\udcff", "é")
NAMES = ("junit.xml", "test.log", "a.png", "notes.txt", "report", "\udcff.bin", "empty", "link")
TYPES = ("test-results", "build-logs", "custom", "coverage-report", "house-type")

spans = st.one_of(
    st.integers(0, 25_000).map(lambda day: Span(day * DAY, (day + 1) * DAY)),
    st.sampled_from([NOW, NOW - DAY, NOW + 7 * DAY]).map(lambda at: Span(at, at + 1)),
    st.integers(0, 25_000 * 86400).map(lambda second: Span(second * SECOND, (second + 1) * SECOND)),
    st.sampled_from(["1970", "2026", "2024-02", "2026-12", "2026-11-21T10:00Z", "2026-11-21T10:00:00.125+02:00"]).map(
        lambda text: q.parse_span(text, now_ns=NOW)
    ),
)
ordered = st.sampled_from([Op.EQ, Op.LT, Op.LE, Op.GT, Op.GE])
numbers = st.sampled_from([0, 1, 2, 3, 10, 1000, 2**40])


def _text(field: str, values: tuple[str, ...]) -> st.SearchStrategy[Query]:
    return st.one_of(
        st.sampled_from(values).map(lambda value: q.Text(field, Op.EQ, value)),
        st.sampled_from(GLOBS).map(lambda value: q.Text(field, Op.LIKE, value)),
    )


def conditions(paths: tuple[str, ...] = NAMES, digests: tuple[str, ...] = ("ab" * 32,)) -> st.SearchStrategy[Query]:
    """One condition of any sort."""
    return st.one_of(
        _text("job", JOBS),
        _text("path", paths),
        _text("name", NAMES),
        _text("type", TYPES),
        _text("mime", ("text/plain", "application/xml", "image/png", "a/b")),
        _text("format", ("junit", "lcov")),
        st.sampled_from(["file", "symlink"]).map(lambda kind: q.Text("kind", Op.EQ, kind)),
        st.sampled_from(digests).map(lambda digest: q.Text("sha256", Op.EQ, digest)),
        st.sampled_from([d[:n] for d in digests for n in (1, 7, 64)]).map(lambda p: q.Text("sha256", Op.LIKE, p)),
        st.builds(q.Number, st.sampled_from(["size", "stored"]), ordered, numbers),
        st.builds(q.Moment, st.sampled_from(["created", "modified", "published", "expires"]), ordered, spans),
        st.builds(q.Flag, st.sampled_from(["pinned", "recovered"])),
        st.builds(q.HasTag, st.sampled_from(KEYS)),
        st.builds(q.TagText, st.sampled_from(KEYS[:2]), st.just(Op.EQ), st.sampled_from(VALUES[:2])),
        st.builds(q.TagText, st.sampled_from(KEYS), st.just(Op.EQ), st.sampled_from(VALUES)),
        st.builds(q.TagText, st.sampled_from(KEYS), st.just(Op.LIKE), st.sampled_from(GLOBS)),
    )


def queries(leaves: st.SearchStrategy[Query] | None = None) -> st.SearchStrategy[Query]:
    """Queries of up to a dozen conditions."""
    return st.recursive(
        leaves if leaves is not None else st.one_of(conditions(), st.just(q.EVERYTHING)),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(q.conjunction),
            st.lists(inner, min_size=1, max_size=3).map(q.disjunction),
            inner.map(q.negation),
        ),
        max_leaves=8,
    )


def items() -> st.SearchStrategy[q.Item]:
    times = st.one_of(st.integers(0, 25_000).map(lambda day: day * DAY), st.sampled_from([NOW, NOW - DAY]))
    return st.builds(
        q.Item,
        job=st.sampled_from(JOBS),
        path=st.sampled_from(NAMES).flatmap(lambda name: st.sampled_from([name, f"a/{name}", f"a/b/{name}"])),
        type=st.sampled_from(TYPES),
        size=numbers,
        stored=numbers,
        created_ns=times,
        modified_ns=times,
        published_ns=times,
        kind=st.sampled_from(["file", "symlink"]),
        expires_ns=st.none() | times,
        pinned=st.booleans(),
        format=st.none() | st.just("junit"),
        sha256=st.none() | st.just("ab" * 32),
        tags=st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)),
    )
