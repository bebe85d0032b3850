"""`.expiring/`: which artifacts of which jobs go within a week, as queries; worked out anew when that is cheap."""

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from mountfs import query
from mountfs.catalog.search import Search
from mountfs.query import Moment, Op, Query, Text
from mountfs.retention import expiring
from mountfs.views.nodes import Sense

AHEAD: Final = "+7d"
KEPT_TIMES: Final = 20
"""As long as it took: judging a few jobs takes a millisecond, a hundred thousand seconds."""
MOST_SECONDS: Final = 60.0
MOST_REPORTS: Final = 20_000
"""Of so many the policy is asked, in half a second and 20 MiB; of more only dates of their own are looked at."""


class ExpiringJobs:
    """`sense` tells the time and the policy, `monotonic` when what was worked out has become old."""

    def __init__(
        self, search: Search, sense: Callable[[], Sense], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._search = search
        self._sense = sense
        self._monotonic = monotonic
        self._good_until = float("-inf")
        self._jobs: dict[bytes, Query] = {}
        self._names: list[bytes] = []

    def names(self, after: bytes) -> list[bytes]:
        """The jobs that lose something, in byte order, from behind this one."""
        self._work_out()
        return self._names[bisect_right(self._names, after) :]

    def wanted(self, job: bytes) -> Query | None:
        """What of a job goes; None: nothing."""
        self._work_out()
        return self._jobs.get(job)

    def _work_out(self) -> None:
        began = self._monotonic()
        if began < self._good_until:
            return
        sense = self._sense()
        dated = Moment("expires", Op.LE, query.parse_span(AHEAD, now_ns=sense.now_ns))
        going: dict[str, list[Query]] = defaultdict(list)
        has_to_judge = sense.policy.has_limit and not self._search.units.are_more_than(MOST_REPORTS)
        reports = self._search.units.reports() if has_to_judge else []
        for one in expiring(reports, sense.policy, now_ns=sense.now_ns):
            if one.dated is None:
                going[one.report.job].append(Text("type", Op.EQ, one.report.type))
        for job in self._search.units.jobs_dated_before(dated.span.end_ns):
            going[job].append(dated)
        self._jobs = {
            job.encode("utf-8", "surrogateescape"): query.conjunction(
                (Text("job", Op.EQ, job), query.disjunction(tuple(dict.fromkeys(parts))))
            )
            for job, parts in going.items()
        }
        self._names = sorted(self._jobs)
        ended = self._monotonic()
        self._good_until = ended + min(KEPT_TIMES * (ended - began), MOST_SECONDS)
