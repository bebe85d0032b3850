"""Questions to a catalog of `catalog.py`, and what each costs: processor time, and steps of SQLite's machine.

    python -m benchmarks.queries SMALL COUNT LARGE COUNT

Two state directories, and how many artifacts are in them. Steps are the same in each run, however busy the machine is.
Prints a JSON object for each question.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.catalog import BEGAN_NS, RUN_NS, runs
from mountfs import query
from mountfs.catalog.search import Search

FIRST: Final = 100
PAGE_OF_VIEW: Final = 256
ROUNDS: Final = 7
STRIDE: Final = 20  # steps between two calls of the counter

QUERIES: Final = (
    "*",
    "type=coverage-report",
    "branch=main",
    "type=coverage-report and branch=main",
    "branch=dev or branch=release/1.0",
    "not status=failed",
    "status=failed and type=test-results",
    "name~*.xml",
    "size>1MiB",
    "created>7d",
    "flaky=yes",
    "branch=nobody",
    "type=coverage-report and branch=main and size>1MiB and name~*.xml and created>7d and not status=failed",
)
"""Common and rare ones, those that match all and none, and that of the README."""
OF_VIEWS: Final = QUERIES[:7]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one answer: the median of its processor time, and its steps."""

    ms: float
    steps: int


def now_ns(count: int) -> int:
    """When the last run of a catalog with so many artifacts began."""
    return BEGAN_NS + sum(1 for _ in runs(count)) * RUN_NS


def cost(search: Search, answer: Callable[[], object]) -> Cost:
    """Of an answer that was asked for before."""
    answer()
    taken = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        answer()
        taken.append(time.thread_time() - began)
    return Cost(statistics.median(taken) * 1000, _steps(search, answer))


def _steps(search: Search, answer: Callable[[], object]) -> int:
    calls = 0

    def count() -> int:
        nonlocal calls
        calls += 1
        return 0

    search.watch(count, every=STRIDE)
    try:
        answer()
    finally:
        search.watch(None, every=STRIDE)
    return calls * STRIDE


@dataclass(frozen=True, slots=True)
class Question:
    """The first artifacts that a query is about, or the first jobs of the view that shows them."""

    text: str
    of_jobs: bool

    def answer(self, search: Search, now_ns: int, limit: int) -> int:
        """How many there were, up to the limit."""
        asked = query.parse(self.text, now_ns=now_ns)
        return len(search.jobs(asked, limit=limit)) if self.of_jobs else len(search.page(asked, limit=limit).rows)

    @property
    def most(self) -> int:
        return PAGE_OF_VIEW if self.of_jobs else FIRST


QUESTIONS: Final = (*(Question(text, False) for text in QUERIES), *(Question(text, True) for text in OF_VIEWS))


@dataclass(frozen=True, slots=True)
class Asked:
    """In a large catalog: a full page, and as much as the small one has of it; and what that costs in the small one."""

    question: Question
    full: Cost
    same: Cost
    small: Cost


def compare(small: Path, small_count: int, large: Path, large_count: int) -> Iterator[Asked]:
    with closing(Search.open(small)) as few, closing(Search.open(large)) as many:
        few_ns, many_ns = now_ns(small_count), now_ns(large_count)
        for question in QUESTIONS:
            found = max(1, question.answer(few, few_ns, question.most))
            yield Asked(
                question,
                cost(many, partial(question.answer, many, many_ns, question.most)),
                cost(many, partial(question.answer, many, many_ns, found)),
                cost(few, partial(question.answer, few, few_ns, found)),
            )


def main(small: str, few: str, large: str, many: str) -> None:
    catalogs = Path(small) / "catalog.db", int(few), Path(large) / "catalog.db", int(many)
    for asked in compare(*catalogs):
        print(json.dumps(asdict(asked)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
