"""What a record cannot say is refused when it is done, not when it is published: then it would hold up its job."""

import json
from collections.abc import Callable

import pytest

from mountfs.errors import InvalidArgument, NameTooLong
from mountfs.records import MOST_DEPTH, MOST_PATH_BYTES
from tests.bucket.machines import OWNER, Machine

NAME_BYTES = 255


@pytest.fixture
def deep(a: Machine) -> int:
    """A directory of which the path below its job leaves 100 bytes for a name."""
    a.mkdir("job/dir")
    ino, left = a.entry("job").ino, MOST_PATH_BYTES - 100 - 1
    while left > 0:
        length = min(NAME_BYTES, left) if left - NAME_BYTES != 1 else NAME_BYTES - 1
        ino = a.store.tree.make_directory(ino, b"d" * length, 0o755, OWNER).ino
        left -= length + 1
    return ino


MAKE: dict[str, Callable[[Machine, int, bytes], object]] = {
    "mkdir": lambda a, parent, name: a.store.tree.make_directory(parent, name, 0o755, OWNER),
    "create": lambda a, parent, name: a.store.tree.create_file(parent, name, 0o644, OWNER),
    "symlink": lambda a, parent, name: a.store.tree.make_symlink(parent, name, b"target", OWNER),
    "rename": lambda a, parent, name: a.store.tree.rename(a.entry("job").ino, b"dir", parent, name),
}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE.keys())
def test_a_path_longer_than_a_record_can_say_is_a_name_that_is_too_long(
    a: Machine, deep: int, make: Callable[[Machine, int, bytes], object]
) -> None:
    with pytest.raises(NameTooLong, match=str(MOST_PATH_BYTES)):
        make(a, deep, b"x" * 101)
    assert a.store.tree.find(deep, b"x" * 101) is None
    make(a, deep, b"x" * 100)
    assert a.store.tree.find(deep, b"x" * 100) is not None


def test_a_renamed_directory_counts_as_it_is_called_now(a: Machine, deep: int) -> None:
    make, job = MAKE["create"], a.entry("job").ino
    first = next(child for child in a.store.tree.page(job, after=b"", limit=9) if child.name != b"dir")
    make(a, deep, b"a" * 100)
    a.store.tree.rename(job, first.name, job, first.name[:-50])
    make(a, deep, b"b" * 150)
    with pytest.raises(NameTooLong):
        make(a, deep, b"c" * 151)


def test_the_longest_path_is_published_and_seen_elsewhere(a: Machine, b: Machine, deep: int) -> None:
    a.store.tree.make_symlink(deep, b"x" * 100, b"target", OWNER)
    a.publish("job")
    assert b.refresh("job").refused == []
    assert b.view("job") == a.view("job")


def test_metadata_deeper_than_a_record_can_say_is_refused(a: Machine, b: Machine) -> None:
    a.write("job/file", b"x")
    ino = a.entry("job/file").ino

    def nested(depth: int) -> bytes:
        return b'{"a":' * depth + b"1" + b"}" * depth

    with pytest.raises(InvalidArgument, match="nested"):
        a.store.attributes.set(ino, b"user.mountfs.metadata", nested(MOST_DEPTH + 1))
    a.store.attributes.set(ino, b"user.mountfs.metadata", nested(MOST_DEPTH))
    a.publish("job")
    b.refresh("job")
    found = b.store.attributes.get(b.entry("job/file").ino, b"user.mountfs.metadata")
    assert json.loads(found) == json.loads(nested(MOST_DEPTH))


@pytest.mark.parametrize("text", [b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\\ud800"}', b"[]", b'{"a":1'])
def test_metadata_that_others_could_not_read_is_refused(a: Machine, text: bytes) -> None:
    a.write("job/file", b"x")
    with pytest.raises(InvalidArgument, match=r"user\.mountfs\.metadata"):
        a.store.attributes.set(a.entry("job/file").ino, b"user.mountfs.metadata", text)
