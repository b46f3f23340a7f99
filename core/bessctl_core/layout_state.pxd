# What the loop says: what goes into a step and comes out, its state for everyone, its journal; part of the layout (layout.pxd).

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from .layout_plans cimport Command
from .layout_sizes cimport CURVES, HISTOGRAM_BINS, MAX_BUSES, MAX_FACTORS, MAX_ROWS, MAX_SLOTS, MAX_UNITS, PLACES, QUANTITIES, SKIPS

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
    uint32_t bus_queue_full[MAX_BUSES]      # questions that found no room in the queue, and were never sent
    uint32_t bus_bad_request[MAX_BUSES]     # questions that no frame can carry, and were never sent
    uint8_t bus_exception_code[MAX_BUSES]   # the last one
    uint8_t unit_commissioned[MAX_UNITS]    # R16

# --- the journal: what survives a power cut -----------------------------------------------------------------------------------------------

cdef struct JournalRecord:
    uint64_t magic
    uint64_t seq
    uint32_t layout_version                 # JOURNAL_VERSION of journal.pxd
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
