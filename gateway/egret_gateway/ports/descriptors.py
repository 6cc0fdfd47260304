"""How many ports and files this process may have open at once."""

from __future__ import annotations

import resource

OWN = 64  # files, sockets and pipes of the service beside its buses'
PER_BUS = 2  # a port, and the next one while the former is still being closed


def allow(buses: int) -> int:
    """Raise the process's own limit where that many buses need it; return how many lack."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OWN + PER_BUS * buses
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return 0
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return wanted - allowed
