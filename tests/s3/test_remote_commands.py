"""Setting up a bucket: checked, made, given a lifecycle and policies; and each thing that is wrong with one told."""

import json
from pathlib import Path

import pytest

from mountfs.config.schema import S3
from mountfs.remote.bucket import S3Remote
from mountfs.remote.policy import ROLES, Role, dangers, lifecycle_rule, policy, with_rule
from tests.faults.proxy import Proxy
from tests.s3.program import Program, storage_of
from tests.servers import Weed

DAY_MS = 86_400_000


@pytest.fixture
def program(tmp_path: Path, remote_settings: S3) -> Program:
    return Program(tmp_path / "here", storage_of(remote_settings))


def problems(found: list[dict[str, object]]) -> dict[str, str]:
    return {str(line["check"]): f"{line['saw']} → {line['advice']}" for line in found if line["level"] == "problem"}


def checks(found: list[dict[str, object]]) -> dict[str, str]:
    return {str(line["check"]): str(line["level"]) for line in found}


# -- check --------------------------------------------------------------------------------------------------------


def test_check_says_that_an_empty_prefix_holds_no_store_and_create_makes_one(program: Program) -> None:
    found = program.json("remote", "check", code=2)
    assert "--create" in problems(found)["store"]
    made = program.json("remote", "check", "--create")
    assert set(checks(made).values()) == {"ok"}
    assert {"bucket", "clock", "store", "grace", "read", "write", "delete", "capabilities"} <= checks(made).keys()
    again = program.json("remote", "check")
    assert checks(again) == checks(made)


def test_check_leaves_nothing_behind(program: Program, remote_settings: S3) -> None:
    program("remote", "check", "--create")
    remote = S3Remote(remote_settings)
    assert [found.key for found in remote.list("").objects] == ["mountfs.json"]
    remote.close()


def test_create_makes_a_bucket_that_does_not_exist(program: Program, remote_settings: S3) -> None:
    name = f"new-{remote_settings.prefix.rstrip('/')[-8:]}"
    program.configure(storage=storage_of(remote_settings, bucket=name))
    assert "does not exist" in problems(program.json("remote", "check", code=6))["bucket"]
    assert set(checks(program.json("remote", "check", "--create")).values()) == {"ok"}


def test_credentials_that_may_nothing_are_told_with_what_to_grant(program: Program, weed: Weed) -> None:
    done = program.run("remote", "check", **weed.denied_environment())
    assert done.returncode == 6
    assert "mountfs remote policy" in done.stdout


def test_a_wrong_secret_is_told(program: Program) -> None:
    done = program.run("remote", "check", AWS_SECRET_ACCESS_KEY="wrong")
    assert done.returncode == 6
    assert "the secret key is wrong" in done.stdout


def test_a_bucket_that_does_not_answer_ends_with_5(program: Program, remote_settings: S3, proxy: Proxy) -> None:
    program.configure(storage=storage_of(remote_settings, endpoint_url="http://127.0.0.1:9"))
    assert "no answer" in problems(program.json("remote", "check", code=5))["bucket"]


def test_another_store_than_the_one_known_here_is_a_problem(program: Program, remote_settings: S3) -> None:
    program("remote", "check", "--create")
    program.put("job/file", b"content")
    program("flush")
    program.configure(storage=storage_of(remote_settings, prefix=f"other-{remote_settings.prefix}"))
    found = program.json("remote", "check", "--create", code=2)
    assert "this machine knows" in problems(found)["store"]


def test_a_newer_format_is_told(program: Program, remote_settings: S3) -> None:
    remote = S3Remote(remote_settings)
    remote.put("mountfs.json", json.dumps({"format": 99, "store": "0" * 32, "grace_seconds": 3600}).encode())
    remote.close()
    assert "upgrade" in problems(program.json("remote", "check", code=2))["store"]


def test_a_grace_that_differs_from_the_settings_is_a_warning(program: Program) -> None:
    program("remote", "check", "--create")
    program.configure(trash_days=30)
    found = program.json("remote", "check")
    assert checks(found)["grace"] == "warning"


def test_check_reads_only_when_asked(program: Program, proxy: Proxy, remote_settings: S3) -> None:
    program("remote", "check", "--create")
    program.configure(storage=storage_of(remote_settings, endpoint_url=proxy.endpoint_url))
    program("remote", "check", "--read-only")
    assert {method for method, _ in proxy.counted()} <= {"GET", "HEAD"}


def test_a_directory_is_checked_and_made_too(tmp_path: Path) -> None:
    program = Program(tmp_path / "here", {"backend": "directory", "directory": {"path": str(tmp_path / "share")}})
    assert problems(program.json("remote", "check", code=5))
    found = program.json("remote", "check", "--create")
    assert set(checks(found).values()) == {"ok"}


def test_without_a_remote_there_is_nothing_to_check(tmp_path: Path) -> None:
    program = Program(tmp_path / "here", {"backend": "local"})
    assert "storage.backend" in program("remote", "check", code=2)


# -- lifecycle ------------------------------------------------------------------------------------------------------


def test_the_lifecycle_ends_unfinished_uploads_after_the_grace_and_nothing_else(program: Program) -> None:
    program.configure(trash_days=12)
    program("remote", "check", "--create")
    (rule,) = json.loads(program("remote", "lifecycle"))["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 12}
    assert rule.keys() == {"ID", "Status", "Filter", "AbortIncompleteMultipartUpload"}


def test_apply_sets_it_and_check_sees_it(program: Program, remote_settings: S3) -> None:
    name = f"lifecycle-{remote_settings.prefix.rstrip('/')[-8:]}"
    program.configure(storage=storage_of(remote_settings, bucket=name))
    program("remote", "check", "--create")
    assert "lifecycle" not in checks(program.json("remote", "check"))
    program("remote", "lifecycle", "--apply")
    assert checks(program.json("remote", "check"))["lifecycle"] == "ok"


def test_part_of_a_day_is_rounded_up() -> None:
    assert lifecycle_rule("", grace_ms=3_600_000)["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert lifecycle_rule("", grace_ms=DAY_MS + 1)["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}


def test_setting_ours_keeps_the_rules_of_others() -> None:
    theirs = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}}
    once = with_rule([theirs], lifecycle_rule("qe/", grace_ms=7 * DAY_MS))
    twice = with_rule(once, lifecycle_rule("qe/", grace_ms=9 * DAY_MS))
    assert [rule["ID"] for rule in twice] == ["logs", "mountfs: unfinished uploads qe/"]
    assert twice[1]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 9}


@pytest.mark.parametrize("prefix", ["", "qe/", "qe/jobs/", "q"])
def test_a_rule_that_deletes_by_age_below_our_prefix_is_a_danger(prefix: str) -> None:
    rule = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": 30}}
    assert dangers([rule], "qe/")
    assert not dangers([rule | {"Status": "Disabled"}], "qe/")


def test_rules_elsewhere_and_harmless_ones_are_no_danger() -> None:
    elsewhere = {"Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
    tagged = {"Status": "Enabled", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Days": 30}}
    markers = {"Status": "Enabled", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}}
    assert dangers([elsewhere, tagged, markers, lifecycle_rule("qe/", grace_ms=DAY_MS)], "qe/") == []


def test_archives_that_cannot_be_read_are_a_danger() -> None:
    rule = {"Status": "Enabled", "Filter": {}, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}
    assert "GLACIER" in dangers([rule], "qe/")[0]


# -- policy -----------------------------------------------------------------------------------------------------------


def statements(role: Role, **settings: object) -> list[dict[str, object]]:
    found = policy(S3(bucket="artifacts", prefix="qe/", **settings), role)["Statement"]  # type: ignore[arg-type]
    assert isinstance(found, list)
    return found


def granted(role: Role) -> set[str]:
    actions: set[str] = set()
    for statement in statements(role):
        said = statement["Action"]
        actions |= {said} if isinstance(said, str) else set(said)  # type: ignore[call-overload]
    return actions


def test_only_the_maintainer_may_delete() -> None:
    assert {role for role in ROLES if "s3:DeleteObject" in granted(role)} == {"maintainer"}


def test_a_reader_only_reads() -> None:
    assert granted("reader") == {"s3:ListBucket", "s3:GetObject"}


def test_nobody_gets_more_than_the_prefix() -> None:
    for role in ROLES:
        for statement in statements(role):
            said = statement["Resource"]
            for resource in said if isinstance(said, list) else [str(said)]:
                assert resource == "arn:aws:s3:::artifacts" or resource.startswith("arn:aws:s3:::artifacts/qe/")


def test_a_runner_cannot_touch_the_description_of_the_store() -> None:
    written = [s["Resource"] for s in statements("runner") if s["Action"] == "s3:PutObject"]
    assert "mountfs.json" not in json.dumps(written)


def test_encryption_by_a_key_service_is_granted_too() -> None:
    assert "kms:GenerateDataKey" in json.dumps(statements("runner", sse="aws:kms"))
    assert "kms:GenerateDataKey" not in json.dumps(statements("reader", sse="aws:kms"))


def test_the_policy_is_printed_as_json(program: Program) -> None:
    found = json.loads(program("remote", "policy", "--role", "runner"))
    assert found["Version"] == "2012-10-17"


def test_a_directory_has_no_policies(tmp_path: Path) -> None:
    program = Program(tmp_path / "here", {"backend": "directory", "directory": {"path": str(tmp_path / "share")}})
    assert "only s3" in program("remote", "policy", "--role", "runner", code=2)
