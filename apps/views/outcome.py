"""What applying a batch came to, and what it leaves behind beside the nodes: gathered in memory, written once by `store.memory`."""

from dataclasses import dataclass, field
from typing import Any

from fustor_schema.wire import Reject


@dataclass(slots=True)
class Outcome:
    """The answer to one batch on one tree.

    `applied`: rows believed (unchanged ones too); `ignored`: rows refused by a rule; `rejected`: rows that were not valid.
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


@dataclass(slots=True)
class Remains:
    """What a batch leaves beside nodes. Keys are paths; `None` removes what is stored."""

    tombstones: dict[str, tuple[Any, ...] | None] = field(default_factory=dict)
    suspects: dict[str, tuple[Any, ...] | None] = field(default_factory=dict)
    blind_spots: dict[str, tuple[Any, ...] | None] = field(default_factory=dict)
    rechecks: dict[str, str] = field(default_factory=dict)
    refusals: list[tuple[Any, ...]] = field(default_factory=list)
    changes: list[tuple[Any, ...]] = field(default_factory=list)
    listed: dict[tuple[int, str], tuple[int, bool]] = field(default_factory=dict)
    removed_subtrees: list[str] = field(default_factory=list)
