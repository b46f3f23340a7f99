"""The OSCP bench runs and tells its figures; none of them is judged here."""

from tests.benches.bench import assert_numbers, bench


def test_oscp() -> None:
    result = bench("oscp", "--n", "3", "--groups", "2")
    assert_numbers(result["cost"], "first_plan_ms")
    for name in ("message_ms", "change_ms"):
        assert_numbers(result["cost"][name], "p50", "p99", "max")
    for path in ("alone", "crowd"):
        assert result[path]["n"] + result[path]["discarded"] >= 3
        for name in ("in_force_ms", "answered_ms", "reference_ms"):
            assert_numbers(result[path][name], "p50", "p99", "max")
        assert_numbers(result[path]["tick_us"], "p50", "p99")
        assert_numbers(result[path], "supervisor_cpu_ms")
