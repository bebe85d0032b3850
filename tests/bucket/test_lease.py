"""The lease saves double work, and nothing more: no word in it keeps maintenance from being done for ever."""

from collections.abc import Callable

import pytest

from mountfs import objects
from mountfs.bucket import lease
from mountfs.bucket.requests import drive
from tests.bucket.machines import Machine
from tests.bucket.simulated import SimulatedBucket


def taken(machine: Machine) -> bool:
    return drive(lease.take(machine.ground), machine.remote)


def test_one_at_a_time_until_it_is_given_back(make_machine: Callable[..., Machine]) -> None:
    one, other = make_machine(), make_machine()
    assert taken(one)
    assert taken(one)
    assert not taken(other)
    drive(lease.give_back(one.ground), one.remote)
    assert taken(other)


def test_a_holder_that_died_is_waited_for_ten_minutes(
    make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    one, other = make_machine(), make_machine()
    assert taken(one)
    bucket.now_ms += lease.LEASE_MS - 1000
    assert not taken(other)
    bucket.now_ms += 2000
    assert taken(other)


@pytest.mark.parametrize(
    "said",
    [
        b'{"holder": "x", "until_ms": 1e999}',
        b'{"holder": "x", "until_ms": 9000000000000000000}',
        b'{"holder": "x", "until_ms": NaN}',
        b'{"holder": "x"}',
        b"[" * 1000,
        b"\xff",
        b"",
    ],
)
def test_a_lease_that_cannot_be_right_is_nobodys(
    said: bytes, make_machine: Callable[..., Machine], bucket: SimulatedBucket
) -> None:
    bucket.put(objects.LEASE, said)
    assert taken(make_machine())
