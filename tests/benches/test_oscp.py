"""The OSCP bench runs and tells its figures; none of them is judged here."""

from tests.benches.bench import assert_numbers, bench


def test_oscp() -> None:
    result = bench("oscp", "--n", "3", "--groups", "2")
    assert result["n"] + result["discarded"] >= 3
    assert_numbers(result["cost"], "message_ms", "first_plan_ms")
    for name in ("in_force_ms", "answered_ms", "reference_ms"):
        assert_numbers(result[name], "p50", "p99", "max")
