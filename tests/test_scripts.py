"""The two commands of the README, and what stands behind them, do what their first lines say.

What they do on a fresh machine is shown there (`scripts/start`, `scripts/test`); here is what can be shown
on any: what they refuse and how, that a repeat costs nothing, that the lock is whole and the unit sound. Each
script runs in a clone of its own with a PATH of its own, so that no test installs anything.
"""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parent.parent
SCRIPTS = [REPOSITORY / "scripts" / name for name in ("start", "test", "check", "install", "lock")]
SCRIPTS.append(REPOSITORY / ".ci" / "run")
UNIT = REPOSITORY / "systemd" / "mountfs@.service"

PROGRAMS_OF_EVERY_MACHINE = ("awk", "bash", "cat", "dirname", "env", "flock", "grep", "sha256sum", "tee")
PROGRAMS_OF_PACKAGES = ("fusermount3", "pkg-config", "gcc", "git", "getfattr")

GIVES_THE_SERVICE_A_MOUNT_NAMESPACE = {
    "BindPaths", "BindReadOnlyPaths", "DynamicUser", "ExecPaths", "InaccessiblePaths", "MountFlags",
    "NoExecPaths", "PrivateDevices", "PrivateIPC", "PrivateMounts", "PrivateTmp", "PrivateUsers",
    "ProcSubset", "ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernelLogs",
    "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "ReadOnlyPaths",
    "ReadWritePaths", "RootDirectory", "RootImage", "TemporaryFileSystem",
}  # fmt: skip


class Clone:
    """A directory with our scripts, on a machine that has just the programs a test gives it."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "clone"
        self.programs = directory / "programs"
        shutil.copytree(REPOSITORY / "scripts", self.root / "scripts")
        for name in ("pyproject.toml", "requirements.lock"):
            shutil.copy(REPOSITORY / name, self.root)
        self.programs.mkdir()
        for name in PROGRAMS_OF_EVERY_MACHINE:
            found = shutil.which(name)
            assert found, f"{name} belongs to every machine"
            (self.programs / name).symlink_to(found)
        self.os_release = directory / "os-release"
        self.fuse_device = Path(os.devnull)
        self.distribution("Debian GNU/Linux 12 (bookworm)", ID="debian", VERSION_ID="12")
        self.user_is(1000)

    def distribution(self, pretty_name: str, **fields: str) -> None:
        lines = [f'{key}="{value}"\n' for key, value in {"PRETTY_NAME": pretty_name, **fields}.items()]
        self.os_release.write_text("".join(lines))

    def user_is(self, uid: int) -> None:
        self.program("id", f'case "$1" in -un) echo somebody ;; *) echo {uid} ;; esac')

    def program(self, name: str, body: str = "exit 0") -> None:
        self.file(self.programs / name, body)

    def file(self, path: Path, body: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(f"#!{shutil.which('bash')}\n{body}\n")
        path.chmod(0o755)

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": str(self.programs),
            "MOUNTFS_TEST_OS_RELEASE": str(self.os_release),
            "MOUNTFS_TEST_FUSE_DEVICE": str(self.fuse_device),
        }
        command: Sequence[str] = [str(self.root / "scripts" / script), *arguments]
        return subprocess.run(
            command, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=60
        )


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


@pytest.fixture
def installed(clone: Clone) -> Clone:
    """A clone whose machine has every package, and whose Python writes down each call of pip."""
    for name in PROGRAMS_OF_PACKAGES:
        clone.program(name)
    clone.program("gcc", "cat >/dev/null")  # one that leaves its input unread would fail the pipe, now and then
    clone.file(clone.root / ".venv/bin/python", f'[ "$1" != -m ] || echo "$@" >>{clone.root}/python-calls')
    return clone


def python_calls(clone: Clone) -> list[str]:
    calls = clone.root / "python-calls"
    return calls.read_text().splitlines() if calls.exists() else []


def pip_calls(clone: Clone) -> list[str]:
    return [call for call in python_calls(clone) if call.startswith("-m pip ")]


def only_sentence(answer: subprocess.CompletedProcess[str]) -> str:
    """What was said on stderr, which must be one line, with nothing done before it."""
    assert answer.stdout == ""
    [line] = answer.stderr.splitlines()
    return line


# --- the shell ---


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_script_can_be_run_and_parsed(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.fail("shellcheck is missing, so the scripts are unchecked; scripts/install --dev installs it")
    answer = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert answer.stdout == ""


def test_no_script_names_where_packages_come_from() -> None:
    for script in SCRIPTS:
        assert "index-url=" not in script.read_text()
        assert not re.search(r"https?://", script.read_text())


# --- scripts/install ---


def test_without_any_python_it_says_which_one_to_install(clone: Clone) -> None:
    clone.distribution("Fedora Linux 42", ID="fedora", VERSION_ID="42")
    answer = clone.run("install")
    assert answer.returncode == 1
    assert "needs Python 3.11 or later" in only_sentence(answer)


def test_a_python_that_is_too_old_does_not_count(clone: Clone) -> None:
    clone.distribution("Fedora Linux 42", ID="fedora", VERSION_ID="42")
    clone.program("python3", 'case "$2" in *version_info*) exit 1 ;; esac')
    assert "needs Python 3.11 or later" in only_sentence(clone.run("install"))


def test_an_unknown_distribution_is_told_what_is_missing(clone: Clone) -> None:
    clone.distribution("Fedora Linux 42", ID="fedora", VERSION_ID="42")
    clone.program("python3.12", "echo python3.12")
    answer = clone.run("install")
    assert answer.returncode == 1
    sentence = only_sentence(answer)
    assert "Fedora Linux 42" in sentence
    assert "fuse3 pkg-config gcc git attr libfuse3-dev libc6-dev" in sentence


@pytest.mark.parametrize(("name", "version"), [("debian", "11"), ("ubuntu", "20.04")])
def test_a_release_that_is_too_old_counts_as_unknown(clone: Clone, name: str, version: str) -> None:
    clone.distribution(f"{name} {version}", ID=name, VERSION_ID=version)
    clone.program("python3.12", "echo python3.12")
    assert "knows the packages of Debian (12 or later)" in only_sentence(clone.run("install"))


def test_without_root_or_sudo_it_names_the_line_to_run(clone: Clone) -> None:
    clone.program("apt-get")
    answer = clone.run("install")
    assert answer.returncode == 1
    assert "'apt-get install --yes --no-install-recommends fuse3 " in only_sentence(answer)


def test_ubuntu_2204_gets_the_python_beside_its_own(clone: Clone) -> None:
    clone.distribution("Ubuntu 22.04.5 LTS", ID="ubuntu", VERSION_ID="22.04")
    clone.program("apt-get")
    assert "python3.11 python3.11-venv python3.11-dev" in only_sentence(clone.run("install"))


@pytest.mark.parametrize("uid", [0, 1000], ids=["root", "sudo"])
def test_a_failing_apt_get_is_shown_and_ends_it(clone: Clone, uid: int) -> None:
    clone.user_is(uid)
    clone.program("sudo", 'shift; [ "$1" = true ] || exec "$@"')
    clone.program("apt-get", "echo E: no such package; exit 100")
    answer = clone.run("install")
    assert answer.returncode == 1
    assert "E: no such package" in answer.stderr
    assert "'apt-get update' failed" in answer.stderr


def test_what_is_tested_with_is_missing_only_with_dev(installed: Clone) -> None:
    installed.program("apt-get")
    assert installed.run("install").returncode == 0
    wanted = "curl jq unzip zstd rsync fio stress-ng sqlite3 vim-tiny psmisc acl strace make"
    assert wanted in installed.run("install", "--dev").stderr


def test_what_reads_a_bucket_without_mountfs_is_missing_only_with_s3(installed: Clone) -> None:
    installed.program("apt-get")
    assert installed.run("install").returncode == 0
    assert "recommends curl jq unzip zstd' as root" in only_sentence(installed.run("install", "--s3"))


def test_start_asks_for_what_it_is_going_to_show(clone: Clone) -> None:
    clone.file(clone.root / "scripts/install", 'echo "installed $*"; exit 3')
    assert clone.run("start").stdout == "installed \n"
    answer = clone.run("start", "--s3")
    assert (answer.returncode, answer.stdout) == (3, "installed --s3\n")


def test_everything_is_installed_by_hash_and_built_with_pinned_tools(installed: Clone) -> None:
    answer = installed.run("install")
    assert answer.returncode == 0, answer.stderr
    tools, packages, ourselves = pip_calls(installed)
    assert "--require-hashes --no-deps" in tools
    assert "--require-hashes --no-build-isolation --requirement requirements.lock" in packages
    assert ourselves.endswith("install --no-deps --no-build-isolation --editable .")


def test_a_second_install_does_and_says_nothing(installed: Clone) -> None:
    installed.run("install")
    calls = pip_calls(installed)
    answer = installed.run("install")
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert pip_calls(installed) == calls


def test_an_install_leaves_nothing_to_compile(installed: Clone) -> None:
    """Commands take half the time, also where nothing may write beside the modules."""
    installed.run("install")
    assert python_calls(installed)[-1] == "-m compileall -q mountfs"


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_again(installed: Clone, name: str) -> None:
    installed.run("install")
    with (installed.root / name).open("a") as file:
        file.write("# changed\n")
    installed.run("install")
    assert len(pip_calls(installed)) == 6


def test_without_the_fuse_device_it_says_what_to_do_and_exits_3(installed: Clone) -> None:
    installed.run("install")
    installed.fuse_device = installed.root / "no-such-device"
    answer = installed.run("install")
    assert answer.returncode == 3
    sentence = only_sentence(answer)
    assert "modprobe fuse" in sentence
    assert "--device /dev/fuse --cap-add SYS_ADMIN --security-opt apparmor=unconfined" in sentence


def test_a_fuse_device_that_cannot_be_opened_is_said_too(installed: Clone) -> None:
    installed.run("install")
    installed.fuse_device = installed.root
    answer = installed.run("install")
    assert answer.returncode == 3
    assert "somebody may not open" in only_sentence(answer)


@pytest.mark.parametrize("words", [("install", "--fast"), ("start", "--fast"), ("start", "--s3", "--s3-stop")])
def test_an_unknown_argument_is_refused_before_anything_is_done(clone: Clone, words: tuple[str, ...]) -> None:
    answer = clone.run(*words)
    assert answer.returncode == 2
    assert "usage:" in only_sentence(answer)


# --- scripts/test and scripts/check ---


def test_the_gate_runs_where_only_the_fuse_device_is_missing(clone: Clone) -> None:
    clone.file(clone.root / "scripts/install", "exit 3")
    clone.file(clone.root / "scripts/check", 'echo "checked $*"')
    assert clone.run("test", "-k", "codec").stdout == "checked -k codec\n"


def test_the_gate_does_not_run_on_a_half_installed_clone(clone: Clone) -> None:
    clone.file(clone.root / "scripts/install", "exit 1")
    clone.file(clone.root / "scripts/check", "echo checked")
    answer = clone.run("test")
    assert (answer.returncode, answer.stdout) == (1, "")


def gate_of(clone: Clone, **exits: int) -> subprocess.CompletedProcess[str]:
    for tool in ("ruff", "mypy", "lint-imports", "pytest"):
        clone.file(clone.root / ".venv/bin" / tool, f"echo ran {tool} $@; exit {exits.get(tool, 0)}")
    return clone.run("check", "-k", "codec")


def test_the_gate_passes_its_arguments_to_pytest_and_asks_for_90_percent(clone: Clone) -> None:
    answer = gate_of(clone)
    assert answer.returncode == 0
    assert re.search(r"^ran pytest .*--cov-branch .*--cov-fail-under=90 -k codec$", answer.stdout, re.MULTILINE)


def test_all_static_stages_run_before_a_failed_one_ends_the_gate(clone: Clone) -> None:
    answer = gate_of(clone, mypy=1)
    assert answer.returncode == 1
    assert "ran lint-imports" in answer.stdout
    assert "ran pytest" not in answer.stdout
    assert answer.stderr.splitlines()[-1] == "scripts/check: failed: types"


def test_failing_tests_fail_the_gate(clone: Clone) -> None:
    assert gate_of(clone, pytest=1).returncode == 1


# --- requirements.lock ---


def locked_versions() -> dict[str, str]:
    text = (REPOSITORY / "requirements.lock").read_text()
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE)
    }


def test_every_locked_package_has_a_hash_and_no_address() -> None:
    text = (REPOSITORY / "requirements.lock").read_text()
    entries = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked_versions())
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


def test_the_lock_holds_everything_pyproject_asks_for() -> None:
    pyproject = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wanted = [
        *pyproject["build-system"]["requires"],
        *pyproject["project"]["dependencies"],
        *(line for extra in pyproject["project"]["optional-dependencies"].values() for line in extra),
        "pip",
        "wheel",
    ]
    locked = locked_versions()
    for requirement in map(Requirement, wanted):
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not locked; run scripts/lock"
        assert requirement.specifier.contains(version), f"{requirement} but {version} is locked; run scripts/lock"


# --- the unit ---


def unit_settings() -> list[tuple[str, str]]:
    lines = [line for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is missing, so the unit is unchecked; scripts/install --dev installs it")
    program = Clone(tmp_path).programs / "env"  # any program there is: the installed place is the administrator's
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/mountfs", str(program)))
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    complaints = [line for line in answer.stderr.splitlines() if "mountfs@" in line]
    assert (answer.returncode, complaints) == (0, [])


def test_nothing_in_the_unit_hides_the_mount_from_everybody_else() -> None:
    assert {key for key, _ in unit_settings()} & GIVES_THE_SERVICE_A_MOUNT_NAMESPACE == set()


def test_the_unit_lets_the_device_through() -> None:
    assert ("DeviceAllow", "/dev/fuse rw") in unit_settings()
    assert "CAP_SYS_ADMIN" in dict(unit_settings())["CapabilityBoundingSet"]


def test_each_service_keeps_its_store_in_a_state_directory_of_its_own() -> None:
    assert ("Environment", "MOUNTFS_STATE=%S/mountfs/%i") in unit_settings()
    assert ("StateDirectory", "mountfs/%i") in unit_settings()
