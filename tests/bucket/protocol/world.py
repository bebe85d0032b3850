"""Two or three real stores on one simulated bucket, every request a step: decisions in, violations out.

A decision is a tuple, so that a run can be replayed, shrunk and kept: see `World.apply`. The invariants are those of
the model of the bucket's protocol:

I1 machines end equal; I2 every live record has its content at a place that some manifest names; I4 nothing that was
acknowledged is lost (what is set aside is named, not lost); I5 nothing is back after a deletion that knew it; I5x nor
after its prefix went; I6 garbage goes; I7 no register goes back; I8 a reading makes nothing vanish that the bucket has;
I9 a tag set above every deletion is never lost.
"""

import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from mountfs import objects
from mountfs.bucket.requests import Copy, Delete, Pause, Put, PutLarge
from mountfs.errors import InvalidArgument, IsADirectory, MountfsError, NotADirectory, NotEmpty, RemoteUnavailable
from mountfs.records import PathState, Value, decode_record
from mountfs.store.outbox import Due
from tests.bucket.machines import SetClock
from tests.bucket.protocol.host import Host, make_template
from tests.bucket.protocol.invariants import Invariants
from tests.bucket.protocol.names import BEGIN_MS, JOBS, MINUTE, job_of, shown, told
from tests.bucket.protocol.people import carry_out
from tests.bucket.protocol.tasks import MAINTENANCE, Task, is_request, steps_of
from tests.bucket.protocol.truth import Published, Said, Violation, Word, digest_in, words_of
from tests.bucket.simulated import SimulatedBucket

Decision = tuple[object, ...]
MOST_STEPS = 400  # of one run
MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Setup:
    """How many machines, and by how many milliseconds each one's clock is off."""

    skews_ms: tuple[int, ...] = (0, 0)


class World:
    """See the module's docstring. Use `World.made`."""

    def __init__(self, setup: Setup, directory: Path, template: Path) -> None:
        self.bucket = SimulatedBucket(now_ms=BEGIN_MS, page=2, resolution_ms=1000)
        self.published = Published(self.bucket)
        self.said = Said()
        self.trace: list[str] = []
        self.hosts = [
            Host(n, directory / str(n), template, self.bucket, SetClock(self._now, skew_ms=skew_ms))
            for n, skew_ms in enumerate(setup.skews_ms)
        ]
        self.invariants = Invariants(self.published, self.said, self.hosts)
        for host in self.hosts:
            self._watch(host)

    def _now(self) -> int:
        return self.bucket.now_ms

    def say(self, *words: object) -> None:
        self.trace.append(f"t={(self.bucket.now_ms - BEGIN_MS) // MINUTE} {' '.join(map(str, words))}")

    def close(self) -> None:
        for host in self.hosts:
            host.close()

    # -- decisions ----------------------------------------------------------------------------------------

    def apply(self, decision: Decision) -> None:
        """Carry out one decision, as far as it makes sense now. Raises Violation."""
        match decision:
            case ("act", int(number), tuple(action)):
                self._act(self.hosts[number], action)
            case ("start", int(number), str(kind), str(job), *part):
                self._start(self.hosts[number], kind, job, part[0] if part else None)  # type: ignore[arg-type]
            case ("step" | "lost" | "refused" as how, int(number), (str(kind), str(job))):
                self._step(self.hosts[number], (kind, job), how)
            case ("run", int(number), (str(kind), str(job))):
                self._run(self.hosts[number], (kind, job))
            case ("before", int(number), (str(kind), str(job)), str(what), int(count)):
                self._run_up_to(self.hosts[number], (kind, job), what, count)
            case ("crash", int(number)):
                self._crash(self.hosts[number])
            case ("net", int(number)):
                self.hosts[number].is_online = not self.hosts[number].is_online
            case ("clock", int(number), int(minutes)):
                self.hosts[number].clock.skew_ms += minutes * MINUTE
            case ("time", int(minutes)):
                self.bucket.now_ms += minutes * MINUTE
            case ("seconds", int(seconds)):
                self.bucket.now_ms += 1000 * seconds
            case ("ext", str(job)):
                self._delete_prefix(job)
            case _:
                raise ValueError(decision)

    # -- runs -----------------------------------------------------------------------------------------------

    def _start(self, host: Host, kind: str, job: str, part: int | None) -> None:
        key = (kind, job)
        if key in host.tasks or (kind in MAINTENANCE and any(k in MAINTENANCE for k, _ in host.tasks)):
            return
        task = Task(steps_of(kind, host.ground, host.job(job), part))
        if not task.is_over:
            host.tasks[key] = task

    def _step(self, host: Host, key: tuple[str, str], how: str) -> None:
        task = host.tasks.get(key)
        if task is None:
            return
        before = host.owed()
        self._answer(host, task, how)
        if task.is_over:
            del host.tasks[key]
            if task.error is not None:
                self.say(f"machine {host.number}: {key[0]} {key[1]} ends: {task.error}")
        self._note_words(host, before, is_act=False)

    def _answer(self, host: Host, task: Task, how: str) -> None:
        request = task.request
        if not is_request(request):
            how = "step"
        elif how == "refused" or not host.is_online:
            self.say(f"machine {host.number}: no answer to {request}")
            return task.fail(RemoteUnavailable("no answer"))
        try:
            answer = request.run(self.bucket)
        except MountfsError as error:
            return task.fail(error)
        if is_request(request):
            self._happened(host, request)
        if how == "lost":
            self.say(f"machine {host.number}: the answer is lost")
            return task.fail(RemoteUnavailable("the answer is lost"))
        server_ms = getattr(answer, "server_ms", None)
        if isinstance(server_ms, int):
            host.heard(server_ms)
        return task.answer(answer)

    def _happened(self, host: Host, request: object) -> None:
        match request:
            case Put(key=key) | PutLarge(key=key) | Copy(key=key):
                manifest = self.published.arrived(key)
                job = job_of(key)
                if manifest is not None and job is not None:
                    for record in manifest.records:
                        for word in words_of(job, record):
                            self.said.landed.add(word)
                self.say(f"machine {host.number} puts {shown(key)}", told(manifest.records) if manifest else "")
                self.invariants.check(job)
            case Delete(keys=keys):
                self.say(f"machine {host.number} deletes {', '.join(map(shown, keys))}")
                for key in keys:
                    self.invariants.check(job_of(key))

    def _run(self, host: Host, key: tuple[str, str]) -> None:
        for _ in range(MOST_STEPS):
            if key not in host.tasks:
                return
            self._let_others(host, key)
            self._step(host, key, "step")
        raise Violation(f"I0 machine {host.number}: {key} does not end")

    def _run_up_to(self, host: Host, key: tuple[str, str], what: str, count: int) -> None:
        """Until its next request is the `count`-th one of that name."""
        for _ in range(MOST_STEPS):
            task = host.tasks.get(key)
            if task is None:
                return
            if type(task.request).__name__ == what:
                count -= 1
                if not count:
                    return
            self._let_others(host, key)
            self._step(host, key, "step")

    def _let_others(self, host: Host, key: tuple[str, str]) -> None:
        """Who pauses waits for another run of this machine, which has something to compute."""
        if not isinstance(host.tasks[key].request, Pause):
            return
        for other in list(host.tasks):
            if other != key and other in host.tasks and not is_request(host.tasks[other].request):
                self._step(host, other, "step")

    def _crash(self, host: Host) -> None:
        self.say(f"machine {host.number} is killed and starts again")
        host.killed()
        self._watch(host)

    def _delete_prefix(self, job: str) -> None:
        prefix = objects.job_prefix(job.encode())
        self.invariants.tainted.add(job)
        for record in self.published.records(job):
            self.said.lost_with_prefix.update(words_of(job, record))
        for key in [key for key in self.bucket.objects if key.startswith(prefix)]:
            del self.bucket.objects[key]
        owed = {word for host in self.hosts for word in host.owed()}
        self.said.lost_with_prefix -= owed
        self.say(f"somebody deletes the prefix of {job}")

    # -- what people do ---------------------------------------------------------------------------------------

    def _act(self, host: Host, action: tuple[object, ...]) -> None:
        before = host.owed()
        known = {(job, path): self._knowledge(host, job, path) for job, path in self._touched(action)}
        try:
            done = carry_out(host, action)
        except (NotADirectory, IsADirectory, NotEmpty, InvalidArgument):
            done = False  # where something is a directory now that was none, or the other way round
        if done:
            self.say(f"machine {host.number}:", *action)
        self._note_words(host, before, is_act=True, known=known)

    # -- what was said ----------------------------------------------------------------------------------------

    def _touched(self, action: tuple[object, ...]) -> set[tuple[str, bytes]]:
        """Paths that an action may say something of."""
        match action:
            case ("move", str(job), str(old), str(other), str(new)):
                touched = {(job, old.encode()), (other, new.encode()), (other, b"")}
            case ("rename" | "exchange", str(job), str(old), str(new)):
                touched = {(job, old.encode()), (job, new.encode())}
            case ("expire", str(job)):
                touched = {(job, b"")}
            case (_, str(job), str(path), *_):
                touched = {(job, path.encode()), (job, b"")}
            case _:
                return set()
        jobs = {job for job, _path in touched}
        if action[0] in ("rename", "exchange", "move", "expire"):  # of a directory: all that is below it too
            touched |= {(word.job, word.path) for word in self.said.values if word.job in jobs}
        return touched

    def _knowledge(self, host: Host, job: str, path: bytes) -> tuple[bool, set[str]]:
        """Of a path: whether registers of an earlier life are known that no clear voids; the contents ever known."""
        state = host.state(job, path)
        stamps = {self.said.first_stamp(word) for word in host.owed() if (word.job, word.path) == (job, path)}
        number = host.job(job)
        for key, manifest in self.published.of_job(job):
            if key.rpartition("/")[2] in host.ground.tables.bundles(number):
                stamps |= {record.stamp for record in manifest.records if record.path == path and record.set}
        if "content" in state.registers:
            stamps.add(state.registers["content"][0])
        return bool(state.registers), stamps

    def _note_words(
        self, host: Host, before: Iterable[Word], *, is_act: bool,
        known: dict[tuple[str, bytes], tuple[bool, set[str]]] | None = None,
    ) -> None:  # fmt: skip
        """Take down what a machine says now and did not say before, and what it no longer says."""
        now = host.owed()
        for word in now.keys() & self.said.values.keys():
            if digest_in(self.said.values[word]) is None:  # its content was not settled yet
                self.said.values[word] = now[word]
        for word in now.keys() - self.said.values.keys():
            self.said.values[word] = now[word]
            if word.register == "content" and (digest := digest_in(now[word])) is not None and host.holds(digest):
                self.said.held.add(word)
            if not word.register:
                is_earlier, stamps = (known or {}).get((word.job, word.path), (True, set()))
                if is_earlier:
                    self.said.legit.add(word)
                self.said.knew[word] = {stamp for stamp in stamps if stamp < word.stamp}
        if is_act:
            self.said.withdrawn |= set(before) - now.keys()
        else:
            self.said.withdrawn |= _said_anew(before, now)
        for job, raw, reason in host.aside():
            for word in words_of(job, decode_record(raw.encode())):
                self.said.withdrawn.add(word)
                if "neither here" in reason and word in self.said.held and job not in self.invariants.tainted:
                    raise Violation(f"I4 the content of {word} was here when it was said, and is nowhere now")

    def _watch(self, host: Host) -> None:
        """Hear of what is stamped anew, and of each reading that is brought into the rows."""
        restamp = host.store.outbox.restamp
        host.ground.applying = _Applying(self, host)

        def heard(job: int, dues: Iterable[Due]) -> None:
            before = host.owed()
            restamp(job, dues)
            self._restamped(before, host.owed())

        host.store.outbox.restamp = heard  # type: ignore[method-assign]

    def _restamped(self, before: Mapping[Word, Value], after: Mapping[Word, Value]) -> None:
        for word in after.keys() - before.keys():
            old = next((w for w in before if (w.job, w.path, w.register) == (word.job, word.path, word.register)), None)
            if old is None:
                continue
            self.said.first[word.job, word.path, word.stamp] = self.said.first_stamp(old)
            self.said.withdrawn.add(old)
            self.said.values[word] = self.said.values.get(old)
            for kept in (self.said.legit, self.said.held):
                if old in kept:
                    kept.add(word)
            if old in self.said.knew:
                self.said.knew[word] = self.said.knew[old]

    # -- invariants ---------------------------------------------------------------------------------------------

    # -- the end --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Everybody is online, and everything is published and read."""
        self.say("-- everything settles")
        for host in self.hosts:
            host.is_online = True
            for held in list(host.held):
                self.apply(("act", host.number, ("let go", *held.split("/", 1))))
            host.store.settler.settle_all()  # as a daemon does behind its writers, also after a kill
            for key in list(host.tasks):
                self._run(host, key)
        for host, job in itertools.product(self.hosts, JOBS):
            self.do(host.number, "resume", job)
        for _ in range(4):
            for host, job in itertools.product(self.hosts, JOBS):
                self.do(host.number, "publish", job)
        for host, job in itertools.product(self.hosts, JOBS):
            self.do(host.number, "refresh", job)

    def do(self, number: int, kind: str, job: str, part: int | None = None) -> None:
        """From beginning to end."""
        self.apply(("start", number, kind, job) if part is None else ("start", number, kind, job, part))
        self.apply(("run", number, (kind, job)))

    def collect_garbage(self) -> None:
        """Maintenance by one machine until nothing is left to do; then I6."""
        self.say("-- garbage collection")
        for minutes in (65, 65, 605, 605, 65, 65, 65):
            for job in JOBS:
                for kind in ("merge", "drop", "sweep"):
                    self.do(0, kind, job)
            self.apply(("time", minutes))
        for host, job in itertools.product(self.hosts, JOBS):
            self.do(host.number, "refresh", job)
        for job in JOBS:
            self.invariants.check_garbage(job)

    # -- life -------------------------------------------------------------------------------------------------

    @staticmethod
    @contextmanager
    def made(setup: Setup, template: Path) -> Iterator["World"]:
        """A world of its own, its names the same in every run; gone afterwards."""
        counter = itertools.count(1)
        fake = SimpleNamespace(token_hex=lambda size: f"{next(counter):0{2 * size}x}")
        memory = MEMORY if MEMORY.is_dir() else None
        with tempfile.TemporaryDirectory(dir=memory) as directory, pytest.MonkeyPatch.context() as patch:
            patch.setattr("mountfs.clock.secrets", fake)
            patch.setattr("mountfs.store.files.BUFFER_BYTES", 20_000)  # odd contents are drafts on their way
            world = World(setup, Path(directory), template)
            try:
                yield world
            finally:
                world.close()


def _said_anew(before: Iterable[Word], now: Iterable[Word]) -> set[Word]:
    """Words that have a later one in their place: below a renamed directory all is said anew when it is looked at."""
    later = {(word.job, word.path, word.register): word.stamp for word in now}
    return {w for w in set(before).difference(now) if later.get((w.job, w.path, w.register), "") > w.stamp}


class _Applying(set[int]):
    """The jobs whose reading a machine brings into its rows: looked at before and after."""

    def __init__(self, world: World, host: Host) -> None:
        super().__init__()
        self._world = world
        self._host = host
        self._old: dict[int, dict[bytes, PathState]] = {}

    def add(self, job: int, /) -> None:
        super().add(job)
        self._old[job] = self._states(job)

    def discard(self, job: object, /) -> None:
        super().discard(job)
        old = self._old.pop(job, None) if isinstance(job, int) else None
        if old is not None and isinstance(job, int):
            name = self._host.ground.tables.job_name(job).decode()
            self._world.invariants.check_reading(self._host, name, old, self._states(job))

    def _states(self, job: int) -> dict[bytes, PathState]:
        return self._host.states(self._host.ground.tables.job_name(job).decode())


def template_store(path: Path) -> Path:
    """A store to copy machines from."""
    bucket = SimulatedBucket(now_ms=BEGIN_MS)
    make_template(path, SetClock(lambda: BEGIN_MS), bucket)
    return path
