"""Promises of the query language (DESIGN §7, F-090, F-093 to F-103)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs import query as q
from mountfs.errors import QueryError
from mountfs.query import Item, Op, Query, Span
from tests.query.strategies import DAY, NOW, SECOND, items, queries

EXAMPLE = "type=coverage-report and branch=main and size>1MiB and name~*.xml and created>7d and not status=failed"


def parse(text: str) -> Query:
    return q.parse(text, now_ns=NOW, extra={"house": "house-type"})


def refused(text: str) -> QueryError:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert (caught.value.errno, caught.value.exit_code) == (22, 2)
    return caught.value


def attempt(text: str) -> tuple[Query | None, int]:
    """(the query, where it was refused)."""
    try:
        return parse(text), 0
    except QueryError as error:
        return None, error.position


def item(path: str = "a/report.xml", **facts: object) -> Item:
    given: dict[str, object] = {
        "job": "build-7", "path": path, "type": "coverage-report", "size": 2 << 20, "stored": 1000,
        "created_ns": NOW - DAY, "modified_ns": NOW - DAY, "published_ns": NOW - DAY, "tags": {"branch": "main"},
    }  # fmt: skip
    return Item(**{**given, **facts})  # type: ignore[arg-type]


def fit(text: str, found: Item) -> bool:
    return q.matches(parse(text), found)


# -- what it means ---------------------------------------------------------------------------------------------


def test_the_example_of_the_issue_finds_what_it_says() -> None:
    assert fit(EXAMPLE, item())
    assert fit(EXAMPLE, item(tags={"branch": "main", "status": "success"}))
    assert not fit(EXAMPLE, item(tags={"branch": "main", "status": "failed"}))
    assert not fit(EXAMPLE, item(tags={"branch": "dev"}))
    assert not fit(EXAMPLE, item("a/report.json"))
    assert not fit(EXAMPLE, item(size=1 << 20))
    assert not fit(EXAMPLE, item(created_ns=NOW - 8 * DAY))


def test_and_binds_tighter_than_or() -> None:
    assert parse("a or b and c") == parse("a or (b and c)") != parse("(a or b) and c")


def test_not_binds_tighter_than_and() -> None:
    assert parse("not a and b") == parse("(not a) and b") != parse("not (a and b)")


def test_keywords_may_be_written_in_any_case() -> None:
    assert parse("a AND b Or NOT c") == parse("a and b or not c")


def test_a_bare_word_asks_for_a_tag_of_that_key() -> None:
    assert fit("branch", item())
    assert not fit("release", item())
    assert fit("release", item(tags={"release": ""}))


def test_a_tag_whose_key_is_a_field_or_a_keyword_is_reached_by_its_prefix() -> None:
    found = item(tags={"size": "large", "and": "1"})
    assert fit("tag.size=large and tag.and and tag.and=1", found)
    assert parse("tag.branch=main") == parse("branch=main")


def test_unequal_holds_where_there_is_no_such_tag() -> None:
    assert fit("status!=failed and status!~f*", item())
    assert parse("status!=failed") == parse("not status=failed")


def test_a_comparison_with_what_is_not_there_does_not_hold() -> None:
    assert not fit("expires<2261 or expires>1970 or format~* or sha256~a", item())


def test_a_glob_is_case_sensitive_and_goes_over_slashes() -> None:
    assert fit("path~a*.xml and name~[!s]*.???", item())
    assert not fit("name~REPORT*", item())


def test_spaces_may_stand_around_an_operator() -> None:
    assert parse(" size  >=\t1MiB\n") == parse("size>=1MiB")


@pytest.mark.parametrize("text", ["branch='it\\'s \\\"it\\\"'", 'branch="it\'s \\"it\\""', "branch = 'it\\'s \"it\"' "])
def test_quotes_hold_what_a_word_cannot(text: str) -> None:
    assert parse(text) == q.TagText("branch", Op.EQ, 'it\'s "it"')


def test_a_value_may_hold_signs_that_operators_are_made_of() -> None:
    assert parse("branch=a=b~c!d<e>") == q.TagText("branch", Op.EQ, "a=b~c!d<e>")


def test_a_keyword_is_a_value_like_any_other() -> None:
    assert parse("branch=and and branch=or") == q.And(
        (q.TagText("branch", Op.EQ, "and"), q.TagText("branch", Op.EQ, "or"))
    )


def test_a_type_is_said_by_any_of_its_names() -> None:
    assert parse("type=Coverage") == parse("type=coverage-report") == q.Text("type", Op.EQ, "coverage-report")
    assert parse("type=house") == q.Text("type", Op.EQ, "house-type")


def test_sizes_carry_units() -> None:
    assert parse("size>1MiB") == q.Number("size", Op.GT, 1 << 20)
    assert parse("stored<=1KB") == q.Number("stored", Op.LE, 1000)


def test_a_field_that_is_yes_or_no_may_stand_alone() -> None:
    assert parse("pinned") == parse("pinned=yes") == parse("pinned!=no") == q.Flag("pinned")
    assert parse("recovered=false") == q.Not(q.Flag("recovered"))


def test_a_sha256_is_found_by_its_beginning() -> None:
    assert fit("sha256~AB*", item(sha256="ab" * 32))
    assert fit(f"sha256={'ab' * 32}", item(sha256="ab" * 32))
    assert not fit("sha256~b", item(sha256="ab" * 32))


def test_a_star_is_everything() -> None:
    assert parse("*") == q.EVERYTHING
    assert fit("*", item())
    assert not fit("not *", item())
    assert parse("* and branch") == parse("branch")


# -- moments ---------------------------------------------------------------------------------------------------


def at(text: str) -> Span:
    return q.parse_span(text, now_ns=NOW)


def test_a_date_is_the_whole_utc_day() -> None:
    begin = at("2026-11-21T00:00:00Z").begin_ns
    assert at("2026-11-21") == Span(begin, begin + DAY)
    day = {"created=": (0, DAY - 1), "created>": (DAY,), "created>=": (0,), "created<": (-1,), "created<=": (DAY - 1,)}
    for comparison, inside in day.items():
        for offset in inside:
            assert fit(f"{comparison}2026-11-21", item(created_ns=begin + offset)), comparison
    for comparison, offset in {
        "created=": DAY,
        "created>": DAY - 1,
        "created>=": -1,
        "created<": 0,
        "created<=": DAY,
    }.items():
        assert not fit(f"{comparison}2026-11-21", item(created_ns=begin + offset)), comparison


def test_months_and_years_are_as_long_as_they_are() -> None:
    assert at("2024-02").end_ns - at("2024-02").begin_ns == 29 * DAY
    assert at("2026-12").end_ns == at("2026").end_ns == at("2027").begin_ns


def test_a_time_of_another_zone_is_that_moment() -> None:
    assert at("2026-11-21T10:00:00+02:00") == at("2026-11-21T08:00:00Z")
    assert at("2026-11-21T10:00:00.5").end_ns == at("2026-11-21T10:00:00Z").begin_ns + 6 * SECOND // 10


def test_a_duration_is_a_moment_so_long_ago_and_with_a_plus_ahead() -> None:
    assert at("7d").begin_ns == NOW - 7 * DAY
    assert at("12h").begin_ns == NOW - DAY // 2
    assert at("+30d").begin_ns == NOW + 30 * DAY
    assert at("now").begin_ns == NOW
    assert fit("expires<+7d and expires>now", item(expires_ns=NOW + DAY))


# -- what is refused, and where ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ("", 0, "empty"),
        ("   ", 3, "empty"),
        ("a and", 5, "condition is expected"),
        ("and a", 0, "condition is expected"),
        ("a b", 2, "`and`, `or` or the end"),
        ("a)", 1, "no ( for this )"),
        ("(a", 0, "this ( has no )"),
        ("(a b)", 3, "`and`, `or` or )"),
        ("branch=", 7, "a value is expected"),
        ("branch==main", 7, "a value is expected"),
        ("branch='main", 7, "never closed"),
        ("branch='a'b", 10, "a space"),
        ("branch=it's", 9, "a quote within"),
        ("branch='a\\q'", 9, "unknown escape"),
        ("'a'=b", 0, "condition is expected"),
        ("size~1", 4, "compared with = != < <= > >=, not with ~"),
        ("size", 0, "size is a field"),
        ("size>1 MiB", 7, "`and`, `or` or the end"),
        ("size>big", 5, "not a size"),
        ("siz>1MiB", 3, "did you mean the field size?"),
        ("name>a", 4, "name is compared with = != ~ !~"),
        ("kind~f*", 4, "kind is compared with = !="),
        ("kind=directory", 5, "file and symlink"),
        ("type=nonsense", 5, "not a type; known: api-docs"),
        ("created>yesterday", 8, "not a time"),
        ("created>2026-02-30", 8, "not a time"),
        ("created>2300", 8, "out of range"),
        ("created>99999999999999d", 8, "out of range"),
        ("created>1969", 8, "out of range"),
        ("pinned=maybe", 7, "neither yes nor no"),
        ("sha256=abc", 7, "64 hex digits"),
        ("sha256~xyz", 7, "not a SHA-256"),
        ("Size>1", 0, "did you mean the field size?"),
        ("bränch=main", 0, "key of a tag"),
        ("a and b.c=1", 6, "key of a tag"),
        ("tag.=1", 0, "key of a tag"),
        ("branch>main", 6, "tags are compared with = != ~ !~, not with >"),
    ],
)
def test_what_does_not_parse_is_refused_where_it_goes_wrong(text: str, position: int, says: str) -> None:
    error = refused(text)
    assert says in error.sentence
    assert error.position == position


def test_a_refusal_shows_the_place() -> None:
    first, text, caret = str(refused("branch=main and size~1")).splitlines()
    assert first.endswith("(at 20)")
    assert text[caret.index("^")] == "~"


def test_a_refusal_shows_the_place_in_a_long_text_too() -> None:
    text = f"{'branch=main and ' * 40}size~1\x1b"
    _, shown, caret = str(refused(text)).splitlines()
    assert shown.isprintable()
    assert len(shown) <= 80
    assert shown[caret.index("^")] == "~"


def test_a_text_of_more_than_4_kib_is_refused() -> None:
    parse(f"branch={'a' * (4096 - 7)}")
    assert "4097 bytes" in refused(f"branch={'a' * (4097 - 7)}").sentence


def test_more_than_64_conditions_are_refused() -> None:
    parse(" or ".join(f"t{n}" for n in range(64)))
    error = refused(" or ".join(f"t{n}" for n in range(65)))
    assert "more than 64" in error.sentence
    assert error.position == len(" or ".join(f"t{n}" for n in range(64))) + len(" or ")


def test_more_than_32_levels_are_refused() -> None:
    parse("(" * 32 + "a" + ")" * 32)
    assert refused("(" * 33 + "a" + ")" * 33).position == 33
    assert refused("not " * 33 + "a").position == 4 * 33


# -- text and back -------------------------------------------------------------------------------------------------


@given(queries())
def test_what_unparse_wrote_parses_to_the_same_query(query: Query) -> None:
    assert q.parse(q.unparse(query), now_ns=0, extra={"house-type": "house-type"}) == query


@given(st.text(alphabet="ab=~!<>()'\"\\ *?\n1sizeandornot", max_size=30))
def test_any_text_is_a_query_or_a_refusal_with_a_position_in_it(text: str) -> None:
    query, position = attempt(text)
    assert 0 <= position <= len(text)
    assert query is None or parse(q.unparse(query)) == query


@given(queries(), items())
def test_a_query_and_its_negation_part_all_artifacts_between_them(query: Query, found: Item) -> None:
    assert q.matches(query, found) != q.matches(q.negation(query), found)


@given(queries(), items())
def test_all_conjuncts_together_are_the_query(query: Query, found: Item) -> None:
    assert q.matches(query, found) == all(q.matches(part, found) for part in q.conjuncts(query))


# -- flags -----------------------------------------------------------------------------------------------------------


def test_flags_say_what_the_language_says() -> None:
    flags = q.from_flags(
        now_ns=NOW, types=["coverage", "log"], tags=["env=prod", "os~ubuntu*", "release"], jobs=["build-*", "b7"],
        branch="main", commit="abc1", since="7d", until="2026-11-21", min_size="1MiB", max_size="1GiB",
    )  # fmt: skip
    assert flags == parse(
        "(type=coverage-report or type=build-logs) and env=prod and os~ubuntu* and release and (job~build-* or job=b7)"
        " and branch=main and commit~abc1* and created>=7d and created<=2026-11-21 and size>=1MiB and size<=1GiB"
    )


def test_no_flags_ask_for_everything() -> None:
    assert q.from_flags(now_ns=NOW) == q.EVERYTHING


def test_a_commit_is_taken_as_it_is_written() -> None:
    commit = q.from_flags(now_ns=NOW, commit="a*[")
    assert q.matches(commit, item(tags={"commit": "a*[b"}))
    assert not q.matches(commit, item(tags={"commit": "ab[b"}))


@pytest.mark.parametrize("flag", [{"tags": ["a=b=c", "A=b"]}, {"since": "soon"}, {"min_size": "big"}, {"types": ["x"]}])
def test_a_flag_that_says_nothing_is_named_in_the_refusal(flag: dict[str, object]) -> None:
    with pytest.raises(QueryError, match=r"^--(tag|since|min-size|type): "):
        q.from_flags(now_ns=NOW, **flag)  # type: ignore[arg-type]
