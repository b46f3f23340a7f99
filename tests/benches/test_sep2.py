"""The sep2 bench runs, small, and tells its figures."""

from tests.benches.bench import assert_numbers, bench


def test_the_bench_tells_its_figures() -> None:
    result = bench("sep2", "--windows", "2", "--programs", "2", "--events", "5")
    if "cpu_ms" in result:
        assert_numbers(result, "cpu_ms", "pydantic_xml_cpu_ms", "ratio", "ratio_iqr")
        assert isinstance(result["rss_kib"], int | float), "growth, which a small run may end below 0"
        assert 0 <= result["start_lateness_us"]["max"] < result["tick_us"]
        assert result["second_error_ms"]["own_clock"]["max"] == 0
        assert 0 < result["second_error_ms"]["polled_60_s"]["max"] < 25
