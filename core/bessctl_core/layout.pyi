"""Numbers, sizes and reflected dtypes of the shared layout; layout.pxd says what each field means."""

from enum import IntFlag
from typing import Any

VERSION: int
LIMITS: dict[str, int]
SIZES: dict[str, int]

def dtype(name: str) -> Any: ...

class Absent(IntFlag):
    ABSENT_SUNSPEC = 0
    ABSENT_NONE = 1
    ABSENT_VALUE = 2

class Action(IntFlag):
    ACT_WARN = 0
    ACT_DERATE = 1
    ACT_BLOCK = 2
    ACT_ZERO = 3
    ACT_STANDBY = 4
    ACT_OPEN = 5

class BindKind(IntFlag):
    BIND_NONE = 0
    BIND_RATING = 1
    BIND_BMS = 2
    BIND_ROW = 3
    BIND_SLOT = 4
    BIND_DEFAULT = 5
    BIND_FALLBACK = 6
    BIND_MODE = 7
    BIND_METER = 8
    BIND_DEVICE = 9
    BIND_INTERNAL = 10
    BIND_PHASE = 11
    BIND_COMMISSION = 12
    BIND_OPEN = 13
    BIND_CEASE = 14
    BIND_REACTIVE = 20

class BlindRule(IntFlag):
    BLIND_HOLDS = 0
    BLIND_TRIPS = 1

class BusKind(IntFlag):
    BUS_NONE = 0
    BUS_TCP = 1
    BUS_RTU = 2

class CommandCode(IntFlag):
    CMD_NONE = 0
    CMD_STOP = 1
    CMD_START = 2
    CMD_OUT_OF_SERVICE = 3
    CMD_RESET = 4
    CMD_RELEASE = 5
    CMD_TRY = 6
    CMD_COMMISSIONED = 7

class CurveKind(IntFlag):
    CURVE_VOLT_VAR = 0
    CURVE_VOLT_WATT = 1
    CURVE_WATT_VAR = 2

class CurveState(IntFlag):
    CURVE_IDLE = 0
    CURVE_WRITING = 1
    CURVE_IN_FORCE = 2
    CURVE_OFF = 3
    CURVE_FAILED = 4

class DeviceKind(IntFlag):
    DEV_NONE = 0
    DEV_PCS = 1
    DEV_BMS = 2
    DEV_METER = 3
    DEV_IO = 4

class DeviceState(IntFlag):
    DEV_DOWN = 0
    DEV_VERIFYING = 1
    DEV_UP = 2
    DEV_REFUSED = 3
    DEV_FROZEN = 4

class Direction(IntFlag):
    DIR_NONE = 0
    DIR_CHARGE = 1
    DIR_DISCHARGE = 2
    DIR_BOTH = 3

class EventCode(IntFlag):
    EV_NONE = 0
    EV_STARTED = 1
    EV_MODE = 2
    EV_ROW_PICKUP = 3
    EV_ROW_DROPOFF = 4
    EV_ROW_LATCHED = 5
    EV_RESET_DONE = 6
    EV_RESET_REFUSED = 7
    EV_PLAN_ACCEPTED = 8
    EV_PLAN_REFUSED = 9
    EV_PLAN_LAPSED = 10
    EV_TARGET_CLAMPED = 11
    EV_LIMITS_DISJOINT = 12
    EV_INTERNAL = 13
    EV_DEVICE_UP = 14
    EV_DEVICE_DOWN = 15
    EV_DEVICE_REFUSED = 16
    EV_SETPOINT_FOREIGN = 17
    EV_UNCONFIRMED = 18
    EV_RT_REFUSED = 19
    EV_COMMAND_DONE = 20
    EV_COMMAND_REFUSED = 21
    EV_PERIODS_MISSED = 22
    EV_STOPPED = 23
    EV_ACQUIRED = 24
    EV_DEVICE_FROZEN = 25
    EV_JOURNAL = 26
    EV_SETPOINT_HELD = 60
    EV_REVERSION_FOREIGN = 61
    EV_SETTING_FOREIGN = 62
    EV_ORDER_LATE = 63
    EV_START_GIVEN_UP = 64
    EV_METER = 27
    EV_FLAG = 28
    EV_CONTACTOR = 29
    EV_CURVE = 70
    EV_COMMISSION = 39
    EV_CONNECT = 40
    EV_SHED = 41
    EV_ENERGY = 80
    EV_REACTIVE_FOREIGN = 81
    EV_REACTIVE_UNCONFIRMED = 82

class FieldSource(IntFlag):
    SRC_CONST = 0
    SRC_SETPOINT = 1
    SRC_MAGNITUDE = 2
    SRC_CHARGE = 3
    SRC_DISCHARGE = 4
    SRC_DIRECTION = 5
    SRC_REVERSION = 6
    SRC_BEAT = 7
    SRC_TOGGLE = 8
    SRC_INPUT = 9
    SRC_REMAINS = 10
    SRC_ANY = 11
    SRC_ENABLE = 12
    SRC_SHED = 13

class Flag(IntFlag):
    FLAG_RT_REFUSED = 1
    FLAG_MLOCK_REFUSED = 2
    FLAG_JOURNAL_LATE = 4
    FLAG_LOCAL_CONTROL = 16
    FLAG_AFFINITY_REFUSED = 32
    FLAG_UNCONFIRMED = 64
    FLAG_METER_STALE = 128
    FLAG_SETPOINT_HELD = 1024
    FLAG_SHED = 256
    FLAG_SOC_FROZEN = 512
    FLAG_CONTACTOR = 4096
    FLAG_INPUT_LOST = 8192
    FLAG_UNCOMMISSIONED = 16384
    FLAG_SHED_UNCONFIRMED = 32768

class Internal(IntFlag):
    TRIP_ASSERTION = 1
    TRIP_JOURNAL = 2
    TRIP_STARTS = 4
    TRIP_OTHER_CONFIG = 8
    TRIP_METER_SIGN = 16

class LapseRule(IntFlag):
    LAPSE_FALLBACK = 0
    LAPSE_HOLD = 1
    LAPSE_ZERO = 2
    LAPSE_DROP = 3

class Mode(IntFlag):
    MODE_ACQUIRE = 0
    MODE_RUN = 1
    MODE_STOPPING = 2
    MODE_STOPPED = 3
    MODE_OUT_OF_SERVICE = 4
    MODE_TRIPPED = 5
    MODE_START_FAILED = 6
    MODE_STANDBY = 7

class PlanFault(IntFlag):
    PLAN_OK = 0
    PLAN_COUNT = 1
    PLAN_BOOT = 2
    PLAN_LEASE = 3
    PLAN_ORDER = 4
    PLAN_NUMBER = 5
    PLAN_RANGE = 6
    PLAN_SCOPE = 7
    PLAN_KIND = 8
    PLAN_DROP = 9
    PLAN_TORN = 10
    PLAN_STOPPED = 11

class PointType(IntFlag):
    PT_INT16 = 0
    PT_UINT16 = 1
    PT_INT32 = 2
    PT_UINT32 = 3
    PT_UINT64 = 4
    PT_FLOAT32 = 5
    PT_ENUM16 = 6
    PT_BITS32 = 7
    PT_INT64 = 8
    PT_SUNSSF = 9
    PT_BITS16 = 10
    PT_BIT = 11

class Program(IntFlag):
    PR_PREPARE = 0
    PR_SETPOINT = 1
    PR_VAR = 2
    PR_BEAT = 3
    PR_RUN = 4
    PR_STANDBY = 5
    PR_STOP = 6
    PR_OPEN = 7
    PR_CLOSE = 8
    PR_LIMITS = 9
    PR_SHED = 10

class QControl(IntFlag):
    QC_NONE = 0
    QC_VAR = 1
    QC_PF = 2
    QC_AVAILABLE = 3

class Quantity(IntFlag):
    Q_NONE = 0
    Q_AC_W = 1
    Q_AC_VAR = 2
    Q_AC_VA = 3
    Q_AC_A = 4
    Q_AC_V = 5
    Q_AC_HZ = 6
    Q_PCS_STATE = 7
    Q_PCS_ALARM = 8
    Q_PCS_CONN = 9
    Q_PCS_TEMP_C = 10
    Q_PCS_HB = 11
    Q_DC_V = 12
    Q_DC_A = 13
    Q_DC_W = 14
    Q_SOC_PCT = 15
    Q_SOH_PCT = 16
    Q_PACK_V = 17
    Q_PACK_A = 18
    Q_CELL_V_MAX = 19
    Q_CELL_V_MIN = 20
    Q_CELL_TEMP_MAX_C = 21
    Q_CELL_TEMP_MIN_C = 22
    Q_BMS_CHA_MAX_A = 23
    Q_BMS_DIS_MAX_A = 24
    Q_BMS_STATE = 25
    Q_BMS_ALARM = 26
    Q_BMS_HB = 27
    Q_WH_RATING = 28
    Q_WH_AVAILABLE = 29
    Q_W_MAX_DIS = 30
    Q_W_MAX_CHA = 31
    Q_EXPORT_WH = 32
    Q_IMPORT_WH = 33
    Q_PCC_W = 34
    Q_PCC_L1_A = 35
    Q_PCC_L2_A = 36
    Q_PCC_L3_A = 37
    Q_PCC_HZ = 38
    Q_LOC_REM = 39
    Q_PCS_AGE_S = 40
    Q_BMS_AGE_S = 41
    Q_METER_AGE_S = 42
    Q_CHA_A_OVER = 43
    Q_DIS_A_OVER = 44
    Q_OVERRUN_PER_S = 45
    Q_PCC_L1_W = 46
    Q_PCC_L2_W = 47
    Q_PCC_L3_W = 48
    Q_PCC_L1_V = 49
    Q_PCC_L2_V = 50
    Q_PCC_L3_V = 51
    Q_INSULATION_OHM = 52
    Q_CELL_V_SPREAD = 53
    Q_CELL_TEMP_SPREAD_C = 54
    Q_PCS_HB_AGE_S = 55
    Q_BMS_HB_AGE_S = 56
    Q_CONTACTOR_FAULT = 57
    Q_ASTRAY_PCT = 58
    Q_FOLLOW_ERROR_PCT = 59
    Q_CONFLICT_PCT = 60
    Q_TARGET_OVER_PCT = 61
    Q_INPUT_0 = 64
    Q_INPUT_LAST = 79

class ResetRule(IntFlag):
    RESET_AUTO = 0
    RESET_ANY = 1
    RESET_LOCAL = 2

class RowTest(IntFlag):
    TEST_THRESHOLD = 0
    TEST_BITS = 1
    TEST_STATES = 2

class ScopeKind(IntFlag):
    SCOPE_ESS = 0
    SCOPE_PCC = 1
    SCOPE_REACTIVE = 2

class SlotClass(IntFlag):
    CLASS_GRID = 0
    CLASS_CONTRACT = 1
    CLASS_MARKET = 2

class SlotState(IntFlag):
    SLOT_EMPTY = 0
    SLOT_LIVE = 1
    SLOT_LAPSED = 2
    SLOT_REFUSED = 3

class Stated(IntFlag):
    HAS_ESS_LO = 1
    HAS_ESS_HI = 2
    HAS_PCC_LO = 4
    HAS_PCC_HI = 8
    HAS_TARGET = 16
    HAS_ENERGIZE = 32
    HAS_RATE = 64
    HAS_CONNECT = 128

class Tier(IntFlag):
    TIER_WARN = 0
    TIER_DERATE = 1
    TIER_TRIP = 2

class WriteFlag(IntFlag):
    WF_ONCE = 1
    WF_VERIFY = 2
