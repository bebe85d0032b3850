"""The settings of retention: presets with the numbers their users knew, and policies that cannot be meant."""

from pathlib import Path

import pytest

from mountfs.config import Loaded, load_settings
from mountfs.config.presets import PRESETS
from mountfs.errors import ConfigError
from mountfs.retention import Policy

HOME = {"HOME": "/nonexistent"}
MIB = 1024**2


def load(said: dict[str, object], tmp_path: Path) -> Loaded:
    return load_settings(said, environ=HOME, cwd=tmp_path)


def preset(name: str, tmp_path: Path) -> Loaded:
    return load({"preset": name}, tmp_path)


def test_qe_summary_keeps_30_days_and_the_latest_10_and_cleans_at_two(tmp_path: Path) -> None:
    found = preset("qe-summary", tmp_path).settings
    assert found.retention.policy() == Policy(default_ttl_days=30, keep_latest_n=10)
    assert (found.retention.schedule, found.limits.max_artifact_size) == ("0 2 * * *", 100 * MIB)


def test_qe_fleet_keeps_90_days_and_the_latest_100_with_days_by_type(tmp_path: Path) -> None:
    found = preset("qe-fleet", tmp_path).settings
    assert found.retention.policy() == Policy(
        default_ttl_days=90,
        types={"test-results": 30, "coverage-report": 90, "security-findings": 365},
        keep_latest_n=100,
    )
    assert found.limits.max_artifact_size == 0


def test_agent_keeps_diffs_logs_and_tests_for_their_days_within_100_gb(tmp_path: Path) -> None:
    found = preset("agent", tmp_path).settings
    assert found.retention.policy() == Policy(types={"diff": 30, "build-logs": 7, "test-results": 14})
    assert (found.limits.quota, found.limits.warn_threshold) == (100 * 1000**3, 0.8)


def test_signed_limits_artifacts_to_100_mib_and_wants_signatures(tmp_path: Path) -> None:
    found = preset("signed", tmp_path).settings
    assert (found.limits.max_artifact_size, found.signing.require) == (100 * MIB, True)
    assert not found.retention.policy().has_limit


def test_documents_never_expire(tmp_path: Path) -> None:
    policy = preset("documents", tmp_path).settings.retention.policy()
    assert (policy.has_limit, policy.keep_latest_n) == (False, 0)


def test_without_settings_nothing_expires(tmp_path: Path) -> None:
    assert load({}, tmp_path).settings.retention.policy() == Policy()


@pytest.mark.parametrize("name", PRESETS)
def test_no_preset_raises_a_doubt(name: str, tmp_path: Path) -> None:
    assert preset(name, tmp_path).warnings == ()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"retention": {"group_by": ["type", "type"]}}, "retention.group_by: names type 2 times; allowed: each once"),
        (
            {"retention": {"keep_latest_n": 3, "group_by": ["job"]}},
            "retention.group_by: job: N counts jobs, so that in groups of one job none ever goes; allowed: type, and"
            " keys of tags such as branch",
        ),
        (
            {"retention": {"schedule": "0 0 */20 * 1L"}},
            "retention.schedule: '0 0 */20 * 1L' never comes; allowed: a day that some month has",
        ),
        (
            {"retention": {"schedule": "0 2 * *"}},
            "retention.schedule: '0 2 * *' is not a schedule; allowed: the five fields of cron, such as \"0 2 * * *\"",
        ),
        (
            {
                "storage": {"backend": "directory", "directory": {"path": "/mnt/x"}},
                "sync": {"settle_max_seconds": "1d"},
                "retention": {"default_ttl_days": 9, "types": {"log": 1}},
            },
            "retention.types.build-logs: 1 day are over before a job is sent to the bucket (sync.settle_max_seconds)",
        ),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(said: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(said, tmp_path)
    assert caught.value.problems == [f"settings: {sentence}"]
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"retention": {"keep_latest_n": 10}}, "keep_latest_n: 10 keeps nothing from going"),
        ({"retention": {"default_ttl_days": 2}}, "let it run more often"),
        ({"retention": {"default_ttl_days": 30}, "trash_days": 0}, "what expires cannot be restored"),
        ({"limits": {"quota": "1 GB", "max_artifact_size": "2 GB"}}, "the quota refuses such an artifact"),
    ],
)
def test_a_doubtful_policy_is_accepted_and_pointed_out(said: dict[str, object], words: str, tmp_path: Path) -> None:
    (warning,) = load(said, tmp_path).warnings
    assert words in warning
