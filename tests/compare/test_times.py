"""What a comparison says of benchmarks, load tests and sizes."""

from mountfs.compare import Comparison, Options, compare, verdict
from mountfs.compare.benchmarks import BenchmarkChanges, LoadChanges, Pace
from mountfs.reports.model import Benchmarks, Load, LoadTest, Sample
from tests.compare.building import at, compared, side


def benchmarks(comparison: Comparison) -> BenchmarkChanges:
    assert comparison.benchmarks is not None
    return comparison.benchmarks


def load(comparison: Comparison) -> LoadChanges:
    assert comparison.load is not None
    return comparison.load


def timed(median: float, *, stddev: float = 0.0, **machine: str) -> Benchmarks:
    return Benchmarks({"parse": Sample(median, stddev=stddev)}, machine)


def pace(before: Benchmarks, after: Benchmarks, options: Options | None = None) -> Pace:
    return benchmarks(compared(before, after, options)).changes[0].pace


def test_a_change_within_five_percent_is_none() -> None:
    assert pace(timed(1.0), timed(1.04)) is Pace.SAME
    assert pace(timed(1.0), timed(1.06)) is Pace.SLOWER
    assert pace(timed(1.0), timed(0.9)) is Pace.FASTER


def test_a_change_within_the_deviations_of_both_is_none() -> None:
    assert pace(timed(1.0, stddev=0.2), timed(1.25, stddev=0.2)) is Pace.SAME
    assert pace(timed(1.0, stddev=0.2), timed(1.35, stddev=0.2)) is Pace.SLOWER
    assert pace(timed(1.0, stddev=0.2), timed(1.35, stddev=0.2), Options(noise_deviations=2)) is Pace.SAME


def test_a_median_is_never_compared_with_a_mean() -> None:
    hyperfine, other = Benchmarks({"a": Sample(None, mean=2.0)}), Benchmarks({"a": Sample(1.0, mean=2.0)})
    change = benchmarks(compared(hyperfine, other)).changes[0]
    assert (change.measure, change.pace) == ("mean", Pace.SAME)


def test_what_no_side_times_alike_is_unknown() -> None:
    one, other = Benchmarks({"a": Sample(None, mean=2.0)}), Benchmarks({"a": Sample(1.0)})
    assert pace(one, other) is Pace.UNKNOWN


def test_different_machines_are_warned_of() -> None:
    comparison = compared(timed(1.0, cpu="Epyc", node="runner-1"), timed(2.0, cpu="Xeon", node="runner-2"))
    assert benchmarks(comparison).machines == ("cpu: Epyc before, Xeon now",)
    assert "different machines" in comparison.notes[0]


def test_two_runners_of_one_kind_are_the_same_machine() -> None:
    comparison = compared(timed(1.0, cpu="Epyc", node="a"), timed(1.0, cpu="Epyc", node="b"))
    assert benchmarks(comparison).machines == ()


def test_benchmarks_that_one_side_lacks_are_named() -> None:
    comparison = compared(Benchmarks({"a": Sample(1.0), "b": Sample(1.0)}), Benchmarks({"b": Sample(1.0)}))
    assert (benchmarks(comparison).only_before, benchmarks(comparison).only_after) == (("a",), ())
    assert verdict(comparison)[0] == "1 benchmark disappeared"


def test_legs_are_compared_with_their_own() -> None:
    before = at({"py311/bench.json": timed(1.0), "py312/bench.json": timed(3.0)})
    after = at({"py311/bench.json": timed(1.0), "py312/bench.json": timed(6.0)})
    changes = benchmarks(compare(before, after)).changes
    assert [(change.name, change.pace) for change in changes] == [
        ("parse (py312/bench.json)", Pace.SLOWER),
        ("parse (py311/bench.json)", Pace.SAME),
    ]


def loaded(p95: float, *, failures: int = 0, checks: tuple[str, ...] = ()) -> LoadTest:
    total = Load(requests=100, failures=failures, p95=p95, per_second=10.0)
    return LoadTest({"GET /x": total}, total, checks)


def test_a_load_test_is_compared_by_its_95th_percentile_failures_and_rate() -> None:
    found = load(compared(loaded(0.1), loaded(0.2, failures=3)))
    assert (found.total.p95.percent, found.total.failures.change, found.total.per_second.change) == (100.0, 3, 0)
    assert [endpoint.pace for endpoint in found.endpoints] == [Pace.SLOWER]


def test_checks_that_fail_now_are_named() -> None:
    found = load(compared(loaded(0.1, checks=("p95<1",)), loaded(0.1, checks=("errors<1%",))))
    assert (found.new_failed_checks, found.fixed_checks) == (("errors<1%",), ("p95<1",))


def test_of_several_load_tests_counts_add_up_and_the_worst_time_counts() -> None:
    both = side(loaded(0.1, failures=1), loaded(0.3, failures=2))
    total = load(compare(both, both)).total
    assert (total.failures.after, total.p95.after, total.per_second.after) == (3, 0.3, 20.0)


def test_sizes_are_compared_by_type_and_a_missing_type_is_not_zero() -> None:
    comparison = compare(side(sizes={"build-logs": 10, "videos": 5}), side(sizes={"build-logs": 15}))
    assert comparison.sizes["build-logs"].change == 5
    assert comparison.sizes["videos"].after is None
    assert comparison.sizes["videos"].change is None
