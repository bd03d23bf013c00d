"""How long a program that died waits for its restart. Pure; used by the supervisor."""

from dataclasses import dataclass

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
# a program that ran this long was well; its next death starts from the beginning
WELL_AFTER_SECONDS = 30.0


@dataclass
class Backoff:
    """The deaths of one program in a row."""

    deaths: int = 0

    def after(self, lived_seconds: float) -> float:
        """Seconds to wait after a death that ended a life of `lived_seconds`: 0.5, 1, 2, 4 … 30."""
        self.deaths = 1 if lived_seconds >= WELL_AFTER_SECONDS else self.deaths + 1
        # the exponent is bounded too: a program may die for weeks
        return min(LONGEST_SECONDS, FIRST_SECONDS * float(1 << min(self.deaths - 1, 10)))
