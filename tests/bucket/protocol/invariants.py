"""The invariants of the bucket's protocol, checked against everything that was ever said."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mountfs import objects
from mountfs.errors import MountfsError
from mountfs.model import Digest
from mountfs.records import PathState, fold
from tests.bucket.protocol.host import Host
from tests.bucket.protocol.names import JOBS, content_name, shown
from tests.bucket.protocol.truth import Published, Said, Violation, Word, digest_in, existing, seen

Shown = dict[bytes, dict[str, tuple[str, object]]]


@dataclass
class Invariants:
    """See `world.py` for what each of them says. `tainted` are jobs whose prefix somebody deleted."""

    published: Published
    said: Said
    hosts: Sequence[Host]
    tainted: set[str] = field(default_factory=set)

    def check(self, job: str | None) -> None:
        """After each change of the bucket: I2 and I5."""
        if job is None:
            return
        for path, state in existing(fold(self.published.records(job))).items():
            stamp, value = state.registers["content"]
            digest = digest_in(value)
            if job not in self.tainted and digest is not None and not self.published.has(job, digest):
                self._check_owed(job, path, stamp, digest)
            self._check_deletions(job, path, stamp)

    def _check_deletions(self, job: str, path: bytes, stamp: str) -> None:
        first = self.said.first.get((job, path, stamp), stamp)
        for clear, stamps in self.said.knew.items():
            knew = (clear.job, clear.path) == (job, path) and clear.stamp > first and first in stamps
            if knew and clear in self.said.landed and clear not in self.said.lost_with_prefix:
                raise Violation(f"I5 {job}/{path.decode()} is back after its known deletion")

    def _check_owed(self, job: str, path: bytes, stamp: str, digest: str) -> None:
        """A content that is nowhere is none of ours while its author sends it again, or somebody clears its path."""
        words = [word for host in self.hosts for word in host.owed() if (word.job, word.path) == (job, path)]
        if not any(
            (word.register == "content" and word.stamp >= stamp) or (not word.register and word.stamp > stamp)
            for word in words
        ):
            raise Violation(f"I2 {job}/{path.decode()} refers to {content_name(digest)}, in no object of the job")

    def check_reading(self, host: Host, job: str, old: dict[bytes, PathState], new: dict[bytes, PathState]) -> None:
        """I8: a reading made nothing vanish, or go back, that the bucket has."""
        if job in self.tainted:
            return
        there = fold(self.published.records(job))
        owed = fold_owed(host, job)
        for path, state in old.items():
            stamp = state.registers["content"][0]
            now = there.get(path, PathState())
            now.merge(owed.get(path, PathState()))
            is_there = now.exists and now.registers["content"][0] == stamp
            if is_there and (path not in new or new[path].registers["content"][0] < stamp):
                raise Violation(f"I8 machine {host.number}: {job}/{path.decode()} vanished or went back")

    def check_end(self, when: str = "") -> None:
        """I1, I4, I5x, I7 and I9, once everything has settled."""
        for host in self.hosts:
            left = [w for w in host.owed() if w.job in JOBS]
            if left:
                raise Violation(f"I4 machine {host.number} never gets rid of {left}{when}")
        for job in JOBS:
            views = [{p: seen(s) for p, s in host.states(job).items() if s.exists} for host in self.hosts]
            for number, view in enumerate(views[1:], 1):
                if view != views[0]:
                    raise Violation(f"I1 machines 0 and {number} differ in {job}{when}: {_difference(views[0], view)}")
            there = {p: seen(s) for p, s in existing(fold(self.published.records(job))).items()}
            if there != views[0]:
                raise Violation(f"I1 the bucket has another {job}{when}: {_difference(there, views[0])}")
            if job in self.tainted:
                self._check_gone(job, there)
            else:
                self._check_kept(job, there, when)
        for host in self.hosts:
            self._check_readable(host, when)

    def _check_readable(self, host: Host, when: str) -> None:
        """Whatever is not here can be fetched, whole."""
        for job in JOBS:
            for path, state in existing(host.states(job)).items():
                digest = digest_in(state.value("content"))
                if job in self.tainted or digest is None or host.holds(digest):
                    continue
                try:
                    read = host.fetched(job, path)
                except MountfsError as error:
                    raise Violation(
                        f"I4 machine {host.number} cannot read {job}/{path.decode()}{when}: {error}"
                    ) from None
                assert Digest.of(read).hex() == digest

    def _check_gone(self, job: str, there: Shown) -> None:
        for path, registers in there.items():
            if Word(job, path, "content", registers["content"][0]) in self.said.lost_with_prefix:
                raise Violation(f"I5x {job}/{path.decode()} is back after its prefix was deleted")

    def _check_kept(self, job: str, there: Shown, when: str) -> None:
        want = {path: seen(state) for path, state in existing(self.said.fold(job)).items()}
        for path in want.keys() | there.keys():
            a, b = want.get(path), there.get(path)
            name = f"{job}/{path.decode()}{when}"
            if a is not None and b is None:
                raise Violation(f"I4 {name} was acknowledged, and is lost")
            if a is not None and b is not None and a["content"][0] > b["content"][0]:
                raise Violation(f"I4 {name} shows an older content")
            if a is not None and b is not None and a["content"][0] == b["content"][0] and a != b:
                raise Violation(f"I7 {name}: {b} instead of {a}")
            if b is not None:
                self._check_tags(job, path, b, name)
                digest = json.loads(str(b["content"][1])).get("digest")
                if digest is not None and not self.published.has(job, digest):
                    raise Violation(f"I4 {name}: {content_name(digest)} cannot be read anywhere")

    def _check_tags(self, job: str, path: bytes, shown: dict[str, tuple[str, object]], name: str) -> None:
        words = [w for w in self.said.counting(job) if w.path == path]
        top = max((w.stamp for w in words if w in self.said.legit), default="")
        for tag in {w.register for w in words if w.register.startswith("tag:")}:
            last = max((w for w in words if w.register == tag), key=lambda w: w.stamp)
            value = self.said.values[last]
            if last.stamp >= top and value is not None and shown.get(tag, ("", None))[1] != value:
                raise Violation(f"I9 {name}: {tag}={value}, set above every deletion, is lost")

    def check_garbage(self, job: str) -> None:
        live = {digest_in(s.value("content")) for s in existing(fold(self.published.records(job))).values()}
        prefix = objects.job_prefix(job.encode())
        keys = [key for key in self.published.bucket.objects if key.startswith(prefix)]
        held = {
            place.digest.hex(): key for key, m in self.published.of_job(job) for place in m.places if not place.object
        }
        for key in keys:
            name = objects.parse_object(key.rpartition("/")[2])
            if isinstance(name, objects.LargeName):
                held[name.digest.hex()] = key
        for digest, key in held.items():
            if digest not in live:
                raise Violation(f"I6 {content_name(digest)} is dead and stays in {shown(key)}")
        if not live and keys:
            raise Violation(f"I6 the empty job {job} keeps {', '.join(map(shown, keys))}")


def fold_owed(host: Host, job: str) -> dict[bytes, PathState]:
    states: dict[bytes, PathState] = {}
    for word, value in host.owed().items():
        if word.job != job:
            continue
        state = states.setdefault(word.path, PathState())
        if word.register:
            state.registers[word.register] = (word.stamp, value)
        else:
            state.clear = max(state.clear, word.stamp)
    return states


def _difference(a: Mapping[bytes, object], b: Mapping[bytes, object]) -> str:
    return "; ".join(
        f"{p.decode()}: {a.get(p)} / {b.get(p)}" for p in sorted(a.keys() | b.keys()) if a.get(p) != b.get(p)
    )
