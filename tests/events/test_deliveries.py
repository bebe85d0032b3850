"""Deliveries have limits, and one receiver that hangs holds up its own only."""

from hypothesis import given
from hypothesis import strategies as st

from mountfs.events import (
    AT_ONCE_MAX,
    OUTPUT_BYTES_MAX,
    WAITING_MAX,
    Deliveries,
    EventKind,
    Hook,
    QuotaWarning,
    Tail,
    Told,
)

QUOTA, JUMP = EventKind.QUOTA_WARNING, EventKind.SIZE_JUMP


def hook(*on: EventKind, command: tuple[str, ...] = ("logger",)) -> Hook:
    return Hook(frozenset(on), command)


def told(number: int) -> Told:
    return Told(QuotaWarning(90, 100, 0.8), str(number), 0, "/m")


def numbers(queue: Deliveries) -> list[tuple[int, str]]:
    """What is told now: receiver and event."""
    found = []
    while (delivery := queue.take()) is not None:
        found.append((delivery.hook, delivery.told.number))
    return found


def test_only_who_asked_for_a_kind_is_told_of_it() -> None:
    queue = Deliveries([hook(JUMP), hook(QUOTA, JUMP)])
    queue.put(told(1))
    assert numbers(queue) == [(1, "1")]
    assert [queue.wants(kind) for kind in (QUOTA, JUMP, EventKind.JOB_EXPIRED)] == [True, True, False]


def test_a_receiver_gets_one_at_a_time_in_order() -> None:
    queue = Deliveries([hook(QUOTA)])
    for number in range(3):
        queue.put(told(number))
    seen = []
    while (delivery := queue.take()) is not None:
        assert queue.take() is None
        seen.append(delivery.told.number)
        queue.done(delivery)
    assert seen == ["0", "1", "2"]


def test_one_that_hangs_holds_up_no_other() -> None:
    queue = Deliveries([hook(QUOTA), hook(QUOTA)])
    queue.put(told(1))
    hanging, other = queue.take(), queue.take()
    assert hanging is not None
    assert other is not None
    queue.done(other)
    queue.put(told(2))
    assert numbers(queue) == [(1, "2")]


def test_at_most_four_are_told_at_once() -> None:
    queue = Deliveries([hook(QUOTA)] * 6)
    queue.put(told(1))
    assert len(numbers(queue)) == AT_ONCE_MAX == 4
    assert len(queue) == 2


def test_of_more_than_a_thousand_the_oldest_goes_and_is_counted() -> None:
    queue = Deliveries([hook(QUOTA)])
    assert [queue.put(told(number)) for number in range(WAITING_MAX + 2)][-3:] == [0, 1, 1]
    assert (len(queue), queue.dropped) == (WAITING_MAX, 2)
    assert numbers(queue) == [(0, "2")]


@given(st.lists(st.sampled_from(["put", "take", "done"]), max_size=60), st.integers(0, 6))
def test_nothing_is_lost_uncounted_or_told_twice(steps: list[str], hooks: int) -> None:
    queue, running, put, taken = Deliveries([hook(QUOTA)] * hooks), [], 0, []
    for step in steps:
        if step == "put":
            queue.put(told(put))
            put += 1
        elif step == "take" and (delivery := queue.take()) is not None:
            running.append(delivery)
            taken.append(delivery)
        elif step == "done" and running:
            queue.done(running.pop())
        assert len(running) <= AT_ONCE_MAX
        assert len({delivery.hook for delivery in running}) == len(running)
        assert len(taken) + len(queue) + queue.dropped == put * hooks
    assert len({(delivery.hook, delivery.told.number) for delivery in taken}) == len(taken)


def test_a_receiver_is_named_without_what_may_be_secret() -> None:
    assert hook(QUOTA, command=("/usr/bin/notify", "--token", "x")).name == "/usr/bin/notify"
    assert (
        Hook(frozenset({QUOTA}), url="https://hooks.example.org:8443/T0/s3cret").name
        == "https://hooks.example.org:8443"
    )


def test_the_end_of_what_a_command_printed_is_kept() -> None:
    tail = Tail()
    tail.add(b"first\n")
    assert tail.text == "first"
    for _ in range(1000):
        tail.add(b"0123456789")
    tail.add(b"no such host\xff\n")
    assert tail.text.startswith("…")
    assert tail.text.endswith("no such host�")
    assert len(tail.text) <= OUTPUT_BYTES_MAX + 1


@given(st.lists(st.binary(max_size=6000), max_size=5))
def test_what_fits_is_kept_whole(printed: list[bytes]) -> None:
    tail = Tail()
    for piece in printed:
        tail.add(piece)
    whole = b"".join(printed)
    assert tail.is_cut is (len(whole) > OUTPUT_BYTES_MAX)
    assert (
        tail.text.lstrip("…").strip()
        == whole[-OUTPUT_BYTES_MAX:].decode("utf-8", "replace").strip().lstrip("…").strip()
    )
