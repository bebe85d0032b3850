"""What another machine wrote is not removed, renamed or replaced by the way; writing into it is nobody's business."""

import errno
from collections.abc import Callable

import pytest

from mountfs.errors import NotEmpty, NotHere, Protected
from mountfs.model import ROOT_INO
from mountfs.store.paths import Changes
from tests.bucket.machines import Machine
from tests.bucket.simulated import SimulatedBucket

MakeMachine = Callable[..., Machine]


@pytest.fixture
def theirs(a: Machine, b: Machine) -> Machine:
    """What machine a knows of a job that b wrote: `job/file`, `job/dir/inner` and, of its own, `job/mine`."""
    b.write("job/file", b"theirs")
    b.write("job/dir/inner", b"inner")
    b.publish("job")
    a.refresh("job")
    a.write("job/mine", b"mine")
    return a


def test_removing_it_is_refused_and_says_what_to_do(theirs: Machine) -> None:
    with pytest.raises(Protected, match="mountfs adopt job"):
        theirs.unlink("job/file")
    assert Protected.errno == errno.EPERM
    assert theirs.read("job/file") == b"theirs"


def test_its_directories_are_not_removed_when_they_are_empty(a: Machine, b: Machine) -> None:
    b.mkdir("job/empty")
    b.publish("job")
    a.refresh("job")
    with pytest.raises(Protected):
        a.rmdir("job/empty")


def test_renaming_it_is_refused(theirs: Machine) -> None:
    for old, new in (("job/file", "job/other"), ("job/dir", "job/other"), ("job", "other")):
        with pytest.raises(Protected):
            theirs.rename(old, new)


def test_a_directory_of_ours_with_something_of_theirs_in_it_is_not_renamed(a: Machine, b: Machine) -> None:
    a.write("job/dir/ours", b"ours")
    a.publish("job")
    b.refresh("job")
    b.write("job/dir/theirs", b"theirs")
    b.publish("job")
    a.refresh("job")
    with pytest.raises(Protected, match="theirs"):
        a.rename("job/dir", "job/moved")


def test_renaming_over_it_is_refused(theirs: Machine) -> None:
    with pytest.raises(Protected):
        theirs.rename("job/mine", "job/file")
    assert theirs.read("job/file") == b"theirs"
    assert theirs.read("job/mine") == b"mine"


def test_exchanging_it_is_refused(theirs: Machine) -> None:
    tree, job = theirs.store.tree, theirs.entry("job").ino
    with pytest.raises(Protected):
        tree.rename(job, b"mine", job, b"file", exchange=True)


def test_writing_tagging_and_changing_its_mode_is_not_refused(theirs: Machine) -> None:
    theirs.read("job/file")
    theirs.write("job/file", b"written here")
    theirs.tag("job/dir/inner", checked="yes")
    theirs.chmod("job/dir/inner", 0o600)
    assert theirs.read("job/file") == b"written here"


def test_our_own_is_ours_also_after_a_restart(theirs: Machine) -> None:
    theirs.publish("job")
    theirs.killed()
    theirs.refresh("job")
    theirs.rename("job/mine", "job/renamed")
    theirs.unlink("job/renamed")


def test_mountfs_delete_removes_it(theirs: Machine, b: Machine) -> None:
    theirs.store.tree.remove_tree(theirs.entry("job"))
    theirs.publish("job")
    b.refresh("job")
    assert b.view("job") == {}


def test_an_adopted_job_is_ours(theirs: Machine) -> None:
    with theirs.store.catalog.transaction():
        theirs.ground.tables.adopt_job(theirs.job("job"))
    theirs.unlink("job/file")
    theirs.rename("job/dir", "job/moved")
    assert set(theirs.view("job")) == {"", "/mine", "/moved", "/moved/inner"}


def test_with_protect_none_nothing_is_refused(make_machine: MakeMachine, b: Machine) -> None:
    a = make_machine(protect_others=False)
    b.write("job/file", b"theirs")
    b.publish("job")
    a.refresh("job")
    a.unlink("job/file")
    assert set(a.view("job")) == {""}


def test_a_job_of_which_only_the_name_is_known_is_not_taken_for_empty(a: Machine, b: Machine) -> None:
    b.write("job/file", b"theirs")
    b.publish("job")
    with a.store.ledger.transaction():
        a.ground.paths.imply_job(a.job("job"), Changes())
    with pytest.raises(NotEmpty):
        a.store.tree.remove_directory(ROOT_INO, b"job")
    with pytest.raises(NotHere):
        a.rename("job", "other")


# -- content that is not here ---------------------------------------------------------------------------------


def test_a_file_whose_content_is_elsewhere_moves_within_its_job_but_not_to_another(
    a: Machine, b: Machine, make_machine: MakeMachine
) -> None:
    c = make_machine(protect_others=False)
    b.write("job/file", b"content")
    b.publish("job")
    c.refresh("job")
    c.mkdir("other")
    c.rename("job/file", "job/renamed")
    with pytest.raises(NotHere) as refused:
        c.rename("job/renamed", "other/file")
    assert refused.value.errno == errno.EXDEV
    c.read("job/renamed")
    c.rename("job/renamed", "other/file")
    assert c.read("other/file") == b"content"


def test_a_directory_with_any_content_elsewhere_does_not_move_to_another_job(
    a: Machine, b: Machine, make_machine: MakeMachine
) -> None:
    c = make_machine(protect_others=False)
    b.write("job/dir/deep/one", b"one")
    b.write("job/dir/deep/two", b"two")
    b.publish("job")
    c.refresh("job")
    c.mkdir("other")
    c.read("job/dir/deep/one")
    for old, new in (("job/dir", "other/dir"), ("job", "renamed")):
        with pytest.raises(NotHere, match="two"):
            c.rename(old, new)
    c.read("job/dir/deep/two")
    c.rename("job/dir", "other/dir")
    assert c.read("other/dir/deep/two") == b"two"


def test_what_was_evicted_here_does_not_move_to_another_job(a: Machine, bucket: SimulatedBucket) -> None:
    a.write("job/file", b"content")
    a.publish("job")
    content = a.store.catalog.content(a.entry("job/file").content or 0)
    assert content is not None
    a.store.eviction.evict([content])
    a.mkdir("other")
    with pytest.raises(NotHere):
        a.rename("job/file", "other/file")


def test_what_is_here_moves_anywhere(a: Machine) -> None:
    a.write("job/dir/file", b"content")
    a.mkdir("other")
    a.rename("job/dir", "other/dir")
    a.rename("other", "renamed")
    assert a.read("renamed/dir/file") == b"content"
