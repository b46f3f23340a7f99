"""The bench of many CSMSs gives the fields it documents."""

from tests.benches.bench import assert_numbers, bench


def test_the_bench_tells_what_it_documents() -> None:
    result = bench("ocpp", "--links", "4", "--hostile", "3", "--seconds", "2", "--starts", "1")
    assert not result["judged"], "two seconds are too few to say anything"
    assert_numbers(result, "connections", "transactions", "messages_per_s", "cpu_core", "rss_mb", "ratio_cpu_per_message")
    assert_numbers(result["ms"], "p50", "p99")
    assert_numbers(result["plain"], "messages_per_s", "cpu_core", "rss_mb")
    assert result["register_n"] + len(result["register_disturbed_ms"]) >= 1
    assert result["hostile"]["peers"] == 3
    assert result["most_w"] <= result["envelope_w"]
    assert result["reconnect"]["n"] == 4
    assert result["contended"]["claimed_w"] > result["contended"]["envelope_w"]
