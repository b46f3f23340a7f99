"""All peers together: who a token belongs to, and what one peer's message means for the others. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bessctl.protocols.oscp.config import ProviderConfig, Role
from bessctl.protocols.oscp.messages import codec
from bessctl.protocols.oscp.messages.records import Block, BlockUnit, CapacityForecastType, Forecast, Phase
from bessctl.protocols.oscp.session import tokens
from bessctl.protocols.oscp.session.clock import Now
from bessctl.protocols.oscp.session.evaluate import Electrics, profile
from bessctl.protocols.oscp.session.kept import Saved
from bessctl.protocols.oscp.session.outbox import Kind, Message
from bessctl.protocols.oscp.session.peer import Peer

T = CapacityForecastType


class Provider:
    """The flexibility provider. Supervisor thread."""

    def __init__(self, config: ProviderConfig, saved: Mapping[str, Saved], now: Now, random_bytes: Callable[[int], bytes]) -> None:
        self.config = config
        self.peers = {
            peer.name: Peer(peer, saved.get(peer.name, Saved()), now, site=config, random_bytes=random_bytes) for peer in config.peers
        }
        self._was_online: set[str] = set()

    def find(self, token: str) -> tuple[Peer, tokens.Kind] | None:
        """Whose token it is."""
        known = ((name, tokens.Kind(kind), kept) for name, peer in self.peers.items() for kind, kept in peer.common.record.digests.items())
        found = tokens.find(token, known)
        return None if found is None else (self.peers[found[0]], found[1])

    def settle(self) -> set[str]:
        """What came in at one peer goes on to the others: forecasts to the optimizers of their group (OSCP 2.0 3.2.2).

        Returns who has something to send now.
        """
        told: set[str] = set()
        for peer in self.peers.values():
            fresh, peer.forecasts.fresh = peer.forecasts.fresh, []
            for stored in fresh:
                if stored.type is not T.OPTIMUM:
                    told |= {other.config.name for other in self.peers.values() if self._tell(other, stored.group, stored.type, peer)}
        online = {name for name, peer in self.peers.items() if peer.connection.online}
        told |= {name for name in online - self._was_online if self._introduce(self.peers[name])}
        self._was_online = online
        return told

    def _introduce(self, optimizer: Peer) -> bool:
        """An optimizer that comes online learns what holds now."""
        known = {key for peer in self.peers.values() if peer is not optimizer for key in peer.forecasts.series if key[1] is not T.OPTIMUM}
        return sum(self._tell(optimizer, group, kind) for group, kind in sorted(known)) > 0

    def _tell(self, optimizer: Peer, group: str, kind: T, sender: Peer | None = None) -> bool:
        """Have a forecast forwarded; False where this peer is no optimizer of the group, is away, or sent it itself."""
        config = optimizer.config
        if optimizer is sender or Role.CO not in config.roles or group not in config.groups or not optimizer.connection.online:
            return False
        blocks = self._merged(optimizer, group, kind)
        if not blocks:
            return False
        body = codec.to_bytes(Forecast(group, kind, optimizer.forecasts.mirrored(kind, blocks)))
        optimizer.outbox.put(Message(Kind.FORECAST, body, optimizer.common.new_id(), key=f"{group} {kind}"))
        return True

    def _merged(self, optimizer: Peer, group: str, kind: T) -> tuple[Block, ...]:
        """As it came where one provider sent it; of several the most restrictive at each instant, in watts."""
        sent = [
            peer.forecasts.series[group, kind].blocks
            for peer in self.peers.values()
            if peer is not optimizer and Role.CP in peer.config.roles and (group, kind) in peer.forecasts.series
        ]
        if len(sent) <= 1:
            return sent[0] if sent else ()
        together = profile(kind, [block for blocks in sent for block in blocks], Electrics(self.config.nominal_v))
        return tuple(
            Block(codec.decimal(value), Phase.UNKNOWN, BlockUnit.W, start, end)
            for value, start, end in zip(together.values, together.starts, together.starts[1:], strict=False)
            if value is not None
        )

    def members(self, group: str) -> Iterable[Peer]:
        """The peers of a group."""
        return (peer for peer in self.peers.values() if group in peer.config.groups)
