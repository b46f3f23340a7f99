# The only place of the layout: every structure that crosses a process, a file or a module boundary, and every number that has a name.
#
# How to read it. The unit is in the name (_w, _ns, _pct). Power is positive toward the grid (discharge, export). Times are CLOCK_MONOTONIC
# nanoseconds; 0 = never. A missing measurement is NaN and its sampled_ns is 0. Structures are plain arrays side by side, never arrays of
# structures, so that numpy reads them without a copy; arrays over units have one place more, PLANT, for what belongs to no unit.
#
# The version rule. Whoever changes a structure below raises LAYOUT_VERSION. Segments, sealed files and journals carry it; a peer with
# another number refuses, and says both.

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    LAYOUT_VERSION = 12
    MAX_UNITS = 16
    PLANT = 16          # the index of the plant itself in arrays over units
    PLACES = 17         # units and the plant
    MAX_SLOTS = 16
    MAX_BLOCKS = 96
    MAX_ROWS = 768      # protection rows, one per unit each
    CURVE_POINTS = 6
    MAX_DEVICES = 40
    MAX_BUSES = 40
    MAX_READS = 160     # blocks of registers read in one request
    MAX_POINTS = 1024   # values decoded from them
    MAX_CHECKS = 960    # registers that must hold a known value after each connect
    MAX_WRITES = 320    # requests that devices are written with
    MAX_FIELDS = 1280   # values in them
    MAX_FACTORS = 160   # registers read at each connect, by whose value others are multiplied: scale factors, ratings
    MAX_MAPS = 512      # device codes and what they mean here
    PROGRAMS = 11
    QUANTITIES = 96
    MAX_INPUTS = 16     # digital inputs of the plant
    MAX_CHIPS = 4       # GPIO chips of this controller that carry some of them
    TEXT = 96           # bytes of a path or host name, NUL included
    TICK_EVENTS = 32    # events one tick may raise; the rest is counted
    HISTOGRAM_BINS = 96
    SKIPS = 32          # the last times the loop skipped periods
    CURVES = 3          # functions of a PCS that follow a curve, see CurveKind
    CURVE_XY = 10       # points of a curve
    CURVE_STEPS = 4     # curves one after another in a CurvePlan

cdef enum:
    NS_PER_S = 1000000000

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

# --- plans: supervisor -> loop -------------------------------------------------------------------------------------------------------

# Blocks side by side, [start_ns, end_ns), ordered, not overlapping.
cdef struct Series:
    int64_t start_ns[MAX_BLOCKS]
    int64_t end_ns[MAX_BLOCKS]
    double ess_lo_w[MAX_BLOCKS]
    double ess_hi_w[MAX_BLOCKS]
    double pcc_lo_w[MAX_BLOCKS]
    double pcc_hi_w[MAX_BLOCKS]
    double target_w[MAX_BLOCKS]
    double q_value[MAX_BLOCKS]              # QControl says what it is
    double q_absorb[MAX_BLOCKS]
    double rate_w_per_s[MAX_BLOCKS]
    uint8_t stated[MAX_BLOCKS]
    uint8_t target_scope[MAX_BLOCKS]
    uint8_t q_kind[MAX_BLOCKS]
    uint8_t energize[MAX_BLOCKS]
    uint8_t connect[MAX_BLOCKS]             # 0: the battery is disconnected galvanically
    int32_t count
    int32_t reserved

cdef struct Plan:
    uint64_t boot_id_hi
    uint64_t boot_id_lo
    uint64_t serial         # 0 = nothing written
    int64_t lease_until_ns
    int32_t lapse
    int32_t reserved
    Series live
    Series fallback

# Which curve each function of every PCS follows, and when: [start_ns, end_ns), step after step, not overlapping. Where no step is, the
# function is off. Index of a step: kind * CURVE_STEPS + step; of a point: that * CURVE_XY + point.
cdef struct CurvePlan:
    uint64_t boot_id_hi
    uint64_t boot_id_lo
    uint64_t serial         # 0 = nothing written
    int64_t start_ns[CURVES * CURVE_STEPS]
    int64_t end_ns[CURVES * CURVE_STEPS]
    double x[CURVES * CURVE_STEPS * CURVE_XY]       # % of VNom (705, 706) or of WMax (712)
    double y[CURVES * CURVE_STEPS * CURVE_XY]       # % of `reference`; var positive = injected
    double response_s[CURVES * CURVE_STEPS]         # open-loop response; 0 = the PCS keeps its own
    uint8_t points[CURVES * CURVE_STEPS]            # 0: no step
    uint8_t reference[CURVES * CURVE_STEPS]         # SunSpec DeptRef
    uint8_t ours[CURVES]                            # 0: leave that function alone

# One request of the supervisor or the operator.
cdef struct Command:
    uint64_t id
    uint8_t code            # CommandCode
    uint8_t local           # 1: came by the operator's own socket (set by the receiving side, never by the sender)
    int16_t arg
    int32_t reserved

# --- the sealed configuration: file -> loop, read once --------------------------------------------------------------------------------

cdef struct SiteConfig:
    # the loop
    double rate_hz
    int32_t rt_required
    int32_t rt_priority
    int32_t cpu                         # -1: no affinity
    int32_t n_units
    int32_t n_slots
    int32_t n_rows
    int32_t n_devices
    int32_t n_buses
    int32_t n_reads
    int32_t n_points
    int32_t n_checks
    int32_t has_meter
    int64_t settle_ns
    int64_t acquire_timeout_ns
    int64_t stop_timeout_ns
    int64_t warm_gap_ns
    int64_t reversal_dead_ns
    int64_t meter_hold_ns
    int64_t meter_age_ns                # oldest meter sample that still counts as fresh
    int64_t meter_delay_ns              # how much older than its question a sample may be
    int64_t frozen_ns
    int64_t max_uncontrolled_ns
    double ramp_w_per_s                 # away from zero, plant
    double min_power_w                  # commands below it are 0
    double pcc_import_max_w             # >= 0, the connection; NaN = not stated
    double pcc_export_max_w
    double pcc_phase_max_a              # either way; NaN = not stated
    double load_max_w
    double pv_max_w
    double soc_stuck_pct                # R4: so much of the capacity counted while SoC stands still, and it is not believed; 0 = not checked
    double reactive_ramp_var_per_s      # away from zero, plant
    int32_t reactive_first              # beyond the apparent power, active power gives way
    double reversal_min_w               # a target reverses the power only beyond it
    double reentry_share                # of the rating: a direction that was closed opens again once so much is allowed
    int64_t reentry_ns                  # and not before it was closed for so long
    double balance_soc_pct              # so far from the mean SoC a unit takes double or nothing of its share
    int64_t shed_on_ns                  # R3: a limit at the connection unmet for so long sheds load
    int64_t shed_off_ns                 # and met for so long sheds none
    double shed_margin_w                # so far beyond a limit the meter may stand before it counts as unmet
    # units
    double unit_w_dis_max[MAX_UNITS]
    double unit_w_cha_max[MAX_UNITS]    # magnitude
    double unit_va_max[MAX_UNITS]
    double unit_var_max[MAX_UNITS]      # magnitude, either way
    uint64_t unit_key[MAX_UNITS]        # who a unit is, whatever its place in the list: its energy registers follow it
    double unit_wh[MAX_UNITS]
    double unit_vdc_min_v[MAX_UNITS]    # lowest pack voltage: amps become watts with it (R14)
    double unit_eta[MAX_UNITS]
    int64_t unit_confirm_ns[MAX_UNITS]
    int64_t unit_reversion_ns[MAX_UNITS]
    int64_t unit_ramp_to_zero_ns[MAX_UNITS] # the PCS's own ramp from full power to 0
    int64_t unit_data_age_ns[MAX_UNITS] # oldest PCS or BMS data that still counts
    int32_t unit_pcs_device[MAX_UNITS]
    int32_t unit_bms_device[MAX_UNITS]  # -1: the PCS answers for its battery
    double unit_open_a[MAX_UNITS]       # R13: below it a current is small enough to open the contactors
    int64_t unit_open_wait_ns[MAX_UNITS]    # and after so long they are opened whatever flows
    int64_t unit_close_wait_ns[MAX_UNITS]   # how long the BMS may take to connect and precharge
    uint8_t unit_opens[MAX_UNITS]       # its contactors are opened and closed by us, and its BMS says how they are: a plan may ask for it
    # sources
    double slot_ess_lo_w[MAX_SLOTS]
    double slot_ess_hi_w[MAX_SLOTS]
    double slot_pcc_lo_w[MAX_SLOTS]
    double slot_pcc_hi_w[MAX_SLOTS]
    int64_t slot_max_lease_ns[MAX_SLOTS]
    int32_t slot_priority[MAX_SLOTS]    # lower number first
    uint8_t slot_class[MAX_SLOTS]
    uint8_t slot_scopes[MAX_SLOTS]      # bits of ScopeKind
    uint8_t slot_required[MAX_SLOTS]
    uint8_t slot_advisory[MAX_SLOTS]
    uint8_t slot_may_force[MAX_SLOTS]   # Direction
    uint8_t slot_default[MAX_SLOTS]     # Stated: which default limits exist
    uint8_t slot_operator[MAX_SLOTS]    # the operator's own wish: it does not outlive a stop or a trip
    # protection rows
    double row_pickup[MAX_ROWS]
    double row_dropoff[MAX_ROWS]
    int64_t row_pickup_delay_ns[MAX_ROWS]
    int64_t row_dropoff_delay_ns[MAX_ROWS]
    int64_t row_max_age_ns[MAX_ROWS]
    int16_t row_unit[MAX_ROWS]          # a unit or PLANT
    uint8_t row_quantity[MAX_ROWS]
    uint8_t row_tier[MAX_ROWS]
    uint8_t row_above[MAX_ROWS]         # 1: beyond means value >= pickup; 0: value <= pickup
    uint8_t row_action[MAX_ROWS]
    uint8_t row_direction[MAX_ROWS]     # Direction that the action takes away
    uint8_t row_reset[MAX_ROWS]
    uint8_t row_curve_count[MAX_ROWS]
    uint8_t row_test[MAX_ROWS]
    uint8_t row_blind[MAX_ROWS]
    uint32_t row_mask[MAX_ROWS]
    double row_other_cut[MAX_ROWS]      # block: what it takes away in the other direction, part of the rating, 0..1
    double row_curve_x[MAX_ROWS * CURVE_POINTS]
    double row_curve_share[MAX_ROWS * CURVE_POINTS]     # of the unit's rating, 0..1
    # buses and devices
    uint8_t bus_kind[MAX_BUSES]
    uint8_t bus_parity[MAX_BUSES]       # 'N', 'E', 'O'
    uint8_t bus_stop_bits[MAX_BUSES]
    uint8_t bus_rs485[MAX_BUSES]
    int64_t bus_min_gap_ns[MAX_BUSES]   # the least time from an answer to the next question
    int64_t bus_reconnect_ns[MAX_BUSES] # the least time between two tries to connect; 0 = the bus's own
    int32_t bus_baud[MAX_BUSES]
    int32_t bus_port[MAX_BUSES]
    char bus_path[MAX_BUSES * TEXT]     # host or serial device
    int64_t bus_give_up_ns[MAX_BUSES]   # TCP: a connection on which nothing was answered for so long is half-open and given up
    uint8_t dev_kind[MAX_DEVICES]
    uint8_t dev_modbus_id[MAX_DEVICES]
    int16_t dev_place[MAX_DEVICES]      # unit or PLANT
    int32_t dev_bus[MAX_DEVICES]
    int64_t dev_timeout_ns[MAX_DEVICES]
    double dev_count_w[MAX_DEVICES]     # watts that one count of the set point is worth, before its factors
    double dev_count_var[MAX_DEVICES]   # the same for reactive power
    int64_t dev_resend_ns[MAX_DEVICES]  # the set point is written again after so long, to re-arm its timer; 0 = never
    int64_t dev_beat_ns[MAX_DEVICES]    # period of PR_BEAT
    int64_t dev_order_repeat_ns[MAX_DEVICES]    # an order that shows no effect is given again
    int64_t dev_order_timeout_ns[MAX_DEVICES]   # and is told as late after so long; 0 = never
    int64_t dev_nv_interval_ns[MAX_DEVICES] # set points wear: one write is granted per interval on average; 0 = they do not
    double dev_nv_step_w[MAX_DEVICES]   # and are rounded toward 0 to whole steps
    int32_t dev_nv_burst[MAX_DEVICES]   # writes that may be saved up
    int32_t dev_start_tries[MAX_DEVICES]    # late starts until we give up; 0 = never
    uint8_t dev_check_function[MAX_DEVICES] # its checks are read by: 3 or 4; 0 = 3
    uint8_t dev_confirm_ack[MAX_DEVICES]    # 1: the set point cannot be read back, its acknowledgement is all the proof there is
    int32_t dev_hb_quantity[MAX_DEVICES]    # Q_PCS_HB, Q_BMS_HB or Q_NONE
    # curves a PCS takes, device * CURVES + CurveKind
    int32_t curve_addr[MAX_DEVICES * CURVES]        # ID register of 705, 706, 712; 0: none
    double curve_x_scale[MAX_DEVICES * CURVES]      # % per count
    double curve_y_scale[MAX_DEVICES * CURVES]
    double curve_s_scale[MAX_DEVICES * CURVES]      # s per count of RspTms; 0: it has none
    uint8_t curve_points_max[MAX_DEVICES * CURVES]  # NPt
    int64_t dev_worst_ns[MAX_DEVICES]   # the longest it may ever take to answer: after a time-out a serial line stays quiet until then
    uint8_t dev_pipelined[MAX_DEVICES]  # TCP: it takes further questions before it has answered the first
    # what is read: one request each
    int32_t read_device[MAX_READS]
    int32_t read_addr[MAX_READS]
    int32_t read_count[MAX_READS]
    int64_t read_period_ns[MAX_READS]
    uint8_t read_function[MAX_READS]    # 1, 2: bits (addresses and counts are of bits); 3, 4: registers; 0 = 3
    # and decoded
    int32_t point_read[MAX_POINTS]
    int32_t point_offset[MAX_POINTS]    # register in the block
    int32_t point_sf_offset[MAX_POINTS] # register of the SunSpec scale factor in the same block; -1: none
    double point_scale[MAX_POINTS]      # fixed factor, sign included
    int16_t point_place[MAX_POINTS]
    uint8_t point_quantity[MAX_POINTS]
    uint8_t point_type[MAX_POINTS]
    uint8_t point_low_first[MAX_POINTS] # 1: the low word comes first
    uint8_t point_absent[MAX_POINTS]    # Absent
    uint64_t point_absent_bits[MAX_POINTS]
    uint64_t point_mask[MAX_POINTS]     # bits that count, shifted down to the lowest; 0 = all
    double point_add[MAX_POINTS]        # after scaling
    int32_t point_factor[MAX_POINTS]    # 1 + index of a factor; 0 = none
    int32_t point_sign_offset[MAX_POINTS]   # register in the block whose bits of point_sign_mask, any set, turn the sign
    uint16_t point_sign_mask[MAX_POINTS]    # 0 = none
    int32_t point_map_first[MAX_POINTS]
    int32_t point_map_count[MAX_POINTS] # 0 = the number itself; a code that is not listed is no value
    int32_t n_maps
    uint64_t map_code[MAX_MAPS]
    double map_value[MAX_MAPS]
    # read once after each connect
    int32_t n_factors
    int32_t factor_device[MAX_FACTORS]
    int32_t factor_addr[MAX_FACTORS]
    double factor_scale[MAX_FACTORS]
    double factor_least[MAX_FACTORS]    # outside of these it is no value: the device is refused
    double factor_most[MAX_FACTORS]
    uint8_t factor_function[MAX_FACTORS]
    uint8_t factor_type[MAX_FACTORS]
    uint8_t factor_low_first[MAX_FACTORS]
    uint8_t factor_absent[MAX_FACTORS]
    uint8_t factor_of_setpoint[MAX_FACTORS] # 1: multiplies dev_count_w; 2: dev_count_var
    # and verified after each connect: model ids, lengths, serial number
    int32_t check_device[MAX_CHECKS]
    int32_t check_addr[MAX_CHECKS]
    int32_t check_value[MAX_CHECKS]
    # what is written: one request each, rows of one device and program side by side
    int32_t n_writes
    int32_t n_fields
    int32_t write_device[MAX_WRITES]
    int32_t write_addr[MAX_WRITES]
    int32_t write_count[MAX_WRITES]
    int32_t write_back[MAX_WRITES]      # registers read back from write_addr on
    int32_t write_field[MAX_WRITES]     # first of its fields
    int32_t write_fields[MAX_WRITES]
    uint16_t write_when[MAX_WRITES]     # bit n: in state n of SunSpec 701 InvSt; bit 15: state not known
    uint8_t write_program[MAX_WRITES]
    uint8_t write_function[MAX_WRITES]  # 6 or 16; PR_SHED also 5
    uint8_t write_read_function[MAX_WRITES] # 3 or 4
    uint8_t write_flags[MAX_WRITES]     # WriteFlag
    int32_t field_offset[MAX_FIELDS]    # register in the request
    int32_t field_factor[MAX_FIELDS]    # 1 + index of a factor; 0 = none
    double field_scale[MAX_FIELDS]      # of one count
    int64_t field_charge[MAX_FIELDS]
    int64_t field_idle[MAX_FIELDS]
    int64_t field_discharge[MAX_FIELDS]
    uint8_t field_source[MAX_FIELDS]
    uint8_t field_type[MAX_FIELDS]
    uint8_t field_low_first[MAX_FIELDS]
    uint8_t field_quantity[MAX_FIELDS]

    # digital inputs that hang on this controller itself
    int32_t n_chips
    int32_t n_lines
    char chip_path[MAX_CHIPS * TEXT]
    int32_t line_offset[MAX_INPUTS]
    uint8_t line_chip[MAX_INPUTS]
    uint8_t line_input[MAX_INPUTS]      # Q_INPUT_0 + this
    uint8_t line_healthy[MAX_INPUTS]    # the level of a closed contact
    uint8_t line_bias[MAX_INPUTS]       # 0 as it is, 1 pull up, 2 pull down

# --- one tick: what goes into the step and comes out ------------------------------------------------------------------------------------

cdef struct Inputs:
    double value[PLACES * QUANTITIES]       # place * QUANTITIES + quantity
    int64_t sampled_ns[PLACES * QUANTITIES] # when the request was sent; 0 = never
    double wset_scale_w[MAX_UNITS]          # watts per count of the PCS's set-point register; NaN until read
    double factor[MAX_FACTORS]              # as read on the connection that stands; NaN until then
    double varset_scale_var[MAX_UNITS]      # the same for reactive power; NaN: it takes none from us
    uint8_t pcs_state[MAX_UNITS]            # DeviceState
    uint8_t bms_state[MAX_UNITS]
    uint8_t meter_state
    uint8_t unconfirmed[MAX_UNITS]          # R11: the set point was not confirmed in time
    uint8_t shed_unconfirmed                # R3: the load-shed output does not say that it is as told
    uint8_t n_commands                      # 0 or 1
    uint64_t journalled_seq                 # newest journal record known to be on disk
    Command command0                        # at most one command is taken per tick

cdef struct Outputs:
    double cmd_w[MAX_UNITS]                 # decoded from cmd_raw: what the PCS will understand
    int32_t cmd_raw[MAX_UNITS]
    double cmd_var[MAX_UNITS]
    int32_t cmd_var_raw[MAX_UNITS]
    uint8_t reactive                        # QControl: QC_NONE leaves reactive power to the PCS
    uint8_t cmd_run[MAX_UNITS]              # 0 stop, 1 run, 2 standby
    uint8_t cmd_open[MAX_UNITS]             # 1: open the contactors now
    uint8_t cmd_close[MAX_UNITS]            # 1: connect the battery now
    uint8_t shed                            # ShedOrder of shed.pxd: 0 off, 1 on, 2 not yet known: nothing is written
    uint8_t release                         # 1: a start or reset at the machine is on disk: set points we yielded are ours again
    uint8_t silent                          # 1: send nothing (warm start, until the first data is in); the PCS keeps what it has
    uint8_t journal_due                     # write a record with journal_seq now
    uint64_t journal_seq

# One event. The loop numbers them; a reader that finds a gap in seq has lost that many.
cdef struct Event:
    uint64_t seq
    int64_t at_ns
    double value
    double limit
    int32_t detail
    int16_t place                           # unit, PLANT or -1
    int16_t row                             # protection row, or the device in events of devices, or -1
    int16_t slot                            # or -1
    uint8_t code
    uint8_t level                           # 0 info, 1 warning, 2 alarm

# --- state: loop -> everyone, read-only ---------------------------------------------------------------------------------------------------

cdef struct PlantState:
    uint64_t tick
    int64_t now_ns
    uint8_t mode
    uint8_t internal                        # Internal bits
    uint32_t flags                          # Flag bits
    uint64_t commands_taken                 # id of the last command taken from the ring
    uint64_t plan_reads_retried
    # powers and limits
    double ess_w                            # measured, all units; NaN when one is missing
    double pcc_w
    double command_w                        # sum of what was sent
    double wanted_w                         # target before limits; NaN = none
    double lo_w                             # envelope of the plant, scope ess
    double hi_w
    double device_lo_w                      # device interval, and what units beyond our command may be giving
    double device_hi_w
    double pcc_unmet_w
    int64_t lo_since_ns
    int64_t hi_since_ns
    int64_t lo_until_ns                     # 0 = open
    int64_t hi_until_ns
    uint8_t lo_bind
    uint8_t hi_bind
    uint8_t unmet_slot                      # 255 none, PLANT the connection
    int16_t lo_bind_id
    int16_t hi_bind_id
    int16_t target_slot                     # -1 none
    # reactive power, + injected
    double ess_var                          # measured, all units; NaN when one is missing
    double command_var
    double wanted_var                       # before the apparent power limits it; NaN = nobody asks
    double reactive_max_var                 # what may be given now, either way, beside the active power
    int16_t reactive_slot                   # -1 none
    uint8_t reactive_kind                   # QControl of what rules
    # disconnection by a plan
    int64_t connect_since_ns                # since when a plan disconnects the plant; 0 = none does
    int64_t connect_until_ns                # 0 = open
    int16_t connect_slot                    # whose plan; -1 none
    uint8_t connect_bind                    # BIND_SLOT, BIND_FALLBACK or BIND_NONE
    uint8_t shed                            # R3: what the load-shed output is told, as in Outputs
    int64_t shed_since_ns
    # energy at the connection
    double pcc_import_wh
    double pcc_export_wh
    # units
    double value[PLACES * QUANTITIES]
    int64_t sampled_ns[PLACES * QUANTITIES]
    double unit_lo_w[MAX_UNITS]
    double unit_hi_w[MAX_UNITS]
    double unit_command_w[MAX_UNITS]
    double unit_command_var[MAX_UNITS]
    double unit_giving_lo_w[MAX_UNITS]      # R9: what a unit beyond our command may be giving; else 0
    double unit_giving_hi_w[MAX_UNITS]
    double unit_import_wh[MAX_UNITS]
    double unit_export_wh[MAX_UNITS]
    int16_t unit_lo_bind_id[MAX_UNITS]
    int16_t unit_hi_bind_id[MAX_UNITS]
    uint8_t unit_lo_bind[MAX_UNITS]
    uint8_t unit_hi_bind[MAX_UNITS]
    uint8_t unit_run[MAX_UNITS]
    uint8_t pcs_state[MAX_UNITS]
    uint8_t bms_state[MAX_UNITS]
    uint8_t meter_state
    uint8_t unit_contactor[MAX_UNITS]       # ContactorStep of contactor.pxd
    uint8_t unit_disconnect[MAX_UNITS]      # what a plan asks of it: 0 nothing, BIND_OPEN or BIND_CEASE
    uint8_t unit_curve[MAX_UNITS * CURVES]  # CurveState, unit * CURVES + CurveKind
    # rows
    uint8_t row_active[MAX_ROWS]            # bits: 1 beyond its threshold, 2 it cannot see its value
    uint8_t row_latched[MAX_ROWS]
    int64_t row_since_ns[MAX_ROWS]
    # sources
    uint64_t slot_serial[MAX_SLOTS]
    int64_t slot_lease_until_ns[MAX_SLOTS]
    double slot_target_w[MAX_SLOTS]
    double slot_q_value[MAX_SLOTS]          # NaN = asks for no reactive power
    uint8_t slot_q_kind[MAX_SLOTS]
    uint8_t slot_state[MAX_SLOTS]
    uint8_t slot_fault[MAX_SLOTS]
    # loop health
    uint64_t periods
    uint64_t missed
    uint64_t missed_own
    uint64_t skips                          # how often periods were skipped; the n-th time stands at n % SKIPS
    int64_t skip_ns[SKIPS]                  # when the loop found itself too late
    uint32_t skip_periods[SKIPS]            # and how many periods it skipped
    int64_t wake_max_ns
    int64_t step_max_ns
    uint32_t wake_bins[HISTOGRAM_BINS]      # bins of ns, see rt.pxd
    uint32_t step_bins[HISTOGRAM_BINS]
    uint32_t done_bins[HISTOGRAM_BINS]      # from the deadline to the last command handed to the kernel
    int64_t done_max_ns
    # buses
    uint32_t bus_state[MAX_BUSES]
    uint32_t bus_ok[MAX_BUSES]
    uint32_t bus_timeouts[MAX_BUSES]
    uint32_t bus_late[MAX_BUSES]
    uint32_t bus_bad[MAX_BUSES]             # frames that could not be believed
    uint32_t bus_exceptions[MAX_BUSES]
    uint32_t bus_reconnects[MAX_BUSES]
    uint32_t bus_slow[MAX_BUSES]            # time-outs in the middle of an answer
    uint32_t bus_crc[MAX_BUSES]             # the next six: what `bad` is made of
    uint32_t bus_wrong_unit[MAX_BUSES]
    uint32_t bus_wrong_function[MAX_BUSES]
    uint32_t bus_wrong_length[MAX_BUSES]
    uint32_t bus_wrong_echo[MAX_BUSES]
    uint32_t bus_wrong_protocol[MAX_BUSES]
    uint32_t bus_garbage[MAX_BUSES]         # bytes
    uint32_t bus_gaps[MAX_BUSES]            # answers with a silence inside
    uint32_t bus_echoes[MAX_BUSES]
    uint32_t bus_refused[MAX_BUSES]         # connections that could not be had
    uint32_t bus_closed[MAX_BUSES]          # connections that ended
    uint32_t bus_half_open[MAX_BUSES]       # of them: given up because nothing was answered
    uint8_t bus_exception_code[MAX_BUSES]   # the last one
    uint8_t unit_commissioned[MAX_UNITS]    # R16

# --- the journal: what survives a power cut -----------------------------------------------------------------------------------------------

cdef struct JournalRecord:
    uint64_t magic
    uint64_t seq
    uint32_t layout_version
    uint32_t crc32                          # over the record with this field 0
    uint8_t config_hash[32]
    uint64_t boot_id_hi
    uint64_t boot_id_lo
    uint8_t operator_mode                   # MODE_RUN, MODE_STOPPED or MODE_OUT_OF_SERVICE
    uint8_t internal
    uint8_t clock_trusted                   # at_realtime_s is a time of day
    int64_t at_ns                           # when this record was made
    int64_t at_realtime_s
    int64_t start_age_s[3]                  # how long ago, at least, the last three starts were; newest first, -1 none
    uint8_t latched[MAX_ROWS]
    # energy registers of units, by who they are, then of the connection; units that left stay as long as there is room
    uint64_t unit_key[MAX_UNITS]            # 0 = free
    double import_wh[PLACES]
    double export_wh[PLACES]
    double import_seen_wh[PLACES]           # what the device's or meter's own counter said last; NaN = never
    double export_seen_wh[PLACES]
    uint8_t commissioned[MAX_UNITS]         # R16: under config_hash
