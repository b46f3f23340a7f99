"""Curves of a PCS; the rules stand in curves.pxd. C only."""
