"""Who says it: the message sources of claims, and the source types of batches."""

from enum import StrEnum


class MessageSource(StrEnum):
    """The source of one claim (event field `message_source`)."""

    REALTIME = "realtime"
    SNAPSHOT = "snapshot"
    AUDIT = "audit"
    ON_DEMAND = "on_demand_job"
    SENTINEL = "sentinel"

    @property
    def is_scan(self) -> bool:
        """Observations of a listing; they can be late, partial, or wrong about absence. Realtime is causal."""
        return self is not MessageSource.REALTIME


class SourceType(StrEnum):
    """The kind of a whole batch (envelope field `source_type`)."""

    MESSAGE = "message"
    SNAPSHOT = "snapshot"
    AUDIT = "audit"
    ON_DEMAND = "on_demand_job"
    SENTINEL = "sentinel"
    JOB_COMPLETE = "job_complete"
    CONFIG_REPORT = "config_report"


class EventType(StrEnum):
    """What an event does. `move`, `gap` and `dir_close` exist in protocol 3 only."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    MOVE = "move"
    GAP = "gap"


class Kind(StrEnum):
    """What a node is, by lstat; links are never followed (R36)."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    FIFO = "fifo"
    SOCKET = "socket"
    DEVICE = "device"


class Role(StrEnum):
    """The role of a session in one source scope."""

    LEADER = "leader"
    FOLLOWER = "follower"


PROTOCOL_V2 = 2
PROTOCOL_V3 = 3


def negotiate(asked: int | None) -> int:
    """The protocol both sides will speak: the newest that the server knows and the client asked for; V2 if it did not ask."""
    return PROTOCOL_V3 if asked is not None and asked >= PROTOCOL_V3 else PROTOCOL_V2
