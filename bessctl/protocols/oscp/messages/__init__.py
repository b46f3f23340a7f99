"""The messages of OSCP 2.0 chapters 4 and 5 as records, and their JSON. No state."""
