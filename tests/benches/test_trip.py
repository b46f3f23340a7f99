"""The bench from a crossed threshold to the register prints its figures; what they must be stands in its issue, not here."""

from tests.benches.bench import assert_numbers, bench


def test_the_bench_prints_times_bound_and_ticks_of_the_decision() -> None:
    found = bench("trip", "--n", "2", "--bus", "tcp")["buses"]["tcp"]
    assert_numbers(found["crossing_to_register_ms"], "p50", "p99", "max")
    assert_numbers(found, "bound_ms", "n", "calm")
    assert found["n"] == 2
    assert_numbers(found["decision_ticks"], "max", "same_tick")
