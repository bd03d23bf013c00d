"""Bodies of the `/pipe` calls as OpenAPI shows them. Batches of events are decoded by fustor_schema.wire instead."""

from typing import Any, Literal

from ninja import Field, Schema
from pydantic import BaseModel, ConfigDict

from apps.sessions.storable import Record, Text


class Request(BaseModel):
    """A JSON object; unknown fields of newer or older agents are no error.

    Not Ninja's Schema: that one takes anything with attributes for a body, a list too.
    """

    model_config = ConfigDict(extra="ignore")


class SessionRequest(Request):
    """Open a session. `task_id` is `<agent id>:<agent pipe id>`."""

    task_id: Text = Field(min_length=1, max_length=255)
    source_type: str | None = None
    client_info: Record | None = None
    session_timeout_seconds: int | None = Field(default=None, ge=0)
    pipe_id: str | None = Field(default=None, description="NEW: which pipe, for a key that serves several")
    protocol: int | None = Field(default=None, description="NEW: 3 for the native additions")
    sent_at: float | None = Field(default=None, allow_inf_nan=False, description="NEW: ms on the agent's monotonic clock")
    root_id: Text | None = Field(default=None, max_length=200, description="NEW: identity of the mount")
    host: Record | None = Field(default=None, description="NEW: hostname, version …")
    job_queue: bool = Field(default=False, description="NEW: the agent consumes the Celery queue agent.<agent id>")


# not a schema of its own: each type carries fields of its own, and a schema would drop those it does not name
COMMANDS = "Orders `{type, id, job_id?, path?, recursive?, …}`; each comes again until acknowledged, and is run once per `id`"


class OffsetProbe(Schema):
    """Server time at the answer, in ms."""

    server_ms: int


class SessionAnswer(Schema):
    """An open session."""

    session_id: str
    role: Literal["leader", "follower"]
    session_timeout_seconds: int
    heartbeat_interval: float
    audit_interval_sec: float
    sentinel_interval_sec: float
    message: str
    protocol: int
    epoch: int
    pipe_id: str
    view_ids: list[str]
    committed_seq: int
    resume_index: int
    offset_probe: OffsetProbe
    commands: list[dict[str, Any]] = Field(description=COMMANDS)


class CommandReport(Request):
    """The agent's word on a command that it was given."""

    id: Text
    state: Literal["RUNNING", "DONE", "FAILED"]
    result: Record = {}
    error: Text = ""


class HeartbeatRequest(Request):
    """I am alive, and this is how I am. `agent_status.state` is a PipeState as text or number."""

    can_realtime: bool = False
    agent_status: Record | None = None
    job_queue: bool | None = Field(default=None, description="NEW: whether it consumes the Celery queue agent.<agent id>")
    command_reports: list[CommandReport] = Field(default=[], description="NEW: acknowledgement of commands")


class HeartbeatAnswer(Schema):
    """The session lives; its role, its epoch and what to do next."""

    status: Literal["ok"]
    role: Literal["leader", "follower"]
    message: str
    can_realtime: bool
    epoch: int
    commands: list[dict[str, Any]] = Field(description=COMMANDS)


class TerminatedAnswer(Schema):
    """The session is over, or there was none."""

    status: Literal["terminated"]
    session_id: str


class AuthorizedAnswer(Schema):
    """What the key is good for."""

    view_id: str | None
    status: Literal["authorized"]
    pipe_id: str
    view_ids: list[str]
    server_time: float


class Rejected(Schema):
    """One refused row of a batch."""

    event: int
    row: int | None
    field: str
    reason: str


class EventsAnswer(Schema):
    """Committed. `rejected` rows were refused one by one, the rest is in."""

    model_config = {"extra": "allow"}

    status: str
    count: int
    rows: int = 0
    applied: int = 0
    ignored: int = 0
    rejected: list[Rejected] = []


class AuditCall(Request):
    """Which session and which audit; an old agent sends no body at all."""

    session_id: str | None = None
    audit_id: Text | None = Field(default=None, max_length=100)
    started_ms: float | None = Field(default=None, allow_inf_nan=False, description="On the clock of the agent's events")
    sent_at: float | None = Field(default=None, allow_inf_nan=False, description="ms on the agent's monotonic clock")
    root_id: Text | None = Field(default=None, max_length=200)
    manifest: Record | None = None


class AuditAnswer(Schema):
    """How many trees took part."""

    status: str
    drivers_handled: int


class SentinelUpdate(Request):
    """What a re-check found."""

    path: str
    path_b64: str | None = Field(default=None, description="NEW: the raw bytes of a path that is not UTF-8")
    mtime: float | None = Field(default=None, allow_inf_nan=False)
    size: int | None = Field(default=None, ge=0)
    status: Literal["exists", "missing"] = "exists"


class SentinelFeedback(Request):
    """The outcome of sentinel tasks."""

    type: str = "suspect_update"
    updates: list[SentinelUpdate]
    session_id: str | None = None


class FeedbackAnswer(Schema):
    """How many trees took it in."""

    status: Literal["processed"]
    drivers_updated: int
