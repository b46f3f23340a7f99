"""A connection to a broker: aiomqtt, one client object for each connection, so that nothing the library kept can be sent a second time.

aiomqtt (on paho) hides three things a spool needs: the reason code of each PUBACK, the broker's Receive Maximum, and a connection that ends
before its CONNACK. `_Client` overrides the callbacks that see them; pyproject.toml holds the library below its next minor version for that.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from bessctl.errors import NotReachable
from bessctl.protocols.mqtt.config import Broker, Protocol
from bessctl.protocols.mqtt.messages.discovery import OFFLINE
from bessctl.protocols.mqtt.transport.credentials import password
from bessctl.protocols.mqtt.transport.tls import client_context

CONNECT_TIMEOUT_S = 10.0
FAILED = 0x80
UNSUPPORTED_VERSION = {1, 0x84}
TAKEN_OVER = 0x8E
NO_RETAINED = 2
NO_CONNACK = ("CONNACK", "timed out")
"""In what the library says when the broker took the connection and answered nothing."""
INCOMING_MAX = 64
VERSIONS = {Protocol.V5: aiomqtt.ProtocolVersion.V5, Protocol.V311: aiomqtt.ProtocolVersion.V311}

Message = aiomqtt.Message
LIBRARY = logging.getLogger("bessctl.mqtt.library")
LIBRARY.setLevel(logging.CRITICAL)  # what it would say, our errors say with the broker's name


class ConnectionLost(NotReachable):
    """The connection ended. `reason`: the broker's reason code, 0 = it gave none."""

    def __init__(self, message: str, reason: int = 0) -> None:
        super().__init__(message)
        self.reason = reason


class OtherVersion(NotReachable):
    """The broker does not speak this version, or answered it with nothing at all."""


class _Client(aiomqtt.Client):
    """What aiomqtt sees and does not show."""

    answered: Callable[[int, int], None]
    receive_maximum = 65_535

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties) -> None:
        super()._on_publish(client, userdata, mid, reason_code, properties)
        self.answered(mid, reason_code.value)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Properties | None = None) -> None:
        self.receive_maximum = getattr(properties, "ReceiveMaximum", self.receive_maximum)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason_code: ReasonCode, properties: Properties | None = None) -> None:
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("the broker closed the connection before its CONNACK"))
            return
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def send(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Hand a message to the socket; returns its packet id. Raises ConnectionLost."""
        info = self._client.publish(topic, payload, qos, retain)
        if info.rc != 0:
            raise ConnectionLost(f"could not publish: code {info.rc}")
        return int(info.mid)

    def heard(self) -> None:
        """How a connection ended was told by whoever noticed first; nobody else needs to hear it."""
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()

    def drop(self) -> None:
        """Let go of the socket whatever its state."""
        with suppress(OSError, ValueError):
            self._client.disconnect()


class Connection:
    """A connection that stands. Supervisor thread."""

    def __init__(self, broker: Broker, client: _Client, version: Protocol) -> None:
        self._broker, self._client, self.version = broker, client, version

    @property
    def receive_maximum(self) -> int:
        """How many messages the broker takes without a PUBACK."""
        return self._client.receive_maximum

    def send(self, topic: str, payload: bytes) -> int:
        """Publish with the broker's QoS; the packet id comes back through `answered`. Raises ConnectionLost."""
        return self._client.send(topic, payload, self._broker.qos, retain=False)

    def keep(self, topic: str, payload: bytes) -> int:
        """Publish a retained message, as `send` does. Raises ConnectionLost."""
        return self._client.send(topic, payload, self._broker.qos, retain=True)

    async def subscribe(self, topic: str) -> int:
        """0, or the broker's reason code. MQTT 5: without what it retained (3.8.3.1). Raises ConnectionLost."""
        try:
            if self.version is Protocol.V5:
                codes = await self._client.subscribe(topic, options=SubscribeOptions(qos=1, retainHandling=NO_RETAINED))
            else:
                codes = await self._client.subscribe(topic, qos=1)
        except aiomqtt.MqttError as e:
            _heed_cancellation()
            raise ConnectionLost(f"mqtt broker {self._broker.name}: subscribing to {topic}: {e}") from e
        _heed_cancellation()
        reason = max((_code(code) for code in codes), default=0)
        return reason if reason >= FAILED else 0

    async def messages(self) -> AsyncIterator[Message]:
        """What comes in, until the connection ends: then ConnectionLost."""
        try:
            async for message in self._client.messages:
                yield message
        except (aiomqtt.MqttError, OSError) as e:
            cause = e.__cause__ or e
            raise ConnectionLost(f"mqtt broker {self._broker.name}: connection lost: {cause}", _code(getattr(cause, "rc", 0))) from e


def _code(code: object) -> int:
    """A reason code of the library, which has two kinds of them."""
    number = getattr(code, "value", code)
    return number if isinstance(number, int) else 0


def _heed_cancellation() -> None:
    """Raise the cancellation that aiomqtt may have swallowed.

    It uses asyncio.wait_for, which before Python 3.12 forgets a cancellation that comes in the same turn as the result: whoever cancelled
    us would wait for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@asynccontextmanager
async def dial(broker: Broker, version: Protocol, answered: Callable[[int, int], None]) -> AsyncIterator[Connection]:
    """A connection; `answered(packet id, reason code)` is called for each PUBACK (at QoS 0 when it was written).

    Raises OtherVersion, NotReachable (with what failed), UsageError. At its end a DISCONNECT is sent if that is still possible.
    """
    client = _client(broker, version)
    client.answered = answered
    try:
        await client.__aenter__()
        _heed_cancellation()
    except aiomqtt.MqttError as e:
        client.drop()
        _heed_cancellation()
        strange = _code(getattr(e, "rc", 0)) in UNSUPPORTED_VERSION or any(words in str(e) for words in NO_CONNACK)
        kind = OtherVersion if strange else NotReachable
        raise kind(f"mqtt broker {broker.name}: {broker.host}:{broker.port}: {e}") from e
    except (OSError, ssl.SSLError, ValueError) as e:
        client.drop()
        raise NotReachable(f"mqtt broker {broker.name}: {broker.host}:{broker.port}: {type(e).__name__}: {e}") from e
    except asyncio.CancelledError:
        client.drop()
        raise
    try:
        yield Connection(broker, client, version)
    finally:
        with suppress(aiomqtt.MqttError, OSError):
            await client.__aexit__(None, None, None)
        client.heard()
        _heed_cancellation()


def _client(broker: Broker, version: Protocol) -> _Client:
    availability = broker.availability_topic
    properties = None
    if version is Protocol.V5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = INCOMING_MAX
    return _Client(
        broker.host,
        broker.port,
        username=broker.user,
        password=password(broker),
        identifier=broker.client_id,
        logger=LIBRARY,
        protocol=VERSIONS[version],
        will=aiomqtt.Will(availability, OFFLINE, 1, True) if availability else None,
        clean_session=None if version is Protocol.V5 else True,
        clean_start=True if version is Protocol.V5 else 3,
        timeout=CONNECT_TIMEOUT_S,
        keepalive=broker.keepalive_s,
        max_queued_incoming_messages=INCOMING_MAX,
        max_inflight_messages=0,
        properties=properties,
        tls_context=client_context(broker),
    )
