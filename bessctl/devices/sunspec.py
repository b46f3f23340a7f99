"""Discovery of one SunSpec device with pysunspec2: base address, chain of models, identity, scale factors, implemented points.

Blocking, with the device online; run by `bessctl discover` and by sealing, never by loop or supervisor. pysunspec2 and pyserial are
imported inside. The device is only read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bessctl.devices.address import Address
from bessctl.devices.discovery import FoundDevice, FoundModel
from bessctl.errors import BessctlError, NotReachable, OperationFailed, UsageError

MAX_MODELS = 60
SERIAL_REGISTERS = 16
ACCUMULATORS = {"acc16", "acc32", "acc64"}
SERIAL = 50
"""Offset of SN in the common model."""
NAMEPLATE = {120, 702, 713, 802}
"""Models whose rating points are kept."""
RATES = {"MaxChaRte", "MaxDisChaRte"}
"""Rating points of model 120 that are not called so."""

COUNTS = {"NPt", "NCrv"}
"""Of curve models: what decides where a curve's registers are."""


ONE_SESSION = "A device that takes one session answers nobody else while a loop has it."


def discover(address: Address, modbus_id: int, timeout_s: float = 2.0) -> FoundDevice:
    """Look at one device. Raises NotReachable when nobody answers, OperationFailed when what answers is no SunSpec device."""
    with _client(address, modbus_id, timeout_s) as device:
        where = f"{address} id {modbus_id}"
        _scan(device, where)
        return _record(device, str(address), modbus_id, where)


def discover_by(read: Callable[[int, int], bytes], where: str, modbus_id: int) -> FoundDevice:
    """The same for a device that is asked through `read(address, registers)`, which gives no bytes where there is no answer."""
    try:
        from sunspec2.modbus import client  # noqa: PLC0415
    except ImportError as e:
        raise UsageError("discovery needs pysunspec2 and pyserial; install bessctl[seal]") from e
    device = client.SunSpecModbusClientDevice()
    device.read = read
    _scan(device, where)
    return _record(device, where, modbus_id, where)


@contextmanager
def _client(address: Address, modbus_id: int, timeout_s: float) -> Iterator[Any]:
    """A connected pysunspec2 device, closed afterwards."""
    try:
        from sunspec2.modbus import client, modbus  # noqa: PLC0415
    except ImportError as e:
        raise UsageError("discovery needs pysunspec2 and pyserial; install bessctl[seal]") from e
    device = None
    try:
        if address.host:
            device = client.SunSpecModbusClientDeviceTCP(modbus_id, address.host, address.port, timeout_s)
            device.connect(timeout_s)
        else:
            device = client.SunSpecModbusClientDeviceRTU(modbus_id, address.path, address.baud, _parity(address), timeout_s)
            _serial_format(device.client.serial, address)
        yield device
    except (OSError, modbus.ModbusClientError, client.SunSpecModbusClientError) as e:
        raise NotReachable(f"{address}: {_short(e)}; is the device on, and are address and cable right? {ONE_SESSION}") from e
    finally:
        if device is not None:
            device.close()


def _short(error: Exception) -> str:
    """The first line of a library's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _parity(address: Address) -> str:
    return "E" if address.parity == "even" else "N"


def _serial_format(line: Any, address: Address) -> None:
    """pysunspec2 opens with even or no parity and one stop bit; the rest is set on its port."""
    if address.parity == "odd":
        line.parity = "O"
    line.stopbits = address.stop_bits


def _scan(device: Any, where: str) -> None:
    """Read the chain; tells a silent device from one that answers and is something else."""
    from sunspec2.modbus import client  # noqa: PLC0415

    seen = 0

    def progress(_: str) -> bool:
        nonlocal seen
        seen += 1
        return seen <= MAX_MODELS

    try:
        device.scan(progress=progress, connect=False)
    except client.SunSpecModbusClientError as e:
        if seen > MAX_MODELS:
            raise OperationFailed(f"{where}: the chain of models does not end; this is no SunSpec map we can trust") from e
        raise _not_sunspec(str(e), where) from e
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, ZeroDivisionError) as e:
        raise OperationFailed(f"{where}: its SunSpec map cannot be read ({type(e).__name__}: {_short(e)})") from e
    if not device.model_list:
        raise OperationFailed(f"{where}: says SunS and has no models behind it")


def _not_sunspec(message: str, where: str) -> BessctlError:
    """pysunspec2 names what each base address gave."""
    reasons = [line.split("error =", 1)[1].strip(" .") for line in message.splitlines() if "error =" in line]
    answers = [reason for reason in reasons if "not SunSpec" in reason or "exception" in reason.lower()]
    if answers:
        return OperationFailed(
            f"{where} answers Modbus and is no SunSpec device: no 'SunS' at 40000, 0 or 50000 ({answers[0]}); "
            "check the Modbus id, or enable SunSpec at the device"
        )
    return NotReachable(f"{where}: no answer ({reasons[0] if reasons else message.strip()}); check Modbus id, power and cable")


def _record(device: Any, address: str, modbus_id: int, where: str) -> FoundDevice:
    models = tuple(_model(found) for found in device.model_list)
    if models[0].id != 1:
        raise OperationFailed(f"{where}: the chain begins with model {models[0].id}, not with the common model 1")
    common = device.model_list[0]
    raw = device.read(common.model_addr + SERIAL, SERIAL_REGISTERS)
    registers = tuple(int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2))
    text = {name: _text(common, name) for name in ("Mn", "Md", "Vr", "SN")}
    return FoundDevice(
        where=address,
        modbus_id=modbus_id,
        base=device.base_addr,
        manufacturer=text["Mn"],
        model=text["Md"],
        version=text["Vr"],
        serial=text["SN"],
        serial_registers=registers,
        models=models,
    )


def _text(model: Any, name: str) -> str:
    point = model.points.get(name)
    return "" if point is None or point.value is None else str(point.value).strip()


def _model(found: Any) -> FoundModel:
    present, scales, ratings, counts = [], {}, {}, {}
    for name, point in _points(found):
        kind = point.pdef.get("type")
        # An accumulator that stands at its not-implemented value 0 may as well be new.
        if point.value is None or kind == "pad" or not (point.is_impl() or kind in ACCUMULATORS):
            continue
        if kind == "sunssf":
            scales[name] = int(point.value)
            continue
        present.append(name)
        if name in COUNTS:
            counts[name] = int(point.value)
        if found.model_id in NAMEPLATE and ("Rtg" in name or name in RATES) and isinstance(point.cvalue, int | float):
            ratings[name] = float(point.cvalue)
    known = getattr(found, "model_def", True) is not None
    return FoundModel(int(found.model_id), int(found.model_addr), int(found.model_len), tuple(present), scales, ratings, counts, known)


def _points(found: Any) -> Iterator[tuple[str, Any]]:
    """Points of the model and, as `group.point`, of the first instance of each repeating group."""
    yield from found.points.items()
    for name, group in found.groups.items():
        first = group[0] if isinstance(group, list) and group else group
        if first:
            yield from ((f"{name}.{key}", point) for key, point in first.points.items())
