"""Series of plan blocks: pure functions on what a source wants, over time."""
