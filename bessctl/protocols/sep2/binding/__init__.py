"""Joins the session to plans, snapshots and the store. The only room that knows the plant's sign, units and clock."""
