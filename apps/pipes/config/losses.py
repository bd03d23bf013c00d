"""What a change of the configuration makes the server forget for good: whole views, and the copies of pipes that leave a forest.

Told as notices of the plan, so whoever sees a plan sees them; the forms of single objects ask.
"""

from collections import Counter
from dataclasses import dataclass

from apps.pipes.config.document import Document
from apps.pipes.config.faults import Notice
from apps.views.models import ViewDriver
from apps.views.queries.held import held_by


@dataclass(frozen=True)
class Loss:
    """So many files and directories that a view forgets; of the copy of one pipe, when it is not the whole view."""

    view: str
    pipe: str
    rows: int

    @property
    def amount(self) -> str:
        """How much, in words."""
        return f"{self.rows:,} {'item' if self.rows == 1 else 'items'}"

    @property
    def notice(self) -> Notice:
        """In words."""
        if not self.pipe:
            return Notice(f"views.{self.view}", f"forgets what it knows: {self.amount} lost.")
        return Notice(
            f"pipes.{self.pipe}",
            f"leaves the forest {self.view}: its tree there with {self.amount} is lost. To keep that, disable the pipe instead.",
        )


def emptied_views(before: Document, after: Document) -> set[str]:
    """Views that forget what they know: deleted, or given to another driver."""
    return {ident for ident, view in before.views.items() if ident not in after.views or after.views[ident].driver != view.driver}


def losses_of(before: Document, after: Document) -> tuple[Loss, ...]:
    """What going from one configuration to the other loses, by view. One query, none without a forest or a view that is emptied."""
    emptied = emptied_views(before, after)
    forests = {ident for ident, view in after.views.items() if view.driver == ViewDriver.FS_FOREST}
    if not emptied and not forests:
        return ()
    rows: Counter[tuple[str, str]] = Counter()
    for held in held_by(emptied | forests):
        if held.view in emptied:
            rows[held.view, ""] += held.rows
        elif held.member not in after.pipes or held.view not in after.pipes[held.member].views:
            rows[held.view, held.member] += held.rows
    return tuple(Loss(view, pipe, count) for (view, pipe), count in rows.items())
