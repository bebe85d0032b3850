"""An event as it leaves the machine: its JSON has a schema, no secret goes with it, and no name breaks it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mountfs.events import (
    ConflictLost,
    Event,
    EventKind,
    JobExpired,
    QuotaWarning,
    SizeJump,
    Told,
    UploadFailed,
    body,
    environment,
    headers,
)

EXAMPLES: list[Event] = [
    QuotaWarning(83, 100, 0.8),
    SizeJump("build-7", "a.log", "build-logs", "main", 30, 10, 5),
    UploadFailed("build-7", "the bucket refuses: AccessDenied", will_retry=False, artifacts=3),
    JobExpired("build-7", ("build-logs", "videos"), 2, 200, 90, ("a reason", "another"), is_gone=True),
    ConflictLost("build-7", "log.txt", "0a0a0a0a", "0b0b0b0b", "versions"),
]


def told(event: Event) -> Told:
    return Told(event, "42", 1_795_255_200_000_000_000, "/work/.artifacts")


def decoded(event: Event) -> dict[str, object]:
    found = json.loads(body(told(event)))
    assert isinstance(found, dict)
    return found


def test_there_is_an_example_of_every_kind() -> None:
    assert [event.kind for event in EXAMPLES] == list(EventKind)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.kind)
def test_the_json_has_a_schema_number_a_kind_and_a_sentence(event: Event) -> None:
    found = decoded(event)
    assert {key: found[key] for key in ("schema", "kind", "id", "at", "mount", "text")} == {
        "schema": 1, "kind": event.kind.value, "id": "42", "at": "2026-11-21T10:00:00Z", "mount": "/work/.artifacts",
        "text": event.text,
    }  # fmt: skip
    assert found["data"] == json.loads(json.dumps(event.facts))


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (EXAMPLES[2], "build-7 could not be uploaded: the bucket refuses: AccessDenied; it waits until somebody changes"
            " that; see `mountfs status`"),
        (UploadFailed("a", "no answer", will_retry=True), "a could not be uploaded: no answer; it is tried again"),
        (EXAMPLES[3], "2 artifacts (build-logs, videos; 200 B) of build-7 expired, and nothing of it is left: a"
            " reason"),
        (EXAMPLES[4], "build-7/log.txt was written by 0b0b0b0b and, later, by 0a0a0a0a: the later one counts, the other"
            " is kept in the versions"),
    ],
)  # fmt: skip
def test_the_text_is_a_sentence_for_people(event: Event, text: str) -> None:
    assert event.text == text


def test_a_job_that_expired_for_hundreds_of_reasons_names_some_and_says_how_many_more() -> None:
    reasons = tuple(f"{number} " + "r" * 600 for number in range(400))
    event = JobExpired("j" * 255, ("build-logs",), 400, 1, 1, reasons, is_gone=False)
    found = decoded(event)
    assert isinstance(found["data"], dict)
    assert (len(found["data"]["reasons"]), found["data"]["more"]) == (10, 390)
    assert len(body(told(event))) < 16 * 1024


names = st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=255) | st.binary(
    min_size=1, max_size=255
).map(lambda raw: raw.replace(b"\0", b"-").decode("utf-8", "surrogateescape"))


@given(names, names)
def test_no_name_breaks_the_json_the_environment_or_the_line(job: str, path: str) -> None:
    one = told(ConflictLost(job, path, "a", "b"))
    raw = body(one)
    assert raw.isascii()
    assert raw.count(b"\n") == 1
    found = json.loads(raw)
    assert found["data"]["path"] == path
    assert found["text"].isprintable()
    assert len(found["text"]) <= 1000
    assert "\0" not in "".join(environment(one, {}).values())


def test_a_command_hears_the_event_in_its_environment() -> None:
    assert environment(told(EXAMPLES[1]), {}) == {
        "MOUNTFS_EVENT_SCHEMA": "1",
        "MOUNTFS_EVENT_KIND": "size_jump",
        "MOUNTFS_EVENT_ID": "42",
        "MOUNTFS_EVENT_AT": "2026-11-21T10:00:00Z",
        "MOUNTFS_EVENT_MOUNT": "/work/.artifacts",
        "MOUNTFS_EVENT_TEXT": EXAMPLES[1].text,
        "MOUNTFS_EVENT_JOB": "build-7",
    }


def test_no_secret_of_the_daemon_goes_to_a_command() -> None:
    secrets = {
        "AWS_SECRET_ACCESS_KEY": "x",
        "MOUNTFS_SIGNING__KEY": "x",
        "ARTIFACT_SIGNING_KEY": "x",
        "GITHUB_TOKEN": "x",
    }
    passed = {"PATH": "/bin", "HOME": "/home/a", "LC_ALL": "C", "XDG_RUNTIME_DIR": "/run/user/1"}
    found = environment(told(EXAMPLES[0]), secrets | passed)
    assert not set(secrets) & set(found)
    assert {name: found[name] for name in passed} == passed


def test_headers_hold_nothing_that_a_stranger_named() -> None:
    found = headers(told(ConflictLost("a\r\nX-Evil: 1", "b", "c", "d")))
    assert found["Mountfs-Event"] == "conflict_lost"
    assert found["Content-Type"] == "application/json"
    assert "Evil" not in "".join(found.values())
