"""Enter service of a PCS; the rules stand in service.pxd. C only."""
