"""Shapes of the answers for OpenAPI: made from the structs of apps.views.queries, or written here for what are plain mappings."""

from typing import Any

from ninja import Field, Schema

from apps.views.api.described import node_shape, shape_of
from apps.views.queries.blind_spots import BlindSpots
from apps.views.queries.changes import Change, Feed
from apps.views.queries.forests import Compared, Comparison, Copies
from apps.views.queries.locate import Hit, Places, Unsearched
from apps.views.queries.suspects import SuspectEntry
from apps.views.queries.tree import Outline
from apps.views.queries.whole_forest import ForestFeed, MemberReset

NodeOut = node_shape("NodeOut")


class TreeOut(NodeOut):  # type: ignore[misc,valid-type]  # made at run time
    """A node with its subtree."""

    children: list[Any] | None = None
    job_id: str | None = None
    job_pending: bool = False
    next_cursor: str | None = None
    as_of_seq: int | None = None


_Outline = shape_of(Outline, "Outline")


class OutlineOut(_Outline):  # type: ignore[misc,valid-type]  # made at run time
    """A node with `only_path`, its subtree likewise."""

    children: list[Any] | None = None
    job_id: str | None = None
    job_pending: bool = False
    next_cursor: str | None = None
    as_of_seq: int | None = None


class FreshnessOut(Schema):
    """How fresh: `live`, `degraded` or `offline`, since when, why; ages in seconds."""

    state: str
    degraded: bool
    degraded_reason: str | None
    since: float | None
    as_of: float | None
    max_unverified_age: float | None


class StatsOut(Schema):
    """Figures of a subtree, itself excluded. Sizes in bytes, ages in seconds, moments in Unix seconds."""

    view_id: str
    path: str
    item_count: int
    total_files: int
    total_directories: int
    total_size: int
    latency_ms: float
    staleness_seconds: float | None
    oldest_item_path: str | None
    has_blind_spot: bool
    suspect_file_count: int
    logical_now: float
    last_audit_finished_at: float | None
    audit_cycle_count: int
    is_auditing: bool
    unverified: list[dict[str, Any]]
    capacity_exceeded: bool
    as_of_seq: int
    max_unverified_age: float | None
    freshness: FreshnessOut


class ForestTreeOut(Schema):
    """The tree at a path in every member: `status` ok, missing or unknown, with `data` or `error`."""

    path: str
    members: dict[str, dict[str, Any]]
    best: str | None


class ForestStatsOut(Schema):
    """The stats of a path in every member, and which member is best by what."""

    view_id: str
    path: str
    members: list[dict[str, Any]]
    best: dict[str, Any] | None


BlindSpotsOut = shape_of(BlindSpots, "BlindSpotsOut")


SuspectOut = shape_of(SuspectEntry, "SuspectOut")


class BlindSpotsSeenTo(Schema):
    """Paths whose blind spots were seen to; null: all of the view, or of the member of a forest."""

    paths: list[str] | None
    member: str | None = None


class BlindSpotsSeenToOut(Schema):
    """How many records were closed; a path that an aggregate counts is one."""

    view_id: str
    closed: int


class SuspectUpdate(Schema):
    """How a suspect looks now: mtime in Unix seconds, size in bytes."""

    path: str
    mtime: float | None = None
    size: int | None = None


class SuspectUpdates(Schema):
    """Body of PUT suspect-list."""

    updates: list[SuspectUpdate] = Field(..., max_length=100_000)


class SuspectUpdatesOut(Schema):
    """What PUT suspect-list did."""

    view_id: str
    updated_count: int
    status: str


class ViewOut(Schema):
    """One view that the key may read."""

    view_id: str
    name: str
    driver: str
    members: list[str]
    complete: bool
    freshness: FreshnessOut | None


class ViewsOut(Schema):
    """The views that the key may read."""

    views: list[ViewOut]
    count: int


ChangeOut = shape_of(Change, "ChangeOut")


FeedOut = shape_of(Feed, "FeedOut")


MemberResetOut = shape_of(MemberReset, "MemberResetOut")


ForestFeedOut = shape_of(ForestFeed, "ForestFeedOut")


class ReasonOut(Schema):
    """Why something is not settled."""

    code: str
    detail: str


class SettledOut(Schema):
    """`state`: settled, changing or unknown."""

    path: str
    state: str
    quiet_seconds: float
    reasons: list[ReasonOut]
    evidence: dict[str, Any]
    freshness: FreshnessOut


class ForestSettledOut(Schema):
    """The verdict over all members of a forest, and what each says."""

    view_id: str
    path: str
    state: str
    quiet_seconds: float
    reasons: list[dict[str, str]]
    members: list[dict[str, Any]]
    freshness: FreshnessOut


class ExplainOut(Schema):
    """Why the view says so. `state`: present, deleted or unknown."""

    view_id: str
    path: str
    path_b64: str | None
    state: str
    summary: str
    node: NodeOut | None  # type: ignore[valid-type]
    decided: dict[str, Any] | None
    tombstone: dict[str, Any] | None
    refused: list[dict[str, Any]]
    suspect: dict[str, Any] | None
    blind_spots: list[dict[str, Any]]
    unverified: list[dict[str, Any]]
    recheck: dict[str, Any] | None
    listing: dict[str, Any] | None


class ForestExplainOut(Schema):
    """What every member of a forest says of a path and why. `state` of all: present, deleted or unknown."""

    view_id: str
    path: str
    path_b64: str | None
    state: str
    summary: str
    members: list[dict[str, Any]]


HitOut = shape_of(Hit, "HitOut")


UnsearchedOut = shape_of(Unsearched, "UnsearchedOut")


PlacesOut = shape_of(Places, "PlacesOut")


class UsageOut(Schema):
    """Files and bytes by owner or by age."""

    path: str
    by: str
    total_files: int | None = None
    total_bytes: int | None = None
    owners: list[dict[str, Any]] | None = None
    unowned: dict[str, int] | None = None
    storage_time: float | None = None
    ages: list[dict[str, Any]] | None = None
    next_cursor: str | None = None
    as_of_seq: int


class ForestUsageOut(Schema):
    """Files and bytes in all members of a forest. `complete`: no member is unknown, and no page follows."""

    view_id: str
    path: str
    by: str
    total_files: int | None = None
    total_bytes: int | None = None
    owners: list[dict[str, Any]] | None = None
    unowned: dict[str, int] | None = None
    ages: list[dict[str, Any]] | None = None
    next_cursor: str | None = None
    complete: bool
    members: list[dict[str, Any]]


CopiesOut = shape_of(Copies, "CopiesOut")


ComparedOut = shape_of(Compared, "ComparedOut")


ComparisonOut = shape_of(Comparison, "ComparisonOut")


class ProblemOut(Schema):
    """A refused request: what happened, a stable code, the field, what to do."""

    detail: str
    code: str
    field: str | None = None
    fix: str | None = None
