# The only place of the layout: every structure that crosses a process, a file or a module boundary, and every number that has a name.
# The words stand here; how much there is of everything, plans, sealed configuration and state stand in layout_*.pxd, by who writes them.
# Everyone cimports all of it from here.
#
# How to read it. The unit is in the name (_w, _ns, _pct). Power is positive toward the grid (discharge, export). Times are CLOCK_MONOTONIC
# nanoseconds; 0 = never. A missing measurement is NaN and its sampled_ns is 0. Structures are plain arrays side by side, never arrays of
# structures, so that numpy reads them without a copy; arrays over units have one place more, PLANT, for what belongs to no unit.
#
# The version rule. Whoever changes a structure raises LAYOUT_VERSION. Segments and sealed files carry it; a peer with another number
# refuses, and says both. The journal has a number of its own (journal.pyx), because it outlives updates.

from .layout_plans cimport Command, CurvePlan, Plan, Series
from .layout_site cimport SiteConfig
from .layout_sizes cimport *
from .layout_state cimport Event, Inputs, JournalRecord, Outputs, PlantState

cdef enum:
    LAYOUT_VERSION = 13

# What is measured, per unit or for the plant. A protection row names one of these; so does a point of a device.
cpdef enum Quantity:
    Q_NONE = 0
    Q_AC_W = 1              # PCS active power, + toward the grid
    Q_AC_VAR = 2            # + injected
    Q_AC_VA = 3
    Q_AC_A = 4
    Q_AC_V = 5              # line to neutral
    Q_AC_HZ = 6
    Q_PCS_STATE = 7         # SunSpec 701 InvSt
    Q_PCS_ALARM = 8         # SunSpec 701 Alrm, bitfield32
    Q_PCS_CONN = 9          # SunSpec 701 ConnSt
    Q_PCS_TEMP_C = 10
    Q_PCS_HB = 11           # SunSpec 715 DERHb
    Q_DC_V = 12
    Q_DC_A = 13             # + discharge
    Q_DC_W = 14
    Q_SOC_PCT = 15
    Q_SOH_PCT = 16
    Q_PACK_V = 17
    Q_PACK_A = 18           # + discharge
    Q_CELL_V_MAX = 19
    Q_CELL_V_MIN = 20
    Q_CELL_TEMP_MAX_C = 21
    Q_CELL_TEMP_MIN_C = 22
    Q_BMS_CHA_MAX_A = 23    # charge current the BMS allows, >= 0
    Q_BMS_DIS_MAX_A = 24
    Q_BMS_STATE = 25        # SunSpec 802 State
    Q_BMS_ALARM = 26        # SunSpec 802 Evt1, bitfield32
    Q_BMS_HB = 27
    Q_WH_RATING = 28
    Q_WH_AVAILABLE = 29
    Q_W_MAX_DIS = 30        # rating the PCS states now
    Q_W_MAX_CHA = 31
    Q_EXPORT_WH = 32        # lifetime counters of the device
    Q_IMPORT_WH = 33
    Q_PCC_W = 34            # meter, + toward the grid; place PLANT
    Q_PCC_L1_A = 35
    Q_PCC_L2_A = 36
    Q_PCC_L3_A = 37
    Q_PCC_HZ = 38
    Q_LOC_REM = 39          # SunSpec 715 LocRemCtl: 0 remote, 1 local
    # Derived by the step, never read from a device:
    Q_PCS_AGE_S = 40        # seconds since the request that brought Q_AC_W (Q_PACK_V, Q_PCC_W) was sent; infinite for a frozen device (R4)
    Q_BMS_AGE_S = 41
    Q_METER_AGE_S = 42
    Q_CHA_A_OVER = 43       # measured charge current beyond what the BMS allows, A
    Q_DIS_A_OVER = 44
    Q_OVERRUN_PER_S = 45    # given by the loop: missed periods in the last second; place PLANT
    # Measured again: the phases at the meter, place PLANT
    Q_PCC_L1_W = 46         # + toward the grid
    Q_PCC_L2_W = 47
    Q_PCC_L3_W = 48
    Q_PCC_L1_V = 49         # line to neutral
    Q_PCC_L2_V = 50
    Q_PCC_L3_V = 51
    # Measured again, per unit
    Q_INSULATION_OHM = 52   # of the battery against earth
    # Derived again (derive.pxd), per unit; the last one for the plant
    Q_CELL_V_SPREAD = 53    # highest less lowest cell, V
    Q_CELL_TEMP_SPREAD_C = 54
    Q_PCS_HB_AGE_S = 55     # seconds since the device's heartbeat last moved
    Q_BMS_HB_AGE_S = 56
    Q_CONTACTOR_FAULT = 57  # 1: the contactors are not as ordered
    Q_ASTRAY_PCT = 58       # measured power beyond the unit's limits or against its command, % of the rating
    Q_FOLLOW_ERROR_PCT = 59 # measured power less commanded power, magnitude, % of the rating
    Q_CONFLICT_PCT = 60     # AC and battery power flow against each other: the smaller of the two, % of the rating
    Q_TARGET_OVER_PCT = 61  # a target beyond what the units could ever give, % of that; place PLANT
    # Digital inputs, place PLANT: 1 = active, 0 = the contact is closed and all is well. MAX_INPUTS of them.
    Q_INPUT_0 = 64
    Q_INPUT_LAST = 79

cpdef enum Tier:
    TIER_WARN = 0
    TIER_DERATE = 1
    TIER_TRIP = 2

cpdef enum Action:
    ACT_WARN = 0
    ACT_DERATE = 1          # by the row's polyline
    ACT_BLOCK = 2           # no power in the row's directions
    ACT_ZERO = 3
    ACT_STANDBY = 4
    ACT_OPEN = 5            # 0 W, PCS stop, then contactor open

# How a row looks at its value.
cpdef enum RowTest:
    TEST_THRESHOLD = 0
    TEST_BITS = 1           # a bit field: what is judged is the number that its bits in row_mask make
    TEST_STATES = 2         # a code: what is judged is 1 when its bit (code 31 and above: bit 31) is in row_mask, else 0

# What a row makes of a value that it cannot see.
cpdef enum BlindRule:
    BLIND_HOLDS = 0         # acts at once, at most to 0 W, for as long as it cannot see; never latches
    BLIND_TRIPS = 1         # takes it for its threshold passed: delays, action and latch as configured (R13)

# Directions, as bits.
cpdef enum Direction:
    DIR_NONE = 0
    DIR_CHARGE = 1
    DIR_DISCHARGE = 2
    DIR_BOTH = 3

# Who may reset a latched row.
cpdef enum ResetRule:
    RESET_AUTO = 0          # does not latch
    RESET_ANY = 1           # operator or a protocol
    RESET_LOCAL = 2         # only the operator at the machine

cpdef enum SlotClass:
    CLASS_GRID = 0
    CLASS_CONTRACT = 1
    CLASS_MARKET = 2

cpdef enum LapseRule:
    LAPSE_FALLBACK = 0
    LAPSE_HOLD = 1
    LAPSE_ZERO = 2
    LAPSE_DROP = 3

cpdef enum ScopeKind:
    SCOPE_ESS = 0
    SCOPE_PCC = 1
    SCOPE_REACTIVE = 2      # only as permission of a slot: it may ask for reactive power

cpdef enum QControl:
    QC_NONE = 0             # nobody asks: the PCS's own functions rule
    QC_VAR = 1              # q_value in var, all units together, + injected (over-excited)
    QC_PF = 2               # power factor, -1..1 without 0; its sign is the excitation: + injects var, - absorbs. q_value while power flows
                            # toward the grid, q_absorb while it flows from the grid; NaN = unity
    QC_AVAILABLE = 3        # q_value: share of what active power leaves, -1..1

# Which fields of a block are stated.
cpdef enum Stated:
    HAS_ESS_LO = 1
    HAS_ESS_HI = 2
    HAS_PCC_LO = 4
    HAS_PCC_HI = 8
    HAS_TARGET = 16
    HAS_ENERGIZE = 32
    HAS_RATE = 64
    HAS_CONNECT = 128

cpdef enum SlotState:
    SLOT_EMPTY = 0          # nothing written yet: the sealed default rules
    SLOT_LIVE = 1
    SLOT_LAPSED = 2
    SLOT_REFUSED = 3        # a plan arrived that breaks a rule; the last good one runs to its lease (then: lapsed), else the sealed default

cpdef enum PlanFault:
    PLAN_OK = 0
    PLAN_COUNT = 1          # more blocks than fit
    PLAN_BOOT = 2           # written in another boot
    PLAN_LEASE = 3          # lease longer than the slot's maximum
    PLAN_ORDER = 4          # blocks overlap, run backwards or are empty
    PLAN_NUMBER = 5         # NaN or infinite where a value is stated
    PLAN_RANGE = 6          # ess limits that do not hold lo <= 0 <= hi, or pcc lo > hi
    PLAN_SCOPE = 7          # a scope its slot may not use
    PLAN_KIND = 8           # an unknown code
    PLAN_DROP = 9           # lapse rule drop in a slot that is not advisory
    PLAN_TORN = 10          # no whole copy within four tries
    PLAN_STOPPED = 11       # a wish of the operator while the plant is stopped, out of service or tripped

cpdef enum Mode:
    MODE_ACQUIRE = 0        # after start: 0 W until every required point was valid for settle_s
    MODE_RUN = 1
    MODE_STOPPING = 2
    MODE_STOPPED = 3        # by the operator; only a local start ends it
    MODE_OUT_OF_SERVICE = 4
    MODE_TRIPPED = 5        # a latched row with plant-wide action, or an internal trip
    MODE_START_FAILED = 6   # acquire timed out
    MODE_STANDBY = 7        # real-time priority required and refused

# Trips of the machine itself, as bits; reset locally only.
cpdef enum Internal:
    TRIP_ASSERTION = 1      # R1: an encoded command left its limits
    TRIP_JOURNAL = 2        # R6: the journal cannot be read
    TRIP_STARTS = 4         # R6: three starts in ten minutes
    TRIP_OTHER_CONFIG = 8   # latches journalled under another configuration
    TRIP_METER_SIGN = 16    # R10: the meter answers our own steps with the wrong sign

# State flags: what is not as it should be, though the plant may run.
cpdef enum Flag:
    FLAG_RT_REFUSED = 1
    FLAG_MLOCK_REFUSED = 2
    FLAG_JOURNAL_LATE = 4   # a record waits for the disk
    FLAG_LOCAL_CONTROL = 16 # a PCS is switched to local: we do not command
    FLAG_AFFINITY_REFUSED = 32
    FLAG_UNCONFIRMED = 64   # R11: a PCS does not confirm its set point
    FLAG_METER_STALE = 128  # R10: the meter's last sample is older than meter_age
    FLAG_SETPOINT_HELD = 1024   # a set point that wears is held back
    FLAG_SHED = 256         # load should be shed: the meter is stale, or a limit stays unmet
    FLAG_SOC_FROZEN = 512   # R4: a SoC does not move with the coulomb count and is not believed
    FLAG_CONTACTOR = 4096   # R13: a battery could not be connected and waits for the operator
    FLAG_INPUT_LOST = 8192  # a digital input cannot be read and counts as active
    FLAG_SHED_UNCONFIRMED = 32768   # R3: the load-shed output does not acknowledge what it was told
    FLAG_UNCOMMISSIONED = 16384   # R16: a unit was never tried under this configuration: it gives 5 % at most

# Who sets a side of the envelope.
cpdef enum BindKind:
    BIND_NONE = 0
    BIND_RATING = 1
    BIND_BMS = 2            # BMS current limit
    BIND_ROW = 3            # protection row, index in bind_id
    BIND_SLOT = 4           # a source's plan, index in bind_id
    BIND_DEFAULT = 5        # a slot's sealed default
    BIND_FALLBACK = 6       # a slot's fallback series or lapse rule
    BIND_MODE = 7           # the mode, number in bind_id
    BIND_METER = 8          # stale meter
    BIND_DEVICE = 9         # a unit that is not there: silent, not verified, in local control or in fault
    BIND_INTERNAL = 10
    BIND_PHASE = 11         # current of one phase at the PCC, 0..2 in bind_id
    BIND_COMMISSION = 12    # R16: the unit is not commissioned, or another one is being tried
    BIND_OPEN = 13          # a plan says connect 0: the contactors open; the slot that asks
    BIND_CEASE = 14         # the same at a unit whose contactors we do not drive: it ceases to energise
    BIND_REACTIVE = 20      # reactive power goes first; the slot that asks for it

cpdef enum EventCode:
    EV_NONE = 0
    EV_STARTED = 1
    EV_MODE = 2             # detail: new mode
    EV_ROW_PICKUP = 3       # value: what the row saw, NaN when it saw none (then once more when it sees a violation); limit: its pickup
    EV_ROW_DROPOFF = 4
    EV_ROW_LATCHED = 5
    EV_RESET_DONE = 6       # detail: rows cleared; after the journal holds it
    EV_RESET_REFUSED = 7    # detail: row that still stands, or -1
    EV_PLAN_ACCEPTED = 8    # detail: serial
    EV_PLAN_REFUSED = 9     # detail: PlanFault
    EV_PLAN_LAPSED = 10
    EV_TARGET_CLAMPED = 11  # value: wanted, limit: given; detail and row: BindKind of who limits, place: its id as in the state's *_bind_id
    EV_LIMITS_DISJOINT = 12 # R3; value: unmet W
    EV_INTERNAL = 13        # detail: Internal
    EV_DEVICE_UP = 14       # this one to EV_UNCONFIRMED and EV_DEVICE_FROZEN: row is the device
    EV_DEVICE_DOWN = 15     # detail: Fault of frames.pxd, value: errno of the connection or 0
    EV_DEVICE_REFUSED = 16  # verification failed; value: found (NaN: exception reply), limit: expected, detail: register
    EV_SETPOINT_FOREIGN = 17    # value: W found, limit: W of ours, detail: how often in a row
    EV_UNCONFIRMED = 18     # value: W commanded, detail: 1 when we yielded to somebody else
    EV_RT_REFUSED = 19
    EV_COMMAND_DONE = 20    # detail: command id; once the journal holds it
    EV_COMMAND_REFUSED = 21 # detail: command id, row: what forbids it or -1
    EV_PERIODS_MISSED = 22  # detail: how many since the last such event; at most one a second
    EV_STOPPED = 23         # orderly stop finished; detail: 1 when every PCS proved 0 W and rest, 0 when stop_timeout was over first
    EV_ACQUIRED = 24
    EV_DEVICE_FROZEN = 25   # R4: a heartbeat stands still
    EV_JOURNAL = 26         # detail: 1 the journal is unreadable, 2 the disk refuses a record, 0 it takes them again
    EV_SETPOINT_HELD = 60   # a set point that wears is not written: value: W that stands, limit: W wanted, detail: 1 begins, 0 ends
    EV_REVERSION_FOREIGN = 61   # found at connect: value: seconds of a timer that is not ours, limit: ours
    EV_SETTING_FOREIGN = 62 # found at connect and written: detail: register, value: found, limit: ours
    EV_ORDER_LATE = 63      # detail: the order (0 stop, 1 run, 2 standby), value: the state the PCS shows, limit: s given
    EV_START_GIVEN_UP = 64  # detail: tries; until the operator resets or starts at the machine
    EV_METER = 27           # R10; detail: MeterPhase of pcc.pxd (0 fresh again, 1 held, 2 lost), value: age of the last sample, s
    EV_FLAG = 28            # detail: Flag, value: 1 it is up, 0 it is down again; for flags that no other event tells of
    EV_CONTACTOR = 29       # detail: ContactorStep of contactor.pxd, value: how often it was ordered
    EV_CURVE = 70           # detail: CurveKind * 8 + CurveState; value: points of the curve, or the phase that failed; row is the device
    EV_COMMISSION = 39      # R16; detail: 0 a unit was never tried (place), 1 it alone may give power, 2 that is over, 3 it proved right
    EV_CONNECT = 40         # detail: 1 a plan disconnects the plant, 0 none does any more; value: units whose contactors open, limit: all
    EV_SHED = 41            # R3; detail: 1 the load-shed output goes on, 0 off; value: unmet W, NaN = the meter is not fresh
    EV_ENERGY = 80          # a device's counter; detail: EnergyFault of energy.pxd, value: what it says, limit: what was expected, Wh
    EV_REACTIVE_FOREIGN = 81    # as EV_SETPOINT_FOREIGN, in var; NaN = released to the PCS
    EV_REACTIVE_UNCONFIRMED = 82

cpdef enum CommandCode:
    CMD_NONE = 0
    CMD_STOP = 1
    CMD_START = 2
    CMD_OUT_OF_SERVICE = 3
    CMD_RESET = 4
    CMD_RELEASE = 5         # the operator removes a slot's plan; arg: slot
    CMD_TRY = 6             # R16: only this unit may give power, for a while; arg: unit, -1 ends it
    CMD_COMMISSIONED = 7    # R16: the unit was tried and proved right; arg: unit

cpdef enum DeviceKind:
    DEV_NONE = 0
    DEV_PCS = 1
    DEV_BMS = 2
    DEV_METER = 3
    DEV_IO = 4              # digital inputs

cpdef enum DeviceState:
    DEV_DOWN = 0
    DEV_VERIFYING = 1
    DEV_UP = 2
    DEV_REFUSED = 3         # answered, and is not the device that was sealed
    DEV_FROZEN = 4          # R4: answers, heartbeat stands still

cpdef enum PointType:
    PT_INT16 = 0
    PT_UINT16 = 1
    PT_INT32 = 2
    PT_UINT32 = 3
    PT_UINT64 = 4
    PT_FLOAT32 = 5
    PT_ENUM16 = 6
    PT_BITS32 = 7
    PT_INT64 = 8
    PT_SUNSSF = 9           # SunSpec scale factor: the value is ten to its power
    PT_BITS16 = 10
    PT_BIT = 11             # one bit, offset counted in bits; scale +1: 1 when it is set, -1: 1 when it is clear

# Which raw values say "not there".
cpdef enum Absent:
    ABSENT_SUNSPEC = 0      # those of the SunSpec data types
    ABSENT_NONE = 1         # every value counts
    ABSENT_VALUE = 2        # the one that is stated

# What a group of writes is for; rows of one device and program are sent in their order.
cpdef enum Program:
    PR_PREPARE = 0          # settings that must stand before we command: read first, told and written when they differ
    PR_SETPOINT = 1         # active power
    PR_VAR = 2              # reactive power; sealed only where a source may ask for it
    PR_BEAT = 3             # feeds the device's watchdog
    PR_RUN = 4
    PR_STANDBY = 5
    PR_STOP = 6
    PR_OPEN = 7             # contactor
    PR_CLOSE = 8
    PR_LIMITS = 9           # the battery's limits as a second layer in the PCS
    PR_SHED = 10            # R3: the load-shed output

# Where the value of a field comes from.
cpdef enum FieldSource:
    SRC_CONST = 0           # field_idle
    SRC_SETPOINT = 1        # counts of the command, + toward the grid unless field_scale is negative
    SRC_MAGNITUDE = 2       # counts without their sign
    SRC_CHARGE = 3          # counts while charging, else 0
    SRC_DISCHARGE = 4
    SRC_DIRECTION = 5       # field_charge, field_idle or field_discharge
    SRC_REVERSION = 6       # the unit's reversion time, in units of field_scale seconds
    SRC_BEAT = 7            # counts up once a beat
    SRC_TOGGLE = 8          # field_idle and field_discharge in turn, once a beat
    SRC_INPUT = 9           # a quantity of the unit by field_scale, rounded toward 0; missing or stale: field_idle
    SRC_REMAINS = 10        # read back only: the reversion timer, in units of field_scale seconds
    SRC_ANY = 11            # written as field_idle, read back as whatever it is
    SRC_ENABLE = 12         # field_discharge; field_idle while reactive power is released to the PCS
    SRC_SHED = 13           # field_discharge while load is to be shed, else field_idle

cpdef enum WriteFlag:
    WF_ONCE = 1             # once per connection and order
    WF_VERIFY = 2           # read back and compared

# SunSpec 705, 706, 712.
cpdef enum CurveKind:
    CURVE_VOLT_VAR = 0
    CURVE_VOLT_WATT = 1
    CURVE_WATT_VAR = 2

cpdef enum CurveState:
    CURVE_IDLE = 0          # nobody of ours speaks on it
    CURVE_WRITING = 1
    CURVE_IN_FORCE = 2      # read back and enabled
    CURVE_OFF = 3           # read back as disabled
    CURVE_FAILED = 4        # refused, or it did not read back as it was written

cpdef enum BusKind:
    BUS_NONE = 0
    BUS_TCP = 1
    BUS_RTU = 2
