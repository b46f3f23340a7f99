"""Where brokers meet the plant: takes measurements, carries out commands, and tells once what cannot be measured."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bessctl.errors import BessctlError
from bessctl.model.plan import Block, Plan, PlanWriter
from bessctl.model.snapshot import PlantView
from bessctl.protocols.mqtt.binding.clock import Clock
from bessctl.protocols.mqtt.binding.measure import Instant, Missing, measured
from bessctl.protocols.mqtt.config import Broker, MqttConfig
from bessctl.protocols.mqtt.messages.measurement import encode
from bessctl.protocols.mqtt.session.orders import Ignored, Order, Orders

NS = 1_000_000_000


class Desk:
    """Shared by all brokers. Supervisor thread."""

    def __init__(
        self, config: MqttConfig, plant: PlantView, writer: Callable[[str], PlanWriter], clock: Clock, log: logging.Logger
    ) -> None:
        self._config, self._plant, self._writer, self._log = config, plant, writer, log
        self.clock = clock
        self._told: dict[tuple[str, str], str] = {}

    def measure(self, broker: Broker) -> list[tuple[str, bytes]]:
        """(asset, payload) of everything that can be measured now."""
        snapshot = self._plant.snapshot()
        now = Instant(self.clock.mono_ns(), self.clock.utc_ns())
        found = []
        for asset in self._config.assets:
            outcome = measured(snapshot, asset, self._config.window, broker.energy_value, now)
            if isinstance(outcome, Missing):
                self._tell(broker.name, asset.name, f"not measured: {outcome.why}")
                continue
            self._tell(broker.name, asset.name, "" if outcome.soc_pct is not None else "its SoC is stale and sent as null")
            found.append((asset.name, encode(outcome)))
        return found

    def _tell(self, broker: str, asset: str, trouble: str) -> None:
        """A trouble once when it begins, and once when it is over."""
        before = self._told.get((broker, asset), "")
        if trouble and trouble != before:
            self._log.warning("mqtt broker %s: %s: %s", broker, asset, trouble)
        elif before and not trouble:
            self._log.info("mqtt broker %s: %s: measured again", broker, asset)
        self._told[broker, asset] = trouble

    def command(self, broker: Broker, orders: Orders, payload: bytes, retained: bool) -> None:
        """One message of the command topic. Whatever becomes of it is logged."""
        outcome = orders.judge(payload, retained, self.clock.utc_ns())
        if isinstance(outcome, Ignored):
            self._log.warning("mqtt broker %s: a command was ignored: %s", broker.name, outcome.why)
            return
        try:
            serial = self._carry_out(outcome)
        except BessctlError as e:
            self._log.error("mqtt broker %s: a command was refused: %s", broker.name, e)
            return
        self._log.info(
            "mqtt broker %s: command taken: %g W (+ charging) for %.1f s as plan %d of %s",
            broker.name, outcome.charging_w, outcome.for_s, serial, self._config.source,
        )  # fmt: skip

    def _carry_out(self, order: Order) -> int:
        """The wire counts charging positive, a plan discharge."""
        writer = self._writer(self._config.source)
        start = writer.now_ns()
        end = start + max(1, round(order.for_s * NS))
        return writer.write(Plan(lease_until_ns=end, blocks=(Block(start, end, target_w=0.0 - order.charging_w),)))
