"""Every error a user of bessctl can meet.

BessctlError
├── UsageError            we were asked for something that makes no sense            exit 2
│   └── ConfigError       a configuration file is wrong; names file:line:column      exit 2
│       └── ConfigErrors  all that is wrong with it, a line each                     exit 2
├── NotReachable          a device, the loop or a peer does not answer               exit 3
├── Refused               protection, or a rule that guards it, says no              exit 4
│   └── PlanRefused       a plan breaks a rule of its slot                           exit 4
├── OutcomeUnknown        asked, but not known whether it happened                   exit 5
└── OperationFailed       anything else that went wrong while running                exit 1

Each message says what happened, where, and what to do; the command line prints it and nothing more (no traceback).
"""

from __future__ import annotations


class BessctlError(Exception):
    """Root of the tree. `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(BessctlError):
    """The request itself is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file is wrong. `place` is `file:line:column`."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place


class ConfigErrors(ConfigError):
    """Everything that is wrong with a file, in its order; the message has a line for each."""

    def __init__(self, errors: list[ConfigError]) -> None:
        BessctlError.__init__(self, "\n".join(str(error) for error in errors))
        self.place = errors[0].place
        self.errors = tuple(errors)


class NotReachable(BessctlError):
    """Nobody answers."""

    exit_code = 3


class Refused(BessctlError):
    """A rule that guards people or plant says no; the message names the rule and the value."""

    exit_code = 4


class PlanRefused(Refused):
    """A plan breaks a rule of its slot; the loop never sees it."""


class OutcomeUnknown(BessctlError):
    """The request went out; whether it took effect could not be learnt."""

    exit_code = 5


class OperationFailed(BessctlError):
    """Something failed while running."""
