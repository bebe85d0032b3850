"""The fault tools themselves: each must find the bug it was made for, and stay silent where there is none."""

import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import powerloss, shim
from tests.faults.trace import Kind

pytestmark = pytest.mark.usefixtures("unmeasured")

PRELUDE = f"""
import ctypes, mmap, os, random, sqlite3, sys, threading, time
sys.path.insert(0, {str(Path(__file__).parent)!r})
from tests.faults.shim import mark
root = os.environ["SHIM_ROOT"]
os.chdir(root)

def put(name, content, how=os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
    fd = os.open(name, how, 0o644)
    os.write(fd, content)
    return fd

def sync(name):
    fd = os.open(name, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
"""

OLD, NEW = b"old" * 3000, b"new" * 5000


def program(source: str) -> list[str]:
    return [sys.executable, "-c", PRELUDE + textwrap.dedent(source)]


def saving(*, file_synced: bool = True, directory_synced: bool = True) -> list[str]:
    """Save by temporary file and rename, as every editor does, with or without its syncs."""
    return program(f"""
        fd = put("tmp", {NEW!r})
        {"os.fsync(fd)" if file_synced else "pass"}
        os.close(fd)
        os.rename("tmp", "saved")
        {"sync('.')" if directory_synced else "pass"}
        mark("saved")
        print("saved", flush=True)
        os.unlink("other")
    """)


def committing(synchronous: str, *, commits: int = 6) -> list[str]:
    """Commit rows of 6 kB one by one to a WAL database, with a checkpoint in the middle."""
    return program(f"""
        db = sqlite3.connect("data.db", isolation_level=None)
        db.execute("PRAGMA synchronous={synchronous}")
        db.execute("PRAGMA wal_autocheckpoint=0")
        for n in range(1, {commits} + 1):
            db.execute("INSERT INTO rows VALUES (?, zeroblob(6000))", (n,))
            mark(str(n))
            print(n, flush=True)
            if n == {commits} // 2:
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        db.close()
    """)


def numbers(root: Path) -> list[int]:
    """Open the database as after a crash and give its rows; a damaged database fails the test."""
    db = sqlite3.connect(root / "data.db")
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [n for (n,) in db.execute("SELECT n FROM rows ORDER BY n")]
    finally:
        db.close()


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def saved_root(root: Path) -> Path:
    (root / "saved").write_bytes(OLD)
    (root / "other").write_bytes(b"other")
    return root


@pytest.fixture
def database_root(root: Path) -> Path:
    db = sqlite3.connect(root / "data.db")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE rows (n INTEGER PRIMARY KEY, filling BLOB)")
    db.commit()
    db.close()
    return root


@pytest.fixture
def record(tmp_path: Path, library: Path) -> Callable[[list[str], Path], powerloss.Recording]:
    def recorded(scenario: list[str], root: Path) -> powerloss.Recording:
        return powerloss.record(scenario, root, library=library, into=tmp_path / "recording")

    return recorded


Recorder = Callable[[list[str], Path], powerloss.Recording]


def kinds(recording: powerloss.Recording) -> list[Kind]:
    return [event.kind for event in recording.trace.events]


# ---- the library -------------------------------------------------------------------------------------------


def test_without_a_compiler_the_build_fails_with_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(shim.ShimError, match="No C compiler named cc was found"):
        shim.build(tmp_path)


def test_a_program_that_escapes_the_shim_is_an_error(tmp_path: Path, saved_root: Path) -> None:
    no_library = tmp_path / "empty.so"
    escaping = program("pass")
    with pytest.raises(shim.ShimError, match="not loaded"):
        shim.crash_at_every_step(escaping, lambda: saved_root, lambda *_: None, library=no_library)


def test_a_scenario_that_changes_nothing_is_an_error(library: Path, saved_root: Path) -> None:
    with pytest.raises(shim.ShimError, match="changed nothing"):
        shim.crash_at_every_step(program("pass"), lambda: saved_root, lambda *_: None, library=library)


def test_a_scenario_that_fails_by_itself_is_an_error(library: Path, saved_root: Path) -> None:
    failing = program("os.unlink('saved'); sys.exit('my own fault')")
    with pytest.raises(shim.ShimError, match="my own fault"):
        shim.crash_at_every_step(failing, lambda: saved_root, lambda *_: None, library=library, start=2)


# ---- slow and failing disks --------------------------------------------------------------------------------

TIMED_SYNC = """
    fd = put("file", b"content")
    started = time.monotonic()
    os.{call}(fd)
    print(time.monotonic() - started)
"""


@pytest.mark.parametrize("call", ["fsync", "fdatasync"])
def test_a_slow_disk_makes_every_sync_wait(library: Path, root: Path, call: str) -> None:
    variables = shim.env(root, library=library, slow_fsync_ms=150)
    assert float(shim.run(program(TIMED_SYNC.format(call=call)), root, variables).stdout) >= 0.15


def test_a_slow_disk_does_not_delay_writes_of_other_threads(tmp_path: Path, library: Path, root: Path) -> None:
    control = shim.Control(tmp_path / "control")
    scenario = program("""
        fd = put("file", b"content")
        waiting = threading.Thread(target=os.fsync, args=(fd,), daemon=True)
        waiting.start()
        os.close(put("another", b"content"))
        print(waiting.is_alive(), flush=True)
        os._exit(0)
    """)
    with control.during("slow_fsync_ms=20000"):
        variables = shim.env(root, library=library, control=control, trace=tmp_path / "trace")
        ended = shim.run(scenario, root, variables)
    assert ended.stdout == "True\n"


class Prompted:
    """A program that executes one line of Python at a time and answers with `ok` or the name of the errno."""

    def __init__(self, root: Path, variables: dict[str, str]) -> None:
        loop = program("""
            import errno
            for line in sys.stdin:
                try:
                    exec(line)
                    print("ok", flush=True)
                except OSError as error:
                    print(errno.errorcode[error.errno], flush=True)
        """)
        self.process = subprocess.Popen(
            loop, env={**os.environ, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, line: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def close(self) -> None:
        self.process.communicate()


NEEDS_ROOM = {
    "write": "os.write(fd, b'more')",
    "pwrite": "os.pwrite(fd, b'more', 0)",
    "writev": "os.writev(fd, [b'more'])",
    "pwritev": "os.pwritev(fd, [b'more'], 0)",
    "sendfile": "os.sendfile(fd, other, 0, 5)",
    "copy_file_range": "os.copy_file_range(other, fd, 5, 0)",
    "ftruncate": "os.ftruncate(fd, 100)",
    "truncate": "os.truncate('saved', 100)",
    "posix_fallocate": "os.posix_fallocate(fd, 0, 100)",
    "creating open": "os.close(os.open('fresh', os.O_CREAT | os.O_WRONLY))",
    "mkdir": "os.mkdir('folder')",
    "symlink": "os.symlink('saved', 'sign')",
    "link": "os.link('saved', 'second')",
}


@pytest.fixture
def control(tmp_path: Path) -> shim.Control:
    return shim.Control(tmp_path / "control")


@pytest.fixture
def count(tmp_path: Path) -> shim.Count:
    return shim.Count(tmp_path / "count")


@pytest.fixture
def prompted(library: Path, saved_root: Path, control: shim.Control, count: shim.Count) -> Prompted:
    prompted = Prompted(saved_root, shim.env(saved_root, library=library, control=control, count=count))
    prompted("fd = os.open('saved', os.O_RDWR); other = os.open('other', os.O_RDONLY)")
    return prompted


def test_a_full_disk_comes_and_goes_while_the_program_runs(prompted: Prompted, control: shim.Control) -> None:
    answers = []
    for call in NEEDS_ROOM.values():
        with control.during("fail=ENOSPC"):
            answers.append(prompted(call))
        answers.append(prompted(call))
    prompted.close()
    assert answers == ["ENOSPC", "ok"] * len(NEEDS_ROOM)


def test_a_full_disk_still_removes_renames_and_opens(prompted: Prompted, control: shim.Control) -> None:
    with control.during("fail=ENOSPC"):
        removing = [
            "os.rename('saved', 'moved')",
            "os.unlink('other')",
            "os.open('moved', os.O_RDWR | os.O_CREAT)",
        ]
        answers = [prompted(call) for call in removing]
    prompted.close()
    assert answers == ["ok"] * 3


def test_a_failing_sync_leaves_writes_alone(prompted: Prompted, control: shim.Control, count: shim.Count) -> None:
    with control.during("fail=EIO-fsync"):
        answers = [prompted(call) for call in ("os.write(fd, b'more')", "os.fsync(fd)", "os.fdatasync(fd)")]
    prompted.close()
    assert (answers, count.failed) == (["ok", "EIO", "EIO"], 2)


def test_a_fault_can_be_confined_to_some_files(prompted: Prompted, control: shim.Control) -> None:
    with control.during("fail=EDQUOT only=drafts/"):
        prompted("os.mkdir('drafts')")
        answers = [prompted(f"os.close(os.open({name!r}, os.O_CREAT))") for name in ("drafts/1", "fresh")]
    prompted.close()
    assert answers == ["EDQUOT", "ok"]


# ---- death at every step -----------------------------------------------------------------------------------


def saved_is_whole(root: Path, acknowledged: list[str]) -> None:
    assert (root / "saved").read_bytes() in ([NEW] if acknowledged else [OLD, NEW])


def test_a_save_by_rename_survives_death_at_every_step(tmp_path: Path, library: Path, saved_root: Path) -> None:
    copies = shim.copies_of(saved_root, tmp_path / "copies")
    deaths = shim.crash_at_every_step(saving(), copies, saved_is_whole, library=library)
    assert deaths == {"before": 4, "after": 4, "torn": 1}  # create, write, rename, unlink; one write to tear


@pytest.mark.parametrize("how", ["before", "after", "torn"])
def test_death_finds_a_save_in_place(tmp_path: Path, library: Path, saved_root: Path, how: shim.How) -> None:
    scenario = program(f"put('saved', {NEW!r}); print('saved', flush=True)")
    copies = shim.copies_of(saved_root, tmp_path / "copies")
    with pytest.raises(AssertionError) as caught:
        shim.crash_at_every_step(scenario, copies, saved_is_whole, library=library, how=[how])
    assert f"died {how} change" in caught.value.__notes__[0]


def test_a_torn_write_leaves_its_first_half(tmp_path: Path, library: Path, root: Path) -> None:
    scenario = program("""
        fd = os.open("file", os.O_CREAT | os.O_RDWR)
        os.pwrite(fd, b"12345678", 0)
        os.pwritev(fd, [b"abc", b"defgh"], 8)
        os.pwrite(fd, b"12345678", 16)
        os.lseek(fd, 24, os.SEEK_SET)
        os.copy_file_range(fd, fd, 8, offset_src=0)
    """)
    sizes = []
    shim.crash_at_every_step(
        scenario,
        shim.copies_of(root, tmp_path / "copies"),
        lambda root, _: sizes.append((root / "file").stat().st_size),
        library=library,
        how=["torn"],
    )
    assert sizes == [4, 12, 20, 28, 32]


def test_only_whole_lines_count_as_acknowledged(tmp_path: Path, library: Path, root: Path) -> None:
    scenario = program("os.write(1, b'whole\\nhal'); os.mkdir('folder')")
    seen = []
    copies = shim.copies_of(root, tmp_path / "copies")
    shim.crash_at_every_step(
        scenario, copies, lambda _, lines: seen.append(lines), library=library, how=["before"], limit=1
    )
    assert seen == [["whole"]]


def test_when_one_process_dies_the_others_change_nothing_more(tmp_path: Path, library: Path, root: Path) -> None:
    scenario = program("""
        child = os.fork()
        if child == 0:
            os.mkdir("child")
            os._exit(0)
        os.waitpid(child, 0)
        os.mkdir("parent")
    """)
    left = []
    copies = shim.copies_of(root, tmp_path / "copies")
    shim.crash_at_every_step(
        scenario,
        copies,
        lambda root, _: left.append(os.listdir(root)),
        library=library,
        how=["before"],
        limit=1,
    )
    assert left == [[]]


def test_commits_survive_death_at_every_step(tmp_path: Path, library: Path, database_root: Path) -> None:
    def check(root: Path, acknowledged: list[str]) -> None:
        found = numbers(root)
        assert found in ([*range(1, len(acknowledged) + 1)], [*range(1, len(acknowledged) + 2)])

    copies = shim.copies_of(database_root, tmp_path / "copies")
    scenario = committing("NORMAL", commits=2)
    deaths = shim.crash_at_every_step(scenario, copies, check, library=library, stride=2)
    assert all(number > 5 for number in deaths.values())


# ---- the trace ---------------------------------------------------------------------------------------------

EVERY_CALL = """
    libc = ctypes.CDLL(None, use_errno=True)
    fd = put("a", b"written")                                     # open, write
    os.pwrite(fd, b"W", 0); os.writev(fd, [b"1", b"2"]); os.pwritev(fd, [b"34", b"5"], 20)
    libc.pwritev2(fd, ctypes.byref((ctypes.c_void_p * 2)(ctypes.cast(b"six", ctypes.c_void_p), 3)), 1,
                  ctypes.c_long(30), 0)
    copy = os.dup(fd); os.close(fd); os.rename("a", "b")          # a duplicate of a file that was renamed
    os.write(copy, b"through a duplicate")
    out, back = os.open("b", os.O_RDONLY), os.open("c", os.O_RDWR | os.O_CREAT)
    os.sendfile(back, out, 0, 10); os.copy_file_range(out, back, 5, 3, 40)
    reading, writing = os.pipe(); os.write(writing, b"spliced"); os.splice(reading, back, 7)
    os.ftruncate(back, 30); os.truncate("c", 35); os.posix_fallocate(back, 0, 64)
    libc.fallocate(back, 3, ctypes.c_long(4), ctypes.c_long(8))   # a hole
    appending = os.open("c", os.O_WRONLY | os.O_APPEND)
    os.pwrite(appending, b"at the end all the same", 0)
    os.fsync(back); os.fdatasync(back); libc.syncfs(back); libc.sync_file_range(back, 0, 0, 2); os.sync()
    durable = put("durable", b"written and synced in one", os.O_WRONLY | os.O_CREAT | os.O_DSYNC)
    os.mkdir("d"); folder = os.open("d", os.O_RDONLY)
    os.mkdir("e", dir_fd=folder); os.symlink("../b", "sign", dir_fd=folder); os.symlink("b", "sign")
    os.link("b", "d/second"); os.rename("c", "moved", dst_dir_fd=folder); os.replace("b", "d/moved")
    libc.renameat2(-100, b"d/moved", -100, b"durable", 2)         # exchange
    libc.creat(b"f", 0o600); nameless = put(".", b"nameless", os.O_WRONLY | os.O_TMPFILE)
    libc.linkat(-100, b"/proc/self/fd/%d" % nameless, -100, b"named", 0x400)
    unlinked = os.open("f", os.O_WRONLY); os.unlink("f"); os.write(unlinked, b"nobody will read this")
    os.rmdir("e", dir_fd=folder); os.unlink("sign"); os.close(put("named", b"cut and written anew"))
    mark("done")
"""


def test_every_call_is_in_the_trace_with_its_effect(record: Recorder, root: Path) -> None:
    recording = record(program(EVERY_CALL), root)  # which compares the replayed tree with the real one
    assert set(kinds(recording)) == set(Kind) - {Kind.MAP}


@pytest.mark.parametrize("seed", range(3))
def test_a_trace_of_threads_and_processes_has_the_order_of_the_effects(record: Recorder, root: Path, seed: int) -> None:
    scenario = program(f"""
        def work(seed):
            rng = random.Random(seed)
            for _ in range(60):
                one, two = rng.choice("abcdef"), rng.choice("abcdef")
                try:
                    match rng.randrange(6):
                        case 0: os.close(put(one, rng.randbytes(rng.randrange(9000))))
                        case 1: os.close(put(one, rng.randbytes(500), os.O_WRONLY | os.O_APPEND))
                        case 2: os.rename(one, two)
                        case 3: os.unlink(one)
                        case 4: os.link(one, two)
                        case 5: os.truncate(one, rng.randrange(10000))
                except OSError:
                    pass
        child = os.fork()
        threads = [threading.Thread(target=work, args=(f"{seed}/{{child == 0}}/{{n}}",)) for n in range(3)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        if child: os.waitpid(child, 0)
    """)
    assert len(record(scenario, root).trace.events) > 100


def test_a_change_the_shim_cannot_see_is_an_error(record: Recorder, root: Path) -> None:
    scenario = program("""
        fd = put("file", bytes(4096), os.O_RDWR | os.O_CREAT)
        mmap.mmap(fd, 4096)[:5] = b"store"
    """)
    with pytest.raises(powerloss.TraceError, match="file: expected 4096 bytes"):
        record(scenario, root)


def test_a_shared_mapping_is_noted(record: Recorder, root: Path) -> None:
    scenario = program("mmap.mmap(put('file', bytes(4096), os.O_RDWR | os.O_CREAT), 4096)")
    assert record(scenario, root).trace.shared_mappings() == ["file"]


def test_writes_and_syncs_of_sqlite_are_seen_and_its_shm_file_is_not(record: Recorder, database_root: Path) -> None:
    events = record(committing("FULL"), database_root).trace.events
    assert {(Kind.WRITE, "data.db-wal"), (Kind.FSYNC, "data.db-wal"), (Kind.WRITE, "data.db")} <= {
        (event.kind, event.path) for event in events
    }
    assert not any(event.path.endswith("-shm") for event in events)


def test_marks_tell_what_was_acknowledged_before_each_moment(record: Recorder, saved_root: Path) -> None:
    trace = record(saving(), saved_root).trace
    marked = kinds(powerloss.Recording(trace, saved_root)).index(Kind.MARK)
    assert (trace.marks_before(marked), trace.marks_before(marked + 1)) == ([], ["saved"])


# ---- power loss --------------------------------------------------------------------------------------------


@pytest.fixture
def judge(tmp_path: Path, record: Recorder) -> Callable[[list[str], Path], None]:
    """Records a save and judges what every power loss leaves of it."""

    def judged(scenario: list[str], root: Path) -> None:
        recording = record(scenario, root)
        for state in powerloss.crash_states(recording.trace, recording.initial_tree, tmp_path / "state"):
            saved_is_whole(state.root, state.marks)

    return judged


Judge = Callable[[list[str], Path], None]


def test_a_save_with_both_syncs_survives_every_power_loss(judge: Judge, saved_root: Path) -> None:
    judge(saving(), saved_root)


@pytest.mark.parametrize("missing", ["file_synced", "directory_synced"])
def test_power_loss_finds_a_missing_sync(judge: Judge, saved_root: Path, missing: str) -> None:
    with pytest.raises(AssertionError):
        judge(saving(**{missing: False}), saved_root)


def test_each_sync_of_a_right_save_is_needed(tmp_path: Path, record: Recorder, saved_root: Path) -> None:
    recording = record(saving(), saved_root)
    unnoticed = powerloss.unnoticed_syncs(
        recording, lambda state: saved_is_whole(state.root, state.marks), tmp_path / "state"
    )
    assert unnoticed == []


def test_a_needless_sync_is_named(tmp_path: Path, record: Recorder, saved_root: Path) -> None:
    recording = record([*saving()[:-1], saving()[-1] + "sync('saved')\n"], saved_root)
    unnoticed = powerloss.unnoticed_syncs(
        recording, lambda state: saved_is_whole(state.root, state.marks), tmp_path / "state"
    )
    assert [name.split(": ")[1] for name in unnoticed] == ["FSYNC saved"]


def survivors(record: Recorder, root: Path, source: str, tmp_path: Path, style: powerloss.Style) -> list[str]:
    recording = record(program(source), root)
    end = len(recording.trace.events)
    left = powerloss.materialise(
        recording.trace, recording.initial_tree, at=end, style=style, seed=0, target=tmp_path / "state"
    )
    return sorted(f"{path.relative_to(left)}" for path in left.rglob("*"))


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("fd = put('file', b'x'); os.fsync(fd)", []),
        ("put('file', b'x'); sync('.')", ["file"]),
        ("os.mkdir('d'); put('d/file', b'x'); sync('d')", []),
        ("os.mkdir('d'); put('d/file', b'x'); sync('.')", ["d"]),
        ("os.mkdir('d'); put('d/file', b'x'); sync('d'); sync('.')", ["d", "d/file"]),
        ("put('file', b'x'); os.sync()", ["file"]),
        ("put('file', b'x'); sync('.'); os.unlink('file')", ["file"]),
        ("put('file', b'x'); sync('.'); os.unlink('file'); sync('.')", []),
        (
            "os.mkdir('d'); sync('.'); put('file', b'x'); os.rename('file', 'd/file'); sync('.')",
            ["d", "d/file"],
        ),
        ("put('x-shm', b'x'); put('y', b'y'); sync('.')", ["y"]),
    ],
)
def test_names_are_durable_by_the_sync_of_their_directory_only(
    record: Recorder, root: Path, tmp_path: Path, source: str, left: list[str]
) -> None:
    assert survivors(record, root, source, tmp_path, "none") == left


@pytest.mark.parametrize(
    ("call", "content"),
    [
        ("pass", b""),
        ("os.fsync(fd)", b"content"),
        ("os.fdatasync(fd)", b"content"),
        ("sync('file')", b"content"),
        ("ctypes.CDLL(None).syncfs(fd)", b"content"),
        ("ctypes.CDLL(None).sync_file_range(fd, 0, 0, 7)", b""),
        ("os.close(put('file', b'C', os.O_WRONLY | os.O_DSYNC))", b"Content"),
        ("os.fsync(fd); os.ftruncate(fd, 0)", b"content"),
        ("os.fsync(fd); os.ftruncate(fd, 0); os.fsync(fd)", b""),
    ],
)
def test_bytes_are_durable_by_a_sync_of_their_file_only(
    record: Recorder, root: Path, tmp_path: Path, call: str, content: bytes
) -> None:
    survivors(record, root, f"fd = put('file', b'content'); sync('.'); {call}", tmp_path, "none")
    assert (tmp_path / "state" / "file").read_bytes() == content


def test_on_a_kinder_disk_fsync_keeps_the_name_too(record: Recorder, root: Path, tmp_path: Path) -> None:
    recording = record(program("os.fsync(put('file', b'content'))"), root)
    left = powerloss.materialise(
        recording.trace,
        recording.initial_tree,
        at=len(recording.trace.events),
        style="none",
        seed=0,
        target=tmp_path / "state",
        fsync_keeps_name=True,
    )
    assert (left / "file").read_bytes() == b"content"


def contents(recording: powerloss.Recording, name: str, target: Path, style: powerloss.Style, seeds: int) -> set[bytes]:
    end = [len(recording.trace.events)]
    states = powerloss.crash_states(
        recording.trace, recording.initial_tree, target, at=end, styles=[style], seeds=range(seeds)
    )
    return {(state.root / name).read_bytes() for state in states}


def test_a_random_power_loss_tears_a_write_at_pages(record: Recorder, root: Path, tmp_path: Path) -> None:
    recording = record(program("put('file', b'x' * 12288); sync('.')"), root)
    found = contents(recording, "file", tmp_path / "state", "random", 60)
    pages = [[content[at : at + 4096] for at in range(0, len(content), 4096)] for content in found]
    assert all(set(one) <= {b"x" * 4096, bytes(4096)} for one in pages)
    assert [bytes(4096), bytes(4096), b"x" * 4096] in pages


def test_a_reordering_power_loss_keeps_later_writes_and_loses_earlier_ones(
    record: Recorder, root: Path, tmp_path: Path
) -> None:
    recording = record(program("fd = put('file', b'1'); sync('.'); os.write(fd, b'2'); os.write(fd, b'3')"), root)
    assert contents(recording, "file", tmp_path / "state", "reordered", 20) == {b"\0" + b"23", b"\0\0" + b"3"}


def test_the_same_seed_gives_the_same_tree(record: Recorder, root: Path, tmp_path: Path) -> None:
    source = "for name in 'abcdefgh': put(name, name.encode() * 9000)"
    first = survivors(record, root, source, tmp_path, "random")
    recording = powerloss.Recording(
        powerloss.Trace.load(tmp_path / "recording" / "trace"), tmp_path / "recording" / "initial"
    )
    again = powerloss.materialise(
        recording.trace, recording.initial_tree, at=16, style="random", seed=0, target=tmp_path / "again"
    )
    assert (powerloss.differences(tmp_path / "state", again), bool(first)) == ([], True)


def test_full_commits_survive_every_power_loss(tmp_path: Path, record: Recorder, database_root: Path) -> None:
    recording = record(committing("FULL"), database_root)
    for state in powerloss.crash_states(recording.trace, recording.initial_tree, tmp_path / "state"):
        assert len(numbers(state.root)) >= len(state.marks)


def test_normal_commits_may_be_lost_from_the_end_and_never_damage_the_database(
    tmp_path: Path, record: Recorder, database_root: Path
) -> None:
    recording = record(committing("NORMAL"), database_root)
    lost = 0
    for state in powerloss.crash_states(recording.trace, recording.initial_tree, tmp_path / "state"):
        found = numbers(state.root)
        assert found == [*range(1, len(found) + 1)]
        lost += len(found) < len(state.marks)
    assert lost > 0


def damaged(state: powerloss.CrashState) -> bool:
    try:
        found = numbers(state.root)
    except (AssertionError, sqlite3.DatabaseError):
        return True
    return found != [*range(1, len(found) + 1)]


def test_power_loss_damages_a_database_that_never_syncs(tmp_path: Path, record: Recorder, database_root: Path) -> None:
    recording = record(committing("OFF"), database_root)
    states = powerloss.crash_states(recording.trace, recording.initial_tree, tmp_path / "state")
    assert any(damaged(state) for state in states)
