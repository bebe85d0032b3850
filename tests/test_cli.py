"""The command line as users call it: the real program, its output and its exit codes.

First without a mount, where the store is opened directly; then with daemons that `mountfs mount` starts.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mountfs.cli import COMMANDS
from mountfs.daemon import client, mountpoint, unmount
from mountfs.daemon.mountpoint import our_mounts
from mountfs.errors import EnvironmentProblem
from mountfs.statedir import StateDirectory
from tests.mounting import is_mounted, require_fuse, wait_until_unmounted

SECONDS = 60
PIPE_BYTES = 1 << 20  # at most, unless root asks for more
SLACK_SECONDS = 20  # what a busy machine may add
BLOCK = """
import runpy, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyfuse3", "trio"):
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
runpy.run_module("mountfs.cli", run_name="__main__", alter_sys=True)
"""


class Program:
    """`mountfs`, called in a directory of the test's own with a home of its own."""

    def __init__(self, directory: Path, *, blocked: bool = False) -> None:
        self.directory = directory
        home = directory.parent / "home"
        home.mkdir(exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MOUNTFS_", "XDG_"))}
        self.environment = {**kept, "HOME": str(home), "COLUMNS": "100"}
        self.environment.pop("CI", None)
        self._start = [sys.executable, "-c", BLOCK] if blocked else [sys.executable, "-m", "mountfs.cli"]

    def run(
        self, *arguments: str | Path, stdin: bytes = b"", cwd: Path | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [*self._start, *(str(argument) for argument in arguments)],
            input=stdin,
            capture_output=True,
            cwd=cwd or self.directory,
            env={**self.environment, **environment},
            timeout=SECONDS,
            check=False,
        )
        out, err = (raw.decode("utf-8", "surrogateescape") for raw in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def __call__(self, *arguments: str | Path, stdin: bytes = b"", code: int = 0, cwd: Path | None = None) -> str:
        """What a command prints; it ends with `code`, and complains only when that is not 0."""
        done = self.run(*arguments, stdin=stdin, cwd=cwd)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        if code:
            assert not done.stdout
            return done.stderr
        return done.stdout

    def json(self, *arguments: str | Path, code: int = 0) -> list[dict[str, object]]:
        """What a command with `--json` prints."""
        done = self.run(*arguments, "--json")
        assert done.returncode == code, done.stderr
        lines: list[dict[str, object]] = [json.loads(line) for line in done.stdout.splitlines()]
        assert all(line.pop("schema") == 1 for line in lines)
        return lines


@pytest.fixture
def here(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


@pytest.fixture
def mountfs(here: Path) -> Program:
    """Nothing is mounted, and neither pyfuse3 nor trio can be imported."""
    return Program(here, blocked=True)


@pytest.fixture
def program(here: Path) -> Program:
    return Program(here)


@pytest.fixture
def mounts(here: Path) -> Iterator[Program]:
    """The program where it may mount; whatever it mounted in its directory is gone afterwards."""
    require_fuse()
    mountfs = Program(here)
    try:
        yield mountfs
    finally:
        for mount in our_mounts():
            if mount.mountpoint.is_relative_to(here):
                _end(mountfs, mount.mountpoint)


def _end(mountfs: Program, path: Path) -> None:
    done = mountfs.run("umount", path, "--timeout", "20")
    if done.returncode != 0:
        subprocess.run(["fusermount3", "-u", "-z", str(path)], check=False)
        pytest.fail(f"a mount was left behind: {done.stderr}")


# -- a store without a mount ------------------------------------------------------------------------------


def test_what_was_put_is_listed_shown_and_printed(mountfs: Program, here: Path) -> None:
    """F-001, F-003, F-010, F-032, F-051."""
    (here / "junit.xml").write_text("<testsuite/>\n" * 1000)
    said = mountfs(
        "put", "b-7/junit.xml", "junit.xml", "--tag", "branch=main", "--metadata", '{"pr": 12, "more": {"a": 1}}'
    )
    assert re.fullmatch(r"b-7/junit\.xml: 12\.7 KiB, stored \d\d B\n", said)
    assert mountfs("cat", "b-7/junit.xml") == (here / "junit.xml").read_text()
    [listed] = mountfs.json("list")
    [shown] = mountfs.json("show", "b-7/junit.xml")
    assert listed == shown
    assert shown["tags"] == {"branch": "main", "pr": "12"}
    assert shown["metadata"] == {"pr": 12, "more": {"a": 1}}
    assert (shown["type"], shown["size"], shown["codec"]) == ("test-results", 13000, "zstd")
    facts = mountfs("show", "b-7/junit.xml")
    assert str(shown["sha256"]) in facts
    assert re.search(r"^tag branch +main$", facts, re.MULTILINE)


def test_stdin_can_be_put(mountfs: Program) -> None:
    mountfs("put", "J/build.log", "-", "--expires", "+7d", stdin=b"line\n")
    assert mountfs("cat", "J/build.log") == "line\n"
    assert mountfs.json("show", "J/build.log")[0]["expires_at"] is not None


def test_a_dry_run_stores_nothing_and_estimates(mountfs: Program) -> None:
    """F-050."""
    assert "would take about" in mountfs("put", "J/a", "-", "--dry-run", stdin=b"a" * 100_000)
    mountfs("list", code=3)


def test_exists_answers_by_its_exit_code(mountfs: Program) -> None:
    """F-005."""
    mountfs("put", "J/a", "-", stdin=b"x")
    assert mountfs("exists", "J/a") == mountfs("exists", "J") == ""
    assert mountfs("exists", "J/b", code=3) == ""


def test_get_copies_a_file_or_a_whole_directory(mountfs: Program, here: Path) -> None:
    """F-003, F-186."""
    mountfs("put", "J/cov/index.html", "-", stdin=b"<html>")
    mountfs("put", "J/cov/sub/a.css", "-", stdin=b"a{}")
    mountfs("get", "J/cov/index.html")
    assert (here / "index.html").read_text() == "<html>"
    mountfs("get", "J/cov", "-o", "report")
    assert (here / "report" / "sub" / "a.css").read_text() == "a{}"
    (here / "into").mkdir()
    mountfs("get", "J", "-o", "into")
    assert (here / "into" / "J" / "cov" / "index.html").read_text() == "<html>"
    assert mountfs("get", "J/cov/index.html", "-o", "-") == "<html>"
    assert "not found: J/none" in mountfs("get", "J/none", code=3)


def test_list_filters_by_type_tag_and_prefix(mountfs: Program) -> None:
    """F-044, F-008."""
    for key, tag in (("A/junit.xml", "branch=main"), ("A/x.log", "branch=dev"), ("B/junit.xml", "branch=dev")):
        mountfs("put", key, "-", "--tag", tag, stdin=b"x")
    columns = [line.split("\t") for line in mountfs("list").splitlines()]
    assert [row[0] for row in columns] == ["B/junit.xml", "A/x.log", "A/junit.xml"]  # the newest first
    assert _keys(mountfs.json("ls", "A")) == ["A/junit.xml", "A/x.log"]
    assert _keys(mountfs.json("list", "--type", "junit")) == ["B/junit.xml", "A/junit.xml"]
    assert _keys(mountfs.json("list", "--tag", "branch=dev", "--type", "test-results")) == ["B/junit.xml"]
    assert _keys(mountfs.json("list", "--tag", "branch", "--sort", "job")) == ["A/junit.xml", "A/x.log", "B/junit.xml"]
    done = mountfs.run("list", "--limit", "2")
    assert len(done.stdout.splitlines()) == 2
    assert "there are more than 2" in done.stderr
    assert "not found: C" in mountfs("list", "C", code=3)


HOSTILE = "J/a\x1b[31mred\n::error::log.log"


def test_control_characters_reach_no_log_of_a_ci_job(mounts: Program) -> None:
    """It is no terminal, and obeys them; a line that a name begins may be taken for a command (`::error::`)."""
    mounts("mount")
    mounts("put", HOSTILE, "-", "--tag", "who=\x1b]0;me\x07", "--metadata", '{"a\\u001b": "b\\nc"}', stdin=b"x")
    mounts("tag", "J", "branch=\x1b[2J\n::stop::")
    texts = [
        mounts(*arguments)
        for arguments in (
            ("list",), ("find", "branch"), ("show", HOSTILE), ("tag", HOSTILE), ("stats", "--by", "branch"),
            ("stats", "--by", "job"), ("cleanup", "--type", "log", "--branch", "\x1b[2J\n::stop::", "--dry-run"),
            ("cleanup", "--type", "log", "--kept", "--dry-run"), ("delete", HOSTILE, "--dry-run"),
            ("trend", "size"), ("delete", HOSTILE), ("trash", "list"), ("restore", HOSTILE),
        )
    ]  # fmt: skip
    for text in texts:
        assert not [
            line for line in text.splitlines() if line.startswith("::") or not line.replace("\t", "").isprintable()
        ]
    assert sum(r"J/a\x1b[31mred\n::error::log.log" in text for text in texts) > 5
    assert sum(r"\x1b[2J\n::stop::" in text for text in texts) > 3


def test_a_name_with_an_escape_sequence_is_whole_as_a_path_in_a_pipe(mounts: Program, here: Path) -> None:
    """And in JSON: what is for programs is what it is."""
    mounts("mount")
    mounts("put", HOSTILE, "-", stdin=b"x")
    assert mounts("list", "--paths") == f"{here}/.artifacts/{HOSTILE}\n"
    assert mounts("list", "--paths", "-z") == f"{here}/.artifacts/{HOSTILE}\0"
    assert _keys(mounts.json("list")) == [HOSTILE]


def _keys(rows: list[dict[str, object]]) -> list[object]:
    return [row["key"] for row in rows]


def test_tags_are_set_shown_and_taken_away(mountfs: Program) -> None:
    """F-089, F-090."""
    mountfs("put", "J/a", "-", stdin=b"x")
    mountfs("tag", "J", "branch=main", "nightly")
    mountfs("tag", "J/a", "env=prod")
    assert mountfs("tag", "J/a") == 'branch   main\nenv      prod\nnightly  ""\n'
    mountfs("tag", "J/a", "--remove", "env")
    assert "env" not in mountfs("tag", "J/a")
    mountfs("tag", "J/a", "--remove", "env", code=3)
    assert "1024" in mountfs("tag", "J/a", f"k={'x' * 2048}", code=4)
    mountfs("tag", "J/none", "a=b", code=3)


def test_delete_prints_what_goes(mountfs: Program) -> None:
    """F-006."""
    for name in ("a", "b/c"):
        mountfs("put", f"J/{name}", "-", stdin=b"x")
    assert mountfs("delete", "J", "--dry-run") == "would delete J/a\nwould delete J/b/c\n"
    assert mountfs("delete", "J/b") == "delete J/b/c\n"
    assert "not found: J/x" in mountfs("delete", "J/a", "J/x", code=3)
    assert mountfs("exists", "J/a") == ""
    mountfs("delete", "J")
    mountfs("exists", "J", code=3)


def test_stats_say_what_is_stored_and_saved(mountfs: Program) -> None:
    """F-011, F-061."""
    mountfs("put", "J/a.log", "-", stdin=b"line\n" * 20_000)
    [stats] = mountfs.json("stats", "--compression")
    assert (stats["jobs"], stats["artifacts"], stats["size_bytes"]) == (1, 1, 100_000)
    types = stats["types"]
    assert isinstance(types, dict)
    assert types["build-logs"]["compressed"] == 1
    assert re.search(r"^stored +\d+ B \(100% saved\)$", mountfs("stats"), re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("put", "J/../x", "-"), 2, "'..' is not a name"),
        (("put", "x", "-"), 2, "the root holds jobs only"),
        (("put", "/etc/x", "-"), 2, "outside the mount"),
        (("put", ".latest/x", "-"), 4, "reserved for views"),
        (("put", "J/" + "x" * 256, "-"), 2, "allowed: up to 255"),
        (("put", "J/x", "no-such-file"), 3, "not found: no-such-file"),
        (("put", "J/x", "."), 4, "is a directory"),
        (("put", "J/x", "-", "--type", "nonsense"), 2, "is not a type"),
        (("put", "J/x", "-", "--metadata", "{"), 2, "not JSON"),
        (("put", "J/x", "-", "--expires", "soon"), 2, "is not a time"),
        (("cat", "J/none"), 3, "there is no store"),
        (("status",), 3, "nothing is mounted"),
        (("umount",), 3, "is not mounted"),
        (("umount", "/"), 3, "is not mounted"),
        (("list", "--limit", "many"), 2, "is not a valid integer"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_an_exit_code(
    program: Program, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """Bad input: F-019 and the table of errors."""
    assert sentence in program(*arguments, code=code)


def test_a_limit_is_an_exit_code_too(mountfs: Program, here: Path) -> None:
    """F-130, F-131."""
    (here / "my.yml").write_text(f"state: {here}/state\nlimits: {{max_artifact_size: 1 KiB}}\n")
    assert "exceeds limit" in mountfs("put", "J/a", "-", "--config", "my.yml", stdin=b"x" * 2000, code=4)
    (here / "my.yml").write_text(f"state: {here}/state\nlimits: {{quota: 1 KiB}}\n")
    assert "quota" in mountfs("put", "J/a", "-", "--config", "my.yml", stdin=b"x" * 2000, code=5)
    assert mountfs("list", "--config", "my.yml", "--limit", "0") == ""


def test_every_command_says_what_it_does_and_its_exit_codes(program: Program) -> None:
    listed = program("--help")
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S", listed, re.MULTILINE), name
        help_text = program(name, "--help")
        assert "Exit codes: 0 " in help_text, name
        assert "Usage: mountfs" in help_text


def test_help_imports_nothing_heavy(program: Program) -> None:
    """Under 0.3 s: what takes long is not even looked at."""
    code = (
        "import sys; from mountfs.cli import run; run(['--help']);"
        "print(*{'pydantic','yaml','sqlite3','rich','trio','zstandard','pyfuse3','asyncio'} & set(sys.modules))"
    )
    unmeasured = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}  # coverage brings sqlite3 along
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=SECONDS, env=unmeasured
    )
    assert done.stdout.splitlines()[-1] == ""


def test_the_version_is_printed(program: Program) -> None:
    assert re.fullmatch(r"mountfs \d+\.\d+\.\d+\n", program("--version"))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(program: Program, shell: str) -> None:
    assert "_MOUNTFS_COMPLETE" in program("completion", shell)


def test_completion_completes(program: Program) -> None:
    done = program.run(_MOUNTFS_COMPLETE="bash_complete", COMP_WORDS="mountfs sta", COMP_CWORD="1")
    assert done.stdout.splitlines() == ["plain,status", "plain,stats"]


def test_a_reader_that_has_enough_is_no_error(program: Program) -> None:
    program("put", "J/a", "-", stdin=b"x" * 3_000_000)
    pipe = subprocess.Popen(
        [sys.executable, "-m", "mountfs.cli", "cat", "J/a"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=program.directory,
        env=program.environment,
    )
    with pipe:
        assert pipe.stdout is not None
        assert pipe.stderr is not None
        assert pipe.stdout.read(1) == b"x"
        pipe.stdout.close()
        assert pipe.stderr.read() == b""
        assert pipe.wait(SECONDS) == 141


def _in_shell(program: Program, script: str) -> "subprocess.CompletedProcess[bytes]":
    """A shell in which `mountfs` is the program."""
    start = f'mountfs() {{ "{sys.executable}" -m mountfs.cli "$@"; }}; '
    return subprocess.run(
        ["bash", "-c", start + script],
        cwd=program.directory,
        env=program.environment,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("script", "code", "sentence"),
    [
        ("mountfs cat J/a >/dev/full", 5, b"stdout cannot be written: No space left on device"),
        ("mountfs list >/dev/full", 5, b"stdout cannot be written: No space left on device"),
        ("mountfs list --json >&-", 6, b"stdout cannot be written: Bad file descriptor"),
        ("mountfs put J/b - <&-", 6, b"stdin is closed: there is nothing to read"),
    ],
)
def test_a_stream_that_does_not_work_is_one_sentence(program: Program, script: str, code: int, sentence: bytes) -> None:
    program("put", "J/a", "-", stdin=b"x" * 3_000_000)
    done = _in_shell(program, script)
    assert (done.returncode, done.stderr) == (code, b"mountfs: " + sentence + b"\n")


def test_control_characters_do_not_reach_the_terminal_in_a_sentence(mountfs: Program) -> None:
    mountfs("put", "J/a", "-", stdin=b"x")
    for arguments in (("get", "J/no\x1b\apepper"), ("list", "J", "no\x1b\apepper"), ("no\x1b\apepper",)):
        done = mountfs.run(*arguments)
        assert r"no\x1b\x07pepper" in done.stderr


def test_paths_can_end_with_nul(mounts: Program, here: Path) -> None:
    mounts("mount")
    mounts("put", "J/a\nb", "-", stdin=b"x")
    mounts("put", "J/c", "-", stdin=b"x")
    listed = mounts("list", "--paths", "--null").split("\0")
    assert sorted(listed) == ["", f"{here}/.artifacts/J/a\nb", f"{here}/.artifacts/J/c"]


def test_a_state_directory_of_another_user_is_named(
    program: Program, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may open everything: what another user hears is said to us here."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("mountfs.daemon.client.os.open", refuse)
        with pytest.raises(EnvironmentProblem, match="belongs to another user: run this as that user"):
            client.ask(here, "status")


def test_ctrl_c_ends_with_130(program: Program) -> None:
    # What was started in the background of a script ignores SIGINT, and so would all that it starts.
    arguments = ["env", "--default-signal=INT", sys.executable, "-m", "mountfs.cli", "put", "J/a", "-"]
    waiting = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=program.directory, env=program.environment
    )
    with waiting:
        assert waiting.stdin is not None
        assert waiting.stderr is not None
        waiting.stdin.write(bytes(PIPE_BYTES + 1))
        waiting.stdin.flush()  # more than the pipe holds has gone in: it is being stored
        assert _interrupted(waiting) == 130
        assert waiting.stderr.read().strip() == b""
    assert program("list", "--limit", "0") == ""


def _interrupted(waiting: "subprocess.Popen[bytes]") -> int:
    """Its exit code after Ctrl-C, pressed again where it came right before a read: Python does not notice that one."""
    for _ in range(3):
        waiting.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return waiting.wait(SECONDS / 4)
    return waiting.wait(SECONDS / 4)


def _holder_of(state: Path) -> int | None:
    try:
        return StateDirectory(state).holder()
    except ValueError:
        return None


def _await(happened: Callable[[], object]) -> None:
    """Return once it is so; a test that waits in vain fails."""
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_a_bug_is_a_sentence_and_a_traceback_on_request(program: Program) -> None:
    broken = "import mountfs.cli, mountfs.cli.where as w; w.Where.place = lambda s: 1/0; mountfs.cli.main()"
    for level, traceback in (("info", False), ("debug", True)):
        done = subprocess.run(
            [sys.executable, "-c", broken, "status"],
            capture_output=True,
            text=True,
            env={**program.environment, "MOUNTFS_LOG": level},
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 70
        assert "mountfs: this is a bug: ZeroDivisionError" in done.stderr
        assert ("Traceback" in done.stderr) == traceback


# -- settings ---------------------------------------------------------------------------------------------


def test_the_example_is_right_and_can_be_shown(program: Program, here: Path) -> None:
    """F-161."""
    (here / "my.yml").write_text(program("config", "example"))
    assert program("config", "check", "my.yml").endswith(": right\n")
    assert "compression:" in program("config", "show", "my.yml")


def test_every_problem_of_a_settings_file_is_named_at_once(program: Program, here: Path) -> None:
    """F-160."""
    (here / "my.yml").write_text("compresion: {}\nlimits: {quota: much}\n")
    said = program("config", "check", "my.yml", code=2)
    assert "my.yml:1: compresion: unknown key, did you mean compression?" in said
    assert "my.yml:2: limits.quota" in said
    assert program("put", "J/a", "-", "--config", "my.yml", code=2) == said


def test_a_strangers_settings_are_refused_until_trusted(program: Program, here: Path) -> None:
    (here / "mountfs.yml").write_text(f"state: {here.parent}/s\n")
    assert "mountfs config trust" in program("put", "J/a", "-", code=2)
    program("config", "trust", "mountfs.yml")
    program("put", "J/a", "-", stdin=b"x")
    assert (here.parent / "s" / "catalog.db").exists()
    program("config", "trust", "--remove", "mountfs.yml")
    program("list", code=2)


def test_the_store_is_found_from_below_the_settings(program: Program, here: Path) -> None:
    (here / "mountfs.yml").write_text("mountpoint: out\n")
    (here / "deep" / "er").mkdir(parents=True)
    program("put", "J/a", "-", stdin=b"x")
    assert _keys([json.loads(program("list", "--json", cwd=here / "deep" / "er"))]) == ["J/a"]


# -- doctor -----------------------------------------------------------------------------------------------


def test_doctor_finds_nothing_where_mounts_work(mounts: Program) -> None:
    """F-152."""
    done = mounts.run("doctor", "--json")
    findings = {finding["check"]: finding for finding in map(json.loads, done.stdout.splitlines())}
    for check in ("/dev/fuse", "fusermount3", "versions", "state directory", "disk", "catalog"):
        assert findings[check]["level"] in ("ok", "warning"), findings[check]
    assert "mounts" in findings  # a dead mount of somebody else's test is a problem, and not ours
    assert "ok       /dev/fuse: can be opened" in mounts.run("doctor").stdout


def test_doctor_names_a_damaged_catalog(program: Program, here: Path) -> None:
    program("put", "J/a", "-", "--state", here / "s", stdin=b"x")
    (here / "s" / "catalog.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    done = program.run("doctor", "--state", here / "s")
    assert done.returncode == 1
    assert re.search(r"^problem +catalog: .*damaged", done.stdout, re.MULTILINE)
    assert "damaged" in program("list", "--state", here / "s", code=7)


# -- with a mount -----------------------------------------------------------------------------------------


def test_mount_returns_when_the_mount_answers_and_umount_when_the_daemon_has_ended(mounts: Program, here: Path) -> None:
    assert mounts("mount") == f"mounted {here}/.artifacts\n"
    [status] = mounts.json("status")
    pid = int(str(status["pid"]))
    assert os.getsid(pid) == pid  # a session of its own
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1)} == {"/dev/null"}
    assert "memory" in mounts("status")
    (here / ".artifacts" / "J").mkdir()
    (here / ".artifacts" / "J" / "a.txt").write_text("hello")
    assert mounts("umount", "--wait") == f"unmounted {here}/.artifacts\n"
    assert not Path(f"/proc/{pid}").exists() or _is_zombie(pid)
    assert os.listdir(here / ".artifacts") == []
    assert (here / ".artifacts").stat().st_mode & 0o777 == 0o555
    assert mounts("cat", "J/a.txt") == "hello"


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    return True


def test_all_commands_work_on_a_mount(mounts: Program, here: Path) -> None:
    """DESIGN §7: reads beside the daemon, writes through the mount, from wherever one stands."""
    mounts("mount")
    job = here / ".artifacts" / "J"
    (job / "deep").mkdir(parents=True)
    (job / "deep" / "build.log").write_text("line\n" * 10_000)
    mounts("put", "J/b.txt", "-", "--tag", "k=v", stdin=b"b")
    assert (job / "b.txt").read_text() == "b"
    assert os.getxattr(job / "b.txt", "user.k") == b"v"
    assert _keys(mounts.json("list")) == ["J/b.txt", "J/deep/build.log"]
    assert all(row["sha256"] for row in mounts.json("list"))
    assert mounts("list", "J/deep", "--paths") == f"{job}/deep/build.log\n"
    assert mounts("cat", ".artifacts/J/b.txt") == "b"
    assert mounts("cat", "b.txt", cwd=job) == mounts("cat", "J/b.txt", cwd=job) == "b"
    mounts("tag", "J", "branch=main")
    assert mounts.json("show", "J/b.txt")[0]["tags"] == {"branch": "main", "k": "v"}
    mounts("get", "J", "-o", "copy")
    assert (here / "copy" / "deep" / "build.log").read_text() == "line\n" * 10_000
    assert mounts.json("stats")[0]["artifacts"] == 2
    assert mounts("delete", "J/deep") == "delete J/deep/build.log\n"
    assert os.listdir(job) == ["b.txt"]
    mounts("exists", "J/deep", code=3)


def test_a_mount_is_found_with_its_state_wherever_that_is(mounts: Program, here: Path) -> None:
    state = here.parent / "odd, \\ state"
    mounts("mount", "here", "--state", state)
    (here / "here" / "J" / "sub").mkdir(parents=True)
    (here / "here" / "J" / "a").write_text("x")
    assert _keys(mounts.json("list", "--mount", "here")) == ["J/a"]
    assert _keys(mounts.json("list", "--state", state)) == ["J/a"]
    assert mounts("cat", "J/a", cwd=here / "here" / "J" / "sub") == "x"
    done = mounts.run("list", "--paths", cwd=Path("/"), MOUNTFS_MOUNT=str(here / "here"))
    assert done.stdout == f"{here}/here/J/a\n"
    mounts("umount", "--mount", "here")


def test_refusals_are_shown_with_program_and_sentence(mounts: Program, here: Path) -> None:
    mounts("mount")
    done = subprocess.run(["touch", here / ".artifacts" / "file"], capture_output=True, check=False)
    assert done.returncode != 0
    assert re.search(r"refused .*  touch \(pid \d+\)  create: file: the root holds jobs only", mounts("status"))
    [status] = mounts.json("status")
    refusals = status["refusals"]
    assert isinstance(refusals, list)
    assert refusals[-1]["error"] == "Protected"


def test_a_busy_mount_stays_and_the_message_says_who(mounts: Program, here: Path) -> None:
    mounts("mount")
    (here / ".artifacts" / "J").mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", "f = open('a', 'w'); print('open', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=here / ".artifacts" / "J",
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        said = mounts("umount", code=8)
        assert f"(pid {holder.pid}) works in {here}/.artifacts/J" in said
        assert f"(pid {holder.pid}) has open {here}/.artifacts/J/a" in said
        assert is_mounted(here / ".artifacts")
        holder.communicate(b"\n")
    mounts("umount")


def test_a_second_mount_is_refused_with_the_pid(mounts: Program, here: Path) -> None:
    mounts("mount", "one", "--state", here.parent / "s")
    [status] = mounts.json("status", "--mount", "one")
    assert f"is mounted already, by process {status['pid']}" in mounts("mount", "one", code=8)
    said = mounts("mount", "two", "--state", here.parent / "s", code=8)
    assert f"in use by process {status['pid']}" in said
    assert not (here / "two").exists()


def test_a_directory_with_content_is_refused_or_adopted(mounts: Program, here: Path) -> None:
    job = here / "out" / "J"
    (job / "sub").mkdir(parents=True)
    (job / "run.sh").write_text("#!/bin/sh\n")
    (job / "run.sh").chmod(0o755)
    os.utime(job / "run.sh", ns=(1_500_000_000_123_456_789,) * 2)
    os.setxattr(job / "run.sh", "user.branch", b"main")
    (job / "sub" / "large.bin").write_bytes(os.urandom(3_000_000))
    (job / "link").symlink_to("sub/large.bin")
    large = (job / "sub" / "large.bin").read_bytes()
    assert "--adopt" in mounts("mount", "out", code=4)
    (here / "out" / "loose.txt").write_text("x")
    assert f"{here}/out/loose.txt" in mounts("mount", "out", "--adopt", code=4)
    (here / "out" / "loose.txt").unlink()
    mounts("mount", "out", "--adopt")
    assert (job / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (job / "run.sh").stat().st_mtime_ns == 1_500_000_000_123_456_789
    assert os.getxattr(job / "run.sh", "user.branch") == b"main"
    assert os.readlink(job / "link") == "sub/large.bin"
    assert (job / "link").read_bytes() == large
    mounts("umount", "out")
    assert os.listdir(here / "out") == []


def test_an_adoption_that_was_cut_off_can_be_run_again(mounts: Program, here: Path) -> None:
    """What is in the store already, with the same content, is no conflict; anything else is, and nothing goes."""
    (here / "out" / "J").mkdir(parents=True)
    (here / "out" / "J" / "same").write_text("same")
    (here / "out" / "J" / "other").write_text("one")
    mounts("put", "J/same", "-", "--mount", "out", stdin=b"same")
    mounts("put", "J/other", "-", "--mount", "out", stdin=b"two")
    assert "the store holds something else" in mounts("mount", "out", "--adopt", code=4)
    assert sorted(os.listdir(here / "out" / "J")) == ["other", "same"]
    mounts("delete", "J/other", "--mount", "out")
    mounts("mount", "out", "--adopt")
    assert (here / "out" / "J" / "other").read_text() == "one"


def test_what_can_be_no_artifact_is_named_before_anything_is_moved(mounts: Program, here: Path) -> None:
    (here / "out" / "J").mkdir(parents=True)
    os.mkfifo(here / "out" / "J" / "pipe")
    assert f"{here}/out/J/pipe" in mounts("mount", "out", "--adopt", code=4)


def test_a_dead_mount_is_cleared_by_the_next_one(mounts: Program, here: Path) -> None:
    mounts("mount")
    (here / ".artifacts" / "J").mkdir()
    (here / ".artifacts" / "J" / "a").write_text("closed before the end")
    [status] = mounts.json("status")
    os.kill(int(str(status["pid"])), signal.SIGKILL)
    _await(lambda: _holder_of(Path(str(status["state"]))) is None)
    assert "its daemon has died" in mounts("status", code=3)
    findings = [finding for finding in mounts.json("doctor", code=1) if finding["check"] == "mounts"]
    assert any(f"the daemon of {here}/.artifacts has died" in str(finding["saw"]) for finding in findings)
    assert mounts("cat", "J/a") == "closed before the end"
    mounts("mount")
    assert (here / ".artifacts" / "J" / "a").read_text() == "closed before the end"


def test_a_dead_mount_can_be_unmounted(mounts: Program, here: Path) -> None:
    mounts("mount")
    [status] = mounts.json("status")
    os.kill(int(str(status["pid"])), signal.SIGKILL)
    _await(lambda: _holder_of(Path(str(status["state"]))) is None)
    mounts("umount")
    assert wait_until_unmounted(here / ".artifacts", timeout_seconds=5)


def test_a_daemon_that_hangs_is_named_and_hangs_nobody(mounts: Program, here: Path) -> None:
    mounts("mount")
    [status] = mounts.json("status")
    pid = int(str(status["pid"]))
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert f"by process {pid}, which does not answer" in mounts("mount", here / ".artifacts", code=8)
        saw = [str(finding["saw"]) for finding in mounts.json("doctor", code=1)]
        assert f"the daemon of {here}/.artifacts (pid {pid}) does not answer" in saw
        assert f"the daemon (pid {pid}) does not answer: " in mounts("list", "--mount", ".artifacts", code=5)
        before = time.monotonic()
        assert f"process {pid} is still busy" in mounts("umount", ".artifacts", "--timeout", "8", code=5)
        assert time.monotonic() - before < 8 + SLACK_SECONDS
        assert time.monotonic() - began < 40 + SLACK_SECONDS
    finally:
        os.kill(pid, signal.SIGCONT)
    _await(lambda: _holder_of(Path(str(status["state"]))) is None)


def test_a_mountpoint_may_be_named_by_a_symlink(mounts: Program, here: Path) -> None:
    (here / "real").mkdir()
    (here / "link").symlink_to("real")
    assert mounts("mount", "link") == f"mounted {here}/real\n"
    assert "is mounted already" in mounts("mount", "real", code=8)
    assert mounts("umount", "link") == f"unmounted {here}/real\n"


def test_a_mountpoint_that_is_no_text_is_refused_early(mounts: Program, here: Path) -> None:
    said = mounts("mount", os.fsdecode(b"bad\xff"), code=2)
    assert r"bad\udcff is not UTF-8" in said
    assert os.listdir(here) == []


def test_a_mount_that_was_busy_for_a_moment_is_unmounted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["target is busy", "target is busy", ""])
    monkeypatch.setattr(mountpoint, "unmount", lambda *_, **__: next(answers))
    monkeypatch.setattr(mountpoint, "health", lambda *_, **__: mountpoint.Health.ALIVE)
    monkeypatch.setattr(unmount, "users_of", lambda _: [])
    monkeypatch.setattr(unmount, "_await_end", lambda *_: None)
    unmount.unmount_and_wait(mountpoint.Mount(Path("/m"), Path("/s")), settled=False, timeout_seconds=30)
    assert next(answers, None) is None


def test_git_does_not_see_the_mountpoint(mounts: Program, here: Path) -> None:
    """DESIGN §7: said once, also in a linked work tree, where .git is a file."""
    git = shutil.which("git")
    assert git is not None

    def run(*arguments: str, cwd: Path) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            [git, *identity, *arguments], cwd=cwd, capture_output=True, text=True, check=True, env=mounts.environment
        ).stdout

    repository = here / "repository"
    repository.mkdir()
    run("init", "-q", ".", cwd=repository)
    run("commit", "-q", "--allow-empty", "-m", "first", cwd=repository)
    run("worktree", "add", "-q", str(here / "linked"), cwd=repository)
    for tree in (repository, here / "linked"):
        done = mounts.run("mount", cwd=tree)
        assert ("git ignores .artifacts/" in done.stderr) == (tree == repository)
        (tree / ".artifacts" / "J").mkdir()
        (tree / ".artifacts" / "J" / "a").write_text("x")
        assert run("status", "--porcelain", cwd=tree) == ""
        mounts("umount", cwd=tree)
    again = mounts.run("mount", cwd=repository)
    assert again.stderr == ""
    mounts("umount", cwd=repository)
    left = mounts.run("mount", "other", "--no-git-exclude", cwd=repository)
    assert left.stderr == ""
    assert "/other/" not in (repository / ".git" / "info" / "exclude").read_text()
    mounts("umount", "other", cwd=repository)


def test_a_mount_that_fails_says_why_and_leaves_nothing(mounts: Program, here: Path) -> None:
    state = here.parent / "s"
    mounts("put", "J/a", "-", "--state", state, stdin=b"x")
    (state / "catalog.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    before = (state / "catalog.db").read_bytes()
    assert "is damaged" in mounts("mount", "--state", state, code=7)
    assert (state / "catalog.db").read_bytes() == before
    assert not (here / ".artifacts").exists()
    assert "is damaged" in (state / "log").read_text()
    assert "below the mountpoint" in mounts("mount", "--state", here / ".artifacts" / "s", code=2)


def test_without_pyfuse3_a_mount_says_what_to_install(here: Path) -> None:
    require_fuse()
    assert "pip install pyfuse3" in Program(here, blocked=True)("mount", "--foreground", code=6)


def test_the_log_lies_in_the_state_directory_and_is_rotated(mounts: Program, here: Path) -> None:
    """F-147."""
    state = here.parent / "s"
    state.mkdir(mode=0o700)
    (state / "log").write_bytes(b"x" * (1 << 20))
    done = mounts.run("mount", "--state", state, MOUNTFS_LOG="debug")
    assert done.returncode == 0, done.stderr
    [status] = mounts.json("status")
    os.kill(int(str(status["pid"])), signal.SIGTERM)
    _await(lambda: _holder_of(state) is None)
    assert (state / "log.1").stat().st_size == 1 << 20
    assert "ending on signal 15" in (state / "log").read_text()
    assert "MOUNTFS_LOG" in mounts.run("mount", "--foreground", "--state", state, MOUNTFS_LOG="loud").stderr


def test_systemd_is_told_when_the_mount_is_ready_and_when_it_stops(mounts: Program, here: Path) -> None:
    """F-164."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(here.parent / "notify"))
        systemd.settimeout(SECONDS)
        daemon = subprocess.Popen(
            [sys.executable, "-m", "mountfs.cli", "mount", "--foreground"],
            stdout=subprocess.PIPE,
            cwd=here,
            env={**mounts.environment, "NOTIFY_SOCKET": str(here.parent / "notify")},
        )
        with daemon:
            assert daemon.stdout is not None
            assert daemon.stdout.readline() == b"ready\n"
            said = systemd.recv(4096).decode().splitlines()
            assert "READY=1" in said
            assert f"STATUS=serving {here}/.artifacts" in said
            mounts("umount")
            assert "STOPPING=1" in systemd.recv(4096).decode().splitlines()
            assert daemon.wait(SECONDS) == 0


def test_others_are_let_in_only_when_asked_for(mounts: Program, here: Path) -> None:
    mounts("mount", "--allow-other")
    line = next(
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {here}/.artifacts " in line
    )
    assert "allow_other" in line
    assert "fuse.mountfs" in line
