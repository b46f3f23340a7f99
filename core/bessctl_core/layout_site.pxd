# The sealed configuration, file -> loop, read once; part of the layout (layout.pxd).

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from .layout_sizes cimport (
    CURVE_POINTS, CURVES, MAX_BUSES, MAX_CHECKS, MAX_CHIPS, MAX_DEVICES, MAX_FACTORS, MAX_FIELDS, MAX_INPUTS, MAX_MAPS, MAX_POINTS,
    MAX_READS, MAX_ROWS, MAX_SLOTS, MAX_UNITS, MAX_WRITES, TEXT,
)

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
