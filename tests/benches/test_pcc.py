"""The bench of the connection point prints its figures; what they must be is held by tests/core/test_R10_pcc_control.py."""

from tests.benches.bench import assert_numbers, bench


def test_the_bench_prints_a_row_for_each_meter_lag_and_dead_time() -> None:
    result = bench("pcc", "--phases", "1", "--case", "import of 0, forced")
    assert len(result["grid"]) == 12
    for row in result["grid"]:
        assert_numbers(row, "cleared_s", "allowed_s", "ratio", "overshoot_pct")
    assert_numbers(result, "max_ratio", "max_overshoot_pct")
