"""What systemd does for a service with sockets: ``activate.py FD[:NAME],... COMMAND...``."""

from __future__ import annotations

import fcntl
import os
import sys

FIRST = 3


def main() -> None:
    given = [part.partition(":") for part in sys.argv[1].split(",") if part]
    if given:
        # Each out of the others' way first; nothing is inherited but what is said to be.
        spare = [fcntl.fcntl(int(number), fcntl.F_DUPFD_CLOEXEC, 100) for number, _, _ in given]
        for number, _, _ in given:
            os.close(int(number))
        for place, fd in enumerate(spare):
            os.dup2(fd, FIRST + place, inheritable=True)
        os.environ["LISTEN_FDS"] = str(len(given))
        os.environ["LISTEN_PID"] = str(os.getpid())
        os.environ["LISTEN_FDNAMES"] = ":".join(name for _, _, name in given)
    if "WATCHDOG_USEC" in os.environ:
        os.environ["WATCHDOG_PID"] = str(os.getpid())
    os.execv(sys.argv[2], sys.argv[2:])


main()
