"""bessctl: the supervisor, the tools and the command line around the compiled control loop of bessctl_core."""

__version__ = "0.1.0"
