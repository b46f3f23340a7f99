"""The MQTT bench runs and tells its figures: two outages of a real broker; none of its times is judged."""

from tests.benches.bench import assert_numbers, bench


def test_mqtt() -> None:
    """PLV-4: whatever the figures are, nothing is lost."""
    result = bench("mqtt", "--messages", "600", "--minutes", "5", "--folder", "build/benches")
    assert (result["spooled"], result["lost"], result["outages"]) == (600, 0, 2)
    assert_numbers(result, "messages_per_s", "bytes_per_day", "duplicates")
