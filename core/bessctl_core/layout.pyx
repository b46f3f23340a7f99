"""The layout as Python sees it: the numbers that have a name, sizes, and numpy dtypes reflected from the structures.

The structures themselves stand in layout.pxd, which is written to be read. numpy is imported only by `dtype()` (tests, benches, sealing).
"""

from libc.string cimport memset

VERSION = LAYOUT_VERSION

LIMITS = {
    "units": MAX_UNITS, "slots": MAX_SLOTS, "blocks": MAX_BLOCKS, "rows": MAX_ROWS, "curve_points": CURVE_POINTS, "devices": MAX_DEVICES,
    "buses": MAX_BUSES, "reads": MAX_READS, "points": MAX_POINTS, "checks": MAX_CHECKS, "writes": MAX_WRITES, "fields": MAX_FIELDS,
    "factors": MAX_FACTORS, "maps": MAX_MAPS, "quantities": QUANTITIES, "text": TEXT,
    "places": PLACES, "plant": PLANT, "histogram_bins": HISTOGRAM_BINS, "skips": SKIPS, "inputs": MAX_INPUTS, "chips": MAX_CHIPS,
    "curves": CURVES, "curve_xy": CURVE_XY, "curve_steps": CURVE_STEPS,
}

SIZES = {
    "Plan": sizeof(Plan), "CurvePlan": sizeof(CurvePlan), "Command": sizeof(Command), "SiteConfig": sizeof(SiteConfig), "Inputs": sizeof(Inputs),
    "Outputs": sizeof(Outputs), "Event": sizeof(Event), "PlantState": sizeof(PlantState), "JournalRecord": sizeof(JournalRecord),
}


def dtype(str name):
    """The numpy dtype of one structure, reflected from the C declaration; `itemsize` equals SIZES[name]. Tests and tools only."""
    import numpy as np
    cdef Plan plan
    cdef CurvePlan curves
    cdef SiteConfig config
    cdef Event event
    cdef PlantState state
    cdef JournalRecord journal
    if name == "Plan":
        memset(&plan, 0, sizeof(Plan))
        return np.asarray(<Plan[:1]> &plan).dtype
    if name == "CurvePlan":
        memset(&curves, 0, sizeof(CurvePlan))
        return np.asarray(<CurvePlan[:1]> &curves).dtype
    if name == "SiteConfig":
        return np.asarray(<SiteConfig[:1]> &config).dtype
    if name == "Event":
        return np.asarray(<Event[:1]> &event).dtype
    if name == "PlantState":
        return np.asarray(<PlantState[:1]> &state).dtype
    if name == "JournalRecord":
        return np.asarray(<JournalRecord[:1]> &journal).dtype
    raise KeyError(name)
