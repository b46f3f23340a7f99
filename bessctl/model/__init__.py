"""The words every part of the supervisor shares: plans going down to the loop, snapshots and events coming up. Data alone, no behaviour."""
