"""The bench of the simulated plant prints its figures; what they must be stands in its issue, not here."""

from tests.benches.bench import assert_numbers, bench


def test_the_bench_prints_speed_for_each_number_of_plants() -> None:
    result = bench("plant", "--seconds", "600", "--windows", "1", "--served", "3", "--real-s", "0.2")
    assert_numbers(result["simulated_per_s"], "1", "50")
    assert_numbers(result, "day_of_one_plant_s", "ratio")
    assert_numbers(result["real_time"], "cpu_share", "behind_s", "given_up_s")
