"""The Python object around the Modbus slave: opens ports and pseudo-terminals, starts and ends the thread of epoll_loop.pyx."""

import os
import socket
import threading
import tty

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from bessctl_core.sim.epoll_loop cimport (
    END_FREE, END_LISTENER, END_RTU, ENDS_MAX, PLANTS_MAX, TAG_EVENT, TAG_TIMER, Bus, Server, arm_timer, clock_ns, end_add, end_close,
    server_loop, watch,
)
from bessctl_core.sim.plant cimport Plant


cdef extern from "<time.h>" nogil:
    int CLOCK_MONOTONIC

cdef extern from "<sys/timerfd.h>" nogil:
    int TFD_NONBLOCK, TFD_CLOEXEC
    int timerfd_create(int, int)

cdef extern from "<sys/eventfd.h>" nogil:
    int EFD_NONBLOCK, EFD_CLOEXEC
    int eventfd(unsigned int, int)

cdef extern from "<sys/epoll.h>" nogil:
    int EPOLL_CLOEXEC
    int epoll_create1(int)

cdef extern from "<unistd.h>" nogil:
    ssize_t write(int, const void*, size_t)
    int close(int)


# How an answer can be spoilt, in the order of Spoil
SPOILS = (
    "bit", "late", "slow", "unit", "function", "count", "protocol", "length", "stale", "front", "behind", "zero", "other", "gap", "echo",
    "close", "busy",
)


cdef class PlantServer:
    """Serves plants over Modbus TCP and, with `rtu`, over one pseudo-terminal per bus.

    One bus per plant, each with its own port, or one for all (`shared_bus`, units must differ). `tcp_port`: 0 = any free port, a list =
    one per bus, None = no TCP. `rtu`: {"baud": 19200, "paced": False}; paced holds requests and answers for their time on the wire
    (8E1, 11 bits a character). `real_time` False: physics moves by Plant.step() alone. `shared_pcc`: every plant's meter sees the sum of
    all PCS. OSError where a port is taken. Supervisor side: any thread.
    """

    def __cinit__(self, *args, **kwargs):
        self.s = <Server*>calloc(1, sizeof(Server))
        if not self.s:
            raise MemoryError

    def __init__(self, plants, *, tcp_port=0, rtu=None, host="127.0.0.1", shared_bus=False, shared_pcc=False, single_session=False,
                 real_time=True, cpu=None):
        self.plants = list(plants)
        if not 1 <= len(self.plants) <= PLANTS_MAX:
            raise ValueError(f"1 to {PLANTS_MAX} plants, not {len(self.plants)}")
        self.options = {"tcp_port": tcp_port, "rtu": rtu, "host": host, "cpu": cpu, "shared_bus": shared_bus}
        self.s.real_time = real_time
        self.s.shared_pcc = shared_pcc
        self.s.single_session = single_session
        self.ports = []
        self.pty_paths = []
        self._buses(shared_bus)

    def __dealloc__(self):
        free(self.s)

    def _buses(self, bint shared):
        cdef Plant plant
        cdef Bus* b
        units = set()
        self.s.buses = 1 if shared else len(self.plants)
        for i, plant in enumerate(self.plants):
            b = &self.s.bus[0 if shared else i]
            mine = {device["unit"] for name, device in plant.config["devices"].items() if device and (name != "battery" or not plant.p.combined)}
            if shared and units & mine:
                raise ValueError(f"unit ids {sorted(units & mine)} stand twice on the shared bus")
            units |= mine
            b.plants[b.n] = plant.p
            b.locks[b.n] = &plant.lock
            b.n += 1

    @property
    def port(self):
        return self.ports[0]

    @property
    def pty_path(self):
        return self.pty_paths[0]

    @property
    def accepted(self):
        """TCP connections accepted since the start."""
        return self.s.accepted

    def start(self):
        cdef Plant plant
        if self.thread is not None:
            raise RuntimeError("already started")
        self.s.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        self.s.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        self.s.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
        watch(self.s, self.s.timer_fd, TAG_TIMER)
        watch(self.s, self.s.event_fd, TAG_EVENT)
        self.s.stop = self.s.armed_ns = 0
        try:
            for bus in range(self.s.buses):
                self._open(bus)
        except OSError:
            self._close()
            raise
        for plant in self.plants:
            plant.served = bool(self.s.real_time)
            if self.s.real_time:
                plant.p.epoch_ns = clock_ns() - plant.p.now_ns
        arm_timer(self.s, clock_ns() + 1)
        self.thread = threading.Thread(target=self._run, name="plant-server", daemon=True)
        self.thread.start()
        return self

    def _open(self, int bus):
        port = self.options["tcp_port"]
        if port is not None:
            listener = socket.create_server((self.options["host"], port[bus] if isinstance(port, list) else port), backlog=16)
            listener.setblocking(False)
            self.ports.append(listener.getsockname()[1])
            end_add(self.s, END_LISTENER, listener.detach(), bus)
        if self.options["rtu"] is not None:
            self._open_pty(bus)

    def _open_pty(self, int bus):
        """The slave side stays open here too: a pty whose last user has closed it reads as an error, a wire does not."""
        cdef int i
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.pty_paths.append(os.ttyname(slave))
        self.options.setdefault("slaves", []).append(slave)
        i = end_add(self.s, END_RTU, master, bus)
        char_ns = 11 * 1000000000 // self.options["rtu"].get("baud", 19200)
        self.s.ends[i].char_ns = char_ns if self.options["rtu"].get("paced") else 0
        self.s.ends[i].quiet_ns = max(5000000, 7 * char_ns // 2)

    def _run(self):
        if self.options["cpu"] is not None:
            os.sched_setaffinity(0, {self.options["cpu"]})
        with nogil:
            server_loop(self.s)

    def stop(self):
        """End the thread, close everything; the plants can be stepped by hand again."""
        cdef Plant plant
        cdef uint64_t one = 1
        if self.thread is None:
            return
        self.s.stop = 1
        write(self.s.event_fd, &one, sizeof(one))
        self.thread.join()
        self.thread = None
        self._close()
        for plant in self.plants:
            plant.served = False

    def drop(self):
        """Close every TCP connection at once, as a device that restarts would; the listeners stay."""
        cdef uint64_t one = 1
        self.s.drop = 1
        write(self.s.event_fd, &one, sizeof(one))

    def disturb(self, *, deaf=None, noise_per_mille=None, spoil=None, single_session=None):
        """Faults of the wires: `deaf`: nothing that arrives is heard, connections stay; `noise_per_mille` of the answers arrive wrong,
        in the way `spoil` names (one of SPOILS); `single_session`: a second TCP connection is turned away. None leaves as it is."""
        if spoil is not None:
            self.s.spoil = SPOILS.index(spoil)
        if deaf is not None:
            self.s.deaf = bool(deaf)
        if noise_per_mille is not None:
            self.s.noise_per_mille = int(noise_per_mille)
        if single_session is not None:
            self.s.single_session = bool(single_session)

    def _close(self):
        cdef int i
        for i in range(ENDS_MAX):
            if self.s.ends[i].kind != END_FREE:
                end_close(&self.s.ends[i])
        for slave in self.options.pop("slaves", []):
            os.close(slave)
        close(self.s.epoll_fd)
        close(self.s.timer_fd)
        close(self.s.event_fd)
        self.ports.clear()
        self.pty_paths.clear()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()
