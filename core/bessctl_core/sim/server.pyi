"""See server.pyx."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from bessctl_core.sim.plant import Plant

SPOILS: tuple[str, ...]

class PlantServer:
    plants: list[Plant]
    ports: list[int]
    pty_paths: list[str]
    def __init__(
        self,
        plants: Sequence[Plant],
        *,
        tcp_port: int | list[int] | None = 0,
        rtu: dict[str, Any] | None = None,
        host: str = "127.0.0.1",
        shared_bus: bool = False,
        shared_pcc: bool = False,
        single_session: bool = False,
        real_time: bool = True,
        cpu: int | None = None,
    ) -> None: ...
    @property
    def port(self) -> int: ...
    @property
    def pty_path(self) -> str: ...
    @property
    def accepted(self) -> int: ...
    def start(self) -> Self: ...
    def stop(self) -> None: ...
    def drop(self) -> None: ...
    def disturb(
        self,
        *,
        deaf: bool | None = None,
        noise_per_mille: int | None = None,
        spoil: str | None = None,
        single_session: bool | None = None,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None: ...
