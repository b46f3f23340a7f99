"""Which CSMS endpoint to dial (2.0.1 B09, B10; A05; whitepaper A05): network profiles, tries, fall-back, security upgrade.

- Slot 1 is the site's own and cannot be set; 2 and 3 are the CSMS's. They are dialled in the order of NetworkConfigurationPriority, each
  NetworkProfileConnectionAttempts times; then the last one that was good; then from the beginning. The order names only what is set.
- A connection is good with its first valid frame from a CSMS that accepted this boot, then or earlier (or a pong, where that is evidence).
  One that ends before is a failed try. In another slot is another CSMS: it gets a BootNotification of its own.
- SetNetworkProfile is Rejected for an unknown slot, another transport than JSON, a version we do not speak, a VPN or APN (the site's
  router does those), a security profile below the present one, and one whose credentials are missing.
- A higher SecurityProfile becomes the site's once a connection with it was good; until then a failed try falls back (A05.FR.05).
"""

from __future__ import annotations

from dataclasses import dataclass

from bessctl.protocols.ocpp.config import LinkConfig, Role
from bessctl.protocols.ocpp.messages.commands import SetNetwork
from bessctl.protocols.ocpp.messages.stored import from_text, to_text
from bessctl.protocols.ocpp.session.core import Core
from bessctl.protocols.ocpp.session.keys import security_profile
from bessctl.protocols.ocpp.session.settings import SLOTS
from bessctl.protocols.ocpp.session.writes import PutDoc, PutKey, PutState

KIND = "network"
PRIORITY = "OCPPCommCtrlr.NetworkConfigurationPriority"
SITE_SLOT = 1
VERSIONS = {"1.6", "2.0.1"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to dial. `slot` 0 = an upgrade of the site's own that is being tried."""

    slot: int
    url: str
    security: int
    version: str | None = None


def missing(link: LinkConfig, url: str, security: int) -> str | None:
    """What a security profile lacks on this site, or None."""
    if security >= 2 and not url.startswith("wss://"):
        return "profile 2 and 3 need wss://"
    if security < 2 and not link.allow_plain:
        return "the site does not allow a connection without TLS"
    if security in {1, 2} and link.password_file is None:
        return "there is no password file"
    return "there is no client certificate" if security == 3 and link.tls.cert_file is None else None


class Network:
    """Supervisor thread; no I/O."""

    def __init__(self, core: Core) -> None:
        self._core = core
        saved = core.saved.docs.get(KIND, {})
        self._slots = {e.slot: e for e in (from_text(Endpoint, text) for text in saved.values())}
        own = Endpoint(SITE_SLOT, core.link.url, security_profile(core.link))
        self._slots.setdefault(SITE_SLOT, own)
        self._trial: Endpoint | None = None
        self._good = int(core.saved.state.get("network_good", str(SITE_SLOT)))
        self._order = core.keys.text(PRIORITY)
        self._unproved: Endpoint | None = None
        self._at: int | None = None
        self._tries = 0
        self.active = SITE_SLOT

    @property
    def security(self) -> int:
        """The profile in use."""
        return self._slots.get(self.active, self._slots[SITE_SLOT]).security

    def endpoint(self) -> Endpoint:
        """What to dial now."""
        if self._trial is not None:
            return self._trial
        order = [int(w) for w in self._core.keys.words(PRIORITY)]
        order = [slot for slot in order if slot in self._slots] or [SITE_SLOT]
        each = self._core.keys.number("OCPPCommCtrlr.NetworkProfileConnectionAttempts")
        order += [self._good] if self._good in self._slots and self._good != order[-1] else []
        return self._slots[order[self._tries // each % len(order)]]

    def connected(self, endpoint: Endpoint) -> None:
        """A connection stands; whether it is good is not known yet."""
        self._unproved, before = endpoint, self._at
        self._at = endpoint.slot or SITE_SLOT
        if self._at != before:
            self._core.registration.again()

    def heard(self) -> bool:
        """A valid frame from a CSMS that accepted us; True = the first on this connection."""
        endpoint, self._unproved = self._unproved, None
        if endpoint is not None:
            self._found_good(endpoint)
        return endpoint is not None

    def lost(self) -> None:
        """The connection is gone."""
        endpoint, self._unproved = self._unproved, None
        if endpoint is not None:
            self.failed(endpoint)

    def prefer(self, order: str) -> bool:
        """NetworkConfigurationPriority; False = it names a slot in which nothing is set, and the old order stands."""
        empty = [slot for slot in order.split(",") if int(slot) not in self._slots]
        if empty:
            self._core.keys.put(PRIORITY, self._order)
            self._core.audit("network_refused", f"slot {empty[0]} is empty", None, 30)
            return False
        self._order = order
        self._core.audit("network", f"priority {order}, at work with the next dialling")
        return True

    def failed(self, endpoint: Endpoint) -> None:
        """No good connection came of it."""
        if endpoint is self._trial:
            self._trial = None
            self._core.keys.put("SecurityProfile", str(self._slots[SITE_SLOT].security))
            self._core.audit("network", f"security profile {endpoint.security} did not connect, back to the one before", None, 30)
            return
        self._tries += 1

    def _found_good(self, endpoint: Endpoint) -> None:
        writes = self._core.out.writes
        if endpoint is self._trial:
            kept = Endpoint(SITE_SLOT, endpoint.url, endpoint.security)
            self._slots[SITE_SLOT], self._trial = kept, None
            writes += [PutDoc(KIND, str(SITE_SLOT), to_text(kept)), PutKey("SecurityProfile", str(kept.security))]
            self._core.security("ReconfigurationOfSecurityParameters", f"security profile {kept.security}")
        slot = endpoint.slot or SITE_SLOT
        if slot != self._good:
            writes.append(PutState("network_good", str(slot)))
        self._good = self.active = slot
        self._tries = 0

    def upgrade(self, security: int) -> bool:
        """SecurityProfile of 1.6: upward alone, and only to what the site has credentials for; dialled anew to try it."""
        core, own = self._core, self._slots[SITE_SLOT]
        url = "wss://" + own.url.split("://", 1)[1] if security >= 2 else own.url
        why = "a lower profile" if security <= own.security else missing(core.link, url, security)
        if core.link.role is not Role.OWNER and why is None:
            why = "the CSMS is not the owner"
        if why is not None:
            core.keys.put("SecurityProfile", str(own.security))
            core.audit("security_profile_refused", why, None, 30)
            return False
        self._trial = Endpoint(0, url, security)
        core.out.redial = f"security profile {security}"
        return True

    def take(self, wish: SetNetwork) -> tuple[str, str]:
        """SetNetworkProfile: status and why."""
        core = self._core
        checks = (
            (core.link.role is Role.OWNER, "the CSMS is not the owner"),
            (wish.slot in SLOTS and wish.slot != SITE_SLOT, f"slot {wish.slot} cannot be set"),
            (wish.version in VERSIONS, "OCPP 1.6 and 2.0.1 over JSON are spoken here"),
            (not wish.vpn, "tunnels and mobile networks are the site's router's"),
            (wish.url.startswith(("ws://", "wss://")), "the url must begin with ws:// or wss://"),
            (wish.security >= self.security, "the security profile would be lower than the present one"),
        )
        why = next((text for holds, text in checks if not holds), None) or missing(core.link, wish.url, wish.security)
        if why is not None:
            core.audit("network_refused", why, None, 30)
            return "Rejected", why
        kept = Endpoint(wish.slot, wish.url, wish.security, wish.version)
        self._slots[wish.slot] = kept
        core.out.writes.append(PutDoc(KIND, str(wish.slot), to_text(kept)))
        core.security("ReconfigurationOfSecurityParameters", f"network profile {wish.slot}")
        return "Accepted", ""
