"""The memory bench gives the fields it documents, on the largest site there can be."""

from benches.park import UNITS
from tests.benches.bench import assert_numbers, bench


def test_the_bench_tells_what_it_documents() -> None:
    result = bench("memory", "--after", "0.1", "--runs", "1")
    assert not result["judged"], "so early nothing is said"
    assert (result["units"], result["plans"]) == (UNITS, 16)
    assert_numbers(result, "loop_rss_mb", "loop_locked_mb", "supervisor_rss_mb", "version_s", "python_s")
