"""The bench of serial lines prints its figures; what they must be stands in its issue, not here."""

from tests.benches.bench import assert_numbers, bench


def test_the_bench_prints_what_was_achieved_beside_what_the_wire_allows() -> None:
    result = bench("rtu", "--seconds", "0.3", "--windows", "1")
    for found in result["baud"].values():
        assert_numbers(found, "achieved_cps", "limit_cps", "ratio", "faults")
        assert_numbers(found["cycle_ms"], "p50", "p99", "max")
