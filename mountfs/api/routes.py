"""What each route to a store does in its way: with a mount, without one, beside one; and what they all hold.

The catalog holds what is acknowledged once `_refresh` has returned. Content comes from where the route has it.
"""

import abc
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mountfs.api.keys import Key, Names, names_of
from mountfs.api.pieces import Data
from mountfs.api.pinning import Pinning
from mountfs.catalog import Catalog
from mountfs.model import Artifact, Entry
from mountfs.namespace import TypeRules
from mountfs.store.facts import Facts

if TYPE_CHECKING:
    from mountfs.compare.baseline import Candidate
    from mountfs.store.interrupted import Left

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Quota:
    """What a store may hold, and from which part of it on that is worth a warning. 0: as much as there is."""

    limit_bytes: int = 0
    threshold: float = 0.8


class Route(Pinning):
    """A store by one of its routes. `ArtifactStore` says what its methods promise to everybody."""

    def __init__(self, *, mountpoint: Path, state: Path, catalog: Catalog, rules: TypeRules) -> None:
        self.mountpoint = mountpoint
        self.state = state
        self._catalog = catalog
        self._types = rules.extra
        self._facts = Facts(catalog, mountpoint=mountpoint, types=rules)
        self._lock = threading.RLock()
        self.knows_all = True
        """Whether what is searched is all there is, not only the jobs that this machine has looked at."""
        self.quota = Quota()
        self.on_reading: Callable[[int, int], None] = _nobody
        """How many reports were read, of how many, where a question has to wait for that."""
        self.on_finished: Callable[[str], None] = log.warning
        """Hears a sentence when this store finished a cleanup that had been interrupted."""

    @property
    def types(self) -> Mapping[str, str]:
        """The settings' own types, by alias."""
        return self._types

    def names_of(self, key: Key) -> Names:
        """The components of a key. Raises InvalidName."""
        return names_of(key, self.mountpoint)

    @abc.abstractmethod
    def put(
        self,
        key: Key,
        data: Data,
        *,
        type: str | None = None,
        tags: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        mime_type: str | None = None,
        expires: str | None = None,
    ) -> Artifact:
        """Store an artifact, all or nothing, and return what is known of it. What had that key is replaced, tags too.

        A file-like object is read from where it stands, in pieces. `expires` is a date, a time or `+30d`.
        """

    @abc.abstractmethod
    def delete(self, key: Key) -> bool:
        """Remove an artifact, or a directory with all below it; whether there was one."""

    @abc.abstractmethod
    def tag(self, key: Key, **tags: object) -> None:
        """Set tags of an artifact, or of a directory for all below it. A label is a tag with an empty value."""

    @abc.abstractmethod
    def untag(self, key: Key, *keys: str) -> None:
        """Take tags of its own away. Raises TagNotFound."""

    @abc.abstractmethod
    def path(self, key: Key) -> Path:
        """The file of an artifact inside the mount, whether it exists or not. Raises NotMounted."""

    @abc.abstractmethod
    def flush(self, key: Key | None = None, *, timeout: float | None = None) -> None:
        """Return once the bucket has confirmed all that was stored in the job of a key, or everywhere.

        `timeout` in seconds. Raises ConfigError without a bucket, RemoteUnavailable, RemoteDenied: what did not go is
        kept, and goes later.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the store. May be called more than once."""

    @abc.abstractmethod
    def _ask(self, op: str, *, timeout: float | None = None, **arguments: object) -> dict[str, object]:
        """Have whoever holds the store answer `retention`, or do `expire`: see `mountfs.daemon.dropping`."""

    @abc.abstractmethod
    def _refresh(self) -> None:
        """Bring everything acknowledged into the catalog."""

    @abc.abstractmethod
    def _index(self) -> None:
        """Bring everything acknowledged into the search index."""

    @abc.abstractmethod
    def _look(self, jobs: Sequence[bytes]) -> None:
        """Bring in what other machines wrote in these jobs. Raises where only the name of one is known here."""

    @abc.abstractmethod
    def _look_at_root(self) -> None:
        """Bring in the names of all jobs. Raises RemoteUnavailable rather than knowing some of them only."""

    @abc.abstractmethod
    def _be_sure(self, job: bytes) -> None:
        """Before it is said that something is not there: raise where the bucket could not be asked."""

    @abc.abstractmethod
    def _open(self, names: Names, entry: Entry) -> BinaryIO:
        """The content of a file."""

    @abc.abstractmethod
    def _await_digest(self, names: Names) -> None:
        """Return when the digest of a published content is known, where it is still being computed."""

    # -- what some have no need of --------------------------------------------------------------------------

    def left(self) -> "Sequence[Left]":
        """What a cleanup that was killed left of its reports, and nobody is about to take."""
        return ()

    def heads(self, key: str, value: bytes, *, limit: int, is_beginning: bool = False) -> "Sequence[Candidate]":
        """The newest jobs with that tag, or one that begins so, of which the bucket tells; none where this machine
        knows all there is."""
        return ()

    def understand(self) -> None:  # a daemon does it, and nobody waits for it
        """Have reports read that nobody has looked at, where no daemon does."""

    def expect(self, inos: Sequence[int]) -> None:  # nothing to do where all is here
        """These are opened next, all of them: where they are in the bucket, few requests bring them."""

    def _url(self, names: Names, *, seconds: int, plain: bool) -> str | None:
        """A URL that a server answers; None where there is no such server."""
        return None


def _nobody(done: int, total: int) -> None:
    """Nobody wants to know."""
