"""A Modbus master on the loop's own state machine, for those who look at devices before a site is sealed. Blocking; any thread."""

from __future__ import annotations

from bessctl.errors import NotReachable
from bessctl_core.master import BusError, Master

REFUSALS = {1, 2, 3, 4}
"""Exception codes by which a device says that it has no such registers."""

ELSE = "is the device on, and are address, id and cable right?"
WHY = {"closed": "it took the connection and ended it: it may take one session only, and somebody else, perhaps a loop, has it"}
"""What to think of, by the bus's fault."""


class Line:
    """One connection to one Modbus id. Raises NotReachable when nobody answers."""

    def __init__(self, where: str, master: Master, modbus_id: int) -> None:
        self.where, self._master, self._id = where, master, modbus_id

    @staticmethod
    def tcp(where: str, peer: tuple[str, int], modbus_id: int, timeout_s: float) -> Line:
        """`peer`: numeric address and port."""
        try:
            return Line(where, Master.tcp(*peer, timeout_s, connect_timeout_s=timeout_s), modbus_id)
        except ValueError as e:
            raise NotReachable(f"{where}: {e}") from e

    @staticmethod
    def rtu(where: str, port: tuple[str, int, str, int], modbus_id: int, timeout_s: float) -> Line:
        """`port`: path, baud, parity as N, E or O, stop bits."""
        try:
            return Line(where, Master.rtu(*port, timeout_s), modbus_id)
        except (OSError, ValueError) as e:
            raise NotReachable(f"{where}: {e}") from e

    def close(self) -> None:
        """End the connection."""
        self._master.close()

    def read(self, function: int, address: int, count: int) -> list[int] | None:
        """Registers; None when the device answers that it has them not."""
        try:
            return self._master.read(self._id, function, address, count)
        except BusError as e:
            if e.exception_code in REFUSALS:
                return None
            raise NotReachable(f"{self.where} id {self._id}: {e}; {WHY.get(e.fault, ELSE)}") from e
