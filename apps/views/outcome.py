"""What applying a batch came to, and what it leaves behind beside the nodes: gathered in memory, written once by `store.memory`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fustor_schema.wire import Reject

if TYPE_CHECKING:
    from apps.views.capacity import Bound
    from apps.views.folder import Folder


@dataclass(slots=True)
class Outcome:
    """The answer to one batch on one tree.

    `applied`: rows believed (unchanged ones too); `ignored`: rows refused by a rule; `rejected`: rows that were not valid.
    `grew`: nodes added, less those removed. `bound`: of all trees of the forest, if they have one.
    """

    rows: int = 0
    applied: int = 0
    ignored: int = 0
    rejected: list[Reject] = field(default_factory=list)
    changed: bool = False
    snapshot_completed: bool = False
    over_capacity: bool = False
    audit: int | None = None
    audit_state: str = ""
    grew: int = 0
    bound: "Bound | None" = None


@dataclass(slots=True)
class Remains:
    """What a batch leaves beside nodes and tombstones. In the maps, None removes what is stored at the path.

    `counted_down`: per (directory, change) how many nodes left an aggregate of blind spots.
    `listed`: per directory the names that scan rows told, with the newest observation (staged for audits, checked by closings).
    `own_rows`: per directory when its own row was observed, and whether it was silent.
    """

    suspects: dict[str, tuple[Any, ...] | None] = field(default_factory=dict)
    blind_spots: dict[str, tuple[Any, ...] | None] = field(default_factory=dict)
    counted_down: Counter[tuple[str, str]] = field(default_factory=Counter)
    rechecks: dict[str, tuple[str, bool, int]] = field(default_factory=dict)
    refusals: list[tuple[Any, ...]] = field(default_factory=list)
    changes: list[tuple[Any, ...]] = field(default_factory=list)
    removed_subtrees: list[str] = field(default_factory=list)
    gaps: list[tuple[Any, ...]] = field(default_factory=list)
    listed: dict["Folder", dict[str, int]] = field(default_factory=dict)
    own_rows: dict["Folder", tuple[int, bool]] = field(default_factory=dict)

    def note_listed(self, folder: "Folder", names: Iterable[str], observed_at: int) -> None:
        """A scan listed these names in a directory."""
        seen = self.listed.get(folder)
        if seen is None:
            seen = self.listed[folder] = {}
        for name in names:
            seen[name] = observed_at

    def note_own_row(self, folder: "Folder", observed_at: int, *, skipped: bool) -> None:
        """A scan told a directory's own row."""
        self.own_rows[folder] = (observed_at, skipped)
