"""The two shared segments and the loop's side of them; the rules stand in segment.pxd. Standard library only: the loop process imports this.

Peers use the ports of ports.pyx.
"""

import fcntl
import os
import time

from libc.string cimport memcpy, memset
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.unistd cimport close

from .handover cimport handover_bytes, handover_read, handover_version, handover_write
from .layout cimport LAYOUT_VERSION, Event
from .ring cimport command_take, event_push

cdef extern from "<sys/mman.h>" nogil:
    enum: MAP_POPULATE

PLANS_MAGIC = b"BESSPLAN"
STATE_MAGIC = b"BESSTATE"

# Linux 5.1. Refuses every writable mapping and write() from then on and leaves the mappings that exist alone.
F_SEAL_FUTURE_WRITE = 0x0010

SEAL_SIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class SegmentError(ValueError):
    """A segment is not what this build works with; the message names both values and what to do."""


# --- where things lie -------------------------------------------------------------------------------------------------------------------


cdef size_t plan_offset(int slot) noexcept nogil:
    return SEGMENT_HEADER + <size_t> slot * handover_bytes(sizeof(Plan))


cdef size_t commands_offset() noexcept nogil:
    return plan_offset(MAX_SLOTS)


cdef size_t curves_offset() noexcept nogil:
    return commands_offset() + ((sizeof(CommandRing) + 63) & ~<size_t> 63)


cdef size_t plans_size() noexcept nogil:
    return curves_offset() + handover_bytes(sizeof(CurvePlan))


cdef size_t events_offset() noexcept nogil:
    return SEGMENT_HEADER + handover_bytes(sizeof(PlantState))


cdef size_t state_size() noexcept nogil:
    return events_offset() + sizeof(EventRing)


# --- the tick's side --------------------------------------------------------------------------------------------------------------------


cdef int loop_take_plan(LoopSide* side, int slot, Plan* plan) noexcept nogil:
    cdef uint64_t version
    if slot < 0 or slot >= MAX_SLOTS:
        return 0
    version = handover_version(side.plan[slot])
    if version == 0 or version == side.plan_seen[slot]:
        return 0
    if not handover_read(side.plan[slot], plan, sizeof(Plan), &version, &side.plan_retries):
        return -1
    side.plan_seen[slot] = version
    return 1


cdef int loop_take_curves(LoopSide* side, CurvePlan* curves) noexcept nogil:
    cdef uint64_t version = handover_version(side.curves)
    if version == 0 or version == side.curves_seen:
        return 0
    if not handover_read(side.curves, curves, sizeof(CurvePlan), &version, &side.plan_retries):
        return -1
    side.curves_seen = version
    return 1


cdef bint loop_take_command(LoopSide* side, Command* command) noexcept nogil:
    if not command_take(side.commands, &side.command_tail, command):
        return False
    command.local = 0
    return True


cdef void loop_publish(LoopSide* side, PlantState* state, EventSink* sink) noexcept nogil:
    cdef int i
    state.commands_taken = side.command_tail
    state.plan_reads_retried = side.plan_retries
    handover_write(side.state, state, sizeof(PlantState))
    for i in range(sink.count):
        event_push(side.events, &sink.item[i])
    sink.count = 0


# --- memory -----------------------------------------------------------------------------------------------------------------------------


cdef class Mapping:
    """A whole segment in memory. `writable` asks for a mapping that writes; the kernel refuses it with PermissionError where sealed."""

    def __cinit__(self, int fd, size_t size, bint writable):
        cdef void* address = mmap(NULL, size, PROT_READ | (PROT_WRITE if writable else 0), MAP_SHARED | MAP_POPULATE, fd, 0)
        if address == MAP_FAILED:
            raise PermissionError("the segment cannot be mapped for writing" if writable else "the segment cannot be mapped")
        self.address = <unsigned char*> address
        self.size = size

    def __dealloc__(self):
        if self.address != NULL:
            munmap(self.address, self.size)


def boot_id() -> bytes:
    """The 16 bytes that name this boot of the kernel."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return bytes.fromhex(file.read().strip().replace("-", ""))


def create(name: str, size: int) -> int:
    """A memfd of `size` zero bytes that may be sealed. Raises OSError."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    return fd


def seal(fd: int, seals: int) -> None:
    """Seal for good. Raises SegmentError on a kernel that does not know the seal."""
    try:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except OSError as error:
        raise SegmentError(f"this kernel ({os.uname().release}) refuses to seal shared memory ({error}); bessctl needs Linux 5.1 or newer") from error


cdef void write_header(Mapping mapping, const unsigned char[::1] magic, size_t payload, size_t entry, uint64_t epoch,
                       const unsigned char[::1] boot, const unsigned char[::1] config_hash, int pid):
    cdef SegmentHeader* header = <SegmentHeader*> mapping.address
    memset(header, 0, SEGMENT_HEADER)
    memcpy(header.magic, &magic[0], 8)
    header.layout_version, header.payload_size, header.entry_size = LAYOUT_VERSION, <uint32_t> payload, <uint32_t> entry
    header.loop_pid, header.total_size, header.epoch = pid, mapping.size, epoch
    memcpy(&header.boot_id_hi, &boot[0], 8)
    memcpy(&header.boot_id_lo, &boot[8], 8)
    memcpy(header.config_hash, &config_hash[0], 32)


cdef Mapping make_state(LoopSegments segments, bytes config_hash):
    """Our own mapping comes before the seal, the descriptor that we give away after it."""
    writable = create("bessctl-state", state_size())
    try:
        mapping = Mapping(writable, state_size(), True)
        write_header(mapping, STATE_MAGIC, sizeof(PlantState), sizeof(Event), segments.epoch, boot_id(), config_hash, os.getpid())
        seal(writable, SEAL_SIZE | F_SEAL_FUTURE_WRITE)
        segments.state_fd = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)
    return mapping


cdef void point(LoopSide* side, Mapping plans, Mapping state) noexcept:
    cdef int slot
    for slot in range(MAX_SLOTS):
        side.plan[slot] = <Handover*> (plans.address + plan_offset(slot))
    side.commands = <CommandRing*> (plans.address + commands_offset())
    side.curves = <Handover*> (plans.address + curves_offset())
    side.state = <Handover*> (state.address + SEGMENT_HEADER)
    side.events = <EventRing*> (state.address + events_offset())


cdef class LoopSegments:
    """Both segments, created, prefaulted and sealed. `plans_fd` is for the supervisor alone, `state_fd` for anyone. Loop process.

    `config_hash` is SealedSite.digest. Raises OSError, SegmentError.
    """

    def __cinit__(self, bytes config_hash):
        if len(config_hash) != 32:
            raise SegmentError(f"the configuration's hash has {len(config_hash)} bytes, a sha256 has 32")
        self.plans_fd = self.state_fd = -1
        self.epoch = time.monotonic_ns()
        self.plans_fd = create("bessctl-plans", plans_size())
        self.plans = Mapping(self.plans_fd, plans_size(), True)
        write_header(self.plans, PLANS_MAGIC, sizeof(Plan), sizeof(Command), self.epoch, boot_id(), config_hash, os.getpid())
        seal(self.plans_fd, SEAL_SIZE)
        self.state = make_state(self, config_hash)
        point(&self.side, self.plans, self.state)

    def __dealloc__(self):
        if self.plans_fd >= 0:
            close(self.plans_fd)
        if self.state_fd >= 0:
            close(self.state_fd)

    def retire(self) -> None:
        """Tell every peer that this loop process takes leave: epoch 0 in both headers. After the last publish."""
        (<SegmentHeader*> self.plans.address).epoch = 0
        (<SegmentHeader*> self.state.address).epoch = 0

    # What the tick does by C, for tests and benches: the same functions, one call each.

    def take_plan(self, int slot) -> bytes | None:
        """The slot's plan when it is another one than last time, else None. BlockingIOError: no whole copy within four tries."""
        cdef Plan plan
        cdef int taken
        with nogil:
            taken = loop_take_plan(&self.side, slot, &plan)
        if taken < 0:
            raise BlockingIOError(f"slot {slot} holds no whole plan")
        return (<const char*> &plan)[:sizeof(Plan)] if taken else None

    def take_command(self) -> dict | None:
        """The next command, or None."""
        cdef Command command
        return command if loop_take_command(&self.side, &command) else None

    def publish(self, const unsigned char[::1] state, events=()) -> None:
        """Publish a PlantState given as bytes, and events given as dicts of Event's fields."""
        cdef PlantState copy
        cdef EventSink sink
        if <size_t> state.shape[0] != sizeof(PlantState):
            raise SegmentError(f"a state has {sizeof(PlantState)} bytes, not {state.shape[0]}")
        memcpy(&copy, &state[0], sizeof(PlantState))
        sink.count = 0
        for event in events:
            sink.item[sink.count] = event
            sink.count += 1
        loop_publish(&self.side, &copy, &sink)

    @property
    def plan_retries(self) -> int:
        """Tries that found a plan changing under the copy."""
        return self.side.plan_retries
