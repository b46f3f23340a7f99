"""What peers do with the shared segments; the rules stand in segment.pxd."""

from collections.abc import Sequence
from typing import Any, final

from .sealed import SealedSite

REMEDY: str
PLANS_MAGIC: bytes
STATE_MAGIC: bytes

class CommandsWaiting(RuntimeError): ...

@final
class StatePort:
    epoch: int
    retries: int
    def __init__(self, fd: int, config_hash: bytes | None = ...) -> None: ...
    def read(self) -> dict[str, Any] | None: ...
    def read_bytes(self) -> bytes | None: ...
    def commands_taken(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def current(self) -> bool: ...

@final
class EventReader:
    next_seq: int
    lost: int
    def __init__(self, fd: int, from_seq: int = ..., config_hash: bytes | None = ...) -> None: ...
    def drain(self) -> list[dict[str, Any]]: ...

@final
class PlanPort:
    epoch: int
    def __init__(self, fd: int, config_hash: bytes | None = ...) -> None: ...
    def write(
        self, slot: int, lease_until_ns: int, lapse: int, live: Sequence[tuple[Any, ...]], fallback: Sequence[tuple[Any, ...]] = ...
    ) -> int: ...
    def fault(
        self,
        site: SealedSite,
        slot: int,
        now_ns: int,
        lease_until_ns: int,
        lapse: int,
        live: Sequence[tuple[Any, ...]],
        fallback: Sequence[tuple[Any, ...]] = ...,
    ) -> int: ...
    def write_bytes(self, slot: int, plan: Any) -> None: ...
    @property
    def current(self) -> bool: ...

@final
class CommandPort:
    def __init__(self, fd: int, state: StatePort, config_hash: bytes | None = ...) -> None: ...
    def push(self, code: int, arg: int = ...) -> int: ...

def facts(site: SealedSite) -> dict[str, Any]: ...
