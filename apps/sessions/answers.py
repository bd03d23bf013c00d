"""The answer to one batch, as it is gathered tree by tree and as the client reads it. Pure; used by services.ingest."""

from dataclasses import dataclass, field
from typing import Any

from fustor_schema.wire import Reject


@dataclass
class Answer:
    """What the client is told. `phase` is set for messages that carry no rows."""

    count: int
    rows: int = 0
    applied: int = 0
    ignored: int = 0
    rejected: list[Reject] = field(default_factory=list)
    over_capacity: bool = False
    committed_seq: int | None = None
    duplicate: bool = False
    audit: dict[str, Any] | None = None
    phase: str = ""

    def summary(self) -> dict[str, int]:
        """What a repetition of the batch is told of the first time."""
        return {"count": self.count, "rows": self.rows, "applied": self.applied, "ignored": self.ignored}

    def payload(self) -> dict[str, Any]:
        """The JSON of the answer."""
        if self.phase:
            return {"status": "ok", "phase": self.phase, "count": self.count}
        payload: dict[str, Any] = {
            "status": "capacity_exceeded" if self.over_capacity else "ok",
            "count": self.count,
            "rows": self.rows,
            "applied": self.applied,
            "ignored": self.ignored,
            "rejected": [_reject_payload(reject) for reject in self.rejected],
        }
        if self.committed_seq is not None:
            payload["committed_seq"] = self.committed_seq
        if self.audit is not None:
            payload["audit"] = self.audit
        if self.duplicate:
            payload["duplicate"] = True
        return payload


def _reject_payload(reject: Reject) -> dict[str, Any]:
    return {"event": reject.event, "row": reject.row, "field": reject.field, "reason": reject.reason}
