"""Shapes of the answers for OpenAPI. Answers are encoded by msgspec from the structs of apps.views.queries; a test compares."""

from typing import Any

from ninja import Schema


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
    freshness: FreshnessOut


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
    as_of_seq: int


class SuspectOut(Schema):
    """One suspect; `suspect_until` in Unix seconds."""

    path: str
    suspect_until: float
    path_b64: str | None = None
    partial: bool = False


class SuspectUpdate(Schema):
    """A node that someone saw being written, with its mtime then (Unix seconds)."""

    path: str
    mtime: float | None = None


class SuspectUpdates(Schema):
    """Body of PUT suspect-list."""

    updates: list[SuspectUpdate]


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


class ProblemOut(Schema):
    """A refused request: what happened, a stable code, the field, what to do."""

    detail: str
    code: str
    field: str | None = None
    fix: str | None = None
