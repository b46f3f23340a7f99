# How much there is of everything, at most; part of the layout (layout.pxd).

cdef enum:
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
