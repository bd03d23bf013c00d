"""Claims: what one message says of one path, and who says it. Built by `intake`, judged by `rules`, made by apps.sessions."""

from dataclasses import dataclass

from fustor_schema.sources import PROTOCOL_V3, MessageSource


@dataclass(frozen=True, slots=True)
class Origin:
    """The session that a batch comes from, as the ingestion service knows it inside the batch's transaction.

    `session` is Session.number. `epoch` is the tree's epoch while the session leads it, else 0 (R22).
    Server ms = capture ms of the agent + `clock_offset_ms`, within `clock_error_ms` (R3). `attr_cache_ms`: how long its mount may
    show an old listing (0 on a local disk); None when it did not say: the view's setting counts (R13). `root_id`: the storage that
    the session was opened for, empty when it did not say (R20).
    """

    session: int
    session_id: str = ""
    task_id: str = ""
    agent_id: str = ""
    source_uri: str = ""
    protocol: int = 2
    is_leader: bool = True
    epoch: int = 0
    clock_offset_ms: float = 0.0
    clock_error_ms: float = 0.0
    attr_cache_ms: int | None = None
    root_id: str = ""

    @property
    def is_native(self) -> bool:
        """True when the agent speaks protocol 3: it sends `observed_at`, `dir_close`, `audit_id`, `move` and `gap`."""
        return self.protocol >= PROTOCOL_V3


class Said:
    """What all rows of one event share: source, session, and when it was true in server ms, within `error_ms` (R3)."""

    __slots__ = ("error_ms", "observed_at", "realtime", "session", "source")

    def __init__(self, source: MessageSource, session: int, observed_at: int, error_ms: int) -> None:
        self.source, self.session, self.observed_at, self.error_ms = source, session, observed_at, error_ms
        self.realtime = source is MessageSource.REALTIME
