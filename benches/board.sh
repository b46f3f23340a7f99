#!/bin/sh
# benches/board.sh BOARD WHO [MINUTES]: what a real controller can do, in one file to hand in: build/benches/BOARD-DATE.json.
#
# To be run by hand on the hardware, as root, on the kernel that it will have, from a tree in which `make build` was run (the read-only image has
# neither compiler nor tree: boot a Debian with linux-image-rt on the same board, with the board's kernel command line, board/boards/BOARD.yaml).
# Nothing else may run there. It takes about MINUTES (60) and a quarter of an hour.
#
#   check_rt     what of the board's real-time settings is in force; the figures mean little where something is not
#   cyclictest   the kernel alone: wake-up latency on the loop's core at the loop's priority, 1 kHz (package rt-tests)
#   loop         our loop beside a bare one on that core: `python -m benches loop`
#   rtu          Modbus RTU against what the wire allows: `python -m benches rtu`
set -eu
cd "$(dirname "$0")/.."
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d' >&2; exit 2; }
board=$1 who=$2 minutes=${3:-60}
[ -e "board/boards/$board.yaml" ] || { echo "no board $board; there are: $(cd board/boards && echo *.yaml)" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "run it as root: it asks for real-time priority" >&2; exit 2; }
command -v cyclictest >/dev/null || { echo "cyclictest is missing: apt install rt-tests" >&2; exit 2; }
python=${PYTHON:-.venv/bin/python}
parts=build/benches/$board
mkdir -p "$parts"
cpu=$(sed -n 's/^loop_cpu: *\([0-9]*\).*/\1/p' "board/boards/$board.yaml")

"$python" board/check_rt.py --cpu "$cpu" -o json >"$parts/check_rt.json" || echo "not all is in force: python board/check_rt.py says what" >&2
echo "cyclictest: $minutes minutes on core $cpu" >&2
cyclictest --quiet --mlockall --threads=1 --affinity="$cpu" --priority=80 --interval=1000 --duration="${minutes}m" --histogram=5000 \
  --json="$parts/cyclictest.json" >/dev/null
echo "our loop" >&2
"$python" -m benches loop --json >"$parts/loop.json"
echo "Modbus RTU" >&2
"$python" -m benches rtu --json >"$parts/rtu.json"
"$python" -m benches.board_result "$board" "$who" "$parts"
