"""Real programs on a real mount: they must not notice that it is not a disk."""

import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.mount.programs import companion, run, run_at_once, shell
from tests.mount.trees import described, make_tree
from tests.mounting import Ground

pytestmark = pytest.mark.usefixtures("unmeasured")

GIT = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}

SQLITE_WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
for number in range(60):
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO result VALUES (?, ?, ?)", (sys.argv[2], number, "x" * 500))
    connection.execute("UPDATE total SET count = count + 1")
    connection.execute("COMMIT")
connection.close()
"""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A tree beside the mount."""
    return make_tree(tmp_path / "outside")


def test_rsync_there_and_back_changes_nothing(job: Path, outside: Path, tmp_path: Path) -> None:
    run("rsync", "-aX", f"{outside}/", job / "copy")
    assert described(job / "copy") == described(outside)
    run("rsync", "-aX", f"{job}/copy/", tmp_path / "back")
    assert described(tmp_path / "back") == described(outside)


def test_a_second_rsync_with_checksums_has_nothing_to_do(job: Path, outside: Path) -> None:
    run("rsync", "-aX", f"{outside}/", job / "copy")
    assert run("rsync", "-aXc", "--itemize-changes", f"{outside}/", job / "copy") == ""
    assert run("rsync", "-aXc", "--itemize-changes", f"{job}/copy/", outside) == ""


def test_rsync_brings_changes_and_removals(job: Path, outside: Path) -> None:
    run("rsync", "-aX", f"{outside}/", job / "copy")
    (outside / "build.log").write_bytes(b"other\n")
    (outside / "script").unlink()
    shutil.rmtree(outside / "coverage")
    run("rsync", "-aX", "--delete", f"{outside}/", job / "copy")
    assert described(job / "copy") == described(outside)


def test_rsync_in_place_updates_a_large_file(job: Path, outside: Path) -> None:
    run("rsync", "-a", f"{outside}/", job / "copy")
    with (outside / "blob").open("r+b") as blob:
        blob.seek(150_000)
        blob.write(b"changed")
    run("rsync", "-a", "--inplace", "--no-whole-file", f"{outside}/", job / "copy")
    assert (job / "copy" / "blob").read_bytes() == (outside / "blob").read_bytes()


@pytest.mark.parametrize("options", ["", "-S"])
def test_tar_round_trips(job: Path, outside: Path, tmp_path: Path, options: str) -> None:
    run("cp", "-a", outside, job / "tree")
    tar = ["tar", *options.split(), "--format=posix", "--xattrs", "--xattrs-include=user.*"]
    run(*tar, "-cf", job / "tree.tar", "-C", job / "tree", ".")
    for target in (job / "again", tmp_path / "again"):
        target.mkdir()
        run(*tar, "-xpf", job / "tree.tar", "-C", target)
        assert described(target) == described(outside)


def test_tar_with_sparse_detection_never_takes_data_for_a_hole(job: Path, tmp_path: Path) -> None:
    for number in range(200):
        (job / f"{number}").write_bytes(b"data\n" * 1000)
    run("tar", "-S", "-cf", tmp_path / "fresh.tar", "-C", job, ".")
    (tmp_path / "out").mkdir()
    run("tar", "-xf", tmp_path / "fresh.tar", "-C", tmp_path / "out")
    assert {path.read_bytes() for path in (tmp_path / "out").iterdir()} == {b"data\n" * 1000}


def test_cp_archive_keeps_everything_in_and_out(job: Path, outside: Path, tmp_path: Path) -> None:
    run("cp", "-a", outside, job / "copy")
    assert described(job / "copy") == described(outside)
    run("cp", "-a", job / "copy", job / "second")
    assert described(job / "second") == described(outside)
    run("cp", "-a", job / "second", tmp_path / "back")
    assert described(tmp_path / "back") == described(outside)


@pytest.mark.parametrize("how", ["always", "never", "auto"])
def test_cp_of_a_file_with_holes_copies_its_bytes(job: Path, outside: Path, how: str) -> None:
    run("cp", f"--sparse={how}", outside / "sparse", job / "in")
    run("cp", f"--sparse={how}", job / "in", job / "copy")
    assert (job / "copy").read_bytes() == (outside / "sparse").read_bytes()


def test_git_commits_clones_collects_and_checks(job: Path) -> None:
    repository, clone = job / "repository", job / "clone"
    run("git", "init", "-q", "-b", "main", repository, environment=GIT)
    for number in range(40):
        (repository / f"file-{number}").write_text(f"line {number}\n" * 200)
        if number % 8 == 7:
            run("git", "add", "-A", cwd=repository, environment=GIT)
            run("git", "commit", "-q", "-m", f"change {number}", cwd=repository, environment=GIT)
    run("git", "clone", "-q", "--no-hardlinks", repository, clone, environment=GIT)
    run("git", "gc", "-q", "--aggressive", "--prune=now", cwd=clone, environment=GIT)
    run("git", "repack", "-q", "-a", "-d", "-f", cwd=repository, environment=GIT)
    for tree in (repository, clone):
        run("git", "fsck", "--full", "--strict", cwd=tree, environment=GIT)
        assert run("git", "status", "--porcelain", cwd=tree, environment=GIT) == ""
    head = run("git", "rev-parse", "HEAD", cwd=repository, environment=GIT)
    assert run("git", "rev-parse", "HEAD", cwd=clone, environment=GIT) == head


def test_git_clones_with_its_defaults_switches_branches_and_stashes(job: Path) -> None:
    repository, clone = job / "repository", job / "clone"
    run("git", "init", "-q", "-b", "main", repository, environment=GIT)
    (repository / "file").write_text("one\n")
    shell("git add file; git commit -qm one; git checkout -qb topic; echo two >> file", cwd=repository)
    shell("git stash -q; git stash pop -q; git commit -qam two; git checkout -q main", cwd=repository)
    run("git", "clone", "-q", repository, clone, environment=GIT)
    shell("git merge -q origin/topic; git fsck --full", cwd=clone)
    assert (clone / "file").read_text() == "one\ntwo\n"


@pytest.fixture(autouse=True)
def _git_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Programs in shell scripts find a home of their own with an identity in it."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = A\n\temail = a@example.org\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.mark.parametrize("mode", ["WAL", "DELETE", "TRUNCATE"])
def test_sqlite_writers_side_by_side_lose_nothing(job: Path, mode: str) -> None:
    path = job / "results.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    assert connection.execute(f"PRAGMA journal_mode={mode}").fetchone() == (mode.lower(),)
    connection.executescript(
        "CREATE TABLE result (writer, number, text); CREATE INDEX by_writer ON result (writer, number);"
        "CREATE TABLE total (count); INSERT INTO total VALUES (0);"
    )
    run_at_once(SQLITE_WRITER, [(path, "a"), (path, "b"), (path, "c")])
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("SELECT count(*) FROM result").fetchone() == (180,)
    assert connection.execute("SELECT count FROM total").fetchone() == (180,)
    connection.execute("DELETE FROM result WHERE number % 2")
    connection.execute("VACUUM")
    connection.close()
    assert run("sqlite3", path, "PRAGMA integrity_check; SELECT count(*) FROM result;") == "ok\n90\n"


def test_a_sqlite_database_rolls_back_what_a_killed_writer_left(job: Path) -> None:
    path = job / "results.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE result (text)")
        connection.execute("INSERT INTO result VALUES ('kept')")
    connection.close()
    code = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA cache_size=1")
connection.executemany("INSERT INTO result VALUES (?)", [("lost" * 500,)] * 500)
print("halfway", flush=True)
sys.stdin.read()
"""
    with companion(code, path) as writer:
        writer.wait_for("halfway")
        writer.process.kill()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT text FROM result").fetchall() == [("kept",)]
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_an_editors_save_by_temporary_file_and_rename_is_whole(job: Path) -> None:
    (job / "notes").write_text("old")
    for number in range(20):
        temporary = job / f".notes.{number}"
        with temporary.open("w") as handle:
            handle.write(f"new {number}")
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, job / "notes")
        assert (job / "notes").read_text() == f"new {number}"
    assert os.listdir(job) == ["notes"]


def test_an_editors_save_by_backup_and_rename_keeps_both(job: Path) -> None:
    (job / "notes").write_text("old")
    (job / "notes").rename(job / "notes~")
    with (job / "notes").open("x") as handle:
        handle.write("new")
        handle.flush()
        os.fsync(handle.fileno())
    assert ((job / "notes").read_text(), (job / "notes~").read_text()) == ("new", "old")
    (job / "notes~").unlink()
    assert os.listdir(job) == ["notes"]


@pytest.mark.parametrize("backupcopy", ["yes", "no", "auto"])
def test_vim_saves(job: Path, backupcopy: str) -> None:
    (job / "notes").write_text("alpha\nbeta\n")
    (job / "notes").chmod(0o640)
    settings = f"set backup writebackup fsync backupcopy={backupcopy} backupskip= directory=."
    run("vim.tiny", "-es", "-u", "NONE", "-c", settings, "-c", "%s/alpha/gamma/", "-c", "wq", "notes", cwd=job)
    assert (job / "notes").read_text() == "gamma\nbeta\n"
    assert (job / "notes~").read_text() == "alpha\nbeta\n"
    assert (job / "notes").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(job)) == ["notes", "notes~"]


@pytest.mark.parametrize("options", ["-f", "-F"])
def test_tail_follows_a_growing_log(job: Path, options: str) -> None:
    log = job / "build.log"
    log.write_text("line 0\n")
    command = ["tail", options, "-s", "0.05", "-n", "+1", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tail, log.open("a") as writer:
        assert tail.stdout is not None
        assert tail.stdout.readline() == "line 0\n"
        for number in range(1, 10):
            writer.write(f"line {number}\n")
            writer.flush()
            assert tail.stdout.readline() == f"line {number}\n"
        tail.terminate()


def test_grep_finds_every_match(job: Path) -> None:
    for number in range(200):
        (job / f"{number}.log").write_text("noise\n" * 500 + ("needle\n" if number % 10 == 0 else ""))
    assert len(run("grep", "-rl", "needle", job).splitlines()) == 20


def test_sed_edits_in_place(job: Path) -> None:
    (job / "settings").write_text("a=1\nb=2\n" * 1000)
    run("sed", "-i", "s/a=1/a=9/", job / "settings")
    assert (job / "settings").read_text() == "a=9\nb=2\n" * 1000
    assert os.listdir(job) == ["settings"]


def test_pytest_writes_junit_and_coverage_into_the_mount(job: Path, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("def double(x):\n    return 2 * x\n\ndef unused():\n    return 0\n")
    (tmp_path / "test_code.py").write_text("import code_under\n\ndef test_it():\n    assert True\n")
    (tmp_path / "code.py").rename(tmp_path / "code_under.py")
    reports = [f"--junitxml={job}/junit.xml", f"--cov-report=xml:{job}/coverage.xml"]
    reports += [f"--cov-report=html:{job}/coverage", "--cov=code_under", f"--basetemp={job}/tmp"]
    plain = ["-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={tmp_path}"]
    run(sys.executable, "-m", "pytest", "-q", *plain, *reports, "test_code.py", cwd=tmp_path)
    assert 'tests="1"' in (job / "junit.xml").read_text()
    assert "line-rate" in (job / "coverage.xml").read_text()
    assert "</html>" in (job / "coverage" / "index.html").read_text()


def test_shell_redirections_write_what_was_said(job: Path) -> None:
    shell("echo one > a; echo two >> a; { echo three; cat a; } > b; : > c; echo x | tee d e > f", cwd=job)
    assert (job / "a").read_text() == "one\ntwo\n"
    assert (job / "b").read_text() == "three\none\ntwo\n"
    assert (job / "c").read_text() == ""
    assert [(job / name).read_text() for name in "def"] == ["x\n"] * 3


def test_a_redirection_over_an_existing_file_replaces_it(job: Path) -> None:
    shell("seq 100000 > a; echo short > a; seq 3 > b; seq 4 5 >> b; tee -a b < a", cwd=job)
    assert (job / "a").read_text() == "short\n"
    assert (job / "b").read_text() == "1\n2\n3\n4\n5\nshort\n"


def test_a_log_of_a_script_that_forks_is_whole(job: Path) -> None:
    shell("for n in $(seq 300); do echo $n; /bin/true; done > build.log", cwd=job)
    assert (job / "build.log").read_text().split() == [str(number) for number in range(1, 301)]


def test_dd_writes_into_the_middle_without_truncating(job: Path) -> None:
    (job / "image").write_bytes(bytes(10 * 4096))
    shell("yes | head -c 8192 | dd of=image bs=4096 seek=3 conv=notrunc status=none iflag=fullblock", cwd=job)
    assert (job / "image").read_bytes() == bytes(3 * 4096) + b"y\n" * 4096 + bytes(5 * 4096)


def test_dd_with_fsync_and_sync_flags_writes_all(job: Path) -> None:
    shell("dd if=/dev/zero of=a bs=64k count=20 conv=fsync status=none", cwd=job)
    shell("dd if=/dev/zero of=b bs=64k count=5 oflag=sync,append conv=notrunc status=none", cwd=job)
    assert ((job / "a").stat().st_size, (job / "b").stat().st_size) == (20 * 65536, 5 * 65536)


def test_truncate_and_touch_by_command_work(job: Path) -> None:
    shell(
        "truncate -s 1000 a; truncate -s 3M a; truncate -s 5 a; touch b; touch -d 2001-02-03T04:05:06Z c",
        cwd=job,
    )
    assert (job / "a").read_bytes() == bytes(5)
    assert (job / "b").stat().st_size == 0
    assert (job / "c").stat().st_mtime == 981173106


def test_mv_moves_between_jobs(job: Path, shared: Ground) -> None:
    other = shared.path / f"{job.name}-target"
    shell(f"mkdir d; echo x > d/f; echo y > g; mkdir '{other}'; mv d g '{other}'", cwd=job)
    assert os.listdir(job) == []
    assert ((other / "d" / "f").read_text(), (other / "g").read_text()) == ("x\n", "y\n")


def test_rm_and_find_remove_whole_trees(job: Path) -> None:
    for name in ("one", "two"):
        make_tree(job / name)
    run("rm", "-rf", job / "one")
    assert os.listdir(job) == ["two"]
    run("find", job / "two", "-delete")
    assert os.listdir(job) == []


def test_a_job_is_removed_by_rm(job: Path) -> None:
    make_tree(job / "tree")
    run("rm", "-r", job)
    assert not job.exists()
    job.mkdir()
    assert os.listdir(job) == []


def test_a_zip_is_written_extended_and_read(job: Path) -> None:
    with zipfile.ZipFile(job / "report.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "a" * 100_000)
    with zipfile.ZipFile(job / "report.zip", "a") as archive:
        archive.writestr("b.txt", "b")
    with zipfile.ZipFile(job / "report.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(job / "out")
    assert (job / "out" / "a.txt").read_text() == "a" * 100_000


def test_du_and_ls_agree_on_the_plain_sizes(job: Path) -> None:
    for number in range(1, 51):
        (job / f"{number}").write_bytes(b"z" * number * 1000)
    total = sum(number * 1000 for number in range(1, 51))
    sizes = run("find", job, "-type", "f", "-printf", "%s\\n").split()
    assert sum(map(int, sizes)) == total
    counted = run("du", "-b", *sorted(job.iterdir())).splitlines()
    assert sum(int(line.split()[0]) for line in counted) == total
    assert all(int(line.split()[0]) > 0 for line in run("du", "-a", job).splitlines())


def test_make_and_a_compiler_work(job: Path) -> None:
    (job / "main.c").write_text('#include <stdio.h>\nint main(void) { puts("built here"); return 0; }\n')
    run("cc", "-o", job / "program", job / "main.c")
    assert run(job / "program") == "built here\n"


def test_python_imports_and_compiles_from_the_mount(job: Path) -> None:
    (job / "module.py").write_text("VALUE = 42\n")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import module; print(module.VALUE, module.__cached__)"
    for _ in range(2):
        value, cached = run(sys.executable, "-c", code, job).split()
        assert value == "42"
        assert Path(cached).is_file()


def test_cmp_after_settling_finds_no_difference(job: Path, outside: Path, shared: Ground) -> None:
    run("cp", "-a", outside, job / "copy")
    shared.settle()
    assert run("diff", "-r", "--no-dereference", outside, job / "copy") == ""
