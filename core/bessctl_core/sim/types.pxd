"""Every structure of the simulated plant, and nothing else.

Units stand in the names. Power, current and energy are positive for discharge (toward the grid), as in SunSpec 701; the one
exception is the PCC meter's registers, see sunspec_image.pyx. Times called `_ns` count from the plant's own zero; the server adds
`epoch_ns` to turn them into CLOCK_MONOTONIC.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    POLY_MAX = 24            # points of one polyline
    DELAY_MAX = 4096         # grid steps of dead time
    IMAGE_MAX = 1024         # registers of one SunSpec chain
    LOG_MAX = 8192           # entries of the command log
    TRACE_MAX = 65536        # entries of the power trace: 65 s at a grid of 1 ms
    GRID_ROWS = 8            # trip rows of the PCS
    BMS_ROWS = 6             # trip rows of the BMS

cdef enum InvSt:             # SunSpec 701 InvSt
    ST_OFF = 0
    ST_SLEEPING = 1
    ST_STARTING = 2
    ST_RUNNING = 3
    ST_THROTTLED = 4
    ST_SHUTTING_DOWN = 5
    ST_FAULT = 6
    ST_STANDBY = 7

cdef enum BankState:         # SunSpec 802 State
    BANK_DISCONNECTED = 1
    BANK_INITIALIZING = 2
    BANK_CONNECTED = 3
    BANK_SUSPENDING = 6
    BANK_FAULT = 99

cdef enum LogKind:           # what a command-log entry tells; `value` is in the unit named
    LOG_WSET = 0             # WSet register changed, W
    LOG_WSET_PCT = 1         # WSetPct changed, %
    LOG_WSET_ENA = 2         # WSetEna changed
    LOG_REVERSION = 3        # the WSet reversion timer expired; value = power now ordered, W
    LOG_OPCTL = 4            # 715 OpCtl written
    LOG_ES = 5               # 703 ES changed
    LOG_WMAXLIM = 6          # WMaxLimPct in force changed, % (100 = none)
    LOG_VAR = 7              # reactive order changed, var
    LOG_HEARTBEAT_LOST = 8   # 715 ControllerHb stood still for the time-out; value = time-out, s
    LOG_HEARTBEAT_BACK = 9
    LOG_SETOP = 10           # 802 SetOp written
    LOG_CURVE = 11           # a curve was adopted or switched: its model's number, negative = switched off
    LOG_KINDS = 12

cdef struct Polyline:        # y(x), linear between points, flat outside; x rises
    int n
    double x[POLY_MAX]
    double y[POLY_MAX]

cdef struct Profile:         # power over time. kind 0: base; 1: base + amplitude sin(2 pi (t + phase_s) / period_s); 2: points
    int kind
    int n
    double base_w
    double amplitude_w
    double period_s
    double phase_s
    double* t_s              # owned by the Plant object; linear between points, repeats after the last
    double* w

cdef struct BatteryParams:
    double cells             # in series
    double energy_wh
    double cell_nominal_v
    double r0_ohm            # of the pack
    double r1_ohm
    double tau1_s
    double heat_capacity_j_per_k
    double cooling_w_per_k
    double ambient_c
    double soc_spread_pct    # strongest cell above, weakest below the mean by half of this
    double r_spread_pct      # those two cells' resistance above the mean
    double temp_spread_c     # hottest above, coldest below the mean by half of this
    double charge_a_max      # nameplate
    double discharge_a_max
    double soh_pct
    double soc_min_pct       # nameplate limits shown in 802
    double soc_max_pct
    double limit_slew_pct_per_s   # how fast the BMS moves AChaMax and ADisChaMax, % of nameplate
    double close_s           # precharge and closing
    double open_s            # opening of the contactors
    double trips             # 1: the BMS opens its contactors on its own rows
    double cell_v_high
    double cell_v_low
    double cell_c_high
    double cell_c_low
    double over_current_pct  # above the limit in force, plus 5 A
    double over_current_s
    double cell_v_s
    double cell_c_s
    double ctrl_hb_timeout_s # 802 CtrlHb; 0 = not supervised
    double fade_pct_per_kcycle   # SoH lost in 1000 equivalent full cycles
    double fade_pct_per_year     # SoH lost by time alone
    double r_growth_pct      # R0 and R1 grow by so much for each % of SoH lost

cdef struct Battery:
    BatteryParams par
    Polyline ocv             # cell OCV in V over SoC in %
    Polyline charge_soc      # factor on charge_a_max over SoC in %
    Polyline discharge_soc
    Polyline charge_temp     # factor over cell temperature in C
    Polyline discharge_temp
    double soc_pct
    double v1                # over the RC branch, V of the pack
    double i_a               # discharge positive
    double v                 # at the terminals
    double ocv_v
    double temp_c            # mean of the thermal mass
    double cell_c_max
    double cell_c_min
    double cell_v_max
    double cell_v_min
    double pin_cell_c_max    # NaN, or what a test pins the hottest cell to
    double pin_cell_c_min
    double pin_cell_v_max
    double pin_cell_v_min
    double a_charge_max      # limits in force, magnitudes
    double a_discharge_max
    double cycled_ah         # throughput, for NCyc
    double charge_ah         # coulomb count since start, discharge positive
    double chemical_wh       # integral of OCV x I
    double dc_out_wh
    double dc_in_wh
    double loss_wh           # heat in R0 and R1
    int contactor            # 1 closed
    int state                # BankState
    double state_s           # time left of a connecting or opening
    int after_open           # state to take when the contactors are open
    double row_s[BMS_ROWS]   # how long each row has been beyond its limit
    uint32_t alarms          # 802 Evt1 bits now
    uint32_t latched         # Evt1 bits of the rows that tripped
    double ctrl_hb_age_s
    int ctrl_hb_seen
    uint32_t injected_evt    # Evt1 bits a test adds
    double shown_soc_pct     # what the BMS reports instead of the truth: NaN = the truth
    double shown_v           # pack voltage it reports
    double shown_a_offset    # added to the current it reports

cdef struct PcsParams:
    double w_max
    double va_max
    double var_max
    double charge_w_max
    double discharge_w_max
    double v_nom             # line to line
    double hz_nom
    double dead_time_s
    double lag_s
    double ramp_w_per_s      # 0: none
    double loss_fixed_w
    double loss_linear       # W per W
    double loss_quadratic    # W at full apparent power
    double start_s
    double exit_standby_s
    double controller_timeout_s      # 715 ControllerHb; 0 = not supervised
    double controller_standby        # 1: standby on expiry, 0: zero watts until the heartbeat moves again
    double timer_scale               # real devices' reversion timers are inexact: 60 s set, 80 s seen
    double rearm_on_any_write        # 1: any write into the block re-arms the reversion, 0: only one that writes Ena or RvrtTms

cdef struct PcsControls:     # decoded from registers after each write and each reversion
    int w_ena
    double w_w
    int wlim_ena
    double wlim_pct
    int var_ena
    int var_mode             # VarSetMod: 0 % of WMax, 1 % of VarMax, 2 % of what is left, 3 % of VAMax, 4 var
    double var_var           # VarSet
    double var_pct           # VarSetPct
    int pf_ena[2]            # 0 while power flows toward the grid, 1 while it flows from it
    double pf[2]             # + over-excited: injects var
    int var_first            # VarSetPri 1
    int es
    double w_max
    double va_max
    double var_inj_max
    double var_abs_max
    double charge_w_max
    double discharge_w_max
    double ramp_w_per_s
    double es_v_hi_pct
    double es_v_lo_pct
    double es_hz_hi
    double es_hz_lo
    double es_delay_s

cdef struct Pcs:
    PcsParams par
    PcsControls ctl
    int state                # InvSt, without THROTTLED
    int run_wanted           # OpCtl 1 or 2 was the last word that said whether to run
    int standby_wanted
    double state_s           # time left of STARTING
    double es_left_s         # 703 ESDlyRemTms
    int throttled
    int heartbeat_lost
    int heartbeat_seen
    uint32_t heartbeat
    double heartbeat_age_s
    uint32_t alarms          # 701 Alrm bits now
    uint32_t latched
    uint32_t injected_fault  # Alrm bits a test holds on
    int ignore_setpoints
    int wrong_sign
    int curve_refused        # adopting a curve fails
    double order_w           # what the registers order, limits applied
    double order_var
    double ramped_w
    double ramped_var
    int delay_n
    int delay_at
    double delay_w[DELAY_MAX]
    double delay_var[DELAY_MAX]
    double lag_a             # 1 - exp(-dt / lag)
    double w                 # at the AC terminals
    double var
    double dc_w
    double loss_w
    double inj_wh
    double abs_wh
    double inj_varh
    double abs_varh
    double loss_wh
    double sink_c            # heat sink
    double pin_sink_c        # NaN, or what a test pins it to
    int rows                 # grid trip rows
    int row_kind[GRID_ROWS]  # 0 over-voltage, 1 under-voltage, 2 over-frequency, 3 under-frequency
    double row_at[GRID_ROWS] # pu or Hz
    double row_delay_s[GRID_ROWS]
    double row_s[GRID_ROWS]

cdef struct Grid:
    double v                 # line to line, as now measured
    double hz
    double set_v             # what the script says
    double set_hz
    Profile v_script         # volts and hertz over time instead of watts; n = 0: set_v, set_hz
    Profile hz_script
    double noise_v           # amplitude, drawn again every 100 ms
    double noise_hz
    double noise_w           # on the load
    double load_noise_w
    uint64_t seed

cdef struct Meter:
    Profile load
    Profile pv
    double evse_w
    double other_ess_w       # further units behind the same meter
    Profile evse             # what evse_w comes on top of
    double evse_now_w
    double load_l1_w         # load on phase L1 alone, beside the balanced one
    double load_w
    double pv_w
    double pcc_w             # ess + pv - load - evse, export positive
    double pcc_var
    double export_wh
    double import_wh
    double rated_w
    int wrong_sign

cdef struct Image:           # one device: one SunSpec chain under one unit id
    int unit
    int base
    int n
    int m1, m701, m702, m703, m704, m705, m706, m712, m713, m714, m715, m802, m803, m203    # offset of each model's ID register, 0 = absent
    uint8_t silent           # does not answer
    uint8_t frozen           # answers with what it last knew
    uint8_t exception        # answers every request with this exception, 0 = none
    uint8_t write_exception  # answers every write with this exception, 0 = none
    double answer_ms         # time from request to answer
    double refresh_ms        # measurement period, 0 = every step
    int64_t refreshed_ns
    int64_t requests
    uint8_t access[IMAGE_MAX]   # 0 read only, 1 first register of a writable point, 2 a further one
    uint16_t regs[IMAGE_MAX]

cdef struct LogEntry:
    int64_t ns
    double value
    int kind

cdef struct TraceEntry:
    int64_t ns
    double w

cdef struct SimPlant:
    int64_t now_ns
    int64_t epoch_ns         # add it to get CLOCK_MONOTONIC
    int64_t grid_ns
    double dt_s
    int64_t skipped_ns       # time given up because the server was not run for seconds
    int64_t reversion_ns[5]  # expiry of WMaxLimPct, WSet, VarSet, PFWInj, PFWAbs; 0 = not armed
    int64_t wset_writes
    Battery bat
    Pcs pcs
    Grid grid
    Meter meter
    int units_swapped        # a test: PCS and battery answer under each other's unit id
    int combined             # battery models stand in the PCS's chain
    Image pcs_image
    Image bat_image
    Image meter_image
    Image io_image           # a module of digital inputs: one holding register, bit k = contact k is closed; n = 0: none
    int64_t log_n            # entries ever written
    LogEntry log[LOG_MAX]
    int64_t trace_n
    TraceEntry* trace
