"""The whole site file: one strict model. Section by section in the modules beside this one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from bessctl.config.base import Name, Strict
from bessctl.config.buses import Bus, Device
from bessctl.config.inputs import Input
from bessctl.config.loop import Loop, Pcc, Unit
from bessctl.config.mqtt import Mqtt
from bessctl.config.ocpp import Ocpp
from bessctl.config.oscp import Oscp
from bessctl.config.policy import Policy
from bessctl.config.protection import Protection
from bessctl.config.sep2 import Sep2
from bessctl.config.sources import Source
from bessctl.config.storage import Storage
from bessctl.devices.profile import Profile


class Paths(Strict):
    """Where things live. Relative paths count from the site file's folder."""

    state_dir: Annotated[str, Field(min_length=1, max_length=90)] = "/var/lib/bessctl"
    """Journal and databases: what survives a power cut."""
    run_dir: Annotated[str, Field(min_length=1, max_length=70)] = "/run/bessctl"
    """Sockets: what a reboot clears."""
    sealed_file: str | None = None
    """What the loop runs from; absent = the site file's name with .sealed."""
    discovery_file: str | None = None
    """What `bessctl discover --into` found; absent = the site file's name with .discovery.json."""


class Supervisor(Strict):
    """Who the supervisor is."""

    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]*$")] | None = None
    """The account it runs under; absent = the account that runs the loop. Only it and root may write plans."""
    log: Literal["text", "json"] = "text"


class Site(Strict):
    """A site."""

    site: Name
    paths: Paths = Paths()
    loop: Loop
    pcc: Pcc = Pcc()
    buses: Annotated[list[Bus], Field(min_length=1)]
    devices: Annotated[list[Device], Field(min_length=1)]
    units: Annotated[list[Unit], Field(min_length=1)]
    sources: Annotated[list[Source], Field(min_length=1)]
    inputs: list[Input] = Field(default_factory=list)
    protection: Protection
    ocpp: Ocpp | None = None
    oscp: Oscp | None = None
    storage: Storage | None = None
    mqtt: Mqtt | None = None
    sep2: Sep2 | None = None
    policy: Policy | None = None
    supervisor: Supervisor = Supervisor()
    _profiles: dict[str, Profile] = PrivateAttr(default_factory=dict)

    def learn(self, profiles: dict[str, Profile]) -> None:
        """What the devices are, by their names; the loader knows, once the profile files are read."""
        self._profiles.update(profiles)

    def profile(self, device: Device) -> Profile:
        """What the registers of a device mean."""
        return self._profiles[device.name]

    def battery_profile(self, device: Device) -> Profile | None:
        """For a PCS that answers for its battery: the profile of that battery."""
        if not any(unit.pcs == device.name and unit.bms is None for unit in self.units):
            return None
        return self._profiles.get(f"{device.name}/battery")

    @property
    def owners(self) -> dict[str, str]:
        """Slots that a protocol writes, and which: nobody else may."""
        found = {self.ocpp.source: "ocpp"} if self.ocpp is not None else {}
        found |= dict.fromkeys(self.oscp.sources, "oscp") if self.oscp is not None else {}
        return found | ({self.sep2.source: "sep2"} if self.sep2 is not None else {})

    def device(self, name: str | None) -> Device | None:
        """The device of that name."""
        return next((device for device in self.devices if device.name == name), None)
