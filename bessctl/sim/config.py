"""plant.yaml -> the complete dictionaries bessctl_core.sim.plant.Plant takes. Every number has its unit in its name.

Every error names file:line:column (ConfigError). Defaults describe an ordinary device; they are the simulator's, never the controller's.
"""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from bessctl import __version__
from bessctl.errors import ConfigError
from bessctl.sim.cells import CHEMISTRIES, Points

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Device(Strict):
    """One Modbus device: where it answers and what model 1 says about it."""

    unit: int = Field(default=1, ge=1, le=247)
    base: Literal[0, 40000, 50000] = 40000
    serial: str = Field(default="SIM-0001", max_length=32)
    manufacturer: str = Field(default="bessctl", max_length=32)
    model: str = Field(default="Simulated device", max_length=32)
    options: str = Field(default="", max_length=16)
    version: str = Field(default=__version__, max_length=16)
    answer_ms: NotNegative = 0.0
    refresh_ms: NotNegative = 0.0


class EnterService(Strict):
    """Model 703."""

    permitted: bool = True
    v_hi_pct: Positive = 110.0
    v_lo_pct: Positive = 90.0
    hz_hi: Positive | None = None  # default: nominal + 0.1
    hz_lo: Positive | None = None  # default: nominal - 0.2
    delay_s: int = Field(default=0, ge=0)


class GridTrip(Strict):
    kind: Literal["over_voltage", "under_voltage", "over_frequency", "under_frequency"]
    at: Positive  # pu of nominal, or Hz
    delay_s: NotNegative


class Pcs(Strict):
    w_max: Positive
    va_max: Positive | None = None  # default: 1.1 x w_max
    var_max: Positive | None = None  # default: 0.6 x va_max
    charge_w_max: Positive | None = None  # default: w_max
    discharge_w_max: Positive | None = None
    v_nom: Positive = 400.0
    hz_nom: Positive = 50.0
    dead_time_s: float = Field(default=0.1, ge=0, le=4)
    lag_s: NotNegative = 0.1
    ramp_w_per_s: NotNegative = 0.0
    loss_fixed_w: NotNegative | None = None  # default: 0.3 % of w_max
    loss_linear: NotNegative = 0.005
    loss_quadratic: NotNegative | None = None  # default: 0.7 % of w_max
    start_s: NotNegative = 1.0
    exit_standby_s: NotNegative = 0.2
    controller_timeout_s: NotNegative = 0.0
    controller_timeout_action: Literal["zero", "standby"] = "zero"
    reversion_scale: Positive = 1.0
    reversion_rearm: Literal["enable", "any"] = "enable"
    enter_service: EnterService = EnterService()
    trips: list[GridTrip] | None = Field(default=None, max_length=8)
    curves: bool = False  # models 705, 706 and 712 behind the others
    device: Device = Device(unit=1, model="Simulated PCS")


class Battery(Strict):
    chemistry: Literal["lfp", "nmc"] = "lfp"
    energy_wh: Positive
    cells: int = Field(gt=0)
    r0_ohm: Positive | None = None
    r1_ohm: Positive | None = None
    tau1_s: Positive = 30.0
    heat_capacity_j_per_k: Positive | None = None
    cooling_w_per_k: NotNegative | None = None
    ambient_c: float = 25.0
    soc_spread_pct: NotNegative = 1.0
    r_spread_pct: NotNegative = 5.0
    temp_spread_c: NotNegative = 2.0
    charge_a_max: Positive | None = None  # default: 0.6 of the capacity per hour
    discharge_a_max: Positive | None = None
    soh_pct: Percent = 100.0
    soc_min_pct: Percent = 0.0
    soc_max_pct: Percent = 100.0
    limit_slew_pct_per_s: Positive = 20.0
    close_s: NotNegative = 2.0
    open_s: NotNegative = 0.1
    trips: bool = True
    cell_v_high: Positive | None = None
    cell_v_low: Positive | None = None
    cell_c_high: float = 60.0
    cell_c_low: float = -20.0
    over_current_pct: NotNegative = 15.0
    over_current_s: NotNegative = 0.2
    cell_v_s: NotNegative = 0.7
    cell_c_s: NotNegative = 6.0
    ctrl_hb_timeout_s: NotNegative = 0.0
    fade_pct_per_kcycle: NotNegative | None = None  # default: of the chemistry
    fade_pct_per_year: NotNegative | None = None
    r_growth_pct: NotNegative | None = None
    ocv: Points | None = None
    charge_soc: Points = [(0, 1.0), (90, 1.0), (98, 0.2), (100, 0.0)]
    discharge_soc: Points = [(0, 0.0), (2, 0.2), (10, 1.0), (100, 1.0)]
    charge_temp: Points = [(0, 0.0), (18, 1.0), (45, 1.0), (60, 0.0)]
    discharge_temp: Points = [(-20, 0.0), (0, 1.0), (50, 1.0), (62, 0.0)]
    device: Device = Device(unit=2, model="Simulated battery")


class Profile(Strict):
    """Power over time: `w` alone, a sine around it, or a CSV of `t_s,w` lines, linear between points and repeated."""

    w: float = 0.0
    amplitude_w: float = 0.0
    period_s: Positive = 60.0
    phase_s: float = 0.0
    csv: Path | None = None


class Meter(Strict):
    rated_w: Positive = 320_000.0
    load: Profile = Profile()
    pv: Profile = Profile()
    evse_w: NotNegative = 0.0
    evse: Profile = Profile()
    device: Device = Device(unit=3, model="Simulated PCC meter")


class Inputs(Strict):
    """A module of digital inputs: holding register 0, bit k = contact k is closed (estop, fire, door, insulation, other)."""

    device: Device = Device(unit=4, model="Simulated input module")


class Grid(Strict):
    v: NotNegative | None = None  # default: nominal of the PCS
    hz: Positive | None = None
    v_csv: Path | None = None  # a script of `t_s,v` lines, linear between them, repeated
    hz_csv: Path | None = None
    noise_v: NotNegative = 0.4
    noise_hz: NotNegative = 0.01
    noise_w: NotNegative = 150.0
    seed: int = 1


class Initial(Strict):
    soc_pct: Percent = 50.0
    cell_temp_c: float = 25.0
    contactors: Literal["closed", "open"] = "closed"
    pcs: Literal["off", "running", "standby"] = "off"


class PlantConfig(Strict):
    name: str = "plant"
    grid_ms: Literal[1, 2, 5, 10] = 1
    combined: bool = False  # battery models in the PCS's own chain
    pcs: Pcs
    battery: Battery
    meter: Meter = Meter()
    inputs: Inputs | None = None
    grid: Grid = Grid()
    initial: Initial = Initial()

    @model_validator(mode="after")
    def units_differ(self) -> PlantConfig:
        devices = [self.pcs.device, self.meter.device]
        devices += [] if self.combined else [self.battery.device]
        devices += [self.inputs.device] if self.inputs else []
        units = [device.unit for device in devices]
        if len(set(units)) < len(units):
            raise ValueError(f"the devices of one plant need different unit ids, not {units}")
        return self


class Rtu(Strict):
    baud: int = Field(default=19200, ge=1200, le=1_000_000)
    paced: bool = False


class Server(Strict):
    host: str = "127.0.0.1"
    tcp_port: int | list[int] | None = 0
    rtu: Rtu | None = None
    shared_bus: bool = False
    shared_pcc: bool = False
    single_session: bool = False
    real_time: bool = True
    cpu: int | None = None


class SimConfig(Strict):
    plants: list[PlantConfig] = Field(min_length=1, max_length=64)
    server: Server = Server()


# ---- from the models to what the compiled plant takes -----------------------------------------------------------------------------


def _battery(b: Battery) -> dict[str, Any]:
    chemistry = CHEMISTRIES[b.chemistry]
    ah = b.energy_wh / (b.cells * chemistry.nominal_v)
    defaults = {
        "r0_ohm": 0.09 * b.cells / ah,  # 0.09 ohm for a cell of 1 Ah: a large prismatic cell
        "r1_ohm": 0.06 * b.cells / ah,
        "heat_capacity_j_per_k": 6.5 * b.energy_wh,  # about 6.5 kg per kWh, 1 kJ per kg and K
        "cooling_w_per_k": 0.00075 * b.energy_wh,
        "charge_a_max": 0.6 * ah,
        "discharge_a_max": 0.6 * ah,
        "cell_v_high": chemistry.high_v,
        "cell_v_low": chemistry.low_v,
        "fade_pct_per_kcycle": chemistry.fade_pct_per_kcycle,
        "fade_pct_per_year": chemistry.fade_pct_per_year,
        "r_growth_pct": chemistry.r_growth_pct,
    }
    lines = ("charge_soc", "discharge_soc", "charge_temp", "discharge_temp")
    params = {k: defaults.get(k) if v is None else v for k, v in b.model_dump(exclude={"device", "chemistry", "ocv", *lines}).items()}
    params["cell_nominal_v"] = chemistry.nominal_v
    return {"params": params, "ocv": b.ocv or chemistry.ocv, **{name: getattr(b, name) for name in lines}}


def _trips(p: Pcs) -> list[dict[str, Any]]:
    """IEEE 1547-2018 default voltage trips; frequency trips 1.5 Hz above and 2.5 Hz below nominal, as in EN 50549-1."""
    if p.trips is not None:
        return [t.model_dump() for t in p.trips]
    rows = [
        ("over_voltage", 1.2, 0.16),
        ("over_voltage", 1.1, 2.0),
        ("under_voltage", 0.7, 2.0),
        ("under_voltage", 0.45, 0.16),
        ("over_frequency", p.hz_nom + 1.5, 0.2),
        ("under_frequency", p.hz_nom - 2.5, 0.2),
    ]
    return [{"kind": kind, "at": at, "delay_s": delay} for kind, at, delay in rows]


def _pcs(p: Pcs) -> dict[str, Any]:
    va_max = p.va_max or 1.1 * p.w_max
    params = {
        **p.model_dump(include=set(Pcs.model_fields) & {"w_max", "v_nom", "hz_nom", "dead_time_s", "lag_s", "ramp_w_per_s", "loss_linear"}),
        **p.model_dump(include={"start_s", "exit_standby_s", "controller_timeout_s"}),
        "va_max": va_max,
        "var_max": p.var_max or 0.6 * va_max,
        "charge_w_max": p.charge_w_max or p.w_max,
        "discharge_w_max": p.discharge_w_max or p.w_max,
        "loss_fixed_w": 0.003 * p.w_max if p.loss_fixed_w is None else p.loss_fixed_w,
        "loss_quadratic": 0.007 * p.w_max if p.loss_quadratic is None else p.loss_quadratic,
        "controller_standby": float(p.controller_timeout_action == "standby"),
        "timer_scale": p.reversion_scale,
        "rearm_on_any_write": float(p.reversion_rearm == "any"),
    }
    es = p.enter_service.model_dump()
    es["hz_hi"] = es["hz_hi"] or p.hz_nom + 0.1
    es["hz_lo"] = es["hz_lo"] or p.hz_nom - 0.2
    return {"params": params, "enter_service": es, "trips": _trips(p)}


def _points(path: Path, folder: Path) -> Points:
    place = folder / path
    try:
        with place.open(newline="") as lines:
            points = [(float(row[0]), float(row[1])) for row in csv.reader(lines) if row and not row[0].startswith(("#", "t"))]
    except (OSError, ValueError, IndexError) as exc:
        raise ConfigError(f"{place}:1:1", f"not a profile of `t_s,w` lines: {exc}") from exc
    if not points or any(b[0] <= a[0] for a, b in itertools.pairwise(points)):
        raise ConfigError(f"{place}:1:1", "a profile needs points with rising times")
    return points


def _profile(p: Profile, folder: Path) -> dict[str, Any]:
    points = _points(p.csv, folder) if p.csv else []
    kind = "points" if points else "sine" if p.amplitude_w else "constant"
    return {
        "kind": kind,
        "base_w": p.w,
        "amplitude_w": p.amplitude_w,
        "period_s": p.period_s,
        "phase_s": p.phase_s,
        "points": points,
    }


def plant_dict(c: PlantConfig, folder: Path = Path()) -> dict[str, Any]:
    """The dictionary bessctl_core.sim.plant.Plant takes, defaults filled in. CSV paths are relative to `folder`."""
    grid = c.grid.model_dump(exclude={"v_csv", "hz_csv"})
    grid["v_script"] = _profile(Profile(csv=c.grid.v_csv), folder)
    grid["hz_script"] = _profile(Profile(csv=c.grid.hz_csv), folder)
    grid["v"] = c.pcs.v_nom if c.grid.v is None else c.grid.v
    grid["hz"] = c.grid.hz or c.pcs.hz_nom
    return {
        "name": c.name,
        "grid_ms": c.grid_ms,
        "combined": c.combined,
        "pcs": _pcs(c.pcs),
        "battery": _battery(c.battery),
        "meter": {
            "rated_w": c.meter.rated_w,
            "evse_w": c.meter.evse_w,
            "load": _profile(c.meter.load, folder),
            "pv": _profile(c.meter.pv, folder),
            "evse": _profile(c.meter.evse, folder),
        },
        "grid": grid,
        "initial": c.initial.model_dump(),
        "devices": {
            "pcs": {**c.pcs.device.model_dump(), "curves": c.pcs.curves},
            "battery": c.battery.device.model_dump(),
            "meter": c.meter.device.model_dump(),
            "inputs": c.inputs.device.model_dump() if c.inputs else None,
        },
    }


# ---- YAML, with the place of every error -----------------------------------------------------------------------------------------


def _place(path: Path, tree: Any, loc: tuple[Any, ...]) -> str:
    """file:line:column of the deepest key of `loc` that stands in the file."""
    line, column = 0, 0
    for key in loc:
        if not isinstance(tree, dict | list) or (isinstance(tree, dict) and key not in tree):
            break
        marks: Any = getattr(tree, "lc")  # noqa: B009  (ruamel's own attribute of its dict and list)
        line, column = marks.key(key) if isinstance(tree, dict) else marks.item(key)
        tree = tree[key]
    return f"{path}:{line + 1}:{column + 1}"


def load(path: Path) -> SimConfig:
    """Read plant.yaml. ConfigError names the first wrong place."""
    try:
        tree = YAML().load(path.read_text())
    except OSError as exc:
        raise ConfigError(f"{path}:1:1", f"cannot be read: {exc.strerror}") from exc
    except MarkedYAMLError as exc:
        mark = exc.problem_mark
        raise ConfigError(f"{path}:{mark.line + 1 if mark else 1}:{mark.column + 1 if mark else 1}", f"no YAML: {exc.problem}") from exc
    try:
        return SimConfig.model_validate(tree)
    except ValidationError as exc:
        first = exc.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(_place(path, tree, first["loc"]), f"{key}: {first['msg']}") from exc
