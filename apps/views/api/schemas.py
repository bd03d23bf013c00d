"""Shapes of the answers for OpenAPI. Answers are encoded by msgspec from the structs of apps.views.queries; a test compares."""

from typing import Any

from ninja import Field, Schema


class NodeOut(Schema):
    """One node. Times are Unix seconds, sizes bytes."""

    name: str
    content_type: str
    path: str
    size: int
    modified_time: float | None
    created_time: float | None
    integrity_suspect: bool
    agent_missing: bool
    last_agent_id: str | None
    source_uri: str | None
    kind: str
    path_b64: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    inode: int | None = None
    nlink: int | None = None
    unverified: bool = False
    member: str | None = None
    audit_skipped: bool | None = None
    total_files: int | None = None
    total_directories: int | None = None
    total_size: int | None = None
    unscanned: str | None = None
    placeholder: bool = False


class TreeOut(NodeOut):
    """A node with its subtree."""

    children: list[Any] | None = None
    job_id: str | None = None
    job_pending: bool = False
    next_cursor: str | None = None
    as_of_seq: int | None = None


class OutlineOut(Schema):
    """A node with `only_path`, its subtree likewise."""

    name: str
    content_type: str
    path: str
    path_b64: str | None = None
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


class BlindSpotsOut(Schema):
    """Open blind spots: exact counts, one page of entries."""

    additions_count: int
    additions: list[NodeOut]
    deletion_count: int
    deletions: list[str]
    modified_count: int
    modified: list[NodeOut]
    records: list[dict[str, Any]]
    next_cursor: str | None
    as_of_seq: int | None


class SuspectOut(Schema):
    """One suspect; `suspect_until` in Unix seconds."""

    path: str
    suspect_until: float
    path_b64: str | None = None
    partial: bool = False
    member: str | None = None


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


class ChangeOut(Schema):
    """One change. `moved` has `from_path`; a directory stands for all below it. `at` in Unix seconds."""

    seq: int
    kind: str
    path: str
    content_type: str
    size: int
    modified_time: float | None
    at: float
    source: str
    rule: str | None
    path_b64: str | None = None
    from_path: str | None = None
    from_path_b64: str | None = None
    member: str | None = None


class FeedOut(Schema):
    """Changes behind `since`, in order; go on with `next_seq`."""

    view_id: str
    since: int
    next_seq: int
    changes: list[ChangeOut]
    more: bool
    reset: bool
    reset_reason: str | None


class MemberResetOut(Schema):
    """A member of a forest whose tree has to be read anew."""

    member: str
    seq: int
    reason: str


class ForestFeedOut(Schema):
    """Changes of all members behind `since`, in order for each; go on with `next_seq` (`pipe:seq,pipe:seq`)."""

    view_id: str
    since: str
    next_seq: str
    changes: list[ChangeOut]
    more: bool
    reset: bool
    resets: list[MemberResetOut]


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
    node: NodeOut | None
    decided: dict[str, Any] | None
    tombstone: dict[str, Any] | None
    refused: list[dict[str, Any]]
    suspect: dict[str, Any] | None
    blind_spots: list[dict[str, Any]]
    unverified: list[dict[str, Any]]
    recheck: dict[str, Any] | None
    listing: dict[str, Any] | None


class HitOut(Schema):
    """One place where it is."""

    view_id: str
    member: str | None
    node: NodeOut
    state: str
    quiet_for_seconds: float
    reasons: list[ReasonOut]


class UnsearchedOut(Schema):
    """A tree that was not searched to its end."""

    view_id: str
    member: str | None
    reason: str


class PlacesOut(Schema):
    """All hits of one look."""

    hits: list[HitOut]
    count: int
    complete: bool
    unsearched: list[UnsearchedOut]


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


class ComparedOut(Schema):
    """One name in several members: `states` (present, missing, unknown) and `copies` by pipe id."""

    name: str
    path: str
    path_b64: str | None
    differs: list[str]
    states: dict[str, str]
    copies: dict[str, NodeOut]


class ComparisonOut(Schema):
    """The entries of one directory side by side."""

    view_id: str
    path: str
    members: list[dict[str, Any]]
    differs: list[str]
    entries: list[ComparedOut]
    next_cursor: str | None


class ProblemOut(Schema):
    """A refused request: what happened, a stable code, the field, what to do."""

    detail: str
    code: str
    field: str | None = None
    fix: str | None = None
