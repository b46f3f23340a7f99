"""Buses and devices alone, on real sockets and in invented time: what tests of the driver drive. No clock, no step, no file."""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from .bus cimport Transaction, bus_deadline_ns, bus_events, bus_fd, bus_step
from .dispatch cimport encode_w
from .driver cimport Device
from .events cimport EventSink
from .fleet cimport Fleet, fleet_account, fleet_close, fleet_init, fleet_release, fleet_send, fleet_stopped, fleet_take
from .layout cimport MAX_FACTORS, MAX_UNITS, NS_PER_S, PLACES, QUANTITIES, Inputs, Outputs, PlantState
from .shed cimport SHED_UNKNOWN
from .sealed cimport SealedSite


cdef tuple told(const Transaction* t):
    return t.unit_id, t.timeout_ns, t.worst_ns, bool(t.pipelined)


cdef class FleetHarness:
    """The devices of a sealed site. `tick` is the loop's: take replies, hand out commands; `pump` moves bytes at one and the same instant."""

    cdef SealedSite site
    cdef Fleet* f
    cdef Inputs inp
    cdef Outputs out
    cdef EventSink sink
    cdef PlantState state
    cdef double[16] wanted_w
    cdef double[16] wanted_var
    cdef readonly int64_t now_ns

    def __cinit__(self, SealedSite site not None, *, int64_t now_ns=1_000_000_000_000):
        self.f = <Fleet*> malloc(sizeof(Fleet))
        if self.f == NULL:
            raise MemoryError
        self.site, self.now_ns = site, now_ns
        memset(&self.out, 0, sizeof(Outputs))
        self.out.shed = SHED_UNKNOWN
        memset(&self.sink, 0, sizeof(EventSink))
        memset(&self.state, 0, sizeof(PlantState))
        memset(self.wanted_w, 0, sizeof(self.wanted_w))
        memset(self.wanted_var, 0, sizeof(self.wanted_var))
        if fleet_init(&site.config, self.f, &self.inp, now_ns) >= 0:
            raise ValueError("a bus of this site cannot be had")

    def __dealloc__(self):
        free(self.f)

    def order(self, int unit, *, double w=0.0, int run=1, bint open=False) -> None:
        """What the step would say from the next tick on: W, Outputs.cmd_run, contactor."""
        if not 0 <= unit < MAX_UNITS:
            raise IndexError(unit)
        self.wanted_w[unit] = w
        self.out.cmd_run[unit], self.out.cmd_open[unit] = run, open

    def order_var(self, int unit, var) -> None:
        """Reactive power from the next tick on; None leaves it to the PCS. For all units at once: asked for or not."""
        if not 0 <= unit < MAX_UNITS:
            raise IndexError(unit)
        self.out.reactive = var is not None
        self.wanted_var[unit] = 0 if var is None else var

    def order_shed(self, int order) -> None:
        """ShedOrder from the next tick on: 0 off, 1 on, 2 nothing is known."""
        self.out.shed = <uint8_t> order

    def be_silent(self, bint silent) -> None:
        """Outputs.silent: a warm start before the first data."""
        self.out.silent = silent

    def tick(self, int64_t after_ns) -> None:
        """One tick, so much later."""
        cdef int unit
        self.now_ns += after_ns
        fleet_take(&self.site.config, self.f, &self.inp, &self.sink, self.now_ns)
        for unit in range(self.site.config.n_units):
            self.out.cmd_raw[unit] = encode_w(self.wanted_w[unit], self.inp.wset_scale_w[unit])
            self.out.cmd_var_raw[unit] = encode_w(self.wanted_var[unit], self.inp.varset_scale_var[unit])
        fleet_send(&self.site.config, self.f, &self.inp, &self.out, &self.sink, self.now_ns)

    def pump(self, int bus, int revents) -> None:
        """Move one bus on; time stands still."""
        bus_step(&self.f.bus[bus], self.now_ns, revents)

    def waits_for(self, int bus) -> tuple:
        """(descriptor, poll events, whether a question is out or can go out now) of one bus."""
        cdef bint waiting = self.f.bus[bus].state == 1 or self.f.bus[bus].state == 3
        return bus_fd(&self.f.bus[bus]), bus_events(&self.f.bus[bus]), waiting

    def deadline_ns(self, int bus) -> int:
        """When the bus is due though nothing comes."""
        return bus_deadline_ns(&self.f.bus[bus])

    def set(self, int place, int quantity, double value) -> None:
        """A measurement that no device of this site brings, as of now."""
        self.inp.value[place * QUANTITIES + quantity] = value
        self.inp.sampled_ns[place * QUANTITIES + quantity] = self.now_ns

    def value(self, int place, int quantity) -> tuple:
        """(value, age in seconds) as the step would see it; age is infinite when there never was one."""
        cdef int at = place * QUANTITIES + quantity
        if not 0 <= at < PLACES * QUANTITIES:
            raise IndexError(at)
        age_s = (self.now_ns - self.inp.sampled_ns[at]) / NS_PER_S if self.inp.sampled_ns[at] else float("inf")
        return self.inp.value[at], age_s

    def factor(self, int index) -> float:
        """A factor as read on the connection that stands."""
        if not 0 <= index < MAX_FACTORS:
            raise IndexError(index)
        return self.inp.factor[index]

    def unit(self, int unit) -> dict:
        """What the step is told of a unit."""
        return {
            "pcs_state": self.inp.pcs_state[unit], "bms_state": self.inp.bms_state[unit], "count_w": self.inp.wset_scale_w[unit],
            "count_var": self.inp.varset_scale_var[unit],
            "unconfirmed": bool(self.inp.unconfirmed[unit]), "shed_unconfirmed": bool(self.inp.shed_unconfirmed),
        }

    def setpoint(self, int device, bint reactive=False) -> dict:
        """The driver's own account of a device's set point."""
        s = &self.f.device[device].reactive if reactive else &self.f.device[device].setpoint
        return {
            "written_raw": s.written_raw, "acked": bool(s.acked), "held": bool(s.held), "yielded": bool(s.yielded), "saving": bool(s.saving),
            "writes": s.writes, "grants": s.grants,
        }

    def questions(self, int device) -> dict:
        """What the bus would be told of this device with each question: (unit id, time-out, worst time, pipelined) by where it stands."""
        cdef const Device* dev = &self.f.device[device]
        asked = {
            "setup": told(&dev.setup), "beat": told(&dev.beat), "switch": told(&dev.switch), "limits": told(&dev.limits),
            "setpoint.write": told(&dev.setpoint.write), "setpoint.readback": told(&dev.setpoint.readback),
            "reactive.write": told(&dev.reactive.write), "reactive.readback": told(&dev.reactive.readback),
            "curve.ask": told(&self.f.curve[device].ask), "service.ask": told(&self.f.service[device].ask),
        }
        for i in range(self.site.config.n_reads):
            if self.site.config.read_device[i] == device:
                asked[f"read.{i}"] = told(&self.f.read[i])
        return asked

    def events(self) -> list:
        """The events since the last call."""
        events = [self.sink.item[i] for i in range(self.sink.count)]
        self.sink.count = 0
        return events

    def counters(self) -> dict:
        """The buses' part of the published state."""
        fleet_account(&self.site.config, self.f, &self.state)
        fields = <dict> self.state
        names = {
            "ok": "bus_ok", "timeouts": "bus_timeouts", "late": "bus_late", "exceptions": "bus_exceptions", "reconnects": "bus_reconnects",
            "queue_full": "bus_queue_full", "bad_request": "bus_bad_request",
        }
        return {"flags": self.state.flags, **{name: fields[key][:self.site.config.n_buses] for name, key in names.items()}}

    def release(self) -> None:
        """The operator reset or started at the machine."""
        fleet_release(&self.site.config, self.f)

    @property
    def stopped(self) -> bool:
        """Nothing of our own making flows any more."""
        return fleet_stopped(&self.site.config, self.f, &self.inp)

    def close(self) -> None:
        """End all connections."""
        fleet_close(&self.site.config, self.f, self.now_ns)
