"""The OSCP bench runs and tells its figures; none of them is judged here."""

from tests.benches.bench import assert_numbers, bench


def test_oscp() -> None:
    result = bench("oscp", "--n", "3", "--groups", "2")
    assert_numbers(result["cost"], "message_ms", "first_plan_ms")
    assert_numbers(result["cost"]["change_ms"], "p50", "p99", "max")
    for path in ("alone", "crowd"):
        assert result[path]["n"] + result[path]["discarded"] >= 3
        for name in ("in_force_ms", "answered_ms", "reference_ms"):
            assert_numbers(result[path][name], "p50", "p99", "max")
        assert_numbers(result[path]["tick_us"], "p50", "p99")
