"""`events:` in the settings: what may stand there, what is refused, and who may not say it at all."""

from pathlib import Path
from typing import get_args

import pytest

from mountfs.config import Settings, load_settings
from mountfs.config.schema import EventName
from mountfs.errors import ConfigError
from mountfs.events import EventKind, Hook, JumpRule

HOME = {"HOME": "/nonexistent"}
COMMAND = {"on": ["quota_warning"], "command": ["logger", "-t", "mountfs"]}


def load(said: dict[str, object], tmp_path: Path, **environ: str) -> Settings:
    return load_settings({"limits": {"quota": "1 GB"}} | said, environ=HOME | environ, cwd=tmp_path).settings


def problem(receiver: dict[str, object], tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load({"events": [COMMAND, receiver]}, tmp_path)
    (found,) = caught.value.problems
    return found


def test_every_kind_can_stand_under_on() -> None:
    assert get_args(EventName) == tuple(EventKind)


def test_a_command_or_a_url_is_told(tmp_path: Path) -> None:
    posted = {"on": ["job_expired", "conflict_lost"], "url": "https://hooks.example.org/x", "timeout_seconds": "3s"}
    assert load({"events": [COMMAND, posted]}, tmp_path).hooks() == (
        Hook(frozenset({EventKind.QUOTA_WARNING}), ("logger", "-t", "mountfs")),
        Hook(
            frozenset({EventKind.JOB_EXPIRED, EventKind.CONFLICT_LOST}),
            url="https://hooks.example.org/x",
            timeout_seconds=3,
        ),
    )


def test_without_settings_nobody_is_told(tmp_path: Path) -> None:
    assert load({}, tmp_path).hooks() == ()


@pytest.mark.parametrize(
    "url", ["https://h/x?token=1", "https://h:8443", "http://localhost:9/x", "http://127.0.0.1:9", "http://[::1]:9/"]
)
def test_a_url_is_https_or_of_this_machine(url: str, tmp_path: Path) -> None:
    assert load({"events": [{"on": ["size_jump"], "url": url}]}, tmp_path).hooks()[0].url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "http://localhost.example.org/",
        "https://user:pw@h/x",
        "https://user@h/x",
        "https://h/x#y",
        "ftp://h/x",
        "file:///etc/passwd",
        "https://",
        "https://h:99999/",
        "h/x",
        "",
        "***",
        "https://h/x\r\nEvil: 1",
        "https://h/a b\x7f",
    ],
)
def test_any_other_url_is_refused_and_not_shown(url: str, tmp_path: Path) -> None:
    found = problem({"on": ["size_jump"], "url": url}, tmp_path)
    assert found.endswith(
        "events[1].url: the value is not accepted; allowed: https://host/path, http:// for this machine only, or null"
    )


@pytest.mark.parametrize(
    ("receiver", "words"),
    [
        ({"on": ["size_jump"]}, "events[1].url: needs exactly one of command and url"),
        ({"on": ["size_jump"], "command": ["a"], "url": "https://h"}, "needs exactly one of command and url"),
        ({"on": ["size_jump"], "command": ["bin/x"]}, "events[1].command: 'bin/x' is no program; allowed: a name in"),
        ({"on": ["size_jump"], "command": ["a", ""]}, "events[1].command[1]: '' is not a word of a command"),
        ({"on": ["size_jump"], "command": ["a\0"]}, "is not a word of a command"),
        ({"on": ["size_jump"], "command": "rm -rf x"}, "events[1].command: 'rm -rf x' is not accepted; allowed: a"),
        ({"on": [], "command": ["a"]}, "events[1].on: [] is not accepted; allowed: a list of quota_warning, size_jump"),
        ({"on": ["size_jump", "size_jump"], "command": ["a"]}, "events[1].on: names an event twice"),
        ({"on": ["explosion"], "command": ["a"]}, "events[1].on[0]: 'explosion' is not accepted; allowed: a list"),
        ({"command": ["a"]}, "events[1].on: is missing; allowed: a list of quota_warning"),
        ({"on": ["size_jump"], "comand": ["a"]}, "did you mean events[1].command?"),
        ({"on": ["size_jump"], "command": ["a"], "timeout_seconds": 0}, "up to 5 minutes"),
        ({"on": ["size_jump"], "command": ["a"], "timeout_seconds": "1h"}, "up to 5 minutes"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_with_its_place(receiver: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"events": [COMMAND, receiver]}, tmp_path)
    assert words in caught.value.problems[0]


def test_there_are_at_most_sixteen_receivers(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="up to 16"):
        load({"events": [COMMAND] * 17}, tmp_path)


def test_a_file_found_in_the_working_directory_may_not_run_commands(tmp_path: Path) -> None:
    (tmp_path / "mountfs.yml").write_text("events: [{on: [size_jump], command: [evil]}]")
    with pytest.raises(ConfigError, match="events: not for a file found in the working directory"):
        load_settings(environ=HOME, cwd=tmp_path)


def test_the_environment_says_receivers_as_json(tmp_path: Path) -> None:
    said = '[{"on": ["size_jump"], "command": ["logger"]}]'
    assert load({}, tmp_path, MOUNTFS_EVENTS=said).hooks()[0].command == ("logger",)


def test_the_variables_of_a_command_are_no_settings(tmp_path: Path) -> None:
    assert load({}, tmp_path, MOUNTFS_EVENT_KIND="size_jump", MOUNTFS_EVENT_JOB="a").events == ()


def test_a_warning_of_a_quota_that_is_not_set_is_pointed_out(tmp_path: Path) -> None:
    loaded = load_settings({"events": [COMMAND]}, environ=HOME, cwd=tmp_path)
    assert loaded.warnings == (
        "events: nobody can be warned of a quota, since there is none; allowed: limits.quota beside it",
    )


def test_what_counts_as_a_jump_can_be_set(tmp_path: Path) -> None:
    assert load({}, tmp_path).limits.size_jump.rule() == JumpRule()
    said: dict[str, object] = {"limits": {"size_jump": {"factor": 3, "least": "1 MiB", "last": 5}}}
    assert load(said, tmp_path).limits.size_jump.rule() == JumpRule(3, 1024**2, 5)
