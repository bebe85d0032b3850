"""Which jobs a job may be compared with: pinned ones, the newest of a branch, ancestors; asked for as far as needed.

Where only some jobs are known here (`sync: lazy`), the bucket's heads tell of the others (`views/choosing.py`).
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mountfs.api import git
from mountfs.api.choosing import Asker
from mountfs.catalog.search import Search
from mountfs.compare.baseline import Candidate, Choice, Rule, Wanted, choose_baseline
from mountfs.views.candidates import candidate, newest_jobs, pinned_candidates
from mountfs.views.choosing import look_for

if TYPE_CHECKING:
    from mountfs.api.reading import ArtifactStore

MOST_ANCESTORS: Final = 200
ANCESTORS_ASKED: Final = 8  # of the bucket: a request each, and one for each job of the commit
OF_A_COMMIT: Final = 8


class Baselines:
    """For one job. `wanted.type` is of no account: `choice` is asked for each type."""

    def __init__(
        self, store: "ArtifactStore", search: Search, wanted: Wanted, *, commit: str, repo: Path | None
    ) -> None:
        self._store = store
        self._search = search
        self._wanted = replace(wanted, type="")
        self._commit = commit
        self._repo = repo
        self._asker = Asker(store)

    def choice(self, slug: str | None) -> Choice:
        """The job for reports of a type, None: of any, and why no other was taken."""
        wanted = replace(self._wanted, type=slug)
        found = choose_baseline(pinned_candidates(self._search, wanted), wanted)
        if found.rule is Rule.PINNED:
            return found
        looked = self._asker.run(look_for(self._search, wanted))
        newest = choose_baseline(looked, wanted)
        if newest.chosen is not None:
            return newest
        return choose_baseline([*looked, *self._ancestors_of(wanted)], wanted)

    # -- ancestors ------------------------------------------------------------------------------------------

    def _ancestors_of(self, wanted: Wanted) -> list[Candidate]:
        """Jobs of the commits that this one came from, the nearest first, up to the first that would do."""
        if self._repo is None or not self._commit:
            return []
        found: list[Candidate] = []
        commits = git.first_parent_commits(self._repo, self._commit, most=MOST_ANCESTORS)
        for away, commit in list(enumerate(commits))[1:]:
            jobs = self._of_commit(commit[: max(len(self._commit), 7)], asks=away <= ANCESTORS_ASKED)
            found += [replace(job, commits_away=away) for job in jobs]
            if choose_baseline(found, wanted).chosen is not None:
                break
        return found

    def _of_commit(self, commit: str, *, asks: bool) -> list[Candidate]:
        of_commit = replace(self._wanted, key="commit", value=commit.encode())
        jobs = newest_jobs(self._search, of_commit.key, of_commit.value, most=OF_A_COMMIT)
        here = [candidate(self._search, then, of_commit) for then in jobs]
        if here or self._store.knows_all or not asks:
            return here
        return list(self._store.heads(of_commit.key, of_commit.value, limit=OF_A_COMMIT))
