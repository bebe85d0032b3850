"""Words to write a scenario in: what machines do, where they stand still, what time it becomes."""

from tests.bucket.protocol.world import World


class Script:
    """Machines by number; files as `j/p`; `minutes` go by only where they are said to."""

    def __init__(self, world: World) -> None:
        self.world = world

    # -- people -------------------------------------------------------------------------------------------

    def act(self, machine: int, *action: object) -> None:
        self.world.apply(("act", machine, action))

    def write(self, machine: int, key: str, content: int) -> None:
        """Contents with an odd number are large."""
        self.act(machine, "write", *key.split("/", 1), content)

    def unlink(self, machine: int, key: str) -> None:
        self.act(machine, "unlink", *key.split("/", 1))

    def rename(self, machine: int, key: str, name: str) -> None:
        self.act(machine, "rename", *key.split("/", 1), name)

    def restore(self, machine: int, key: str, content: int) -> None:
        self.act(machine, "restore", *key.split("/", 1), content)

    def chmod(self, machine: int, key: str, mode: int) -> None:
        self.act(machine, "chmod", *key.split("/", 1), mode)

    def tag(self, machine: int, key: str, value: int) -> None:
        """One of two tags: that of even or of odd values."""
        self.act(machine, "tag", *key.split("/", 1), value)

    def evict(self, machine: int, content: int) -> None:
        self.act(machine, "evict", content)

    def remove_job(self, machine: int, job: str = "j") -> None:
        self.act(machine, "expire", job)

    # -- runs of the protocol -----------------------------------------------------------------------------

    def publish(self, machine: int, job: str = "j") -> None:
        self.world.do(machine, "publish", job)

    def refresh(self, machine: int, job: str = "j") -> None:
        self.world.do(machine, "refresh", job)

    def merge(self, machine: int, job: str = "j", *, part: int | None = None) -> None:
        """All bundles, or those whose place in order has its bit set in `part`: 1, 2, 4, 1, 2, 4…"""
        self.world.do(machine, "merge", job, part)

    def drop(self, machine: int, job: str = "j") -> None:
        self.world.do(machine, "drop", job)

    def sweep(self, machine: int, job: str = "j") -> None:
        self.world.do(machine, "sweep", job)

    def begin(
        self, machine: int, kind: str, *, before: str, count: int = 1, part: int | None = None, job: str = "j"
    ) -> None:
        """Let a run go on until its next request is the `count`-th of that name; there it stands still."""
        self.world.apply(("start", machine, kind, job) if part is None else ("start", machine, kind, job, part))
        self.world.apply(("before", machine, (kind, job), before, count))
        assert (kind, job) in self.world.hosts[machine].tasks, f"{kind} of machine {machine} came to its end"

    def go_on(self, machine: int, kind: str, job: str = "j") -> None:
        """To the end of a run that stood still."""
        self.world.apply(("run", machine, (kind, job)))

    def step(self, machine: int, kind: str, job: str = "j") -> None:
        """The request before which it stood still, and no more."""
        self.world.apply(("step", machine, (kind, job)))

    def lose_answer(self, machine: int, kind: str, job: str = "j") -> None:
        """The request before which it stood still takes effect, and nobody hears of it."""
        self.world.apply(("lost", machine, (kind, job)))

    # -- the world ----------------------------------------------------------------------------------------

    def minutes(self, minutes: int) -> None:
        self.world.apply(("time", minutes))

    def second(self) -> None:
        """What is named now sorts after what was named before."""
        self.world.apply(("seconds", 1))

    def kill(self, machine: int) -> None:
        self.world.apply(("crash", machine))

    def network(self, machine: int) -> None:
        """Off, or on again."""
        self.world.apply(("net", machine))

    def delete_prefix(self, job: str = "j") -> None:
        """By hand, with some other tool."""
        self.world.apply(("ext", job))

    def settle(self) -> None:
        """Everything is published and read, then garbage goes; all invariants hold."""
        self.world.settle()
        self.world.invariants.check_end()
        self.world.collect_garbage()
        self.world.invariants.check_end(" after garbage collection")
