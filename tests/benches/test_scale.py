"""The bench of many devices and large configurations prints its figures; what they must be stands in its issue, not here."""

from tests.benches.bench import assert_numbers, bench


def test_the_bench_prints_cycles_for_each_number_of_devices_and_the_step_for_each_size() -> None:
    result = bench("scale", "--cycles", "4", "--seconds", "0.1", "--most", "4")
    for devices in ("1", "4"):
        assert_numbers(result["devices"][devices], "cycle_p50_ms", "slowest_device_ms", "ratio", "missed_own")
    for grown, sizes in (("plans", ("1", "16")), ("blocks", ("1", "96")), ("rows", ("10", "640")), ("units", ("1", "16"))):
        assert_numbers(result["step_us"][grown], *sizes)
