"""What the dying processes do: each scenario is a list of steps on a store that `PREPARED` was done to before."""

import random

from tests.crash.steps import (
    CarryOver,
    ChangeMode,
    Close,
    CloseStore,
    Create,
    DirectorySync,
    Exchange,
    Expire,
    FileSync,
    MakeDirectory,
    MakeSymlink,
    Open,
    Release,
    RemoveDirectory,
    Rename,
    Resize,
    Settle,
    Step,
    Tag,
    Unlink,
    WorkBehind,
    Write,
    changed,
    replaced,
    saved,
)

MIB = 1 << 20

PREPARED: list[Step] = [
    MakeDirectory("old"),
    MakeDirectory("old/sub"),
    *saved("old/small", 1, 700),
    *saved("old/same", 1, 700),
    *saved("old/log", 3, MIB + 300_000),
    *saved("old/noise", 4, 90_000),
    Tag("old/log", "branch", "main"),
    Settle(),
]
"""Closed in order before a scenario begins: its contents are settled, its journal is empty."""

NAMES: list[Step] = [
    MakeDirectory("job"),
    Tag("job", "branch", "main"),
    *saved("job/empty", 0, 0),
    *saved("job/small", 5, 3_000),
    MakeSymlink("job/link", "small"),
    Tag("job/small", "pr", "17"),
    *replaced("job/small", 7, 4_000),
    *replaced("old/small", 9, 200),
    MakeDirectory("job/dir"),
    *saved("job/dir/deep", 11, 100),
    Rename("job/dir", "old/moved"),
    Exchange("job/small", "old/same"),
    ChangeMode("old/same", 0o600),
    Unlink("job/link"),
    *saved("job/link", 13, 50),
    Unlink("old/moved/deep"),
    RemoveDirectory("old/moved"),
    MakeDirectory("old/moved"),
    ChangeMode("old/moved", 0o700),
    Unlink("old/noise"),
    Settle(),
    CarryOver(),
    *saved("old/noise", 15, 10),
]
"""Names, tags and small contents; what was removed or replaced never comes back."""

SMALL: list[Step] = [
    *(step for n in range(4) for step in saved(f"old/sub/file-{n}", 20 + n % 2, 20_000)),
    Settle(),
    *(step for n in range(4) for step in saved(f"old/sub/more-{n}", 21 + n, 40_000)),
    *changed("old/sub/file-1", lambda slot: [Write(slot, 100, 31, 50)]),
    *changed("old/sub/file-2", lambda slot: [Resize(slot, 10)]),
    *changed("old/sub/file-3", lambda slot: [Resize(slot, 0)]),
    ChangeMode("old/sub/more-1", 0o640),
    Settle(),
    CarryOver(truncate=False),
    Unlink("old/sub/more-2"),
    *saved("old/sub/more-2", 20, 20_000),
    *changed("old/sub/more-3", lambda slot: [Write(slot, 40_000, 33, 40_000)]),
    Settle(),
    CarryOver(),
    *saved("old/sub/last", 35, 5),
    CloseStore(),
]
"""Contents in the journal, in the catalog and in files: equal ones, changed ones, settled in groups."""

DRAFTS: list[Step] = [
    Create("a", "old/sub/big"),
    Write("a", 0, 40, 100_000),
    Write("a", 100_000, 41, 600_000),
    Close("a"),
    Write("a", 50_000, 42, 70_000),
    Write("a", 690_000, 43, 60_000),
    Close("a"),
    Write("a", 10, 44, 300_000),
    Resize("a", 400_000),
    Write("a", 1_500_000, 45, 1_000),
    WorkBehind("a"),
    FileSync("a"),
    Write("a", 0, 46, 200_000),
    Close("a"),
    Resize("a", 120_000),
    Close("a"),
    Release("a"),
    Settle(),
    CarryOver(),
]
"""A large file that is published several times and overwritten at random in between."""

BASED: list[Step] = [
    Open("a", "old/log"),
    Write("a", MIB + 300_000, 50, 500),
    Close("a"),
    Write("a", MIB - 10, 51, 20),
    Write("a", 2 * MIB + 5, 52, 20),
    Close("a"),
    Rename("old/log", "old/sub/log"),
    Write("a", 5, 53, 5),
    Resize("a", 700_000),
    Write("a", 900_000, 54, 100),
    Close("a"),
    Tag("old/sub/log", "status", "done"),
    Unlink("old/same"),
    Release("a"),
    Settle(),
    Open("b", "old/sub/log"),
    Write("b", 3, 55, 3),
    Close("b"),
    *replaced("old/sub/log", 56, 80_000),
    Release("b"),
    Settle(),
    CarryOver(),
]
"""Drafts begun on settled content: chunks carried over, trimmed, appended; renamed and replaced while open."""


def _published(slot: str, numbers: range) -> list[Step]:
    steps: list[Step] = []
    for n in numbers:
        steps += [Write(slot, n % 3 * 70_000, 60 + n, 70_000), Close(slot)]
    return steps


COMPACTED: list[Step] = [
    Create("a", "old/sub/database"),
    *_published("a", range(6)),
    Settle(),
    *_published("a", range(6, 10)),
    Release("a"),
    Settle(),
]
"""Overwritten and published until the log of the draft begins anew."""

UNFINISHED: list[Step] = [
    *saved("old/closed", 70, 3_000),
    Create("a", "old/sub/open-large"),
    Write("a", 0, 71, 300_000),
    Create("b", "old/sub/open-small"),
    Write("b", 0, 72, 300),
    Open("c", "old/log"),
    Write("c", MIB, 73, 5_000),
    Close("c"),
    Write("c", 0, 74, 5_000),
    Write("c", MIB + 1_000, 75, 70_000),
    Unlink("old/same"),
    *replaced("old/noise", 76, 100_000),
    *saved("old/sub/small", 1, 700),
    ChangeMode("old/sub/small", 0o600),
]
"""Left lying by a killed daemon: what recovery has to do when it is itself cut off."""

SYNCED: list[Step] = [
    *saved("old/unsynced", 80, 900),
    *saved("old/synced", 81, 900, fsync=True),
    MakeDirectory("job"),
    DirectorySync("old"),
    Create("a", "old/big"),
    Write("a", 0, 82, 200_000),
    FileSync("a"),
    Write("a", 1_000, 83, 70_000),
    Close("a"),
    FileSync("a"),
    Release("a"),
    *replaced("old/small", 84, 300),
    DirectorySync("old"),
    Settle(),
    *replaced("old/log", 85, 150_000, fsync=True),
    DirectorySync("old"),
    Settle(),
    Unlink("old/same"),
    Rename("old/synced", "job/moved"),
    DirectorySync("job"),
    CarryOver(),
    *saved("job/late", 86, 70_000),
    Settle(),
    *saved("job/later", 87, 500),
    Tag("job/later", "status", "success"),
    DirectorySync("job"),
    *changed("old/big", lambda slot: [Write(slot, 5, 88, 5), FileSync(slot)]),
    Settle(),
    CarryOver(),
    CloseStore(),
]
"""Writers that call fsync, beside others that do not."""

DURABLE: list[Step] = [
    MakeDirectory("job"),
    *saved("job/small", 90, 500, fsync=True),
    *saved("job/large", 91, 70_000),
    DirectorySync("job"),
    *changed("job/large", lambda slot: [Write(slot, 70_000, 92, 1_000), FileSync(slot)]),
    Settle(),
    DirectorySync("job"),
    *replaced("job/large", 94, 66_000, fsync=True),
    *saved("job/other", 96, 40_000),
    Settle(),
    DirectorySync("job"),
    CarryOver(),
]
"""Short, with a sync of every kind: to see that each of them is needed."""

FIRST: list[Step] = [
    MakeDirectory("job"),
    *saved("job/small", 90, 500, fsync=True),
    *saved("job/large", 91, 70_000, fsync=True),
    Settle(),
    CloseStore(),
]
"""On a state directory that does not exist yet."""

VERSIONS: list[Step] = [
    *changed("old/small", lambda slot: [Resize(slot, 0), Write(slot, 0, 31, 900)]),
    *changed("old/log", lambda slot: [Write(slot, 5_000, 32, 100_000)]),
    Settle(),
    *changed("old/small", lambda slot: [Resize(slot, 0), Write(slot, 0, 33, 300)]),
    *replaced("old/log", 34, 80_000),
    Settle(),
    *replaced("old/small", 35, 100),
    Rename("old/log", "old/sub/log"),
    *changed("old/sub/log", lambda slot: [Write(slot, 80_000, 36, 70_000)]),
    Settle(),
    Unlink("old/small"),
    *replaced("old/same", 37, 50),
    Settle(),
]
"""With versions kept: what is written over, replaced, renamed and removed."""

EXPIRED: list[Step] = [
    MakeDirectory("job"),
    MakeDirectory("job/deep"),
    MakeDirectory("job/deep/er"),
    *saved("job/junit.xml", 40, 500),
    *(step for n in range(4) for step in saved(f"job/deep/er/{n}.log", 41 + n, 30_000)),
    *saved("job/deep/last.log", 45, 90_000),
    MakeDirectory("logs"),
    *saved("logs/a.log", 46, 300),
    *saved("logs/b.log", 47, 70_000),
    Settle(),
    Expire("job"),
    Expire("logs"),
    *saved("job/late.log", 48, 900),
    Settle(),
    CarryOver(),
]
"""What retention takes is there whole or gone whole: each start finishes what the last one began."""

ALL: dict[str, list[Step]] = {
    "first": FIRST,
    "durable": DURABLE,
    "names": NAMES,
    "small": SMALL,
    "drafts": DRAFTS,
    "based": BASED,
    "compacted": COMPACTED,
    "unfinished": UNFINISHED,
    "synced": SYNCED,
    "versions": VERSIONS,
    "expired": EXPIRED,
    "recovery": [Settle(), CarryOver()],
}

FROM_NOTHING = ("first", "durable")  # begin on an empty state directory


def steps_of(name: str) -> list[Step]:
    """The steps of a scenario; `random-N` are made up from seed N."""
    kind, _, seed = name.partition("-")
    return random_steps(int(seed)) if kind == "random" else ALL[name]


def random_steps(seed: int, *, length: int = 60) -> list[Step]:
    """Steps that a model allows: files that exist, handles that are open."""
    rng = random.Random(seed)
    steps: list[Step] = [MakeDirectory("job")]
    names = {f"job/{n}": False for n in range(6)}  # name: exists
    opened: dict[str, str] = {}  # slot: name
    while len(steps) < length:
        name = rng.choice(sorted(names))
        steps += _random_step(rng, name, names, opened)
    return steps


def _random_step(rng: random.Random, name: str, names: dict[str, bool], opened: dict[str, str]) -> list[Step]:
    if opened and rng.random() < 0.6:
        return _random_change(rng, rng.choice(sorted(opened)), opened)
    match rng.randrange(9):
        case 0 | 1 | 2 if len(opened) < 3:
            slot = next(s for s in "abc" if s not in opened)
            opened[slot] = name
            step: Step = Open(slot, name, rng.random() < 0.3) if names[name] else Create(slot, name)
            names[name] = True
            return [step]
        case 3 if names[name]:
            names[name] = False
            return [Unlink(name)]
        case 4 if names[name]:
            other = rng.choice([n for n in sorted(names) if n != name])
            step = Exchange(name, other) if names[other] and rng.random() < 0.3 else Rename(name, other)
            if isinstance(step, Rename):
                names[name], names[other] = False, True
            return [step]
        case 5 if names[name]:
            return [ChangeMode(name, 0o600) if rng.random() < 0.5 else Tag(name, "pr", str(rng.randrange(9)))]
        case 6:
            return [Settle()]
        case 7:
            return [DirectorySync("job")] if rng.random() < 0.5 else [CarryOver(rng.random() < 0.5)]
        case 8:
            names[name] = True
            return replaced(name, rng.randrange(8), rng.choice([0, 10, 700, 700, 50_000, 100_000]))
        case _:
            return []


def _random_change(rng: random.Random, slot: str, opened: dict[str, str]) -> list[Step]:
    match rng.randrange(8):
        case 0 | 1 | 2:
            size = rng.choice([5, 700, 700, 66_000, 300_000])
            return [Write(slot, rng.choice([0, 0, 100, 65_000, 200_000, MIB]), rng.randrange(8), size)]
        case 3:
            return [Resize(slot, rng.choice([0, 50, 700, 65_000, 100_000, 1_100_000]))]
        case 4:
            return [Close(slot)]
        case 5:
            return [FileSync(slot)]
        case 6:
            return [WorkBehind(slot)]
        case _:
            del opened[slot]
            return [Close(slot), Release(slot)]
