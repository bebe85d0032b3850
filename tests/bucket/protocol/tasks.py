"""Runs of the protocol, one request at a time: what the scheduler starts, holds back, answers and loses."""

from collections.abc import Callable, Sequence

from mountfs.bucket.dropping import clear_away, drop
from mountfs.bucket.ground import Ground
from mountfs.bucket.maintaining import maintain
from mountfs.bucket.merging import finish, merge
from mountfs.bucket.publishing import publish
from mountfs.bucket.reading import refresh
from mountfs.bucket.requests import Delete, Pause, Request, Steps, Together, Work
from mountfs.bucket.survey import sizes, survey
from mountfs.errors import MountfsError

Kind = str
MAINTENANCE = frozenset({"merge", "drop", "sweep", "resume", "maintain"})


class Task:
    """One run. `request` is what it asks for next: a single request, never a group."""

    def __init__(self, steps: Steps[object]) -> None:
        self._steps = steps
        self._parts: list[Request[object]] = []
        self._answers: list[object] = []
        self._group: Request[object] | None = None
        self.is_over = False
        self.error: MountfsError | None = None
        self._go_on(lambda: steps.send(None))

    @property
    def request(self) -> Request[object]:
        assert self._group is not None
        return self._parts[len(self._answers)] if self._parts else self._group

    def answer(self, answer: object) -> None:
        if not self._parts:
            self._go_on(lambda: self._steps.send(answer))
            return
        self._answers.append(answer)
        if len(self._answers) == len(self._parts):
            answers = self._answers if isinstance(self._group, Together) else None
            self._go_on(lambda: self._steps.send(answers))

    def fail(self, error: MountfsError) -> None:
        if isinstance(self._group, Together):
            self.answer(error)
        else:
            self._go_on(lambda: self._steps.throw(error))

    def close(self) -> None:
        self._steps.close()

    def _go_on(self, resume: Callable[[], Request[object]]) -> None:
        try:
            self._group = resume()
        except StopIteration:
            self.is_over = True
            return
        except MountfsError as error:
            self.is_over, self.error = True, error
            return
        self._parts, self._answers = list(_parts(self._group)), []
        if not self._parts and isinstance(self._group, Together):
            self._go_on(lambda: self._steps.send([]))


def _parts(request: Request[object]) -> Sequence[Request[object]]:
    match request:
        case Together(requests):
            return requests
        case Delete(keys) if len(keys) > 1:
            return [Delete((key,)) for key in keys]
        case _:
            return []


def is_request(request: Request[object]) -> bool:
    """Whether it reaches the bucket."""
    return not isinstance(request, (Work, Pause))


def steps_of(kind: Kind, ground: Ground, job: int, part: int | None) -> Steps[object]:
    """The run of that name; `part` chooses the bundles to merge, by the bits of their place in order."""
    match kind:
        case "publish":
            return publish(ground, job)
        case "refresh":
            return refresh(ground, job)
        case "merge":
            return _merge(ground, job, part)
        case "drop":
            return _drop(ground, job)
        case "sweep":
            return _sweep(ground, job)
        case "resume":
            return finish(ground, job)
        case "maintain":
            return maintain(ground, job)
        case _:
            raise ValueError(kind)


def _merge(ground: Ground, job: int, part: int | None) -> Steps[None]:
    """Any bundles, not only those that are worth it."""
    yield from finish(ground, job)
    seen = yield from survey(ground, job)
    names = sorted(seen.bundles)
    sources = [name for number, name in enumerate(names) if part is None or (part >> (number % 3)) & 1]
    gone = {sized.name: sized.dropped_bytes for sized in sizes(ground, job, seen)}
    if len(sources) > 1 or (sources == names and any(gone.get(name) for name in sources)):
        yield from merge(ground, job, seen, sources)


def _drop(ground: Ground, job: int) -> Steps[None]:
    seen = yield from survey(ground, job)
    yield from drop(ground, job, seen)


def _sweep(ground: Ground, job: int) -> Steps[None]:
    seen = yield from survey(ground, job)
    yield from clear_away(ground, job, seen)
