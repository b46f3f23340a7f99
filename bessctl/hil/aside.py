"""One run in real time in a process of its own: `python -m bessctl.hil.aside SCENARIO SABOTAGE`, its outcome pickled on stdout.

Several runs at once in one process would wait for each other's interpreter, and a run that looks too late sees nothing.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

from bessctl.errors import OperationFailed
from bessctl.hil.outcome import Outcome, outcome, together
from bessctl.hil.results import Result
from bessctl.hil.runner import read_scenario, run_one
from bessctl.hil.scenario import Scenario
from bessctl.hil.signals import Signals
from bessctl.hil.stagefiles import StageFiles, site_words

PLACE = "real time"


def run_aside(scenario: Scenario, sabotage: str) -> Result:
    """run_one in another process. Raises OperationFailed when that process failed: then it was ours."""
    command = [sys.executable, "-m", "bessctl.hil.aside", str(scenario.file), sabotage]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=dict(os.environ))
    if done.returncode:
        raise OperationFailed(f"{scenario.file}: its run in real time failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
    found: Outcome = pickle.loads(done.stdout)
    return together(scenario, PLACE, sabotage, Signals(site_words(StageFiles.beside(scenario.file, scenario.site, scenario.plant))), found)


def main(file: str, sabotage: str) -> int:
    """The run; its outcome goes to stdout."""
    from bessctl.hil.main import live  # noqa: PLC0415 (main starts us)

    result = run_one(read_scenario(Path(file)), live, PLACE, lambda _: None, sabotage)
    sys.stdout.buffer.write(pickle.dumps(outcome(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
