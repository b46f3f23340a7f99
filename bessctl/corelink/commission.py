"""R16 for plants that are simulated: nobody could be mistaken about a cable there. Real ones are tried by `bessctl commission`."""

from __future__ import annotations

import os

from bessctl.errors import OperationFailed
from bessctl_core import journal, sealed


def begin_commissioned(state_dir: str, sealed_file: str) -> bool:
    """A first journal in `state_dir` that says the units of this sealed file were tried. False where there is a journal already.

    Raises OperationFailed where the folder takes none.
    """
    site = sealed.load(sealed_file)
    try:
        os.makedirs(state_dir, mode=0o700, exist_ok=True)
        return journal.begin_commissioned(state_dir, site.identity, len(site.names["units"]))
    except OSError as e:
        raise OperationFailed(f"{state_dir}: no journal could be begun: {e.strerror or e}") from e
