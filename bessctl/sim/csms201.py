"""The OCPP 2.0.1 half of the simulated CSMS, on the PyPI package `ocpp`: the third-party judge of our station."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ocpp.routing import after, on
from ocpp.v201 import ChargePoint, call, call_result
from websockets.asyncio.server import ServerConnection

if TYPE_CHECKING:
    from bessctl.sim.csms import Csms

F = TypeVar("F", bound=Callable[..., Any])
_QUIET = logging.getLogger("bessctl.sim.csms")

# What needs no answer but an empty one.
PLAIN = (
    "ClearedChargingLimit",
    "FirmwareStatusNotification",
    "LogStatusNotification",
    "MeterValues",
    "NotifyChargingLimit",
    "NotifyCustomerInformation",
    "NotifyDisplayMessages",
    "NotifyEvent",
    "NotifyMonitoringReport",
    "NotifyReport",
    "ReportChargingProfiles",
    "ReservationStatusUpdate",
    "SecurityEventNotification",
    "StatusNotification",
)


def route(action: str) -> Callable[[F], F]:
    """The package's routing decorator, which has no types."""
    return cast(Callable[[F], F], on(action))


def after_route(action: str) -> Callable[[F], F]:
    """The package's hook for what follows an answer."""
    return cast(Callable[[F], F], after(action))


class Peer201(ChargePoint):  # type: ignore[misc]
    """One connected station of 2.0.1, seen from the CSMS."""

    def __init__(self, csms: Csms, ident: str, connection: ServerConnection) -> None:
        super().__init__(ident, connection, response_timeout=15, logger=_QUIET)
        self.csms = csms
        self.connection = connection
        self.booted = False
        self._accepting = False

    async def take(self, action: str, payload: dict[str, Any]) -> None:
        """Log it, then do to it what the policy says."""
        await self.csms.take(self, action, payload)

    @route("BootNotification")
    async def on_boot(self, **payload: Any) -> Any:
        policy = self.csms.policy
        self._accepting = policy.boot == "Accepted" and "BootNotification" not in policy.drop
        await self.take("BootNotification", payload)
        return call_result.BootNotification(policy.clock(), policy.interval_s, policy.boot)

    @after_route("BootNotification")
    async def after_boot(self, **payload: Any) -> None:
        """The answer is out: from now on the station may be asked for anything."""
        self.booted = self._accepting
        await self.csms.tell()

    @route("Heartbeat")
    async def on_heartbeat(self, **payload: Any) -> Any:
        await self.take("Heartbeat", payload)
        return call_result.Heartbeat(self.csms.policy.clock())

    @route("Authorize")
    async def on_authorize(self, **payload: Any) -> Any:
        await self.take("Authorize", payload)
        return call_result.Authorize({"status": self.csms.tag_status(payload["id_token"]["id_token"])})

    @route("TransactionEvent")
    async def on_transaction(self, **payload: Any) -> Any:
        await self.take("TransactionEvent", payload)
        token = payload.get("id_token")
        info = None if token is None else {"status": self.csms.tag_status(token["id_token"])}
        return call_result.TransactionEvent(id_token_info=info)

    @route("SignCertificate")
    async def on_sign(self, **payload: Any) -> Any:
        await self.take("SignCertificate", payload)
        return call_result.SignCertificate("Accepted")

    @route("DataTransfer")
    async def on_data(self, **payload: Any) -> Any:
        await self.take("DataTransfer", payload)
        return call_result.DataTransfer("Accepted")

    async def ask(self, request: Any) -> Any:
        """Any request of the `ocpp` package; a CALLERROR raises its exception."""
        return await self.call(request, suppress=False)

    async def start_transaction(self, token: str, *, evse: int = 1, remote_id: int = 1) -> Any:
        """RequestStartTransaction; returns the answer."""
        return await self.ask(call.RequestStartTransaction({"id_token": token, "type": "Central"}, remote_id, evse))

    async def stop_transaction(self, transaction: str) -> str:
        """RequestStopTransaction; returns the status."""
        return str((await self.ask(call.RequestStopTransaction(transaction))).status)


def _plain(action: str) -> Any:
    async def handle(self: Peer201, **payload: Any) -> Any:
        await self.take(action, payload)
        return getattr(call_result, action)()

    handle.__name__ = f"on_{action}"  # the package finds handlers by their functions' names
    return route(action)(handle)


for _action in PLAIN:
    setattr(Peer201, f"on_{_action}", _plain(_action))
