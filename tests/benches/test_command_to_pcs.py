"""The bench of the whole path gives the fields it documents (CARD-1): a RemoteStart reaches the PCS through every process there is."""

from tests.benches.bench import assert_numbers, bench


def test_the_bench_tells_what_it_documents() -> None:
    result = bench("command_to_pcs", "--n", "2")
    assert not result["judged"], "two commands are too few to say anything"
    assert_numbers(result, "n", "discarded", "rate_hz")
    if result["n"]:
        for name in ("register_ms", "final_register_ms", "power90_ms", "reference_ms"):
            assert_numbers(result[name], "p50", "p99", "max")
        # Not how long, but in which order: the path cannot be turned round.
        assert result["register_ms"]["p50"] <= result["final_register_ms"]["p50"] < result["power90_ms"]["p50"]
        # 0.1 s dead time and 0.1 s lag: 90 % of the power cannot be there earlier.
        assert result["power90_ms"]["p50"] > 320
