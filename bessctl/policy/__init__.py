"""Policies: what the battery itself should do over the coming days, and the planner that makes a plan of them.

zones      local wall time -> instants, with both daylight-saving traps
schedule   once and weekly -> instants
tables     tariffs and forecasts over the day, from a file
problem    the words: battery, policies, what others allow, the steps of a horizon
grid       one problem -> steps with limits, prices and wishes
reach      which energies can be reached through the steps, and who prevents more
cheapest   the least-cost way through the steps, exactly
planner    a problem and now -> outcome: steps, targets met and not met. A pure function
blocks     outcome -> blocks of the policy's slot
keeper     the part of the supervisor: reads the plant, plans again when anything changes, writes the slot
picture    an outcome as SVG

Power is positive toward the grid, as everywhere; energies are of the operational window (bessctl.plan.window).
"""
