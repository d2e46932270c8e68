"""What a server's processes have used, read from /proc: CPU seconds and resident memory. Linux only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

# Fields of /proc/PID/stat behind the name, as proc(5) counts them from 3.
_PARENT, _USER, _SYSTEM, _RESIDENT = 4 - 3, 14 - 3, 15 - 3, 24 - 3


@dataclass(frozen=True)
class Usage:
    """A process tree at one moment.

    Attributes:
        processes: how many there are.
        cpu_seconds: user and system time of all of them, in steps of a clock tick.
        rss_bytes: resident memory of all of them; what they share counts in each.
        largest_rss_bytes: that of the largest one: a worker.
    """

    processes: int
    cpu_seconds: float
    rss_bytes: int
    largest_rss_bytes: int


def usage(root: int) -> Usage:
    """Read the tree below a process, itself included.

    Raises:
        ProcessLookupError: it is gone.
    """
    stats = _stats()
    if root not in stats:
        raise ProcessLookupError(f"process {root} has ended")
    found = [root]
    for pid in found:
        found += [other for other, fields in stats.items() if int(fields[_PARENT]) == pid]
    resident = [int(stats[pid][_RESIDENT]) * _PAGE for pid in found]
    ticks = sum(int(stats[pid][_USER]) + int(stats[pid][_SYSTEM]) for pid in found)
    return Usage(len(found), ticks / _TICKS, sum(resident), max(resident))


def _stats() -> dict[int, list[bytes]]:
    stats = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_bytes()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        # The name may hold blanks and brackets itself; the last bracket ends it.
        stats[int(entry.name)] = text[text.rindex(b")") + 2 :].split()
    return stats


def machine_cpu_seconds() -> float:
    """Give the CPU time that everything on the machine has used since it started, the hypervisor's share too."""
    fields = (_PROC / "stat").read_bytes().split(b"\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / _TICKS
