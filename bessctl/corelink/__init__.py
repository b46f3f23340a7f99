"""The one way to the compiled core: segments, plans and snapshots; `seal` reads and writes the sealed file."""
