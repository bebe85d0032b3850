"""Reports as tools write them, and what a mount says of one that was written into it."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

ANSWER_SECONDS = 120.0


def junit(**outcomes: str) -> bytes:
    """A JUnit file by outcome of each test: P passed, F failed."""
    body = {"P": "", "F": '<failure message="wrong"/>', "S": "<skipped/>"}
    cases = "".join(
        f'<testcase classname="tests.test_a" name="{name}" time="0.1">{body[one]}</testcase>'
        for name, one in outcomes.items()
    )
    return f'<testsuites><testsuite name="all" tests="{len(outcomes)}">{cases}</testsuite></testsuites>'.encode()


def cobertura(covered: int, lines: int = 100) -> bytes:
    """A coverage report of one file."""
    rows = "".join(f'<line number="{number}" hits="{int(number <= covered)}"/>' for number in range(1, lines + 1))
    rate = covered / lines
    return (
        f'<coverage line-rate="{rate}" lines-valid="{lines}" lines-covered="{covered}" version="7">'
        f'<packages><package><classes><class filename="a.py" line-rate="{rate}"><lines>{rows}</lines></class>'
        "</classes></package></packages></coverage>"
    ).encode()


def summary(path: Path) -> Mapping[str, object] | None:
    """The fact; None while nobody has looked."""
    try:
        found: dict[str, object] = json.loads(os.getxattr(path, b"user.mountfs.summary"))
    except OSError:
        return None
    return found


def answered(path: Path) -> Mapping[str, object]:
    """The summary, as soon as there is one."""
    until = time.monotonic() + ANSWER_SECONDS
    while (found := summary(path)) is None:
        assert time.monotonic() < until, f"no answer about {path.name}"
        time.sleep(0.05)
    return found
