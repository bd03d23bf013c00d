"""How often old paths are called and by whom: counted in memory, written down every few seconds. Called by fustor_site.legacy."""

from collections import Counter
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import F

from apps.pipes.models import LegacyUse
from apps.runtime import clock

WRITE_SECONDS = 10.0
MOST_CALLERS = 1000


@dataclass
class LegacyCounter:
    """The calls of this process that are not written down yet."""

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    written_at: float = 0.0

    def note(self, path: str, caller: str) -> bool:
        """Count one call; True when it is time to write down. Callers beyond MOST_CALLERS are counted as `others`."""
        known = (path, caller) in self.calls or len(self.calls) < MOST_CALLERS
        self.calls[(path, caller if known else "others")] += 1
        return clock.now() - self.written_at >= WRITE_SECONDS

    def write_down(self) -> None:
        """Add what was counted to the table. What cannot be written is kept for the next time."""
        self.written_at = clock.now()
        taken, self.calls = self.calls, Counter()
        try:
            with transaction.atomic():
                for (path, caller), count in taken.items():
                    _add(path, caller, count)
        except Exception:
            self.calls.update(taken)
            raise


def _add(path: str, caller: str, count: int) -> None:
    at = clock.now_datetime()
    LegacyUse.objects.get_or_create(path=path, caller=caller, defaults={"last_at": at})
    LegacyUse.objects.filter(path=path, caller=caller).update(count=F("count") + count, last_at=at)


counter = LegacyCounter()
