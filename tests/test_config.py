"""Promises of the settings (DESIGN §6; F-046 to F-048, F-067, F-069, F-077, F-115 to F-119, F-154 to 161)."""

import contextlib
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mountfs.config import (
    Loaded,
    Origin,
    Settings,
    exact_size,
    format_size,
    load_settings,
    parse_duration_seconds,
    parse_size,
    state_dir_for,
)
from mountfs.config.document import parse_document
from mountfs.config.environment import variable_of
from mountfs.config.example import example, show
from mountfs.config.fields import leaves
from mountfs.config.presets import PRESETS
from mountfs.config.trust import is_trusted, trust, untrust
from mountfs.errors import ConfigError, InvalidArgument

Write = Callable[[str], Path]


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment that leads nowhere but into this test's directory."""
    return {"HOME": str(tmp_path / "home")}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    directory = tmp_path / "work"
    directory.mkdir()
    return directory


@pytest.fixture
def file(tmp_path: Path) -> Write:
    """Writes a settings file outside of the working directory, as --config names it."""

    def write(text: str) -> Path:
        path = tmp_path / "etc.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def short(value: object) -> str:
    """An id of a test that a terminal can hold."""
    return repr(value)[:24]


def load(source: object, home: dict[str, str], work: Path, **environ: str) -> Loaded:
    assert isinstance(source, Path | dict)
    return load_settings(source, environ=home | environ, cwd=work)


def problems(source: object, home: dict[str, str], work: Path, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(source, home, work, **environ)
    assert caught.value.exit_code == 2
    return caught.value.problems


# Defaults, presets, layers


def test_a_bucket_in_the_state_directory_is_refused(home: dict[str, str], work: Path) -> None:
    """What a start clears away there would be the bucket's."""
    for state, bucket in (("/a/state", "/a/state"), ("/a/state", "/a/state/incoming"), ("/a/b/state", "/a/b")):
        settings = {"state": state, "storage": {"backend": "directory", "directory": {"path": bucket}}}
        (problem,) = problems(settings, home, work)
        assert "overlap" in problem


def test_without_any_file_nothing_leaves_nothing_expires_and_nothing_is_limited(
    home: dict[str, str], work: Path
) -> None:
    loaded = load_settings(environ=home, cwd=work)
    found = loaded.settings
    assert (loaded.origin, loaded.path, loaded.warnings) == (Origin.NOBODY, None, ())
    assert found.mountpoint == work / ".artifacts"
    assert found.storage.backend == "local"
    assert found.compression.level_for("build-logs") == 3
    assert (found.limits.max_artifact_size, found.limits.quota) == (0, 0)
    assert (found.retention.default_ttl_days, found.retention.types) == (0, {})
    assert found.handler_seconds == 10


def test_the_shape_in_the_design_is_accepted(home: dict[str, str], work: Path, file: Write) -> None:
    path = file(
        """
mountpoint: .artifacts
state: /var/lib/mountfs/ci     # not on NFS; not below the mountpoint
storage:
  backend: s3                  # local (default) | directory | s3
  s3: {bucket: my-artifacts, prefix: qe/, region: us-east-1, endpoint_url: null, use_ssl: true,
       path_style: false, sse: null, storage_class: null, checksum: auto}
  directory: {path: /mnt/share/artifacts}
cache: {max_size: 20 GiB, high_watermark: 0.9, low_watermark: 0.8}
compression: {enabled: true, algorithm: zstd, level: 3, types: {videos: none}}
limits: {max_artifact_size: 0, quota: 100 GiB, warn_threshold: 0.8, max_tags: 64}
sync: {mode: full, look_seconds: 3, refresh_seconds: 2, sync_seconds: 10, settle_seconds: 2,
       settle_max_seconds: 60, patience_seconds: 30}
heads: [branch, commit, pr]    # tags by which jobs are found without the whole index
live: {patterns: [], seconds: 30}   # publish open files of these names while they grow
retention: {enabled: true, default_ttl_days: 30, keep_latest_n: 10, group_by: [type],
            types: {security-findings: 365}, schedule: "0 2 * * *"}
trash_days: 7                  # with a bucket: the grace in its mountfs.json wins
protect: others                # others | none
owner: mounter                 # mounter | recorded
views: unlisted                # unlisted | listed | off
versions: {enabled: false}
signing: {key_file: /etc/mountfs/signing.key, require: false}
fsync: disk                    # disk | bucket
tags: {team: payments}         # put on every job created here
layouts: ["{spec}/{task}/{type}"]   # path parts that become tags
allow_other: false
"""
    )
    found = load(path, home, work).settings
    assert found.storage.s3 is not None
    assert found.storage.s3.prefix == "qe/"
    assert found.limits.quota == 100 * 1024**3
    assert found.retention.types == {"security-findings": 365}
    assert found.state == Path("/var/lib/mountfs/ci")


def test_settings_cannot_be_changed_after_loading(home: dict[str, str], work: Path) -> None:
    found = load({}, home, work).settings
    with pytest.raises(ValueError, match="frozen"):
        found.limits.quota = 5


@pytest.mark.parametrize(
    ("preset", "check"),
    [
        ("qe-summary", lambda s: s.retention.default_ttl_days == 30 and s.retention.keep_latest_n == 10),
        ("qe-summary", lambda s: s.limits.max_artifact_size == 100 * 1024**2),
        ("qe-summary", lambda s: s.retention.schedule == "0 2 * * *"),
        ("qe-fleet", lambda s: s.retention.default_ttl_days == 90 and s.retention.keep_latest_n == 100),
        (
            "qe-fleet",
            lambda s: s.retention.types == {"test-results": 30, "coverage-report": 90, "security-findings": 365},
        ),
        ("agent", lambda s: s.retention.types == {"diff": 30, "build-logs": 7, "test-results": 14}),
        ("agent", lambda s: s.limits.quota == 100 * 1000**3 and s.limits.warn_threshold == 0.8),
        ("signed", lambda s: s.signing.require and s.limits.max_artifact_size == 100 * 1024**2),
        ("documents", lambda s: s.retention.default_ttl_days == 0 and not s.retention.types),
    ],
)
def test_a_preset_carries_the_numbers_its_users_knew(
    preset: str, check: Callable[[Settings], bool], home: dict[str, str], work: Path
) -> None:
    assert check(load({"preset": preset}, home, work).settings)


def test_every_preset_that_is_allowed_exists(home: dict[str, str], work: Path) -> None:
    assert [load({"preset": name}, home, work).settings.preset for name in PRESETS] == list(PRESETS)
    (problem,) = problems({"preset": "nope"}, home, work)
    assert all(name in problem for name in PRESETS)


def test_an_explicit_key_wins_over_the_preset_also_under_another_name(home: dict[str, str], work: Path) -> None:
    said = {"preset": "qe-fleet", "retention": {"types": {"tests": 5}, "keep_latest_n": 1}}
    retention = load(said, home, work).settings.retention
    assert (retention.types["test-results"], retention.types["coverage-report"]) == (5, 90)
    assert (retention.keep_latest_n, retention.default_ttl_days) == (1, 90)


def test_where_ci_is_set_sync_is_lazy_unless_said(home: dict[str, str], work: Path) -> None:
    modes = [load({}, home, work, CI=value).settings.sync.mode for value in ("true", "", "false")]
    assert modes == ["lazy", "full", "full"]
    assert load({"sync": {"mode": "full"}}, home, work, CI="true").settings.sync.mode == "full"


def test_a_caller_may_say_paths_and_tuples(home: dict[str, str], work: Path) -> None:
    found = load({"mountpoint": Path("m"), "heads": ("release",)}, home, work).settings
    assert (found.mountpoint, found.heads) == (work / "m", ("release",))


def test_compression_is_said_by_type(home: dict[str, str], work: Path) -> None:
    said = {"level": 19, "types": {"videos": "none", "log": 9, "diff": "zstd"}}
    found = load({"compression": said}, home, work).settings.compression
    assert [found.level_for(slug) for slug in ("videos", "build-logs", "diff", "custom")] == [None, 9, 19, 19]


@pytest.mark.parametrize("said", [{"enabled": False, "types": {"diff": 9}}, {"algorithm": "none"}])
def test_compression_can_be_off(said: object, home: dict[str, str], work: Path) -> None:
    assert load({"compression": said}, home, work).settings.compression.level_for("diff") is None


def test_types_of_the_settings_become_aliases(home: dict[str, str], work: Path) -> None:
    said = {"types": {"Load_Tests": ["K6", "*.jtl"], "coverage": ["cov-html"], "plain": []}}
    assert load(said, home, work).settings.type_aliases() == {
        "load-tests": "load-tests",
        "k6": "load-tests",
        "*.jtl": "load-tests",
        "coverage-report": "coverage-report",
        "cov-html": "coverage-report",
        "plain": "plain",
    }


def test_a_type_of_the_settings_may_have_a_ttl(home: dict[str, str], work: Path) -> None:
    said = {"types": {"load-tests": []}, "retention": {"types": {"load-tests": "2w"}}}
    assert load(said, home, work).settings.retention.types == {"load-tests": 14}


@pytest.mark.parametrize(
    ("key", "text", "meant"),
    [
        ("trash_days", "30", 30),
        ("trash_days", "30d", 30),
        ("trash_days", "2w", 14),
        ("handler_seconds", "5", 5.0),
        ("handler_seconds", "500ms", 0.5),
        ("handler_seconds", "1m", 60.0),
        ("views", "off", "off"),
        ("create_dirs", "true", True),
    ],
)
def test_a_plain_number_is_in_the_unit_of_its_key(
    key: str, text: str, meant: object, home: dict[str, str], work: Path, file: Write
) -> None:
    assert getattr(load(file(f"{key}: {text}"), home, work).settings, key) == meant


# The environment


def test_every_key_can_be_set_by_a_variable(home: dict[str, str], work: Path) -> None:
    said = {
        "MOUNTFS_CACHE__MAX_SIZE": "1GiB",
        "MOUNTFS_HEADS": "branch, release",
        "MOUNTFS_LAYOUTS": '["{a}/{b}"]',
        "MOUNTFS_TAGS__TEAM": "payments",
        "MOUNTFS_RETENTION__TYPES__BUILD_LOGS": "7",
        "MOUNTFS_COMPRESSION__TYPES": '{"videos": "none"}',
        "MOUNTFS_TYPES__LOAD_TESTS": "k6,*.jtl",
        "MOUNTFS_ALLOW_OTHER": "true",
        "MOUNTFS_SIGNING__KEY": "s3cret",
    }
    found = load({}, home, work, **said).settings
    assert found.cache.max_size == 1024**3
    assert found.heads == ("branch", "release")
    assert found.layouts == ("{a}/{b}",)
    assert found.tags == {"team": "payments"}
    assert found.retention.types == {"build-logs": 7}
    assert found.compression.types == {"videos": "none"}
    assert found.types == {"load-tests": ("k6", "*.jtl")}
    assert found.allow_other
    assert found.signing.key is not None
    assert found.signing.key.get_secret_value() == "s3cret"


def test_no_variable_of_a_key_is_unknown(home: dict[str, str], work: Path) -> None:
    empty = {variable_of(path): "" for path in leaves()}
    assert load({}, home, work, **empty).settings == load({}, home, work).settings


def test_the_environment_wins_over_the_file_also_under_another_name(
    home: dict[str, str], work: Path, file: Write
) -> None:
    path = file("trash_days: 3\nretention: {types: {tests: 9}}\nlimits: {max_tags: 9}")
    environ = {"MOUNTFS_TRASH_DAYS": "4", "MOUNTFS_RETENTION__TYPES__TEST_RESULTS": "8"}
    found = load(path, home, work, **environ).settings
    assert (found.trash_days, found.retention.types, found.limits.max_tags) == (4, {"test-results": 8}, 9)


def test_the_callers_mapping_wins_over_the_environment(home: dict[str, str], work: Path) -> None:
    environ = {"MOUNTFS_TRASH_DAYS": "4", "MOUNTFS_HANDLER_SECONDS": "3"}
    found = load({"trash_days": 5}, home, work, **environ).settings
    assert (found.trash_days, found.handler_seconds) == (5, 3)


def test_reserved_variables_are_no_settings(home: dict[str, str], work: Path) -> None:
    reserved = ("MOUNT", "JOB", "LOG", "ALLOW_CLOUD", "TEST_ANYTHING")
    load_settings(environ=home | {f"MOUNTFS_{name}": "x" for name in reserved}, cwd=work)


def test_an_unknown_variable_is_a_problem_with_the_nearest_known_one(home: dict[str, str], work: Path) -> None:
    (problem,) = problems({}, home, work, MOUNTFS_CASHE__MAX_SIZE="1")
    assert problem.startswith("MOUNTFS_CASHE__MAX_SIZE: ")
    assert "MOUNTFS_CACHE__MAX_SIZE" in problem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("MOUNTFS_CACHE__MAX_SIZE", "much"),
        ("MOUNTFS_STORAGE", "s3"),
        ("MOUNTFS_TYPES", "{"),
        ("MOUNTFS_TAGS", "[1"),
    ],
)
def test_a_bad_variable_is_named(name: str, text: str, home: dict[str, str], work: Path) -> None:
    (problem,) = problems({}, home, work, **{name: text})
    assert problem.startswith(f"{name}: ")
    assert "allowed: " in problem


def test_a_remote_by_environment_alone_needs_consent(home: dict[str, str], work: Path, file: Write) -> None:
    environ = {"MOUNTFS_STORAGE__BACKEND": "s3", "MOUNTFS_STORAGE__S3__BUCKET": "bucket"}
    (problem,) = problems(file(""), home, work, **environ)
    assert "MOUNTFS_ALLOW_CLOUD=true" in problem
    allowed = load(file(""), home, work, **environ, MOUNTFS_ALLOW_CLOUD="true")
    assert allowed.settings.storage.backend == "s3"


def test_a_remote_written_in_a_file_needs_no_consent(home: dict[str, str], work: Path, file: Write) -> None:
    path = file("storage: {backend: s3}")
    environ = {"MOUNTFS_STORAGE__BACKEND": "s3", "MOUNTFS_STORAGE__S3__BUCKET": "bucket"}
    assert load(path, home, work, **environ).settings.storage.backend == "s3"


# ${VAR}


def test_variables_are_expanded_in_any_text_once(home: dict[str, str], work: Path, file: Write) -> None:
    path = file('tags: {a: "${A}-${B}", b: "$$ $$A $A $"}\ncompression: {level: "${N}"}\nheads: ["${H}"]')
    found = load(path, home, work, A="${B}", B="b", N="7", H="release").settings
    assert found.tags == {"a": "${B}-b", "b": "$ $A $A $"}
    assert (found.compression.level, found.heads) == (7, ("release",))


def test_every_unset_variable_is_named_where_it_stands(home: dict[str, str], work: Path, file: Write) -> None:
    path = file("tags: {a: '${NO_A}${NO_B}'}\n\ntrash_days: ${NO_C}\n")
    found = problems(path, home, work)
    assert [re.findall(r"(\d+): .*(NO_.)", problem) for problem in found] == [
        [("1", "NO_A")],
        [("1", "NO_B")],
        [("3", "NO_C")],
    ]


@pytest.mark.parametrize("text", ["${", "${A", "${}", "${A-b}", "${A:-b}"])
def test_a_broken_reference_is_a_problem(text: str, home: dict[str, str], work: Path) -> None:
    (problem,) = problems({"tags": {"a": text}}, home, work, A="a")
    assert "tags.a: " in problem


def test_what_a_variable_brought_in_is_never_shown(home: dict[str, str], work: Path, file: Write) -> None:
    path = file("cache: {max_size: '${S}'}\nlimits: '${S}'\nviews: '${S}'\ntypes: {a: ['${S}/']}\nstate: ['${S}']")
    found = problems(path, home, work, S="hunter2")
    assert len(found) == 5
    assert "hunter2" not in "".join(found)


# Problems


def test_all_problems_are_told_at_once_with_line_key_and_what_is_allowed(
    home: dict[str, str], work: Path, file: Write
) -> None:
    path = file(
        "storag: {}\n"
        "cache:\n"
        "  max_size: 20 Gigs\n"
        "  low_watermark: 2\n"
        "compression: {level: 20, algorithm: gzip}\n"
        "limits: 7\n"
        "heads:\n"
        "  - branch\n"
        "  - Big Key\n"
        "trash_days: 12h\n"
        "views: maybe\n"
        "tags: {v: 1.10}\n"
        "retention: {schedule: daily, keep_latest_n: -1}\n"
        "layouts: [a/../b]\n"
    )
    found = problems(path, home, work)
    places = [re.match(rf"{re.escape(str(path))}:(\d+): ([^:]+): .", problem) for problem in found]
    assert [(int(place[1]), place[2]) for place in places if place] == [
        (1, "storag"),
        (3, "cache.max_size"),
        (4, "cache.low_watermark"),
        (5, "compression.algorithm"),
        (5, "compression.level"),
        (6, "limits"),
        (9, "heads[1]"),
        (10, "trash_days"),
        (11, "views"),
        (12, "tags.v"),
        (13, "retention.keep_latest_n"),
        (13, "retention.schedule"),
        (14, "layouts[0]"),
    ]
    assert all("allowed: " in problem for problem in found)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("retension: {}", "retention"),
        ("cache: {max_sise: 1}", "cache.max_size"),
        ("storage: {s3: {bukket: x, bucket: bbb}}", "storage.s3.bucket"),
        ("max_artifact_size: 1", "limits.max_artifact_size"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_known_one(
    text: str, near: str, home: dict[str, str], work: Path, file: Write
) -> None:
    (problem,) = problems(file(text), home, work)
    assert f"did you mean {near}?" in problem


@pytest.mark.parametrize(
    "key", ["_cli_parse_args", "_secrets_dir", "_env_file", "self", "__pydantic_self__", "model_config"]
)
def test_no_key_reaches_the_arguments_of_the_settings_library(key: str, home: dict[str, str], work: Path) -> None:
    (problem,) = problems({key: ["--help"]}, home, work)
    assert f"{key}: unknown key" in problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2", ":2: a: written twice, first in line 1"),
        ("cache: {max_size: 1, max_size: 2}", "written twice"),
        ("a: &x [1]\nb: *x", ":2: an alias"),
        ("a: &x [*x]", "an alias"),
        ("a: !!python/object/apply:os.system [id]", "a tag"),
        ("a: !x 1", "a tag"),
        ("[1, 2]", "a list"),
        ("just text", "plain text"),
        ("? [a]\n: 1", "a key that is itself"),
        ("a: 1\n---\nb: 2", ":2: a second document"),
        ("a: [1", "not YAML"),
        ("a: 1\n\tb: 2", "not YAML"),
        ("a: \x00", "not YAML"),
        ('a: "\\ud800"', ""),
        ('a: "\\UFFFFFFFF"', "not YAML"),
        ("[" * 100_000, "allowed: a mapping"),
        ("a: " + "[" * 100_000, "nested too deep"),
        ("a: [" + "1," * 30_000 + "]", "too many values"),
    ],
    ids=short,
)
@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_a_file_that_is_no_settings_is_told_plainly(
    loader: type, text: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mountfs.config.document._Loader", loader)
    with pytest.raises(ConfigError) as caught:
        parse_document(text.encode(), name="f.yml")
    assert words in str(caught.value)
    assert str(caught.value).startswith("f.yml:")


def test_a_yaml_bomb_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40))]
    with pytest.raises(ConfigError, match="alias"):
        parse_document("\n".join(lines).encode(), name="f.yml")


@pytest.mark.parametrize("name", ["f.yml", "f.json"])
@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"#" * (1024 * 1024 + 1), "1 MiB"),
        (b"\n\na: \xff", ":3: not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
    ],
)
def test_a_file_too_large_or_not_utf8_is_refused(name: str, raw: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_document(raw, name=name)


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "\ufeff", "{}"])
def test_an_empty_file_says_nothing(text: str) -> None:
    assert parse_document(text.encode(), name="f.yml").tree == {}


def test_keys_are_text_and_dates_are_not_guessed() -> None:
    tree = parse_document(b"on: 2026-01-01\n1: 0x10\nnull: ~", name="f.yml").tree
    assert tree == {"on": "2026-01-01", "1": 16, "null": None}


def test_json_is_read_by_the_same_rules_with_lines() -> None:
    document = parse_document(b'{\n\t"cache":\t{"max_size": 1e3},\n "tags": {"a": "\\ud83d\\ude80"}\n}', name="f.json")
    assert document.tree == {"cache": {"max_size": 1000.0}, "tags": {"a": "🚀"}}
    assert document.lines["tags", "a"] == 3


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": 1,}',
        "[1]",
        "a: 1",
        '"text"',
        "3",
        '{"a": ' + "[" * 30 + "]" * 30 + "}",
        '{"a": ' + "[" * 100_000,
        '{"a": "\\ud800"}',
        '{"a": ' + "9" * 5000 + "}",
    ],
    ids=short,
)
def test_a_bad_json_file_is_told_plainly(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^f\.json:"):
        parse_document(text.encode(), name="f.json")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(
        st.binary(max_size=60),
        st.text(alphabet="a:- \n\t[]{}\"'&*!|>#%@`?,$1.~\\u", max_size=60).map(str.encode),
        st.sampled_from([b"cache", b"tags", b"types", b"storage", b"mountpoint", b"retention", b"signing"]).flatmap(
            lambda key: st.text(max_size=30).map(lambda text: key + b": " + text.encode("utf-8", "replace"))
        ),
    ),
    suffix=st.sampled_from(["yml", "json"]),
)
def test_any_bytes_are_settings_or_a_config_error(raw: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"any.{suffix}"
    path.write_bytes(raw)
    with contextlib.suppress(ConfigError):
        load_settings(path, environ={"HOME": str(tmp_path)}, cwd=tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(path=st.sampled_from([*leaves(), ("storage",), ("storage", "s3"), ("cache",)]), value=json_values)
def test_any_value_of_any_key_is_settings_or_a_config_error(path: tuple[str, ...], value: object) -> None:
    tree: object = value
    for part in reversed(path):
        tree = {part: tree}
    assert isinstance(tree, dict)
    with contextlib.suppress(ConfigError):
        load_settings(tree, environ={"HOME": "/nowhere"}, cwd=Path("/nowhere"))


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"storage": {"backend": "s3"}}, "storage.s3: is missing"),
        ({"storage": {"backend": "directory"}}, "storage.directory: is missing"),
        ({"storage": {"backend": "s3", "s3": {}}}, "storage.s3.bucket: is missing"),
        ({"cache": {"low_watermark": 0.9}}, "cache.low_watermark: "),
        ({"sync": {"settle_seconds": 90}}, "sync.settle_max_seconds: "),
        ({"mountpoint": "a", "state": "a/b"}, "state: "),
        (
            {"mountpoint": "a", "storage": {"directory": {"path": "a"}}},
            "storage.directory.path: ",
        ),
        ({"retention": {"types": {"load-tests": 5}}}, "retention.types.load-tests: unknown type"),
        ({"retention": {"types": {"tests": 5, "test_results": 6}}}, "retention.types: "),
        ({"types": {"a": ["x"], "b": ["X"]}}, "types.b: "),
        ({"signing": {"key": "***"}}, "signing.key: "),
        ({"limits": {"max_tags": 65}}, "limits.max_tags: "),
        ({"limits": {"quota": -1}}, "limits.quota: "),
        ({"limits": {"quota": True}}, "limits.quota: "),
        ({"handler_seconds": 0}, "handler_seconds: "),
        ({"handler_seconds": float("nan")}, "handler_seconds: "),
        ({"mountpoint": " "}, "mountpoint: "),
        ({"tags": {f"t{n}": "" for n in range(65)}}, "tags: "),
        ({"tags": {"a": "x" * 1025}}, "tags.a: "),
        ({"compression": {"types": {"diff": 20}}}, "compression.types.diff: "),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    said: object, key: str, home: dict[str, str], work: Path
) -> None:
    (problem,) = problems(said, home, work)
    assert problem.startswith(f"settings: {key}")


@pytest.mark.parametrize(
    ("url", "is_accepted"),
    [
        ("https://s3.example.org", True),
        ("http://localhost:9000", True),
        ("http://127.0.0.1:9000", True),
        ("http://[::1]:9000", True),
        ("http://s3.example.org", False),
        ("ftp://s3.example.org", False),
        ("https://user:pw@s3.example.org", False),
        ("https://s3.example.org:99999", False),
        ("s3.example.org", False),
    ],
)
def test_plain_http_off_this_machine_must_be_written_down(
    url: str, is_accepted: bool, home: dict[str, str], work: Path
) -> None:
    said = {"storage": {"backend": "s3", "s3": {"bucket": "bbb", "endpoint_url": url}}}
    if is_accepted:
        assert load(said, home, work).warnings == ()
    else:
        assert "pw" not in "".join(problems(said, home, work))


def test_use_ssl_false_lets_plain_http_out_and_warns(home: dict[str, str], work: Path) -> None:
    s3 = {"bucket": "bbb", "endpoint_url": "http://s3.example.org", "use_ssl": False}
    loaded = load({"storage": {"backend": "s3", "s3": s3}}, home, work)
    assert len(loaded.warnings) == 1


def test_plain_http_to_aws_itself_must_be_written_down_and_warns(home: dict[str, str], work: Path) -> None:
    loaded = load({"storage": {"backend": "s3", "s3": {"bucket": "bbb", "use_ssl": False}}}, home, work)
    assert len(loaded.warnings) == 1


def test_a_server_is_waited_for_as_long_as_the_settings_say(home: dict[str, str], work: Path) -> None:
    said = {"bucket": "bbb", "connections": 4, "connect_timeout_seconds": "500ms", "read_timeout_seconds": "1m"}
    found = load({"storage": {"backend": "s3", "s3": said}}, home, work).settings.storage.s3
    assert found is not None
    assert (found.connections, found.connect_timeout_seconds, found.read_timeout_seconds) == (4, 0.5, 60)


@pytest.mark.parametrize(
    ("key", "value"),
    [("connections", 0), ("connections", 1000), ("connect_timeout_seconds", 0), ("read_timeout_seconds", "2d")],
)
def test_connections_and_timeouts_have_bounds(key: str, value: object, home: dict[str, str], work: Path) -> None:
    (problem,) = problems({"storage": {"backend": "s3", "s3": {"bucket": "bbb", key: value}}}, home, work)
    assert f"storage.s3.{key}" in problem


@pytest.mark.parametrize(("prefix", "is_accepted"), [("a" * 127, True), ("a" * 129, False), ("ä" * 65, False)])
def test_a_prefix_leaves_room_for_the_names_below_it(
    prefix: str, is_accepted: bool, home: dict[str, str], work: Path
) -> None:
    said = {"storage": {"backend": "s3", "s3": {"bucket": "bbb", "prefix": prefix}}}
    if is_accepted:
        load(said, home, work)
    else:
        assert "storage.s3.prefix" in problems(said, home, work)[0]


@pytest.mark.parametrize("consent", ["", "false", "0", "perhaps"])
@pytest.mark.parametrize("backend", ["s3", "directory"])
def test_only_a_yes_is_consent_to_a_remote_by_environment(
    backend: str, consent: str, home: dict[str, str], work: Path
) -> None:
    environ = {
        "MOUNTFS_STORAGE__BACKEND": backend,
        "MOUNTFS_STORAGE__S3__BUCKET": "bucket",
        "MOUNTFS_STORAGE__DIRECTORY__PATH": "/mnt/share",
        "MOUNTFS_ALLOW_CLOUD": consent,
    }
    with pytest.raises(ConfigError, match="MOUNTFS_ALLOW_CLOUD=true"):
        load({}, home, work, **environ)


@pytest.mark.parametrize("text", ["signing: hunter2", "signing: {key: [hunter2]}", "signing: [hunter2]"])
def test_a_misplaced_secret_is_not_shown(text: str, home: dict[str, str], work: Path, file: Write) -> None:
    (problem,) = problems(file(text), home, work)
    assert "hunter2" not in problem


def test_an_error_carries_no_library_error_that_would_show_values(home: dict[str, str], work: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"signing": {"key": 5}}, home, work)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


# Where a file is found, and what it may say


def write_file(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_are_found_in_their_order(home: dict[str, str], work: Path) -> None:
    places = {
        Origin.COMMAND_LINE: work / "by-option.yml",
        Origin.VARIABLE: work / "by-variable.yml",
        Origin.WORKING_DIRECTORY: work / "mountfs.yml",
        Origin.USER: Path(home["HOME"]) / ".config/mountfs/mountfs.yml",
    }
    for path in places.values():
        write_file(path, "tags: {a: b}")
    found = []
    environ, cli_path = home | {"MOUNTFS_CONFIG": "by-variable.yml"}, Path("by-option.yml")
    found.append(load_settings(environ=environ, cwd=work, cli_path=cli_path))
    found.append(load_settings(environ=environ, cwd=work))
    found.append(load_settings(environ=home, cwd=work))
    places[Origin.WORKING_DIRECTORY].unlink()
    found.append(load_settings(environ=home, cwd=work))
    assert {loaded.origin: loaded.path for loaded in found} == places


@pytest.mark.parametrize("name", ["mountfs.yml", "mountfs.yaml", "mountfs.json"])
def test_a_file_above_the_working_directory_is_found_and_paths_are_meant_from_it(
    name: str, home: dict[str, str], work: Path
) -> None:
    write_file(work / name, '{"mountpoint": "out/artifacts"}')
    below = work / "a/b"
    below.mkdir(parents=True)
    loaded = load_settings(environ=home, cwd=below)
    assert loaded.path == work / name
    assert loaded.settings.mountpoint == work / "out/artifacts"


def test_a_relative_xdg_directory_is_ignored(home: dict[str, str], work: Path) -> None:
    write_file(work / "x/mountfs/mountfs.yml", "trash_days: 1")
    assert load_settings(environ=home | {"XDG_CONFIG_HOME": "x"}, cwd=work).path is None


@pytest.mark.parametrize("name", ["missing.yml", "", "nul\0.yml"])
def test_a_named_file_that_cannot_be_read_is_a_config_error(name: str, home: dict[str, str], work: Path) -> None:
    with pytest.raises(ConfigError, match="allowed: a settings file"):
        load_settings(environ=home, cwd=work, cli_path=Path(name))


def test_paths_of_a_named_file_are_meant_from_the_working_directory(
    home: dict[str, str], work: Path, file: Write
) -> None:
    path = file("mountpoint: m\nstate: ~/s\nsigning: {key_file: ../k}")
    found = load(path, home, work).settings
    assert (found.mountpoint, found.state) == (work / "m", Path(home["HOME"]) / "s")
    assert found.signing.key_file == work.parent / "k"


STRANGER = "types: {load-tests: [k6]}\ntags: {team: x}\nlayouts: ['{a}']\ncompression: {level: 5}\nmountpoint: out\n"


def test_a_found_file_may_set_what_stays_in_the_checkout(home: dict[str, str], work: Path) -> None:
    write_file(work / "mountfs.yml", STRANGER)
    assert load_settings(environ=home, cwd=work).settings.compression.level == 5


@pytest.mark.parametrize(
    "key", sorted(set(Settings.model_fields) - {"types", "tags", "layouts", "compression", "mountpoint"})
)
def test_a_found_file_may_set_nothing_else(key: str, home: dict[str, str], work: Path) -> None:
    path = write_file(work / "mountfs.yml", STRANGER + f"{key}: null\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(environ=home, cwd=work)
    assert any(
        problem.startswith(f"{path}:6: {key}: ") and f"mountfs config trust {path}" in problem
        for problem in caught.value.problems
    )


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("tags: {team: x, branch: main}", "tags.branch"),
        ("tags: {status: success}", "tags.status"),
        ("tags: {pr: '7'}", "tags.pr"),
        ("layouts: ['{spec}', 'of-{branch}/{task}']", "layouts[1]"),
        ("layouts: ['{commit}']", "layouts[0]"),
    ],
)
def test_a_pull_request_does_not_make_itself_a_baseline(said: str, key: str, home: dict[str, str], work: Path) -> None:
    """Its `mountfs.yml` would tag each job as a successful one of main."""
    path = write_file(work / "mountfs.yml", said)
    with pytest.raises(ConfigError) as caught:
        load_settings(environ=home, cwd=work)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}:1: {key}: makes the tag ")
    assert f"mountfs config trust {path}" in problem
    trust(path, environ=home)
    load_settings(environ=home, cwd=work)


@pytest.mark.parametrize("said", ["tags: branch", "tags: [branch]", "layouts: 7", "layouts: '{branch}'"])
def test_nonsense_in_a_found_file_is_refused_all_the_same(said: str, home: dict[str, str], work: Path) -> None:
    write_file(work / "mountfs.yml", said)
    with pytest.raises(ConfigError):
        load_settings(environ=home, cwd=work)


def test_a_found_file_may_not_read_the_environment(home: dict[str, str], work: Path) -> None:
    write_file(work / "mountfs.yml", "tags: {a: 'x-${SECRET}'}")
    with pytest.raises(ConfigError) as caught:
        load_settings(environ=home | {"SECRET": "hunter2"}, cwd=work)
    assert "mountfs config trust" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("mountpoint", ["/tmp/x", "../x", "a/../../x", "~/x", ".", "link/x", "link", "./"])
def test_the_mountpoint_of_a_found_file_stays_below_it(mountpoint: str, home: dict[str, str], work: Path) -> None:
    (work / "link").symlink_to(work.parent)
    write_file(work / "mountfs.yml", f"mountpoint: {mountpoint}")
    with pytest.raises(ConfigError, match="mountfs config trust"):
        load_settings(environ=home, cwd=work)


def test_a_trusted_file_may_say_everything_until_it_changes(home: dict[str, str], work: Path) -> None:
    path = write_file(work / "mountfs.yml", "trash_days: ${DAYS}\n")
    environ = home | {"DAYS": "3"}
    trust(path, environ=home)
    assert load_settings(environ=environ, cwd=work).settings.trash_days == 3
    write_file(path, "trash_days: ${DAYS}0\n")
    with pytest.raises(ConfigError, match="config trust"):
        load_settings(environ=environ, cwd=work)


def test_trust_is_for_one_path_only(home: dict[str, str], work: Path) -> None:
    path = write_file(work / "mountfs.yml", "trash_days: 3")
    trust(path, environ=home)
    copy = write_file(work / "other/mountfs.yml", "trash_days: 3")
    assert is_trusted(path, environ=home)
    assert not is_trusted(copy, environ=home)


def test_a_file_that_is_not_there_cannot_be_trusted(home: dict[str, str], work: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        trust(work / "mountfs.yml", environ=home)


def test_a_state_directory_that_cannot_be_written_is_told(home: dict[str, str], work: Path) -> None:
    write_file(Path(home["HOME"]) / ".local/state", "a file where a directory belongs")
    with pytest.raises(ConfigError, match="allowed: a state directory"):
        trust(write_file(work / "mountfs.yml", ""), environ=home)


@pytest.mark.parametrize("name", ["mountfs.yml", "mountfs.json"])
def test_a_found_file_that_leads_out_of_its_directory_is_not_read(name: str, home: dict[str, str], work: Path) -> None:
    write_file(work.parent / "secret", "password: hunter2\n")
    (work / name).symlink_to("../secret")
    with pytest.raises(ConfigError) as caught:
        load_settings(environ=home, cwd=work)
    assert "a symlink that leads out" in str(caught.value)
    assert "password" not in str(caught.value)
    (work / name).unlink()
    write_file(work / "ci" / "ours.yml", "mountpoint: out\n")
    (work / name).symlink_to("ci/ours.yml")
    if name.endswith("yml"):
        assert load_settings(environ=home, cwd=work).settings.mountpoint == work / "out"


def test_what_is_no_regular_file_is_refused_and_not_waited_for(home: dict[str, str], work: Path) -> None:
    os.mkfifo(work / "mountfs.yml")
    for path in (work / "mountfs.yml", Path("/dev/zero"), work):
        with pytest.raises(ConfigError, match="not a regular file"):
            load_settings(environ=home, cwd=work, cli_path=path)
        with pytest.raises(ConfigError, match="not a regular file"):
            trust(path, environ=home)
    with pytest.raises(ConfigError, match="not a regular file"):
        load_settings(environ=home, cwd=work)


def test_what_is_too_large_for_settings_cannot_be_trusted(home: dict[str, str], work: Path) -> None:
    with pytest.raises(ConfigError, match="up to 1 MiB"):
        trust(write_file(work / "mountfs.yml", "#" * (1 << 20) + "#"), environ=home)


def test_an_unknown_key_is_shown_short_and_without_control_characters(
    home: dict[str, str], work: Path, file: Write
) -> None:
    [long, strange] = problems(file('"' + "k" * 500 + '": 1\n"a\\e[31m": 2\n'), home, work)
    assert "k" * 59 + "…: unknown key" in long
    assert "k" * 60 not in long
    assert r"a\x1b[31m: unknown key" in strange


def test_untrust_forgets(home: dict[str, str], work: Path) -> None:
    path = write_file(work / "mountfs.yml", "trash_days: 3")
    trust(path, environ=home)
    assert [untrust(path, environ=home), untrust(path, environ=home)] == [True, False]
    assert not is_trusted(path, environ=home)


def test_the_list_of_trusted_files_is_readable_by_its_owner_only(home: dict[str, str], work: Path) -> None:
    trust(write_file(work / "mountfs.yml", ""), environ=home)
    remembered = Path(home["HOME"]) / ".local/state/mountfs/trusted"
    assert stat.S_IMODE(remembered.stat().st_mode) == 0o600
    assert stat.S_IMODE(remembered.parent.stat().st_mode) == 0o700
    assert os.listdir(remembered.parent) == ["trusted"]


def test_a_list_that_others_could_have_written_is_not_believed(home: dict[str, str], work: Path) -> None:
    path = write_file(work / "mountfs.yml", "")
    trust(path, environ=home)
    (Path(home["HOME"]) / ".local/state/mountfs/trusted").chmod(0o666)
    assert not is_trusted(path, environ=home)


def test_a_damaged_list_trusts_what_can_still_be_read(home: dict[str, str], work: Path) -> None:
    path = write_file(work / "mountfs.yml", "")
    trust(path, environ=home)
    remembered = Path(home["HOME"]) / ".local/state/mountfs/trusted"
    remembered.write_bytes(b'\xff{"x"\n[]\n' + remembered.read_bytes())
    assert is_trusted(path, environ=home)


# Text out


def uncommented(text: str) -> str:
    return re.sub(r"(?m)^( *)#(?! |$)", r"\1", text)


def test_the_example_says_the_defaults(home: dict[str, str], work: Path, file: Write) -> None:
    assert load(file(example()), home, work).settings == load({}, home, work).settings


def test_the_example_uncommented_is_a_settings_file_with_every_key(
    home: dict[str, str], work: Path, file: Write
) -> None:
    path = file(uncommented(example()))
    load(path, home, work, ARTIFACT_SIGNING_KEY="x" * 32)
    said = parse_document(path.read_bytes(), name="f.yml").lines
    assert [key for key in leaves() if key not in said] == []


def test_shown_settings_load_to_the_same(home: dict[str, str], work: Path, file: Write) -> None:
    said = parse_document(uncommented(example()).encode(), name="f.yml").tree
    said["signing"] = {"key_file": "/etc/key"}
    said["events"] = [{"on": ["size_jump"], "command": ["logger", "size"]}]  # a URL is shown as stars
    before = load(said, home, work).settings
    assert load(file(show(before)), home, work).settings == before


def test_shown_settings_have_stars_for_a_secret(home: dict[str, str], work: Path) -> None:
    text = show(load({}, home, work, MOUNTFS_SIGNING__KEY="hunter2").settings)
    assert "hunter2" not in text
    assert "key: '***'" in text


# Places and units


def test_each_mountpoint_has_a_state_directory_of_its_own(home: dict[str, str], work: Path) -> None:
    found = load({}, home, work).settings
    one, two = (state_dir_for(work / name / ".artifacts", found, home) for name in "ab")
    assert one != two
    assert one.parent == Path(home["HOME"]) / ".local/state/mountfs"
    assert re.fullmatch(r"\.artifacts-[0-9a-f]{16}", one.name)


def test_xdg_state_home_holds_the_state_directories(home: dict[str, str], work: Path) -> None:
    found = load({}, home, work).settings
    assert state_dir_for(work, found, home | {"XDG_STATE_HOME": "/x"}).parent == Path("/x/mountfs")


def test_state_of_the_settings_is_the_state_directory(home: dict[str, str], work: Path) -> None:
    found = load({"state": "/var/lib/x"}, home, work).settings
    assert state_dir_for(work, found, home) == Path("/var/lib/x")


def test_the_longest_mountpoint_name_still_makes_a_directory_name(home: dict[str, str], work: Path) -> None:
    found = load({}, home, work).settings
    assert len(os.fsencode(state_dir_for(work / ("😀" * 63), found, home).name)) <= 255


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("100 MiB", 100 * 1024**2),
        ("20GiB", 20 * 1024**3),
        ("100 GB", 100 * 1000**3),
        ("1.5 kib", 1536),
        ("2T", 2 * 1024**4),
        ("7 B", 7),
        (12, 12),
    ],
)
def test_a_size_carries_its_unit(text: str | int, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "-1", "1 XB", "1e3", "MiB", "1 MiB 2", "9999 PiB", "٣", "1.5.1", "nan"])
def test_anything_else_is_no_size(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse_size(text)


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1))
def test_an_exact_size_reads_back(size_bytes: int) -> None:
    assert parse_size(exact_size(size_bytes)) == size_bytes


def test_a_size_for_eyes_is_rounded() -> None:
    assert [format_size(size) for size in (0, 1023, 1536, 3 * 1024**3)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "3.0 GiB",
    ]


@pytest.mark.parametrize(
    ("text", "duration"),
    [("30d", 2592000), ("12h", 43200), ("90", 90), ("1.5 min", 90), ("500ms", 0.5), (3, 3)],
)
def test_a_duration_carries_its_unit(text: str | float, duration: float) -> None:
    assert parse_duration_seconds(text) == duration


@pytest.mark.parametrize("text", ["", "-1s", "1 fortnight", "d", "inf", float("inf"), float("nan")])
def test_anything_else_is_no_duration(text: str | float) -> None:
    with pytest.raises(InvalidArgument):
        parse_duration_seconds(text)


@pytest.mark.parametrize("schedule", ["* * * * *", "*/5 0-6,22 1 1-12 7", "0 2 * * *"])
def test_five_fields_of_cron_are_a_schedule(schedule: str, home: dict[str, str], work: Path) -> None:
    assert load({"retention": {"schedule": schedule}}, home, work).settings.retention.schedule == schedule


@pytest.mark.parametrize("schedule", ["", "0 2 * *", "60 * * * *", "5-1 * * * *", "*/0 * * * *", "a * * * *"])
def test_anything_else_is_no_schedule(schedule: str, home: dict[str, str], work: Path) -> None:
    assert problems({"retention": {"schedule": schedule}}, home, work)


def test_importing_the_package_imports_neither_pydantic_nor_yaml() -> None:
    script = "import sys, mountfs.config, json; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"pydantic", "yaml", "pydantic_settings"}.isdisjoint(json.loads(answer.stdout))
