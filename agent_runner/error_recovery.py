"""How the agent takes failures: exponential back-off with jitter, and an alert after a number of them. Used by every loop."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 60.0
ALERT_AFTER = 5


def _uniform() -> float:
    return random.random()  # noqa: S311 - jitter, not a secret


@dataclass
class Recovery:
    """Counts consecutive failures of one activity. `first` and `longest` in seconds; `alert` is called once per streak."""

    first: float = FIRST_SECONDS
    longest: float = LONGEST_SECONDS
    alert_after: int = ALERT_AFTER
    alert: Callable[[int, str], None] | None = None
    jitter: Callable[[], float] = _uniform
    failures: int = field(default=0, init=False)
    last_error: str = field(default="", init=False)

    def failed(self, error: BaseException) -> float:
        """Notes one more failure and returns how many seconds to wait: doubling, between half and all of the step."""
        self.failures += 1
        self.last_error = f"{type(error).__name__}: {error}"
        if self.failures == self.alert_after and self.alert is not None:
            self.alert(self.failures, self.last_error)
        # 2**16 is far beyond any longest; a larger exponent only overflows after months of failures
        step = min(self.longest, self.first * 2.0 ** min(self.failures - 1, 16))
        return step * (0.5 + self.jitter() / 2)

    def succeeded(self) -> None:
        """Ends the streak. The last error stays readable for the health report."""
        self.failures = 0
