"""How far long work is: lines in a log, a bar on a terminal."""

import os
import pty
import subprocess
import sys

import pytest

from mountfs.cli.progress import Shown

BAR = """
from mountfs.cli.progress import Shown
with Shown() as progress:
    progress.show("uploading 2 jobs, 1 left", done_bytes=1 << 20, total_bytes=2 << 20)
    progress.show("uploading 2 jobs, 0 left", done_bytes=2 << 20, total_bytes=2 << 20)
"""


def test_elsewhere_each_step_is_a_line_and_none_is_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with Shown(seconds_between=0) as progress:
        progress.show("uploading 2 jobs, 2 left", done_bytes=0, total_bytes=2 << 20)
        progress.show("uploading 2 jobs, 2 left", done_bytes=0, total_bytes=2 << 20)
        progress.show("uploading 2 jobs, 1 left", done_bytes=1 << 20, total_bytes=2 << 20)
    assert capsys.readouterr() == (
        "",
        "mountfs: uploading 2 jobs, 2 left, 0 B of 2.0 MiB\nmountfs: uploading 2 jobs, 1 left, 1.0 MiB of 2.0 MiB\n",
    )


def test_a_log_is_not_filled_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    with Shown(seconds_between=3600) as progress:
        for done in range(100):
            progress.show("uploading", done_bytes=done, total_bytes=100)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar_and_stdout_stays_clean() -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", BAR], stderr=theirs, stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm"}
        )
    finally:
        os.close(theirs)
    shown = b""
    while piece := _read(ours):
        shown += piece
    os.close(ours)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"uploading 2 jobs, 0 left" in shown
    assert b"2.1/2.1 MB" in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # a terminal whose other end is closed
        return b""
