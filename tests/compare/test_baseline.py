"""Which job is compared with (F-108; DESIGN §3, `.latest`)."""

from mountfs.compare import Candidate, Rule, Wanted, choose_baseline, describe, latest

MAIN = {"branch": b"main", "status": b"success"}
COVERAGE = Wanted(type="coverage-report", other_than=b"mine")


def job(name: str, at: int, tags: dict[str, bytes] | None = None, **facts: object) -> Candidate:
    types = frozenset({"coverage-report", "test-results"})
    return Candidate(
        name.encode(),
        MAIN if tags is None else tags,
        at,
        types if facts.get("types") is None else frozenset(),
        pinned=bool(facts.get("pinned")),
        commits_away=away if isinstance(away := facts.get("away"), int) else None,
    )


def chosen(*candidates: Candidate, wanted: Wanted = COVERAGE) -> tuple[str, Rule]:
    choice = choose_baseline(candidates, wanted)
    return (choice.chosen.job.decode() if choice.chosen else "", choice.rule)


def test_a_pinned_job_comes_before_any_newer_one() -> None:
    assert chosen(job("old", 1, pinned=True), job("new", 2)) == ("old", Rule.PINNED)


def test_of_several_pinned_jobs_the_newest_counts() -> None:
    assert chosen(job("a", 1, pinned=True), job("b", 2, pinned=True)) == ("b", Rule.PINNED)


def test_a_pinned_job_of_another_branch_or_without_the_type_is_no_baseline() -> None:
    other = job("other", 5, {"branch": b"dev"}, pinned=True)
    empty = job("empty", 6, types=(), pinned=True)
    assert chosen(other, empty, job("new", 2)) == ("new", Rule.LATEST)


def test_a_pinned_job_need_not_be_successful() -> None:
    assert chosen(job("old", 1, {"branch": b"main", "status": b"failed"}, pinned=True)) == ("old", Rule.PINNED)


def test_without_a_pinned_one_the_newest_successful_job_of_the_branch_counts() -> None:
    failed = job("failed", 9, {"branch": b"main", "status": b"failed"})
    assert chosen(job("a", 1), job("b", 3), job("c", 2), failed) == ("b", Rule.LATEST)


def test_a_job_without_a_status_is_successful() -> None:
    assert chosen(job("a", 1, {"branch": b"main"})) == ("a", Rule.LATEST)


def test_a_job_without_the_type_is_no_baseline() -> None:
    assert chosen(job("a", 1), job("b", 2, types=())) == ("a", Rule.LATEST)


def test_the_job_itself_is_never_its_baseline() -> None:
    assert chosen(job("mine", 9, pinned=True), job("mine", 8, away=1)) == ("", Rule.NONE)


def test_a_job_of_a_pull_request_counts_under_its_number_and_its_commit_only() -> None:
    tags = {**MAIN, "pr": b"12", "commit": b"abc"}
    assert chosen(job("a", 1, tags)) == ("", Rule.NONE)
    for key, value in (("pr", b"12"), ("commit", b"abc")):
        assert latest([job("a", 1, tags)], Wanted(key, value)).chosen is not None


def test_without_one_of_the_branch_the_nearest_ancestor_counts() -> None:
    far, near = job("far", 9, {"branch": b"x"}, away=5), job("near", 1, {"branch": b"y", "pr": b"3"}, away=2)
    assert chosen(far, near) == ("near", Rule.ANCESTOR)


def test_an_ancestor_says_why_it_is_none_of_the_branch() -> None:
    """Who misspells the branch hears so, instead of being compared with something else."""
    near = job("near", 1, {"branch": b"dev"}, away=2)
    mine = job("mine", 3)
    assert choose_baseline([near, mine], COVERAGE).because == "no other job with branch=main is known"
    failed = job("failed", 9, {"branch": b"main", "status": b"failed"})
    found = choose_baseline([near, failed, job("bare", 2, types=())], COVERAGE)
    assert describe(found, now_ns=0).warning == (
        "an ancestor commit instead: of 2 jobs with branch=main none will do"
        " (failed: not successful: status=failed; bare: holds no coverage-report)"
    )
    assert not choose_baseline([near, job("good", 1)], COVERAGE).because


def test_an_ancestor_must_have_succeeded_and_be_another_commit() -> None:
    failed = job("failed", 1, {"status": b"failed"}, away=1)
    assert chosen(failed, job("same", 2, {}, away=0), job("unknown", 3, {})) == ("", Rule.NONE)


def test_of_ancestors_of_one_commit_the_newest_counts() -> None:
    assert chosen(job("a", 1, {}, away=2), job("b", 2, {}, away=2)) == ("b", Rule.ANCESTOR)


def test_every_job_that_was_not_taken_has_its_reason() -> None:
    candidates = [
        job("good", 5),
        job("old", 1),
        job("failed", 9, {"branch": b"main", "status": b"failed"}),
        job("pull", 8, {**MAIN, "pr": b"7"}),
        job("dev", 7, {"branch": b"dev"}),
        job("bare", 6, {}),
        job("empty", 4, types=()),
        job("mine", 3),
    ]
    assert dict(choose_baseline(candidates, COVERAGE).others) == {
        b"old": "older than good",
        b"failed": "not successful: status=failed",
        b"pull": "of pull request 7",
        b"dev": "branch=dev",
        b"bare": "no tag branch",
        b"empty": "holds no coverage-report",
        b"mine": "the job itself",
    }


def test_reasons_are_told_when_none_is_taken_too() -> None:
    assert choose_baseline([job("a", 1, {"branch": b"\x1b[31m"})], COVERAGE).others == ((b"a", r"branch=\x1b[31m"),)


def test_latest_takes_pins_for_nothing_and_asks_for_names() -> None:
    with_name = Candidate(b"a", MAIN, 1, names=frozenset({b"junit.xml"}), pinned=True)
    newer = Candidate(b"b", MAIN, 2, names=frozenset({b"other"}))
    assert latest([with_name, newer], Wanted()).chosen is newer
    assert latest([with_name, newer], Wanted(name=b"junit.xml")).chosen is with_name


def test_of_two_jobs_of_one_moment_the_same_is_taken_in_any_order() -> None:
    one, other = job("a", 1), job("b", 1)
    assert chosen(one, other) == chosen(other, one) == ("b", Rule.LATEST)


def test_a_baseline_says_how_old_it_is_and_how_far() -> None:
    found = describe(choose_baseline([job("a", 1_000_000_000)], COVERAGE), now_ns=7_201_000_000_000)
    assert str(found) == "a (latest, 2 h old, distance unknown)"
    assert str(describe(choose_baseline([job("a", 0, away=1)], COVERAGE), now_ns=86_400_000_000_000)) == (
        "a (latest, 1 d old, 1 commit away)"
    )
    assert str(describe(choose_baseline([], COVERAGE), now_ns=0)) == "no baseline"
