"""What README.md says is so: its first screen is run, and what it names exists.

The first screen runs in a clone, with a mountpoint, state and home of its own and the packages of this environment.
"""

import ast
import contextlib
import functools
import inspect
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

import mountfs
from mountfs import aio, errors, namespace
from mountfs.api import ArtifactStore, open_store
from mountfs.cli import COMMANDS
from mountfs.config import load_settings
from mountfs.config.fields import field_at
from tests.mounting import REPOSITORY, is_mounted, require_fuse, wait_until_unmounted

pytestmark = pytest.mark.usefixtures("unmeasured")

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
LINE_SECONDS = 120
UNMOUNT_SECONDS = 30
COMPLAINT = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b|^Traceback |^Fatal Python error", re.MULTILINE)

OLDER_CALLS = """
store upload upload_artifact store_action_artifact store_deal_artifact retrieve download download_artifact get_artifact
get_stream exists artifact_exists delete delete_artifact list list_artifacts get_metadata get_artifact_metadata get_size
get_url get_artifact_url generate_uri get_action_storage_key build_key normalize_key _dataroom_root
resolve_action_artifact_dir get_artifact_store get_action_artifact_store get_artifact_storage get_storage_stats
get_compression_stats StorageFactory.create ArtifactStorageFactory.create_backend
"""


def section(title: str) -> str:
    """The text below one heading."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found is not None, f"README.md has no section {title!r}"
    return found[1]


def codes(text: str) -> list[str]:
    """Everything between single backticks, without line breaks."""
    return [re.sub(r"\s+", " ", code) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]


# -- the first screen -------------------------------------------------------------------------------------


def first_screen() -> list[str]:
    """The command lines of the first block of code."""
    block = re.search(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert block[1] == "console"
    return [line.removeprefix("$ ") for line in block[2].splitlines() if line.startswith("$ ")]


@dataclass(frozen=True)
class Said:
    """One command line and what came of it."""

    line: str
    code: int
    out: str
    err: str


class Visitor:
    """Somebody who cloned the repository and types what the README says."""

    def __init__(self, directory: Path) -> None:
        self.clone = directory / "clone"
        self.place = self.clone / "tests" / "sample_project"
        self.mountpoint = self.place / ".artifacts"
        self.state_home = directory / "state"
        strange = ("MOUNTFS_", "XDG_", "GIT_", "PYTEST_", "COV_", "COVERAGE_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
        self.environment = {
            **kept,
            "HOME": str(directory / "home"),
            "XDG_STATE_HOME": str(self.state_home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def clones(self) -> None:
        """`python -m pytest` is then typed in the small project of the clone: ours would run this test again."""
        (self.state_home.parent / "home").mkdir()
        command = ["git", "clone", "--quiet", str(REPOSITORY), str(self.clone)]
        subprocess.run(command, check=True, capture_output=True, env=self.environment, timeout=LINE_SECONDS)

    def types(self, line: str, *, pipe: int | None = None) -> Said:
        """Run one line in a shell; `pipe` is a descriptor that every program of the line holds open."""
        shell = subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=self.place,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=() if pipe is None else (pipe,),
        )
        try:
            out, err = shell.communicate(timeout=LINE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(shell.pid, signal.SIGKILL)
            raise
        return Said(line, shell.returncode, out, err)

    def log(self) -> str:
        [log] = self.state_home.glob("mountfs/*/log")
        return log.read_text(errors="replace")


# Waits for a line, or for the end of everybody who holds the pipe: the tests and all they started in the
# foreground. The daemon is whoever holds the lock of a state directory that only this test knows.
WATCHDOG = """
import os, pathlib, signal, subprocess, sys
from mountfs.statedir import StateDirectory
mountpoint, state_home = map(pathlib.Path, sys.argv[1:])
print("watching", flush=True)
sys.stdin.readline()
for state in state_home.glob("mountfs/*"):
    if (pid := StateDirectory(state).holder()) is not None:
        os.kill(pid, signal.SIGKILL)
if os.path.ismount(mountpoint) or not os.access(mountpoint, os.F_OK):
    subprocess.run(["fusermount3", "-u", "-z", str(mountpoint)], stderr=subprocess.DEVNULL)
"""


@contextlib.contextmanager
def watched(visitor: Visitor) -> Iterator[int]:
    """Whatever happens in the block, and to this process, nothing stays mounted or running. Yields the pipe."""
    watchdog = subprocess.Popen(
        [sys.executable, "-c", WATCHDOG, str(visitor.mountpoint), str(visitor.state_home)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with watchdog:
        assert watchdog.stdin is not None
        assert watchdog.stdout is not None
        assert watchdog.stdout.readline() == b"watching\n"
        try:
            yield watchdog.stdin.fileno()
        finally:
            watchdog.communicate(b"\n", timeout=UNMOUNT_SECONDS)
            gone = wait_until_unmounted(visitor.mountpoint, timeout_seconds=UNMOUNT_SECONDS)
    assert gone, f"{visitor.mountpoint} is still mounted"


@dataclass(frozen=True)
class Visit:
    """What the first screen said, and whether it left the mount behind."""

    said: list[Said]
    still_mounted: bool
    visitor: Visitor


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """The first screen, typed line by line as far as the lines work."""
    require_fuse()
    visitor = Visitor(tmp_path_factory.mktemp("readme"))
    visitor.clones()
    said: list[Said] = []
    with watched(visitor) as pipe:
        for line in first_screen():
            said.append(visitor.types(line, pipe=pipe))
            if said[-1].code != 0:
                break
        still_mounted = is_mounted(visitor.mountpoint)
    return Visit(said, still_mounted, visitor)


def test_every_line_of_the_first_screen_works(visit: Visit) -> None:
    assert [(said.line, said.code, said.err) for said in visit.said if said.code != 0] == []
    assert [said.line for said in visit.said] == first_screen()


def test_the_first_screen_leaves_nothing_mounted(visit: Visit) -> None:
    assert not visit.still_mounted


def test_the_daemon_of_the_first_screen_has_nothing_to_complain_about(visit: Visit) -> None:
    assert [line for line in visit.visitor.log().splitlines() if COMPLAINT.search(line)] == []


def test_what_the_first_screen_prints_is_true(visit: Visit) -> None:
    """What was listed and hashed then is what the store holds now."""
    out = {said.line: said.out for said in visit.said}
    listed = next(text.split() for line, text in out.items() if "list" in line and "--paths" in line)
    digest = next(text for line, text in out.items() if line.startswith("getfattr"))
    held = visit.visitor.types("mountfs cat build-7/junit.xml | sha256sum").out.split()[0]
    assert digest == held
    job = visit.visitor.mountpoint / "build-7"
    assert listed == [str(job / "junit.xml"), str(job / "pytest.log")]
    assert " passed" in visit.visitor.types("mountfs cat build-7/pytest.log").out
    assert visit.visitor.types("mountfs tag build-7").out.split() == ["branch", "main", "status", "success"]


def test_a_run_that_fails_halfway_leaves_nothing_mounted(tmp_path: Path) -> None:
    """The promise of `watched`: the README's mount is gone also when a test of it fails."""
    require_fuse()
    visitor = Visitor(tmp_path)
    visitor.clones()

    def fails_halfway() -> None:
        with watched(visitor) as pipe:
            assert visitor.types(first_screen()[0], pipe=pipe).code == 0
            assert is_mounted(visitor.mountpoint)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_halfway()
    assert not is_mounted(visitor.mountpoint)


def test_a_run_that_is_killed_leaves_nothing_mounted(tmp_path: Path) -> None:
    require_fuse()
    visitor = Visitor(tmp_path)
    visitor.clones()
    killed = f"""
import os, pathlib, signal
from tests.test_readme import Visitor, first_screen, watched
visitor = Visitor(pathlib.Path({str(tmp_path)!r}))
with watched(visitor) as pipe:
    assert visitor.types(first_screen()[0], pipe=pipe).code == 0
    print("mounted", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", killed], cwd=REPOSITORY, capture_output=True, timeout=LINE_SECONDS)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"mounted\n"), done.stderr
    assert wait_until_unmounted(visitor.mountpoint, timeout_seconds=UNMOUNT_SECONDS)


# -- what is named exists ---------------------------------------------------------------------------------


def commands() -> list[str]:
    """The list that opens the section of the commands."""
    listed = next(code for code in codes(section("Commands")) if " · " in code)
    return listed.removeprefix("mountfs ").split(" · ")


@pytest.mark.parametrize("name", commands())
def test_every_command_exists_and_its_help_ends_with_its_exit_codes(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mountfs.cli", name, "--help"], capture_output=True, text=True, timeout=LINE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert "Exit codes: 0 " in done.stdout.strip().split("\n\n")[-1]


def test_every_command_is_named() -> None:
    assert set(commands()) == set(COMMANDS) - {"ls"}  # the same as list


def test_commands_that_are_shown_exist_or_are_said_to_come() -> None:
    shown = {code.split()[1] for code in codes(README) if code.startswith("mountfs ")}
    coming = {code.split()[1] for code in re.findall(r"`(mountfs [^`]+)`[^.]*come next", README)}
    assert shown - coming <= set(COMMANDS)
    assert coming.isdisjoint(COMMANDS)


def test_every_exit_code_that_an_error_can_end_with_is_explained() -> None:
    listed = re.search(r"^Exit codes: (.*?)\n\n", section("Commands"), re.MULTILINE | re.DOTALL)
    assert listed is not None
    explained = {int(part.split()[0]) for part in listed[1].split(" · ")}
    raised = {kind.exit_code for kind in vars(errors).values() if inspect.isclass(kind) and hasattr(kind, "exit_code")}
    assert raised <= explained


def older_calls() -> list[tuple[str, str]]:
    """The rows of the table: what one knew, and what it is here."""
    rows = [line.strip("| ").split(" | ") for line in section("From Python").splitlines() if line.startswith("| ")]
    return [(known, here) for known, here in rows if known != "you knew"]


@pytest.mark.parametrize("call", [code for _, here in older_calls() for code in codes(here)])
def test_every_call_of_the_table_of_older_calls_exists(call: str) -> None:
    expression = ast.parse(call, mode="eval").body
    if isinstance(expression, ast.Attribute) and isinstance(expression.value, ast.Call):
        assert expression.attr in {field.name for field in fields(mountfs.Artifact)}
        expression = expression.value
    if not isinstance(expression, ast.Call):
        assert hasattr(mountfs, ast.unparse(expression).removeprefix("mountfs."))
        return
    name = ast.unparse(expression.func).removeprefix("mountfs.")
    function = getattr(mountfs, name, None) or getattr(ArtifactStore, name)
    own = [] if hasattr(mountfs, name) else [None]
    words = {str(keyword.arg): None for keyword in expression.keywords}
    inspect.signature(function).bind(*own, *expression.args, **words)


def test_every_older_call_is_in_the_table() -> None:
    """F-017."""
    named = {re.split(r"\(", code)[0] for known, _ in older_calls() for code in codes(known)}
    assert set(OLDER_CALLS.split()) - named == set()


def test_the_calls_of_the_store_exist_for_sync_and_async_callers() -> None:
    """F-181: the public API as the README lists it."""
    listed = next(code for code in codes(section("From Python")) if code.startswith("put get ")).split()
    for kind in (ArtifactStore, aio.AsyncArtifactStore):
        assert [name for name in listed if not callable(getattr(kind, name, None))] == []
    assert open_store is mountfs.open_store


def test_settings_that_are_named_are_accepted(tmp_path: Path) -> None:
    keys = [code for code in codes(section("Settings")) if re.fullmatch(r"[a-z_]+\.[a-z_]+", code)]
    keys = [key for key in keys if not key.endswith(".yml")]
    assert keys
    for key in keys:
        assert field_at(tuple(key.split("."))) != (None, ()), key
        assert field_at(tuple(key.split(".")))[0] is not None, key
    variables = dict(code.split("=", 1) for code in codes(README) if re.match(r"MOUNTFS_\w+=", code))
    assert variables
    load_settings(environ={"HOME": str(tmp_path), **variables}, cwd=tmp_path)


def test_facts_and_types_that_are_named_are_known() -> None:
    text = section("What is where")
    facts = next(code for code in codes(text) if code.startswith("sha256 ")).split()
    assert set(facts) <= namespace.FACTS
    told = re.findall(r"`([^`]+)` is `([a-z-]+)`", text)
    assert told
    for name, slug in told:
        path = name.replace("*", "x").replace("…", "index.html")
        assert namespace.TypeRules().type_of(tuple(os.fsencode(path).split(b"/")), explicit=None) == slug


def test_files_and_scripts_that_are_named_exist() -> None:
    named = {code.split()[0] for code in codes(README) if re.match(r"(scripts|systemd|mountfs|tests)/\S", code)}
    assert [name for name in sorted(named) if not (REPOSITORY / name).is_file()] == []
    scripts = [name for name in named if name.startswith("scripts/")]
    assert [name for name in scripts if not os.access(REPOSITORY / name, os.X_OK)] == []


# -- the map of the promises ------------------------------------------------------------------------------

MAP = (REPOSITORY / "tests" / "README.md").read_text(encoding="utf-8")
SHOWN = [
    *(*range(1, 31), *range(33, 52), 53, 54, *range(60, 70), *range(73, 80), *range(81, 134), *range(135, 139)),
    *(155, 157, 160, 161, 163, 165, 166, 177, 178, *range(181, 188), 189, 190),
]
OLDER_LISTS = {"What S0's test list asked": 44, "The scenarios of the document store": 11}


def promises() -> dict[str, list[str]]:
    """Each promise and the tests that show it, as `file::name`."""
    rows = re.findall(r"^\| (F-\d{3}) \|[^|]*\| (.*) \|$", MAP, re.MULTILINE)
    return {promise: re.findall(r"`([^`]+::[^`]+)`", tests) for promise, tests in rows}


@functools.cache
def names_in(file: str) -> set[str]:
    """The names of the tests of one file, without importing it."""
    tree = ast.parse((REPOSITORY / "tests" / file).read_text(encoding="utf-8"))
    found = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {name for name in found if name.startswith("test_")}


def test_every_promise_of_this_version_is_in_the_map_with_a_test() -> None:
    assert sorted(promise for promise, tests in promises().items() if tests) == [f"F-{n:03}" for n in SHOWN]


@pytest.mark.parametrize(("title", "count"), OLDER_LISTS.items())
def test_the_lists_of_older_stores_are_whole(title: str, count: int) -> None:
    """F-189, F-190: each of what they asked for, the promise it belongs to, and a test."""
    text = MAP.split(f"\n### {title}\n")[1].split("\n#")[0]
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| (F-\d{3}) \| `[^`]+::[^`]+`.* \|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, count + 1))


def test_every_test_of_the_map_exists() -> None:
    named = sorted(set(re.findall(r"`([^`]+::[^`]+)`", MAP)))
    missing = []
    for test in named:
        file, _, name = test.partition("::")
        if not (REPOSITORY / "tests" / file).is_file() or name not in names_in(file):
            missing.append(test)
    assert missing == []


def test_places_that_the_tests_readme_names_exist() -> None:
    named = {code.split("::")[0] for code in codes(MAP) if re.match(r"(tests|scripts)/\S+$", code)}
    assert [name for name in sorted(named) if not (REPOSITORY / name).exists()] == []
