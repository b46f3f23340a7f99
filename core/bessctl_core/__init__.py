"""The control loop: compiled, one process of its own, no dependency beside the standard library. See core/README.md."""
