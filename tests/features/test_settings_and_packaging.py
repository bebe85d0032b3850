"""Promises F-155 to F-165 and F-181 to F-183: settings in their forms, and what is (not) needed to run."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest
import yaml

import mountfs
from mountfs.config import Settings, load_settings
from tests.features.conftest import Shell
from tests.mounting import Mounted

pytestmark = pytest.mark.usefixtures("unmeasured")


def test_json_settings_are_read_with_variables_filled_in(alone: Shell) -> None:
    """F-155: `config/storage.json`, as an older store had it."""
    (alone.directory / "config").mkdir()
    settings = {"state": "${STORE}/state", "compression": {"enabled": False}, "tags": {"team": "${TEAM}"}}
    (alone.directory / "config" / "storage.json").write_text(json.dumps(settings))
    store = {"STORE": str(alone.directory), "TEAM": "payments"}
    line = "seq 9999 > log; mountfs put J/build.log log --config config/storage.json"
    alone(line, environment=store)
    shown = json.loads(alone("mountfs show J/build.log --json --config config/storage.json", environment=store))
    assert (shown["codec"], shown["tags"]) == ("none", {"team": "payments"})
    assert (alone.directory / "state" / "catalog.db").exists()
    assert "${TEAM}" in alone(f"{line}", code=2, environment={"STORE": store["STORE"]})


def test_variables_of_the_environment_are_settings_of_any_command(alone: Shell) -> None:
    """F-157: every key has one; test_config.py goes through all of them."""
    said = {"MOUNTFS_STATE": str(alone.directory / "s"), "MOUNTFS_LIMITS__MAX_ARTIFACT_SIZE": "1KiB"}
    alone("echo small > f; mountfs put J/small f", environment=said)
    assert (alone.directory / "s" / "catalog.db").exists()
    assert "exceeds limit" in alone("head -c 2000 /dev/zero > f; mountfs put J/large f", code=4, environment=said)


def test_nothing_leaves_for_a_cloud_by_environment_alone(alone: Shell) -> None:
    """F-157, F-077: the names of AWS mean nothing by themselves; a backend named there needs a yes."""
    aws = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "us-east-1"}
    shown = yaml.safe_load(alone("mountfs config show", environment=aws))
    assert shown["storage"]["backend"] == "local"
    bucket = {"MOUNTFS_STORAGE__BACKEND": "s3", "MOUNTFS_STORAGE__S3__BUCKET": "my-artifacts"}
    assert "MOUNTFS_ALLOW_CLOUD" in alone("mountfs config show", code=2, environment=bucket)
    allowed = yaml.safe_load(alone("mountfs config show", environment={**bucket, "MOUNTFS_ALLOW_CLOUD": "true"}))
    assert allowed["storage"]["s3"]["region"] == "us-east-1"


def test_every_problem_of_the_settings_is_told_at_once(alone: Shell) -> None:
    """F-160: by line and key, with what is allowed; mounting with them says the same."""
    (alone.directory / "my.yml").write_text("compression: {level: 99}\nlimits: {quota: lots}\nretentoin: {}\n")
    said = alone("mountfs config check my.yml", code=2)
    for words in ("my.yml:1: compression.level", "my.yml:2: limits.quota", "did you mean retention"):
        assert words in said
    assert alone("mountfs mount out --config my.yml", code=2) == said
    assert not (alone.directory / "out").exists()


def test_the_example_shows_every_backend_commented(alone: Shell) -> None:
    """F-161, F-183: it is right as it is printed, and a store runs with it."""
    example = alone("mountfs config example | tee example.yml")
    for key in ("backend: local", "#s3:", "#bucket:", "#directory:", "#path:"):
        assert key in example
    assert alone("mountfs config check example.yml").endswith(": right\n")
    alone("echo x > f; mountfs put J/a f --config example.yml")
    assert alone("mountfs cat J/a --config example.yml") == "x\n"


WITHOUT_S3 = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("boto3", "botocore", "aiohttp"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
import mountfs, mountfs.aio, mountfs.daemon.serve
with mountfs.open_store({"state": sys.argv[1], "mountpoint": sys.argv[2]}) as store:
    store.put("J/a", b"x")
    assert store.get("J/a") == b"x"
"""


def test_a_local_store_needs_nothing_of_s3(tmp_path: Path) -> None:
    """F-163: neither configured nor imported by store, API or daemon."""
    command = [sys.executable, "-c", WITHOUT_S3, str(tmp_path / "state"), str(tmp_path / "mnt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_word_the_mount_is_at_dot_artifacts(tmp_path: Path, served: Mounted, shell: Shell) -> None:
    """F-165: the default of the settings, and where commands look from anywhere in the project."""
    assert load_settings(environ={"HOME": str(tmp_path)}, cwd=tmp_path).settings.mountpoint == tmp_path / ".artifacts"
    assert served.path.name == ".artifacts"
    assert json.loads(shell("mkdir -p deep/er; cd deep/er; mountfs status --json"))["mountpoint"] == str(served.path)


def test_the_version_is_one_everywhere(shell: Shell) -> None:
    """F-181."""
    assert mountfs.__version__ == importlib.metadata.version("mountfs")
    assert shell("mountfs --version") == f"mountfs {mountfs.__version__}\n"
    assert json.loads(shell("mountfs status --json"))["version"] == mountfs.__version__


def test_settings_are_a_typed_model(tmp_path: Path) -> None:
    """F-182: pydantic; the loaded value is what `open_store` takes, and its fields have types."""
    settings = load_settings(
        {"state": str(tmp_path / "s"), "mountpoint": str(tmp_path / "m"), "limits": {"quota": "1 GiB"}},
        environ={"HOME": os.fspath(tmp_path)},
        cwd=tmp_path,
    ).settings
    assert isinstance(settings, pydantic.BaseModel)
    assert isinstance(settings, Settings)
    assert settings.limits.quota == 1 << 30
    with pytest.raises(pydantic.ValidationError):
        settings.limits.quota = 0
    with mountfs.open_store(settings) as store:
        assert store.put("J/a", b"x").size == 1
