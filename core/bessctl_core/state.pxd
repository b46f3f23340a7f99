# What the step remembers from one tick to the next, and what the loop tells it at start.

from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t, uint64_t

from .connect cimport Connect
from .contactor cimport ContactorTable
from .derive cimport DeriveState
from .commission cimport Commission
from .energy cimport Energy
from .envelope cimport Envelope
from .events cimport EventSink
from .layout cimport MAX_UNITS
from .pcc cimport Pcc
from .plans cimport SlotTable
from .protect cimport RowTable
from .ramp cimport RampState
from .reactive cimport Reactive
from .shed cimport Shed
from .units cimport UnitTable

# What the loop knows at start beyond the configuration.
cdef struct StartFacts:
    int64_t now_ns
    int64_t realtime_s          # wall clock
    uint8_t clock_trusted       # and it is a time of day (R8); CLOCK_MONOTONIC counts since the boot either way
    uint64_t boot_id_hi
    uint64_t boot_id_lo
    uint8_t config_hash[32]
    uint8_t journal_broken      # files exist, no record in them can be believed
    uint8_t warm                # same boot and hash, last tick less than warm_gap ago
    uint8_t rt_refused          # real-time priority was refused

# A request whose answer waits for the journal.
cdef struct Pending:
    uint8_t waiting
    uint64_t command_id
    uint8_t local               # it came from the machine itself
    uint64_t journal_seq        # the record that makes it durable

cdef struct StepState:
    EventSink sink
    RowTable rows
    Envelope envelope
    RampState ramp
    UnitTable units
    Commission commission
    Pcc pcc
    DeriveState derived
    ContactorTable contactors
    Connect connect
    Shed shed
    Reactive reactive
    uint64_t tick
    int64_t last_ns             # of the last tick
    int64_t start_ns
    int64_t mode_since_ns
    int64_t valid_since_ns      # since when every required input is valid; 0 = not now
    uint8_t mode
    uint8_t operator_mode       # MODE_RUN, MODE_STOPPED, MODE_OUT_OF_SERVICE
    uint8_t operator_next       # what the journal will hold
    uint8_t acquired            # inputs were complete once since start or since the last trip
    uint8_t internal            # Internal bits
    uint8_t internal_clearing   # of them, what goes once the journal holds the reset
    uint8_t rt_blocked          # real-time priority is required and refused
    uint8_t warm                # R5: start from measured power
    uint8_t stop_asked          # SIGTERM
    Pending reset
    Pending operator
    uint8_t release             # in this tick a start or reset at the machine became durable
    Pending commissioning
    uint64_t journal_seq
    uint8_t journal_due
    int64_t journal_ns
    uint32_t flags
    uint8_t clamped_bind        # who clamped the target last; BIND_NONE = nobody
    int16_t clamped_id
    uint8_t disjoint
    uint8_t meter_told          # MeterPhase that was told last
    uint8_t unconfirmed
    uint8_t config_hash[32]
    uint64_t boot_id_hi
    uint64_t boot_id_lo
    int64_t realtime_s          # at start_ns
    uint8_t clock_trusted
    int64_t start_age_s[3]      # at start_ns: how long ago, at least, the last three starts were, this one first; -1 none
    double wanted_w
    int64_t rested_ns           # when min_power brought the power to 0 last
    uint8_t giving              # power was commanded in the last tick
    int16_t target_slot
    Energy energy
    SlotTable slots
