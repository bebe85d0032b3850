"""2,000 directories one inside the other: what each of them costs does not grow with how deep it lies."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from mountfs.errors import NotFound
from mountfs.model import ROOT_INO, Entry
from mountfs.store.paths import Changes
from tests.store.conftest import OWNER, Bench

LEVELS = 2_000
STATEMENTS = 60
"""For a directory that is made, removed or brought back; on the way from the root alone there would be 1,000."""

IN_ONE_STEP = 600
"""Now and then what was made is brought over together."""


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(has_bucket=True)


def make(bench: Bench, *, levels: int = LEVELS) -> list[Entry]:
    """Directories that no umask would make, so that the trash keeps them; from the job down."""
    made = [bench.store.tree.make_directory(ROOT_INO, b"deep", 0o700, OWNER)]
    while len(made) < levels:
        made.append(bench.store.tree.make_directory(made[-1].ino, b"d", 0o700, OWNER))
    bench.store.ledger.drain()
    return made


class Counted:
    """How many statements the catalog carried out."""

    def __init__(self, bench: Bench) -> None:
        self.statements = 0
        bench.store.catalog._db.set_trace_callback(self._count)

    def _count(self, statement: str) -> None:
        self.statements += 1


def restoring(bench: Bench) -> Iterator[None]:
    """As the daemon does it, step by step."""
    chosen = []
    for removed in bench.store.restoring.choosing((b"deep",)):
        chosen += [] if removed is None else [removed]
        yield
    for removed in chosen:
        for _ in bench.store.restoring.making_way(removed, removed.names, Changes()):
            yield
        bench.store.restoring.put_back(removed, names=None, changes=Changes())
        yield


def test_a_deep_tree_is_made_removed_and_brought_back_in_so_many_statements_a_directory(bench: Bench) -> None:
    counted = Counted(bench)
    made = make(bench)
    assert counted.statements < STATEMENTS * LEVELS
    counted.statements = 0
    bench.store.tree.remove_tree(made[0])
    assert counted.statements < STATEMENTS * LEVELS
    counted.statements = 0
    for _ in restoring(bench):
        pass
    assert counted.statements < STATEMENTS * LEVELS
    names = b"deep", *[b"d"] * (LEVELS - 1)
    assert bench.store.ledger.path(bench.store.tree.walk(names).ino) == names


def test_others_are_served_while_one_file_comes_back_into_2000_directories_that_are_gone(bench: Bench) -> None:
    made = make(bench)
    bench.store.tree.make_symlink(made[-1].ino, b"link", b"target", OWNER)
    bench.store.tree.remove_tree(made[0])
    (link,) = [removed for removed in bench.store.restoring.bin.below((b"deep",)) if removed.target]
    counted = Counted(bench)
    for _ in bench.store.restoring.making_way(link, link.names, Changes()):
        assert counted.statements < IN_ONE_STEP
        counted.statements = 0
    bench.store.restoring.put_back(link, names=None, changes=Changes())
    assert counted.statements < IN_ONE_STEP
    assert bench.store.tree.walk(link.names).target == b"target"


def test_choosing_what_comes_back_goes_step_by_step(bench: Bench) -> None:
    made = make(bench, levels=100)
    for number in range(100):
        bench.store.tree.make_symlink(made[-1].ino, b"link-%d" % number, b"target", OWNER)
    bench.store.tree.remove_tree(made[0])
    choosing = bench.store.restoring.choosing((b"deep",))
    next(choosing)
    counted = Counted(bench)
    for _ in choosing:
        assert counted.statements < STATEMENTS
        counted.statements = 0


# -- what is remembered of places ---------------------------------------------------------------------------------


def test_a_renamed_directory_is_where_it_is_and_nowhere_else(bench: Bench) -> None:
    tree, ledger = bench.store.tree, bench.store.ledger
    below = make(bench, levels=3)[2]
    assert ledger.path(below.ino) == (b"deep", b"d", b"d")
    assert tree.walk((b"deep", b"d", b"d")).ino == below.ino
    tree.rename(ROOT_INO, b"deep", ROOT_INO, b"other")
    with pytest.raises(NotFound):
        tree.walk((b"deep", b"d", b"d"))
    assert ledger.path(below.ino) == (b"other", b"d", b"d")
    assert tree.walk((b"other", b"d", b"d")).ino == below.ino


def test_two_directories_that_trade_places_are_found_at_each_others(bench: Bench) -> None:
    tree = bench.store.tree
    one, two = (tree.make_directory(bench.job, name, 0o755, OWNER).ino for name in (b"one", b"two"))
    inside = tree.make_directory(one, b"inside", 0o755, OWNER).ino
    assert tree.walk((b"job", b"one", b"inside")).ino == inside
    tree.rename(bench.job, b"one", bench.job, b"two", exchange=True)
    assert tree.walk((b"job", b"two", b"inside")).ino == inside
    assert tree.walk((b"job", b"one")).ino == two
    assert bench.store.ledger.path(inside) == (b"job", b"two", b"inside")


def test_a_rename_that_was_undone_has_not_been(bench: Bench) -> None:
    tree, ledger = bench.store.tree, bench.store.ledger
    one = tree.make_directory(bench.job, b"one", 0o755, OWNER).ino
    inside = tree.make_directory(one, b"inside", 0o755, OWNER).ino
    ledger.drain()
    with contextlib.suppress(ZeroDivisionError), ledger.transaction():
        ledger.catalog.move_entry(one, parent=bench.job, name=b"other", ctime_ns=0)
        assert ledger.path(inside) == (b"job", b"other", b"inside")
        raise ZeroDivisionError
    assert ledger.path(inside) == (b"job", b"one", b"inside")
    assert tree.walk((b"job", b"one", b"inside")).ino == inside


def test_what_was_removed_is_nowhere_and_what_is_made_again_is_another(bench: Bench) -> None:
    tree, ledger = bench.store.tree, bench.store.ledger
    first = make(bench, levels=3)
    assert tree.walk((b"deep", b"d", b"d")).ino == first[2].ino
    assert ledger.path(first[2].ino) == (b"deep", b"d", b"d")
    tree.remove_tree(first[0])
    assert [ledger.path(entry.ino) for entry in first] == [(), (), ()]
    second = make(bench, levels=3)
    assert tree.walk((b"deep", b"d", b"d")).ino == second[2].ino
