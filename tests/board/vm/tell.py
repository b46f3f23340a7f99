"""tell.py control|supervisor REQUEST: one JSON line to a socket of bessctl on the board, and its answer.

What the command line does too, without the seconds that an emulated board takes to import it. Standard library only.
"""

import socket
import sys

with socket.socket(socket.AF_UNIX) as link:
    link.settimeout(60)
    link.connect(f"/run/bessctl/{sys.argv[1]}.sock")
    link.sendall(sys.argv[2].encode() + b"\n")
    print(link.makefile().readline().strip())
