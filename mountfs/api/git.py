"""What a git repository at hand knows of commits: who comes from whom, and how far away.

A checkout may be a stranger's: nothing is run in it but plumbing that starts no other program, and names of commits,
which come from tags, are hexadecimal or are not asked about.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Final

SECONDS: Final = 20.0
_COMMIT: Final = re.compile(r"[0-9a-f]{4,64}")
_STRANGE: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY")  # of a hook that runs us


def is_repository(where: Path) -> bool:
    return _git(where, "rev-parse", "--git-dir") is not None


def distance(repo: Path, ancestor: str, descendant: str) -> int | None:
    """How many commits lie from an ancestor to its descendant; None where it is none, or where nobody can know.

    A shallow clone does not have all commits in between, and so knows no distance.
    """
    if not (_COMMIT.fullmatch(ancestor) and _COMMIT.fullmatch(descendant)):
        return None
    if _git(repo, "rev-parse", "--is-shallow-repository") != "false":
        return None
    if _git(repo, "merge-base", "--is-ancestor", ancestor, descendant) is None:
        return None
    counted = _git(repo, "rev-list", "--count", f"{ancestor}..{descendant}")
    return int(counted) if counted is not None and counted.isdigit() else None


def first_parent_commits(repo: Path, commit: str, *, most: int) -> list[str]:
    """The commit and those it came from, nearest first, along the first parents; none where it is not known there."""
    if not _COMMIT.fullmatch(commit):
        return []
    listed = _git(repo, "rev-list", "--first-parent", f"--max-count={most}", commit)
    return [] if listed is None else listed.split()


def _git(repo: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails, or is not there."""
    kept = {name: value for name, value in os.environ.items() if name not in _STRANGE}
    try:
        done = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", *arguments],
            cwd=repo,
            env={**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
