"""When this process started, so that what another life of the server left half done is known as such (R14). Called by `audits`.

Measured on the machine's boot clock, not on server time: it must not depend on a clock that tests and replays move.
"""

import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _since_boot() -> float:
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _boot() -> str:
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else "this boot"


started_at = _since_boot()


def mark() -> str:
    """This moment, to be compared by `restarted_since` later, perhaps in another process."""
    return f"{_boot()} {_since_boot():.3f}"


def restarted_since(moment: str) -> bool:
    """Whether this process started after that moment.

    A moment of another boot may as well be one of another web host, which says nothing of a restart: then False. (Sessions do
    not outlive a reboot anyway, and a change of leader aborts too.)
    """
    boot, _, at = moment.partition(" ")
    return boot == _boot() and float(at) < started_at
