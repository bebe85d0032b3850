"""What a git repository knows of branches and commits, asked of `git` itself: which are merged, how far one is off."""

import os
import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Final

from mountfs.errors import DeadlineExceeded, EnvironmentProblem, InvalidArgument, NotFound

SECONDS: Final = 30.0
_HEADS: Final = b"refs/heads/"
_REMOTES: Final = b"refs/remotes/"
_COMMIT: Final = re.compile(r"[0-9a-f]{4,64}")
"""Names of commits come from tags, which anybody may set: what is not hexadecimal is not asked about."""


def merged_branches(repository: Path, into: str) -> frozenset[str]:
    """The branches whose last commit is part of `into`, without `into` itself.

    A branch that is here and on a remote counts once all of them are. Raises NotFound, InvalidArgument,
    EnvironmentProblem, DeadlineExceeded.
    """
    _refuse_no_repository(repository)
    if is_shallow(repository):
        raise EnvironmentProblem(
            f"{repository} is a shallow clone, which does not know what is merged: run `git fetch --unshallow` there"
        )
    _refuse_no_commit(repository, into)
    everywhere, merged = _branches(repository), _branches(repository, f"--merged={into}")
    return frozenset(name for name, refs in merged.items() if refs == everywhere[name] and name not in (into, "HEAD"))


def distance(repository: Path, ancestor: str, descendant: str) -> int | None:
    """How many commits lie between; None where it is no ancestor, or nobody can tell (a shallow clone, no git)."""
    if not (_COMMIT.fullmatch(ancestor) and _COMMIT.fullmatch(descendant)):
        return None
    try:
        if is_shallow(repository):
            return None
        for commit in (ancestor, descendant):
            _refuse_no_commit(repository, commit)
        if _git(repository, "merge-base", "--is-ancestor", ancestor, descendant).returncode != 0:
            return None
        counted = _git(repository, "rev-list", "--count", f"{ancestor}..{descendant}")
    except (EnvironmentProblem, InvalidArgument, NotFound, DeadlineExceeded):
        return None
    return int(counted.stdout) if counted.returncode == 0 else None


def is_repository(where: Path) -> bool:
    try:
        return _git(where, "rev-parse", "--git-dir").returncode == 0
    except (EnvironmentProblem, DeadlineExceeded):
        return False


def first_parent_commits(repository: Path, commit: str, *, most: int) -> list[str]:
    """The commit and those it came from, nearest first, along the first parents; none where it is not known there."""
    if not _COMMIT.fullmatch(commit):
        return []
    try:
        listed = _git(repository, "rev-list", "--first-parent", f"--max-count={most}", commit)
    except (EnvironmentProblem, DeadlineExceeded):
        return []
    return listed.stdout.decode("ascii").split() if listed.returncode == 0 else []


def is_shallow(repository: Path) -> bool:
    """Whether it lacks history."""
    return _git(repository, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"


def _refuse_no_repository(repository: Path) -> None:
    found = _git(repository, "rev-parse", "--git-dir")
    if found.returncode != 0:
        said = found.stderr.decode(errors="replace").strip().partition("\n")[0].removeprefix("fatal: ")
        raise InvalidArgument(f"{repository} is no git repository that can be used: {said or 'git refuses it'}")


def _refuse_no_commit(repository: Path, name: str) -> None:
    is_option = name.startswith("-") or not name
    if is_option or _git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").returncode != 0:
        raise NotFound(f"{repository} has no branch {name!r}")


def _branches(repository: Path, *more: str) -> dict[str, set[bytes]]:
    """By the name of a branch: its references, here and on remotes."""
    found: dict[str, set[bytes]] = defaultdict(set)
    refs = _git(repository, "for-each-ref", "--format=%(refname)", *more, _HEADS.decode(), _REMOTES.decode())
    if refs.returncode != 0:
        raise EnvironmentProblem(f"git could not list the branches of {repository}: {_said(refs.stderr)}")
    for ref in refs.stdout.splitlines():
        name = ref.removeprefix(_HEADS) if ref.startswith(_HEADS) else ref.removeprefix(_REMOTES).partition(b"/")[2]
        found[name.decode("utf-8", "surrogateescape")].add(ref)
    return found


def _said(stderr: bytes) -> str:
    return stderr.decode(errors="replace").strip()


def _git(repository: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    around = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    around |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", "-C", str(repository), "-c", "core.fsmonitor=false", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, env=around, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise EnvironmentProblem("git is not installed here, and it alone knows which branches are merged") from None
    except subprocess.TimeoutExpired:
        raise DeadlineExceeded(f"git did not answer within {SECONDS:g} seconds in {repository}") from None
