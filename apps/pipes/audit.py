"""The audit log: who did what to what, when, from where, and what was refused. Services write it, nobody changes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.pipes.models import AuditEntry
from apps.runtime import clock

LONGEST_NAME = 200


@dataclass(frozen=True)
class Actor:
    """Who does something: a user name, the visible ends of a key, or `command <name>`; and from where."""

    name: str
    address: str = ""
    request_id: str = ""


def record(
    actor: Actor,
    verb: str,
    target: str = "",
    *,
    outcome: str = AuditEntry.Outcome.DONE,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    detail: str = "",
) -> AuditEntry:
    """Append one entry, in the transaction of what it tells about. Neither `before` nor `after` may hold a secret."""
    return AuditEntry.objects.create(
        at=clock.now_datetime(),
        actor=actor.name[:LONGEST_NAME],
        address=actor.address[:64],
        request_id=actor.request_id[:64],
        verb=verb,
        target=target[:300],
        outcome=outcome,
        before=dict(before) if before is not None else None,
        after=dict(after) if after is not None else None,
        detail=detail,
    )


def record_denied(actor: Actor, verb: str, target: str, reason: str) -> AuditEntry:
    """Append that somebody was not allowed to do something. Call it outside a transaction that the refusal rolls back."""
    return record(actor, verb, target, outcome=AuditEntry.Outcome.DENIED, detail=reason)
