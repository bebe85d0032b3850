"""Promises of the rules for names (DESIGN §3; F-018 to F-020, F-034 to F-043, F-088 to F-090, F-125)."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mountfs import namespace as ns
from mountfs.errors import InvalidArgument, InvalidName, NameTooLong, Protected, TagTooLarge

names = st.binary(min_size=1, max_size=255).filter(
    lambda raw: raw not in (b".", b"..") and b"/" not in raw and b"\0" not in raw
)


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/b", b"/", b"a\0"])
def test_a_name_that_no_entry_can_have_is_invalid(name: bytes) -> None:
    with pytest.raises(InvalidName):
        ns.check_name(name)


@pytest.mark.parametrize("name", [b"a" * 255, b"...", b".hidden", b"a\\b", b"\xff\xfe", b" ", b"a\nb"])
def test_any_other_bytes_are_a_name(name: bytes) -> None:
    ns.check_name(name)


def test_a_name_of_256_bytes_is_too_long() -> None:
    with pytest.raises(NameTooLong):
        ns.check_name("é".encode() * 128)


def test_a_job_name_with_a_leading_dot_is_reserved_for_views() -> None:
    with pytest.raises(Protected):
        ns.check_job_name(b".latest")


def test_every_view_has_a_reserved_name() -> None:
    assert all(ns.is_reserved_root_name(name.encode()) for name in ns.VIEW_NAMES | ns.VIRTUAL_FILES)
    assert not ns.is_reserved_root_name(b"build-7")


def test_split_key_answers_job_first() -> None:
    assert ns.split_key("build-7/coverage/é.xml") == (b"build-7", b"coverage", "é.xml".encode())


@pytest.mark.parametrize("key", ["", "/a", "a//b", "a/", "./a", "a/.", "a/../b", "..", "a/b\0", "/", "a/\ud800", "//"])
def test_split_key_refuses_what_is_not_canonical(key: str) -> None:
    with pytest.raises(InvalidName):
        ns.split_key(key)


def test_split_key_says_when_a_component_is_too_long() -> None:
    with pytest.raises(NameTooLong):
        ns.split_key("job/" + "a" * 256)


def test_a_refused_key_is_shown_without_control_characters() -> None:
    with pytest.raises(InvalidName) as caught:
        ns.split_key("a/\x1b[31m\udcff/..")
    assert str(caught.value).isprintable()


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=6).map(tuple))
def test_split_key_gives_back_what_join_key_joined(components: tuple[bytes, ...]) -> None:
    assert ns.split_key(ns.join_key(components)) == components


def test_join_key_of_nothing_is_no_key() -> None:
    with pytest.raises(InvalidName):
        ns.join_key([])


@pytest.mark.parametrize(
    ("given_key", "canonical"),
    [
        ("a//b", "a/b"),
        ("./a/b", "a/b"),
        ("././a", "a"),
        ("a/b/", "a/b"),
        ("a/./b//", "a/b"),
        ("a\\b/c", "a\\b/c"),
        ("a/...", "a/..."),
    ],
)
def test_normalize_key_answers_the_canonical_form(given_key: str, canonical: str) -> None:
    assert ns.normalize_key(given_key) == canonical


@pytest.mark.parametrize("key", ["", ".", "./", "a/../b", "..", "/a", "//a", "a\0b"])
def test_normalize_key_refuses_what_leads_elsewhere(key: str) -> None:
    with pytest.raises(InvalidName):
        ns.normalize_key(key)


@settings(deadline=None)
@given(st.text(alphabet="ab./\\\0é\udc80", max_size=24))
def test_normalize_key_is_idempotent_and_its_answer_splits(key: str) -> None:
    try:
        canonical = ns.normalize_key(key)
    except InvalidName:
        return
    assert ns.normalize_key(canonical) == canonical
    assert ns.join_key(ns.split_key(canonical)) == canonical


def test_build_key_puts_the_subcategory_before_the_file() -> None:
    assert ns.build_key("deal-1", "documents", "cim.pdf", "cim") == "deal-1/documents/cim/cim.pdf"
    assert ns.build_key("deal-1", "emails", "a.eml") == "deal-1/emails/a.eml"


@pytest.mark.parametrize("filename", ["../x", "a/b", "", ".."])
def test_no_part_of_build_key_leads_elsewhere(filename: str) -> None:
    with pytest.raises(InvalidName):
        ns.build_key("deal-1", "emails", filename)


def test_there_are_eleven_builtin_types() -> None:
    assert " ".join(ns.BUILTIN_TYPES) == (
        "test-results coverage-report security-findings performance-metrics build-logs static-analysis"
        " api-docs screenshots videos diff custom"
    )


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        *((slug, slug) for slug in ns.BUILTIN_TYPES),
        ("TEST_RESULTS", "test-results"),
        ("test_results", "test-results"),
        ("coverage", "coverage-report"),
        ("coverage_reports", "coverage-report"),
        ("security", "security-findings"),
        ("security_findings", "security-findings"),
        ("diff", "diff"),
        ("log", "build-logs"),
        ("test", "test-results"),
        ("tests", "test-results"),
        ("performance", "performance-metrics"),
    ],
)
def test_every_older_name_of_a_type_resolves(name: str, slug: str) -> None:
    assert ns.canonical_type(name) == slug


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidName, match=r"'nope'.*custom.*load-tests.*videos"):
        ns.canonical_type("nope", extra={"k6": "load-tests"})


def test_types_of_the_settings_resolve_before_the_builtin_ones() -> None:
    extra = {"k6": "load-tests", "load-tests": "load-tests"}
    assert ns.canonical_type("K6", extra=extra) == ns.canonical_type("load_tests", extra=extra) == "load-tests"


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("junit.xml", "test-results"),
        ("junit-3.xml", "test-results"),
        ("TEST-com.example.FooTest.xml", "test-results"),
        ("test-results", "test-results"),
        ("test-results.bin.gz", "test-results"),
        ("test-result.json", "test-results"),
        ("coverage.xml", "coverage-report"),
        (".coverage", "coverage-report"),
        ("lcov.info", "coverage-report"),
        ("coverage-report", "coverage-report"),
        ("bandit.json", "security-findings"),
        ("trivy.json", "security-findings"),
        ("x.sarif", "security-findings"),
        ("benchmark.json", "performance-metrics"),
        ("log.txt", "build-logs"),
        ("anything.log", "build-logs"),
        ("server.log.1", "build-logs"),
        ("server.log.gz", "build-logs"),
        ("test.log", "build-logs"),
        ("diff.txt", "diff"),
        ("a.patch", "diff"),
        ("a.diff", "diff"),
        ("shot.PNG", "screenshots"),
        ("a.jpeg", "screenshots"),
        ("a.webp", "screenshots"),
        ("diff.gif", "screenshots"),
        ("run.mp4", "videos"),
        ("run.webm", "videos"),
        ("run.mkv", "videos"),
        ("openapi.yaml", "api-docs"),
        ("mypy.txt", "static-analysis"),
        ("coverage/html/index.html", "coverage-report"),
        ("coverage/html/favicon.png", "coverage-report"),
        ("coverage/logs/a.txt", "build-logs"),
        ("Screenshots/readme.txt", "screenshots"),
        ("src/main.c", "custom"),
        ("metadata.json", "custom"),
    ],
)
def test_the_type_follows_from_the_file_then_the_nearest_directory(path: str, slug: str) -> None:
    assert ns.TypeRules().type_of(tuple(path.encode().split(b"/")), explicit=None) == slug


def test_an_explicit_type_wins_over_every_name() -> None:
    assert ns.TypeRules().type_of((b"junit.xml",), explicit="diff") == "diff"


def test_aliases_of_the_settings_win_over_builtin_ones() -> None:
    extra = {"*.jtl": "load-tests", "junit": "unit", "nightly": "unit", "load-tests": "load-tests"}
    paths = [(b"junit.xml",), (b"a.JTL",), (b"nightly", b"readme.md"), (b"load_tests", b"x")]
    found = [ns.TypeRules(extra).type_of(path, explicit=None) for path in paths]
    assert found == ["unit", "load-tests", "unit", "load-tests"]


def test_without_a_telling_name_the_caller_may_ask_the_content() -> None:
    assert ns.type_by_name((b"results", b"out.bin")) is None


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=4).map(tuple))
def test_every_path_has_a_type(path: tuple[bytes, ...]) -> None:
    assert ns.TypeRules().type_of(path, explicit=None) in ns.BUILTIN_TYPES


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        (b"user.branch", ns.Tag("branch")),
        (b"user.a-b_9", ns.Tag("a-b_9")),
        (b"user.mountfs.sha256", ns.Fact("sha256")),
        (b"user.mountfs.no_such_fact", ns.Fact("no_such_fact")),
        (b"user.xdg.origin.url", ns.Plain(b"user.xdg.origin.url")),
        (b"user.rsync.%stat", ns.Plain(b"user.rsync.%stat")),
        (b"user.DOSATTRIB", ns.Plain(b"user.DOSATTRIB")),
        (b"user.\xff", ns.Plain(b"user.\xff")),
        (b"user.", ns.Foreign()),
        (b"security.capability", ns.Foreign()),
        (b"trusted.branch", ns.Foreign()),
    ],
)
def test_an_xattr_is_a_tag_a_fact_plain_or_foreign(name: bytes, meaning: ns.Xattr) -> None:
    assert ns.classify_xattr(name) == meaning


def test_only_a_tag_has_a_tag_key() -> None:
    assert ns.tag_key(b"user.branch") == "branch"
    assert [ns.tag_key(name) for name in (b"user.mountfs.type", b"user.Branch", b"branch", b"user.a\n")] == [None] * 4


def test_writable_facts_are_facts_and_requests_are_not() -> None:
    assert ns.WRITABLE_FACTS < ns.FACTS
    assert ns.REQUEST_FACTS.isdisjoint(ns.FACTS)
    assert len(ns.FACTS) == 18


@pytest.mark.parametrize("key", ["", "Branch", "a.b", "a b", "é", "a=b", "a\n", "a" * 251])
def test_a_bad_tag_key_is_refused_with_what_is_allowed(key: str) -> None:
    with pytest.raises(InvalidName, match="a-z 0-9 _ -"):
        ns.check_tag(key, b"")


def test_an_equals_sign_in_a_tag_key_is_explained() -> None:
    with pytest.raises(InvalidName, match="no '=' in a key"):
        ns.check_tag("env=prod", b"")


def test_a_tag_value_ends_at_1_kib() -> None:
    ns.check_tag("a", b"x" * 1024)
    with pytest.raises(TagTooLarge):
        ns.check_tag("a", b"x" * 1025)


def test_a_tag_on_the_command_line_is_key_value_or_a_label() -> None:
    assert ns.parse_tag("env=a=b") == ("env", b"a=b")
    assert ns.parse_tag("nightly") == ("nightly", b"")


NOW_NS = 1_700_000_000_000_000_000


@pytest.mark.parametrize(
    ("text", "moment_ns"),
    [
        ("", None),
        (" \n", None),
        ("+30d", NOW_NS + 30 * 86400 * 10**9),
        ("+12h", NOW_NS + 12 * 3600 * 10**9),
        ("2026-12-24", 1_798_070_400 * 10**9),
        ("2026-12-24T01:00:00+01:00", 1_798_070_400 * 10**9),
        ("2026-12-24T00:00:00Z", 1_798_070_400 * 10**9),
        ("2026-12-24 00:00:00.000001", 1_798_070_400 * 10**9 + 1000),
    ],
)
def test_an_expiry_is_a_date_a_time_a_distance_or_nothing(text: str, moment_ns: int | None) -> None:
    assert ns.parse_expiry(text, now_ns=NOW_NS) == moment_ns


@pytest.mark.parametrize(
    "text", ["tomorrow", "30d", "+30", "-30d", "2026-02-30", "+999999999w", "1969-12-31", "9999-12-31", "+٣d"]
)
def test_any_other_expiry_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        ns.parse_expiry(text, now_ns=NOW_NS)


@settings(deadline=None)
@given(st.text(max_size=30))
def test_an_expiry_never_fails_in_another_way(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        ns.parse_expiry(text, now_ns=NOW_NS)
